"""What kind of derived object this is, what it names as its source, and how its values are read.

The rules of ``header_rules.py`` and ``pixel_rules.py`` stand on this.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import (
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from casgan_dicom.derived.review_terms import REVIEW
from casgan_dicom.quoting import quoted


class ObjectKind(enum.Enum):
    """What a derived object may be; each kind has rules of its own."""

    CINE = "multi-frame Secondary Capture"
    FRAME = "single-frame Secondary Capture"
    SEGMENTATION = "Segmentation"
    REPORT = "Structured Report"
    REVIEW = "Structured Report of a review"
    SELECTION = "Key Object Selection of a review"
    UNKNOWN = "none of these"


KINDS: Mapping[str, ObjectKind] = MappingProxyType(
    {
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage: ObjectKind.CINE,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage: ObjectKind.CINE,
        SecondaryCaptureImageStorage: ObjectKind.FRAME,
        SegmentationStorage: ObjectKind.SEGMENTATION,
        EnhancedSRStorage: ObjectKind.REPORT,
        ComprehensiveSRStorage: ObjectKind.REPORT,
        KeyObjectSelectionDocumentStorage: ObjectKind.SELECTION,
    }
)
"""Kind of each SOP Class UID (0008,0016) that a derived object may have."""

EVERY = frozenset(ObjectKind)
CAPTURES = frozenset({ObjectKind.CINE, ObjectKind.FRAME, ObjectKind.UNKNOWN})
IMAGES = CAPTURES | {ObjectKind.SEGMENTATION}
REVIEWS = frozenset({ObjectKind.REVIEW, ObjectKind.SELECTION})
REPORTS = frozenset({ObjectKind.REPORT, ObjectKind.REVIEW})
DOCUMENTS = REPORTS | REVIEWS

Ask = Callable[[Dataset], Iterator[str]]


@dataclass(frozen=True)
class Rule:
    """One question, and whom it is asked."""

    ask: Ask
    """Yields a sentence for each fault."""
    of: frozenset[ObjectKind]
    """Kinds of object that have to answer."""


def kind_of(ds: Dataset) -> ObjectKind:
    """The kind of an object by its SOP Class UID (0008,0016); of a report, also by its title."""
    found = KINDS.get(str(ds.get("SOPClassUID")), ObjectKind.UNKNOWN)
    if found is ObjectKind.REPORT and REVIEW.key in codes_in(ds, "ConceptNameCodeSequence"):
        return ObjectKind.REVIEW
    return found


def source_items(ds: Dataset) -> list[Dataset]:
    """Every reference to a source image, at the root and, frame by frame, in functional groups."""
    items = list(ds.get("SourceImageSequence") or [])
    for derivation in derivations(ds):
        items += derivation.get("SourceImageSequence") or []
    return items


def source_uids(ds: Dataset) -> set[str]:
    """SOP Instance UIDs of what an object was made of; of its evidence, for a document."""
    if kind_of(ds) in DOCUMENTS:
        return {str(item.get("ReferencedSOPInstanceUID")) for _, item in evidence(ds)}
    return {str(item.get("ReferencedSOPInstanceUID")) for item in source_items(ds)}


def source_series(ds: Dataset) -> set[str]:
    """Series Instance UIDs of what an object was made of."""
    listed = {str(series.get("SeriesInstanceUID")) for series in ds.get("ReferencedSeriesSequence") or []}
    return listed | {uid for uid, _ in evidence(ds)}


def evidence(ds: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Series Instance UID and item of each instance that a document rests on, PS3.3 C.17.2."""
    for study in ds.get("CurrentRequestedProcedureEvidenceSequence") or []:
        for series in study.get("ReferencedSeriesSequence") or []:
            for item in series.get("ReferencedSOPSequence") or []:
                yield str(series.get("SeriesInstanceUID")), item


def derivations(ds: Dataset) -> Iterator[Dataset]:
    """Items of Derivation Image Sequence (0008,9124) in the functional groups of all frames."""
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in ds.get(keyword) or []:
            yield from group.get("DerivationImageSequence") or []


def coded(ds: Dataset, keyword: str, wanted: Sequence[str]) -> Iterator[str]:
    """A fault unless the coded value is one of those wanted."""
    value = ds.get(keyword)
    if value not in wanted:
        yield f"{keyword} {Tag(keyword)} is {quoted(value, 'CS')}, need {' or '.join(wanted)}"


def several(ds: Dataset, keyword: str) -> list[str]:
    """Values as strings; empty if the attribute is absent or empty."""
    value = ds.get(keyword)
    if value is None or value == "":
        return []
    return [str(part) for part in value] if isinstance(value, MultiValue) else [str(value)]


def codes_in(ds: Dataset, keyword: str) -> list[tuple[str, str]]:
    """Code value and scheme of every item of a code sequence."""
    items = ds.get(keyword) or []
    return [(str(item.get("CodeValue")), str(item.get("CodingSchemeDesignator"))) for item in items]
