"""What would be converted, and why not the rest: decided from headers alone, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.conversion.notes import notes_about
from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.output_folder import refuse_input_folder
from casgan_dicom.conversion.report import Skipped
from casgan_dicom.disk import is_part
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.eligible import reasons_against, reasons_against_series
from casgan_dicom.source.series import find_series


@dataclass(frozen=True)
class Plan:
    """What would be converted, decided from the headers alone."""

    cines: tuple[Cine, ...]
    """Those that will be converted."""
    skipped: tuple[Skipped, ...]
    """Those that will not, with every reason."""
    warnings: tuple[str, ...]
    """What concerns no single cine."""


def plan_conversion(paths: Sequence[Path], options: ConvertOptions, out_dir: Path) -> Plan:
    """Find the cines in `paths` and decide which of them may be converted.

    What an earlier run wrote to `out_dir` is no input, should `out_dir` lie inside a folder that was passed.

    Raises SeriesError if there is no DICOM file at all, OutputError if `out_dir` could touch the input.
    """
    found = find_series(paths)
    cines = [cine for cine in found.cines if not _from_earlier_run(cine, out_dir)]
    damaged = [file for file in found.damaged if not _left_by_a_kill(file.path, out_dir)]
    said = [f"{count} files passed over: {reason}" for reason, count in found.skipped_counts.items()]
    if earlier := len(found.cines) - len(cines):
        said.append(f"{earlier} objects of an earlier run in the output folder passed over")
    files = [instance.path for cine in cines for instance in cine.instances]
    refuse_input_folder(out_dir, paths, files)
    accepted, skipped = [], [Skipped("", (), (file.reason,), path=file.path) for file in damaged]
    against = {series.uid: reasons_against_series(series) for series in found.series}
    for cine in cines:
        reasons = (*against[cine.series_uid], *reasons_against(cine))
        forceable = all(reason.forceable for reason in reasons)
        if reasons and not (forceable and options.force):
            skipped.append(skip(cine, [reason.text for reason in reasons], forceable=forceable))
        else:
            accepted.append(cine)
    return Plan(tuple(accepted), tuple(skipped), tuple(said))


def notes_on(cine: Cine) -> tuple[str, ...]:
    """What is odd about a cine that is converted: reasons against it that were overruled, then the rest."""
    return (*(reason.text for reason in reasons_against(cine)), *notes_about(cine))


def instances_of(cine: Cine) -> tuple[str, ...]:
    """SOP Instance UIDs (0008,0018) of a cine."""
    return tuple(instance.sop_instance_uid for instance in cine.instances)


def skip(cine: Cine, reasons: Sequence[str], *, forceable: bool) -> Skipped:
    """What the report says of a cine that is not converted."""
    return Skipped(cine.series_uid, instances_of(cine), tuple(reasons), forceable=forceable)


def _from_earlier_run(cine: Cine, out_dir: Path) -> bool:
    """Whether a cine is what an earlier run wrote to this output folder, by its content and by its place."""
    if cine.header.get("SyntheticData") != "YES":
        return False
    folder = out_dir.resolve() / cine.series_uid
    places = [(instance.path.resolve(), f"{instance.sop_instance_uid}.dcm") for instance in cine.instances]
    return all(place == folder / name for place, name in places) or all(
        _left_by_a_kill(place, out_dir) for place, _ in places
    )


def _left_by_a_kill(path: Path, out_dir: Path) -> bool:
    """Whether a file is the temporary one of an earlier run that was killed while it wrote."""
    place = path.resolve()
    return place.parent.parent == out_dir.resolve() and is_part(place)
