"""A derived object beside its source: its references, its patient, and what sticks to pixels for good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.derived.geometry import aspect_ratio
from casgan_dicom.derived.history import burned_in, declared_lossless, said_by_all
from casgan_dicom.derived.legal_header import legal_header
from casgan_dicom.pixels.lossy import declares_loss, loses
from casgan_dicom.pixels.syntaxes import always_loses
from casgan_dicom.source.cine import Instance
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.kinds import DOCUMENTS, REVIEWS, ObjectKind, evidence, kind_of, source_items
from casgan_dicom.verification.roadmap_rules import is_laid_over

PATIENT_AND_STUDY = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge",
    "PatientSize", "PatientWeight", "OtherPatientNames", "PatientIdentityRemoved", "StudyInstanceUID",
    "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""What an object shares with its source: elements of the Patient, General Study and Patient Study modules."""


@dataclass(frozen=True)
class Finding:
    """One fault of one object."""

    rule: str
    """Name of the rule that found it."""
    message: str
    """What is wrong: tag, found, wanted."""

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


def source_headers(paths: Sequence[Path]) -> Mapping[str, Dataset]:
    """Headers of all instances in files and folders, by their SOP Instance UIDs (0008,0018).

    Lossy Image Compression (0028,2110) is 01 in all whose streams have lost information, whatever they
    declare. Raises SeriesError as `find_series` does.
    """
    headers = {}
    for cine in find_series(paths).cines:
        for instance, header in zip(cine.instances, cine.headers, strict=True):
            if _has_lost(instance, header):
                header.LossyImageCompression = "01"
            headers[instance.sop_instance_uid] = header
    return headers


def _has_lost(instance: Instance, header: Dataset) -> bool:
    """Whether a stream has lost information; where it is broken, whether its transfer syntax always does."""
    try:
        return instance.has_pixels and loses(instance, header)
    except Exception:  # the source of another may be anything; what is asked here is not whether it is sound
        return always_loses(instance.transfer_syntax)


def compare(ds: Dataset, sources: Mapping[str, Dataset]) -> list[Finding]:
    """Compare an object with what it was made of.

    Parameters
    ----------
    ds
        The derived object.
    sources
        Headers by their SOP Instance UIDs.

    Returns
    -------
    list of Finding
        References to instances that are not among `sources`, or to frames that they do not have; elements of
        patient and study that differ once decoded; loss or burned-in identity that is no longer declared. Of
        a roadmap also a run that its vessels are of and that is not among `sources`, or of another patient.
    """
    found = [Finding("source-reference", message) for message in _references(ds, sources)]
    known = [(sources[uid], item) for uid, _, item in _referenced(ds) if uid in sources]
    used = [source for source, item in known if not is_laid_over(item)]
    laid_over = [source for source, item in known if is_laid_over(item)]
    found += [Finding("source-identity", message) for message in _identity(ds, used or _study(ds, sources))]
    found += [Finding("source-history", message) for message in _history(ds, used, laid_over)]
    found += [Finding("source-geometry", message) for message in _geometry(ds, used)]
    found += [Finding("reference-missing", message) for message in _missing(ds, sources)]
    found += [Finding("reference-identity", message) for message in _same_person(ds, laid_over)]
    return found


def _study(ds: Dataset, sources: Mapping[str, Dataset]) -> list[Dataset]:
    """For a verdict, whose sources it does not name: those of its study, or all if there are none of it."""
    if kind_of(ds) not in REVIEWS:
        return []
    same = [one for one in sources.values() if one.get("StudyInstanceUID") == ds.get("StudyInstanceUID")]
    return same or list(sources.values())


def _referenced(ds: Dataset) -> Iterator[tuple[str, str, Dataset]]:
    """SOP Instance UID, Series Instance UID and item of every instance that `ds` says it was made of.

    The series is empty where the object does not say it.
    """
    if kind_of(ds) in DOCUMENTS:
        for series, item in evidence(ds):
            yield str(item.get("ReferencedSOPInstanceUID")), series, item
        return
    series_of = {
        str(instance.get("ReferencedSOPInstanceUID")): str(series.get("SeriesInstanceUID"))
        for series in ds.get("ReferencedSeriesSequence") or []
        for instance in series.get("ReferencedInstanceSequence") or []
    }
    for item in source_items(ds):
        uid = str(item.get("ReferencedSOPInstanceUID"))
        yield uid, series_of.get(uid, ""), item


def _references(ds: Dataset, sources: Mapping[str, Dataset]) -> Iterator[str]:
    """Faults of the references themselves, each kind of them once."""
    items = list(_referenced(ds))
    known = [(sources[uid], series, item) for uid, series, item in items if uid in sources]
    if not known and kind_of(ds) not in REVIEWS:  # a verdict is about synthetic objects alone
        yield f"none of {len(items)} references points at a source that was given"
        return
    # A report and a segmentation may also rest on the synthetic cine, which is no source.
    if missing := len(items) - len(known) if kind_of(ds) in (ObjectKind.CINE, ObjectKind.FRAME) else 0:
        yield f"{missing} of {len(items)} references point at no source that was given"
    if wrong := sum(item.get("ReferencedSOPClassUID") != source.SOPClassUID for source, _, item in known):
        yield f"ReferencedSOPClassUID (0008,1150) is not that of the source in {wrong} references"
    if wrong := sum(bool(series) and series != source.SeriesInstanceUID for source, series, _ in known):
        yield f"SeriesInstanceUID (0020,000E) of {wrong} references is not that of the source"
    if wrong := sum(not _has_frames(source, item) for source, _, item in known):
        yield f"ReferencedFrameNumber (0008,1160) names frames that the source lacks in {wrong} references"


def _has_frames(source: Dataset, item: Dataset) -> bool:
    value = item.get("ReferencedFrameNumber")
    numbers = [value] if isinstance(value, int) else list(value or [])
    return all(1 <= int(number) <= int(source.get("NumberOfFrames") or 1) for number in numbers)


def _identity(ds: Dataset, used: Sequence[Dataset]) -> Iterator[str]:
    """Elements of patient and study that are not those of every source, once these are made legal.

    Absent and empty are the same.
    """
    legal = [legal_header(source).ds for source in used]
    for keyword in PATIENT_AND_STUDY:
        ours = _text(ds, keyword)
        if any(_text(source, keyword) != ours for source in legal):
            yield f"{keyword} {Tag(keyword)} is not that of the source"


def _missing(ds: Dataset, sources: Mapping[str, Dataset]) -> Iterator[str]:
    """A roadmap whose vessels are of a run that nobody has shown here."""
    items = [item for item in source_items(ds) if is_laid_over(item)]
    uids = {str(item.get("ReferencedSOPInstanceUID")) for item in items}
    if missing := len(uids - set(sources)):
        yield f"{missing} of {len(uids)} instances of the run whose vessels it shows are no source given"


def _same_person(ds: Dataset, laid_over: Sequence[Dataset]) -> Iterator[str]:
    """The vessels of another patient, or of another study, are no roadmap."""
    for keyword in ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyInstanceUID"):
        ours = _text(ds, keyword)
        theirs = {_text(legal_header(source).ds, keyword) for source in laid_over} - {""}
        if ours and theirs - {ours}:
            yield f"{keyword} {Tag(keyword)} is not that of the run whose vessels it shows"


def _history(ds: Dataset, used: Sequence[Dataset], laid_over: Sequence[Dataset]) -> Iterator[str]:
    """What sticks to pixels for good and has to be said again."""
    if kind_of(ds) in DOCUMENTS:
        return
    if (
        any(declares_loss(source) for source in (*used, *laid_over))
        and ds.get("LossyImageCompression") != "01"
    ):
        yield "LossyImageCompression (0028,2110) is not 01, but the source has lost information"
    if kind_of(ds) is ObjectKind.SEGMENTATION or not used:
        return
    if ds.get("LossyImageCompression") == "00" and not declared_lossless((*used, *laid_over)):
        yield "LossyImageCompression (0028,2110) is 00, but the source does not say so"
    burned = burned_in(used)
    if burned != "NO" and ds.get("BurnedInAnnotation") != "YES":
        found = "that of the source is" if burned else "the source does not say that nothing is burned in"
        yield f"BurnedInAnnotation (0028,0301) is not YES, but {found}"
    if said_by_all(used, "RecognizableVisualFeatures") != said_by_all([ds], "RecognizableVisualFeatures"):
        yield "RecognizableVisualFeatures (0028,0302) is not that of the source"


def _geometry(ds: Dataset, used: Sequence[Dataset]) -> Iterator[str]:
    """Whether a circle stays a circle."""
    ours = aspect_ratio(ds)
    if kind_of(ds) not in DOCUMENTS and any(not _alike(aspect_ratio(each), ours) for each in used):
        yield "PixelAspectRatio (0028,0034): pixels have another shape than those of the source"


def _alike(one: tuple[int, int] | None, other: tuple[int, int] | None) -> bool:
    (a, b), (c, d) = one or (1, 1), other or (1, 1)
    return a * d == b * c


def _text(ds: Dataset, keyword: str) -> str:
    """A value as decoded text; empty where absent or empty."""
    value = ds.get(keyword)
    return "" if value is None else str(value)
