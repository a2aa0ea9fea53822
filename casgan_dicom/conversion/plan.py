"""What would be converted, and why not the rest: decided before a frame is decoded or anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.conversion.notes import notes_about
from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.output_folder import refuse_input_folder
from casgan_dicom.conversion.reference_search import Candidate, ReferenceRuns
from casgan_dicom.conversion.report import Skipped
from casgan_dicom.derived.domain_record import DomainRecord
from casgan_dicom.disk import is_part
from casgan_dicom.errors import SeriesError
from casgan_dicom.pixels.display import Display
from casgan_dicom.pixels.framefile import stored_dtype
from casgan_dicom.pixels.layout import layout_notes
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.eligible import MAX_BYTES, reasons_against, reasons_against_series
from casgan_dicom.source.series import find_series
from casgan_dicom.uids import shown_uid


@dataclass(frozen=True)
class Plan:
    """What would be converted, by the headers and by where the data of the frames lie."""

    cines: tuple[Cine, ...]
    """Those that will be converted."""
    notes: tuple[tuple[str, ...], ...]
    """What is odd about each of them: reasons against it that were overruled, then the rest."""
    skipped: tuple[Skipped, ...]
    """Those that will not, with every reason."""
    warnings: tuple[str, ...]
    """What concerns no single cine."""
    references: tuple[tuple[Candidate, ...], ...] = ()
    """For each of them the earlier runs that may lend their vessels, the nearest first; none where a
    generator draws."""


def plan_conversion(paths: Sequence[Path], options: ConvertOptions, out_dir: Path) -> Plan:
    """Find the cines in `paths` and decide which of them may be converted.

    What an earlier run wrote to `out_dir` is no input, should `out_dir` lie inside a folder that was passed.

    Raises SeriesError if there is no DICOM file at all, OutputError if `out_dir` could touch the input,
    ConfigError if the reference that is named is no single run.
    """
    found = find_series(paths)
    cines = [cine for cine in found.cines if not _from_earlier_run(cine, out_dir)]
    damaged = [file for file in found.damaged if not _left_by_a_kill(file.path, out_dir)]
    said = [f"{count} files passed over: {reason}" for reason, count in found.skipped_counts.items()]
    if earlier := len(found.cines) - len(cines):
        said.append(f"{earlier} objects of an earlier run in the output folder passed over")
    files = [instance.path for cine in cines for instance in cine.instances]
    refuse_input_folder(out_dir, paths, files)
    lenders = None if options.reference is None else ReferenceRuns(options.reference, paths)
    accepted: list[Cine] = []
    references: list[tuple[Candidate, ...]] = []
    notes: list[tuple[str, ...]] = []
    skipped = [Skipped("", (), (file.reason,), path=file.path) for file in damaged]
    against = {series.uid: reasons_against_series(series) for series in found.series}
    for cine in cines:
        own = reasons_against(cine)
        reasons = (*against[cine.series_uid], *own)
        forceable = all(reason.forceable for reason in reasons)
        if reasons and not (forceable and options.force):
            skipped.append(skip(cine, [reason.text for reason in reasons], forceable=forceable))
            continue
        try:
            laid_out = _notes_on_data(cine, options)
            lend = () if lenders is None else lenders.usable(cine, force=options.force)
        except SeriesError as error:
            told = [text for text in (error.message, error.hint) if text]
            skipped.append(skip(cine, told, forceable=False))
            continue
        accepted.append(cine)
        references.append(lend)
        notes.append((*(reason.text for reason in own), *notes_about(cine), *laid_out))
    return Plan(tuple(accepted), tuple(notes), tuple(skipped), tuple(said), tuple(references))


def bits_of(cine: Cine, options: ConvertOptions) -> int:
    """Bits Stored (0028,0101) of what is made of a cine: a source of bytes gives no more than that."""
    return 8 if cine.header.BitsStored <= 8 else options.bits


def _notes_on_data(cine: Cine, options: ConvertOptions) -> tuple[str, ...]:
    """What the data of a cine hold otherwise than its sound headers say, without decoding a frame.

    Raises
    ------
    PixelError
        There are no display values, or the Pixel Data are cut short or not the frames promised.
    SeriesError
        What is asked for is longer than one object may be.
    """
    Display.of(cine)
    bits, frames = bits_of(cine, options), options.frames.at_most(cine.frames)
    nbytes = frames * cine.rows * cine.columns * stored_dtype(bits).itemsize
    if nbytes > MAX_BYTES and options.compression.name == "none" and not options.single_frames:
        raise SeriesError(
            f"{frames} frames of {cine.rows} × {cine.columns} in {bits} bits are {nbytes} bytes, "
            f"one object holds {MAX_BYTES} uncompressed",
            hint="--compress jpegls or --single-frame writes them",
        )
    return layout_notes(cine)


def instances_of(cine: Cine) -> tuple[str, ...]:
    """SOP Instance UIDs (0008,0018) of a cine."""
    return tuple(shown_uid(instance.sop_instance_uid) for instance in cine.instances)


def skip(
    cine: Cine, reasons: Sequence[str], *, forceable: bool, domain: DomainRecord | None = None
) -> Skipped:
    """What the report says of a cine that is not converted."""
    uid = shown_uid(cine.series_uid)
    return Skipped(uid, instances_of(cine), tuple(reasons), forceable=forceable, domain=domain)


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
