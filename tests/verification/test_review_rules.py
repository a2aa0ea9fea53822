"""A verdict that is honest passes; each way to hide what it says, or about what, is a finding."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from casgan_dicom.derived.references import Reference
from casgan_dicom.derived.review_content import Judgement
from casgan_dicom.derived.review_reasons import REASONS
from casgan_dicom.derived.review_record import RecordKind, Reviewed, ReviewRecord
from casgan_dicom.verification.review_rules import REVIEW_RULES
from casgan_dicom.verification.verify import verify, verify_dataset, verify_file
from tests.support.derived import cine_of, derived
from tests.support.factories import uid, write_xa
from tests.support.honest import Fault, put

KINDS: tuple[RecordKind, ...] = ("sr", "ko")
YES = Judgement(None, "", "", datetime(2026, 3, 1, tzinfo=UTC), 1)
NO = Judgement(REASONS["motion"], "moved", "A. Reviewer", datetime(2026, 3, 1, tzinfo=UTC), 1)


def record(folder: Path, said: Judgement, kind: RecordKind) -> Dataset:
    header = derived(cine_of(folder))
    made = Reference(header.SOPClassUID, header.SOPInstanceUID, header.SeriesInstanceUID, 4)
    path = folder / f"{kind}.dcm"
    dcmwrite(path, ReviewRecord(said, Reviewed("ab12", header, (made,)), kind), enforce_file_format=True)
    return dcmread(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[RecordKind, bool], Dataset]:
    """Honest records by kind, and whether they accept."""
    folder = tmp_path_factory.mktemp("made")
    return {
        (kind, is_good): record(folder / kind / str(is_good), YES if is_good else NO, kind)
        for kind in KINDS
        for is_good in (True, False)
    }


def every_item(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence") or []:
        yield item
        yield from every_item(item)


def about(name: str, change: Callable[[Dataset], None]) -> Fault:
    """Change the content items of a concept, by its code value."""

    def apply(ds: Dataset) -> None:
        found = [item for item in every_item(ds) if item.ConceptNameCodeSequence[0].CodeValue == name]
        assert found, name
        for item in found:
            change(item)

    return apply


def without(*names: str) -> Fault:
    """Take content items away, by the code values of their concepts."""

    def apply(ds: Dataset) -> None:
        for each in [ds, *every_item(ds)]:
            if "ContentSequence" in each:
                each.ContentSequence = [
                    item
                    for item in each.ContentSequence
                    if item.ConceptNameCodeSequence[0].CodeValue not in names
                ]

    return apply


def twice(name: str) -> Fault:
    """Say a content item a second time."""

    def apply(ds: Dataset) -> None:
        for each in [ds, *every_item(ds)]:
            for item in list(each.get("ContentSequence") or []):
                if item.ConceptNameCodeSequence[0].CodeValue == name:
                    each.ContentSequence.append(copy.deepcopy(item))

    return apply


def of_another(item: Dataset) -> None:
    item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = uid("another")


def says(text: str) -> Callable[[Dataset], None]:
    def change(item: Dataset) -> None:
        item.TextValue = text

    return change


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def value(said: str, scheme: str, meaning: str) -> Callable[[Dataset], None]:
    def change(item: Dataset) -> None:
        item.ConceptCodeSequence = [code(said, scheme, meaning)]

    return change


def another_class(ds: Dataset) -> None:
    series = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    series.ReferencedSOPSequence[0].ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.12.1"


def no_evidence(ds: Dataset) -> None:
    ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence = []


FAULTS: dict[str, tuple[str, RecordKind, bool, Fault]] = {
    "no verdict": ("review-verdict", "sr", True, without("VERDICT")),
    "two verdicts": ("review-verdict", "sr", True, twice("VERDICT")),
    "some verdict": ("review-verdict", "sr", True, about("VERDICT", value("FINE", "99CASGAN", "Fine"))),
    "verdict of others": ("review-verdict", "sr", True, about("VERDICT", value("ACCEPTED", "99X", "Fine"))),
    "turned to no": (
        "review-verdict", "sr", True, about("VERDICT", value("REJECTED", "99CASGAN", "Rejected")),
    ),
    "turned to yes": (
        "review-verdict", "sr", False, about("VERDICT", value("ACCEPTED", "99CASGAN", "Accepted")),
    ),
    "no reason": ("review-verdict", "sr", False, without("REJECTEDFOR")),
    "some title": (
        "review-verdict", "ko", True, put(ConceptNameCodeSequence=[code("113004", "DCM", "For Teaching")]),
    ),
    "title turned": (
        "review-verdict", "ko", False, put(ConceptNameCodeSequence=[code("113000", "DCM", "Of Interest")]),
    ),
    "title without reason": ("review-verdict", "ko", False, without("113011")),
    "two reasons": ("review-verdict", "ko", False, twice("113011")),
    "about another": ("review-objects", "sr", True, about("121112", of_another)),
    "selects another": ("review-objects", "ko", True, about("260753009", of_another)),
    "about nothing": ("review-objects", "sr", False, without("121112")),
    "selects nothing": ("review-objects", "ko", False, without("260753009")),
    "another class": ("review-objects", "ko", True, another_class),
    "no evidence": ("review-objects", "sr", True, no_evidence),
    "no text": ("review-statement", "sr", True, without("121106")),
    "text of a picture": ("review-statement", "sr", True, about("121106", says("A fine angiogram"))),
    "no description": ("review-statement", "ko", True, without("113012")),
    "description of a picture": ("review-statement", "ko", False, about("113012", says("Rejected"))),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_doctored_verdict_is_found(made: dict[tuple[RecordKind, bool], Dataset], fault: str) -> None:
    rule, kind, is_good, apply = FAULTS[fault]
    ds = copy.deepcopy(made[kind, is_good])
    assert verify_dataset(ds) == []

    apply(ds)

    assert rule in {finding.rule for finding in verify_dataset(ds)}


def test_every_rule_has_a_fault() -> None:
    assert {rule for rule, *_ in FAULTS.values()} == REVIEW_RULES.keys()


COMMON: dict[str, tuple[str, Fault]] = {
    "not synthetic": ("synthetic-data", put(SyntheticData="NO")),
    "by nobody": ("synthesizing-equipment", put(ContributingEquipmentSequence=None)),
    "as an image": ("no-picture", put(Rows=4)),
    "of no instance": ("report-evidence", put(CurrentRequestedProcedureEvidenceSequence=None)),
    "as a scan": ("modality", put(Modality="XA")),
    "as a series": ("series-description", put(SeriesDescription="Review")),
    "for clinical use": ("content-qualification", put(ContentQualification="PRODUCT")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", COMMON)
def test_what_every_object_says_a_verdict_says_too(
    made: dict[tuple[RecordKind, bool], Dataset], kind: RecordKind, fault: str
) -> None:
    rule, apply = COMMON[fault]
    ds = copy.deepcopy(made[kind, False])

    apply(ds)

    assert rule in {finding.rule for finding in verify_dataset(ds)}


def test_a_report_is_not_signed_by_a_program(made: dict[tuple[RecordKind, bool], Dataset]) -> None:
    ds = copy.deepcopy(made["sr", True])
    ds.VerificationFlag = "VERIFIED"

    assert "report-unverified" in {finding.rule for finding in verify_dataset(ds)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_verdict_is_held_against_the_patient_of_its_study(tmp_path: Path, kind: RecordKind) -> None:
    """Its sources are not named in it: those of the study are compared."""
    record(tmp_path, NO, kind)
    other = write_xa(tmp_path / "other", None, PatientID="SOMEBODY")
    path = tmp_path / f"{kind}.dcm"

    assert verify(path, sources=tmp_path / "source") == {path: []}
    (finding,) = verify(path, sources=other)[path]
    assert finding.rule == "source-identity"
    assert verify_file(path) == []
