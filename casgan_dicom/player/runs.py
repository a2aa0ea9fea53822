"""Which cine was made of which, and what else was made with it, among all cines of an exhibit.

Told by the references in the derived objects, never by names of files. A source of which nothing was made is
a run of its own, and so is a derived cine whose source is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from casgan_dicom.derived.picture import ATTENTION_MAP, VESSEL_MASK
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.elements import items_of, several, written_integer
from casgan_dicom.verification.kinds import ObjectKind, kind_of, source_items, source_uids
from casgan_dicom.verification.roadmap_rules import is_laid_over


@dataclass(frozen=True, eq=False)
class Run:
    """One run of frames: as it was taken, and what was made of it."""

    source: Cine | None = None
    """As it was taken; None where it is not among the files."""
    derived: Cine | None = None
    """The synthetic cine; None where there is none."""
    attention: Cine | None = None
    """Where a generator drew, frame by frame."""
    vessels: Cine | None = None
    """Vessel mask as a cine."""
    segmentation: Cine | None = None
    """Vessel mask as a segmentation, of one bit."""
    report: Dataset | None = None
    """The structured report with what was measured on each frame."""


def runs_in(cines: Sequence[Cine]) -> tuple[Run, ...]:
    """Sort all cines of an exhibit into runs, those with a derived cine first."""
    sources = [cine for cine in cines if _shows(cine) and not is_derived(cine.header)]
    pictures = _with_frames_together([cine for cine in cines if _is_picture(cine)])
    found = [_run_of(picture, sources, cines) for picture in pictures]
    used = {id(run.source) for run in found}
    return (*found, *(Run(source=source) for source in sources if id(source) not in used))


def is_derived(ds: Dataset) -> bool:
    """Whether an object is a picture that was made of another one, and says that it is synthetic."""
    first = (*several(ds.get("ImageType")), "")[0]
    return bool(ds.get("SyntheticData") == "YES" and first == "DERIVED")


def made_of(ds: Dataset) -> list[Dataset]:
    """References to what a picture shows, in the order of its frames; without a run laid over it."""
    return [item for item in items_of(ds, "SourceImageSequence") if not is_laid_over(item)]


def _shows(cine: Cine) -> bool:
    return all(instance.has_pixels for instance in cine.instances)


def _is_picture(cine: Cine) -> bool:
    """Whether a cine is what a generator made of a run, not a map or a mask."""
    kinds = (ObjectKind.CINE, ObjectKind.FRAME)
    header = cine.header
    return _shows(cine) and is_derived(header) and kind_of(header) in kinds and not _map_of(header)


def _with_frames_together(pictures: Sequence[Cine]) -> list[Cine]:
    """The same, but single frames of one series are one cine, in the order of Instance Number (0020,0013).

    They all say the time of their source, so nothing else tells that they are a run.
    """
    kept = [cine for cine in pictures if kind_of(cine.header) is not ObjectKind.FRAME]
    series: dict[tuple[str, int, int], list[Cine]] = {}
    for cine in pictures:
        if kind_of(cine.header) is ObjectKind.FRAME:
            series.setdefault((cine.series_uid, cine.rows, cine.columns), []).append(cine)
    for frames in series.values():
        pairs = [pair for cine in frames for pair in zip(cine.instances, cine.headers, strict=True)]
        pairs.sort(key=lambda pair: written_integer(pair[1].get("InstanceNumber")))
        instances = tuple(instance for instance, _ in pairs)
        headers = tuple(header for _, header in pairs)
        kept.append(replace(frames[0], instances=instances, headers=headers, frames=len(pairs), notes=()))
    return kept


def _map_of(ds: Dataset) -> str:
    """Which map an object is; empty for none."""
    text = str(ds.get("DerivationDescription") or "")
    return next((name for name in (ATTENTION_MAP, VESSEL_MASK) if text.startswith(name)), "")


def _run_of(picture: Cine, sources: Sequence[Cine], cines: Sequence[Cine]) -> Run:
    wanted = {str(item.get("ReferencedSOPInstanceUID")) for ds in picture.headers for item in made_of(ds)}
    own = {instance.sop_instance_uid for instance in picture.instances}
    source = next((cine for cine in sources if wanted & _uids(cine)), None)
    segmentations = (cine for cine in cines if kind_of(cine.header) is ObjectKind.SEGMENTATION)
    masks = [cine for cine in segmentations if _shows(cine) and _fits(cine, picture)]
    reports = [cine.header for cine in cines if kind_of(cine.header) is ObjectKind.REPORT]
    return Run(
        source=source,
        derived=picture,
        attention=next(_maps(ATTENTION_MAP, picture, wanted, cines), None),
        vessels=next(_maps(VESSEL_MASK, picture, wanted, cines), None),
        segmentation=next((mask for mask in masks if own & source_uids(mask.header)), None),
        report=next((report for report in reports if own & source_uids(report)), None),
    )


def _maps(name: str, picture: Cine, wanted: set[str], cines: Sequence[Cine]) -> Iterator[Cine]:
    """Maps of that name that the same model made of the same source in the same conversion."""
    for cine in cines:
        header = cine.header
        if not (_shows(cine) and kind_of(header) is ObjectKind.CINE and _map_of(header) == name):
            continue
        sources = {str(item.get("ReferencedSOPInstanceUID")) for item in source_items(header)}
        if wanted <= sources and _model(header) == _model(picture.header) and _fits(cine, picture):
            yield cine


def _model(ds: Dataset) -> tuple[str, ...]:
    """Who made an object, and which part of the revisions it belongs to."""
    words = ("ManufacturerModelName", "DeviceSerialNumber")
    return tuple(str(ds.get(word) or "") for word in words)


def _fits(one: Cine, other: Cine) -> bool:
    return (one.frames, one.rows, one.columns) == (other.frames, other.rows, other.columns)


def _uids(cine: Cine) -> set[str]:
    return {instance.sop_instance_uid for instance in cine.instances}
