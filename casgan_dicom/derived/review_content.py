"""What a verdict says, as the content tree of a document.

As a structured report (TID 1500) it has one group: the verdict, its reason and every object that it is about.
As a key object selection (TID 2010) its title is the verdict, which archives act upon: one that knows IHE
Imaging Object Change Management hides what is "Rejected for Quality Reasons".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from highdicom.ko import KeyObjectSelection
from highdicom.sr import (
    CodeContentItem,
    CompositeContentItem,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage, KeyObjectSelectionDocumentStorage

from casgan_dicom.derived.observers import person_observer, program_observer
from casgan_dicom.derived.references import Reference
from casgan_dicom.derived.review_terms import (
    ACCEPTED,
    REJECTED,
    REJECTED_FOR,
    REVIEW,
    STATEMENT,
    VERDICT,
    Term,
)
from casgan_dicom.uids import derived_uid

_DOCUMENTS = frozenset({ComprehensiveSRStorage, EnhancedSRStorage, KeyObjectSelectionDocumentStorage})
"""SOP Classes of what is referred to as a document, not as an image."""


@dataclass(frozen=True)
class Judgement:
    """A verdict, as a document says it."""

    reason: Term | None
    """Why the objects are rejected; None where they are accepted."""
    text: str
    """What else there is to say; empty for nothing."""
    reviewer: str
    """Who says so; empty where nobody said."""
    at: datetime
    """When, with a time zone."""
    number: int
    """Counts the verdicts about these objects, from 1."""

    @property
    def verdict(self) -> Term:
        """The verdict."""
        return ACCEPTED if self.reason is None else REJECTED


def report_content(said: Judgement, about: Sequence[Reference], uid: str) -> Dataset:
    """Root of the content of a structured report; all UIDs in it follow from `uid`, that of the report."""
    evaluations = [QualitativeEvaluation(_code(VERDICT), _code(said.verdict))]
    if said.reason is not None:
        evaluations.append(QualitativeEvaluation(_code(REJECTED_FOR), _code(said.reason)))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid("reviewed", uid), identifier="AI SYNTHETIC angiogram, all objects"
        ),
        qualitative_evaluations=evaluations,
        source_images=[
            SourceImageForMeasurementGroup(one.sop_class_uid, one.sop_instance_uid)
            for one in about
            if not _is_document(one)
        ],
    )
    items = group[0].ContentSequence
    items += [_document(one, codes.DCM.SourceOfMeasurement) for one in about if _is_document(one)]
    items.append(_text(codes.DCM.Comment, sentence(said)))
    person = person_observer(said.reviewer) if said.reviewer else None
    return MeasurementReport(
        observation_context=ObservationContext(
            observer_person_context=person, observer_device_context=program_observer()
        ),
        procedure_reported=codes.SCT.Angiography,
        imaging_measurements=[group],
        title=_code(REVIEW),
    )[0]


def selection_content(said: Judgement, about: Sequence[Reference]) -> Dataset:
    """Root of the content of a key object selection."""
    title = codes.DCM.OfInterest if said.reason is None else codes.DCM.RejectedForQualityReasons
    person = person_observer(said.reviewer) if said.reviewer else None
    root = KeyObjectSelection(
        title,
        [_named(one) for one in about],
        observer_person_context=person,
        observer_device_context=program_observer(),
        description=sentence(said),
    )[0]
    if said.reason is not None:
        modifier = CodeContentItem(
            codes.DCM.DocumentTitleModifier,
            _code(said.reason),
            relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
        root.ContentSequence.insert(0, modifier)
    return root


def sentence(said: Judgement) -> str:
    """The verdict in words."""
    why = "" if said.reason is None else f": {said.reason.meaning}"
    return f"{STATEMENT}. {said.verdict.meaning}{why}.{' ' if said.text else ''}{said.text}"


def evidence(study_uid: str, about: Sequence[Reference]) -> list[Dataset]:
    """Current Requested Procedure Evidence Sequence (0040,A375): every object, by its series."""
    study = Dataset()
    study.StudyInstanceUID = study_uid
    study.ReferencedSeriesSequence = []
    for uid, objects in groupby(sorted(about, key=_place), key=lambda one: one.series_uid):
        series = Dataset()
        series.SeriesInstanceUID = uid
        series.ReferencedSOPSequence = [_reference(one) for one in objects]
        study.ReferencedSeriesSequence.append(series)
    return [study]


def _place(one: Reference) -> tuple[str, str]:
    return one.series_uid, one.sop_instance_uid


def _reference(one: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
    return item


def _code(term: Term) -> Code:
    return Code(term.value, term.scheme, term.meaning)


def _is_document(one: Reference) -> bool:
    return one.sop_class_uid in _DOCUMENTS


def _document(one: Reference, name: Code) -> CompositeContentItem:
    return CompositeContentItem(
        name, one.sop_class_uid, one.sop_instance_uid, relationship_type=RelationshipTypeValues.CONTAINS
    )


def _text(name: Code, value: str) -> TextContentItem:
    return TextContentItem(name, value, relationship_type=RelationshipTypeValues.CONTAINS)


def _named(one: Reference) -> Dataset:
    """What a key object selection has to know of an object."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
    if not _is_document(one):
        ds.Rows = ds.Columns = 1  # says that it is an image
    return ds
