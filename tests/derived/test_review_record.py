"""A verdict as an object: what it says, what it is about, and what independent readers find in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import highdicom
import pytest
from highdicom.ko import KeyObjectSelectionDocument
from highdicom.sr import MeasurementReport
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from casgan_dicom.derived.references import Reference
from casgan_dicom.derived.review_content import Judgement
from casgan_dicom.derived.review_reasons import REASONS
from casgan_dicom.derived.review_record import RecordKind, Reviewed, ReviewRecord
from casgan_dicom.errors import SeriesError
from casgan_dicom.verification.verify import verify_file
from tests.support.derived import cine_of, derived
from tests.support.factories import uid, write_xa
from tests.support.programs import find_program
from tests.support.validators import dcentvfy, dciodvfy

CINE_CLASS = "1.2.840.10008.5.1.4.1.1.7.2"
FRAME_CLASS = "1.2.840.10008.5.1.4.1.1.7"
AT = datetime(2026, 3, 1, 23, 30, 15, 250000, tzinfo=UTC)
YES = Judgement(None, "", "", AT, 1)
NO = Judgement(REASONS["motion"], "moved at frame 12", "A. Reviewer", AT, 1)
KINDS: tuple[RecordKind, ...] = ("sr", "ko")


def header(folder: Path, **overrides: object) -> Dataset:
    """A synthetic cine."""
    return derived(cine_of(folder, **overrides))


def about(ds: Dataset, *others: Reference) -> Reviewed:
    made = Reference(ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID, 4)
    return Reviewed("ab12", ds, (made, *others))


def written(folder: Path, said: Judgement, on: Reviewed, kind: RecordKind) -> Path:
    path = folder / f"{kind}.dcm"
    dcmwrite(path, ReviewRecord(said, on, kind), enforce_file_format=True)
    return path


def every_item(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence") or []:
        yield item
        yield from every_item(item)


def text_in(ds: Dataset) -> str:
    """The one text about the objects."""
    (text,) = (
        item.TextValue
        for item in every_item(ds)
        if item.ValueType == "TEXT" and item.ConceptNameCodeSequence[0].CodeValue in ("121106", "113012")
    )
    return str(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("said", [YES, *(replace(NO, reason=each) for each in REASONS.values())])
def test_validators_find_nothing(tmp_path: Path, kind: RecordKind, said: Judgement) -> None:
    synthetic = header(tmp_path, AccessionNumber="A1")
    dcmwrite(tmp_path / "cine", synthetic, enforce_file_format=True)

    path = written(tmp_path, said, about(synthetic), kind)

    assert dciodvfy(path) == []
    assert dcentvfy(tmp_path / "source", tmp_path / "cine", path) == []
    assert verify_file(path) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SyntheticData", "YES"),
        ("ContentQualification", "RESEARCH"),
        ("SeriesDescription", "AI SYNTHETIC review - not for diagnosis"),
        ("Manufacturer", "casgan-dicom"),
        ("StudyInstanceUID", uid("study")),
        ("PatientID", "TEST-1"),
        ("ContentDate", "20260301"),
        ("ContentTime", "233015.250000"),
        ("InstanceNumber", 1),
    ],
)
def test_both_say(tmp_path: Path, kind: RecordKind, keyword: str, value: object) -> None:
    assert dcmread(written(tmp_path, NO, about(header(tmp_path)), kind))[keyword].value == value


def test_a_report_is_complete_unsigned_and_beside_the_quality_record(tmp_path: Path) -> None:
    ds = dcmread(written(tmp_path, NO, about(header(tmp_path)), "sr"))

    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "FINAL")
    assert (ds.Modality, ds.SeriesNumber) == ("SR", 49003)


@pytest.mark.parametrize("reason", [None, *REASONS])
def test_a_report_says_the_verdict_and_its_reason(tmp_path: Path, reason: str | None) -> None:
    said = YES if reason is None else replace(NO, reason=REASONS[reason])

    content = highdicom.sr.srread(written(tmp_path, said, about(header(tmp_path)), "sr")).content

    assert isinstance(content, MeasurementReport)
    (group,) = content.get_image_measurement_groups()
    said_of = group.get_qualitative_evaluations()
    found = {each.name.value: each[0].ConceptCodeSequence[0].CodeValue for each in said_of}
    rejected = {"VERDICT": "REJECTED", "REJECTEDFOR": REASONS[reason].value} if reason else {}
    assert found == (rejected or {"VERDICT": "ACCEPTED"})


@pytest.mark.parametrize("reason", [None, *REASONS])
def test_a_selection_says_the_verdict_as_its_title(tmp_path: Path, reason: str | None) -> None:
    said = YES if reason is None else replace(NO, reason=REASONS[reason])

    ds = dcmread(written(tmp_path, said, about(header(tmp_path)), "ko"))

    (title,) = ds.ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113001" if reason else "113000", "DCM")
    modifiers = [
        item.ConceptCodeSequence[0].CodeValue
        for item in ds.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "113011"
    ]
    assert modifiers == ([REASONS[reason].value] if reason else [])
    assert ds.ContentSequence[0].RelationshipType == ("HAS CONCEPT MOD" if reason else "HAS OBS CONTEXT")


@pytest.mark.parametrize("kind", KINDS)
def test_who_says_so_is_named_and_the_program_too(tmp_path: Path, kind: RecordKind) -> None:
    on = about(header(tmp_path))

    named = list(every_item(dcmread(written(tmp_path, NO, on, kind))))
    nobody = list(every_item(dcmread(written(tmp_path, YES, on, kind))))

    def observers(items: list[Dataset]) -> list[str]:
        return [each.ConceptCodeSequence[0].CodeMeaning for each in items if named_by(each, "121005")]

    def named_by(item: Dataset, code: str) -> bool:
        return bool(item.ConceptNameCodeSequence[0].CodeValue == code)

    assert observers(named) == ["Person", "Device"]
    assert [each.PersonName for each in named if named_by(each, "121008")] == ["A. Reviewer^"]
    assert observers(nobody) == ["Device"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_begins_with_what_it_is_about(tmp_path: Path, kind: RecordKind) -> None:
    on = about(header(tmp_path))

    assert text_in(dcmread(written(tmp_path, NO, on, kind))) == (
        "AI SYNTHETIC, not for diagnosis. Rejected: Motion blur. moved at frame 12"
    )
    assert text_in(dcmread(written(tmp_path, YES, on, kind))) == "AI SYNTHETIC, not for diagnosis. Accepted."


OTHERS = {
    "maps": [Reference(CINE_CLASS, uid(name), uid("maps"), 4) for name in ("attention", "vessels")],
    "segmentation": [Reference(SegmentationStorage, uid("seg"), uid("seg series"), 4)],
    "record": [Reference(ComprehensiveSRStorage, uid("sr"), uid("sr series"))],
    "frames": [Reference(FRAME_CLASS, uid(f"frame {k}"), uid("frames")) for k in range(40)],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("others", OTHERS)
def test_every_object_is_named_with_its_series(tmp_path: Path, kind: RecordKind, others: str) -> None:
    on = about(header(tmp_path), *OTHERS[others])

    path = written(tmp_path, NO, on, kind)

    ds = dcmread(path)
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == uid("study")
    series_uids = [each.SeriesInstanceUID for each in study.ReferencedSeriesSequence]
    assert len(set(series_uids)) == len(series_uids)
    listed = {
        (series.SeriesInstanceUID, each.ReferencedSOPClassUID, each.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }
    assert listed == {(one.series_uid, one.sop_class_uid, one.sop_instance_uid) for one in on.objects}
    items = [item for item in every_item(ds) if "ReferencedSOPSequence" in item]
    named = {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID: item.ValueType for item in items}
    assert named == {
        one.sop_instance_uid: "COMPOSITE" if one.sop_class_uid == ComprehensiveSRStorage else "IMAGE"
        for one in on.objects
    }
    assert len(items) == len(on.objects)
    assert dciodvfy(path) == []
    assert verify_file(path) == []


def test_highdicom_reads_a_selection(tmp_path: Path) -> None:
    synthetic = header(tmp_path)

    document = KeyObjectSelectionDocument.from_dataset(dcmread(written(tmp_path, NO, about(synthetic), "ko")))

    assert document.resolve_reference(synthetic.SOPInstanceUID) == (
        synthetic.StudyInstanceUID,
        synthetic.SeriesInstanceUID,
        synthetic.SOPInstanceUID,
    )
    (person,) = document.content.get_observer_contexts(codes.DCM.Person)
    assert person.observer_identifying_attributes.name == "A. Reviewer^"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("others", OTHERS)
def test_dcmtk_reads_both(tmp_path: Path, kind: RecordKind, others: str) -> None:
    path = written(tmp_path, NO, about(header(tmp_path), *OTHERS[others]), kind)
    program = find_program("dsrdump", "dcmtk")

    done = subprocess.run([program, "+Pl", str(path)], capture_output=True, text=True, check=True)

    assert "Motion blur" in done.stdout
    assert "AI SYNTHETIC, not for diagnosis. Rejected" in done.stdout
    assert not [line for line in done.stderr.splitlines() if line.startswith("E:")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_verdict_is_the_same_object_and_any_other_is_another(
    tmp_path: Path, kind: RecordKind
) -> None:
    on = about(header(tmp_path), *OTHERS["maps"])
    verdicts = [
        YES,
        NO,
        replace(NO, reason=REASONS["other"]),
        replace(NO, text="moved at frame 13"),
        replace(NO, reviewer=""),
        replace(NO, number=2),
        replace(NO, at=datetime(2026, 3, 2, tzinfo=UTC)),
    ]

    made = [ReviewRecord(said, on, kind) for said in verdicts]
    again = ReviewRecord(NO, replace(on, objects=on.objects[::-1]), kind)

    assert len({one.SOPInstanceUID for one in made}) == len(verdicts)
    assert len({one.SeriesInstanceUID for one in made}) == 1
    assert again.SOPInstanceUID == made[1].SOPInstanceUID
    assert made[0].SeriesInstanceUID != on.header.SeriesInstanceUID


def test_report_and_selection_are_objects_of_their_own(tmp_path: Path) -> None:
    on = about(header(tmp_path))
    report, selection = (ReviewRecord(NO, on, kind) for kind in KINDS)

    assert report.SOPInstanceUID != selection.SOPInstanceUID
    assert report.SeriesInstanceUID != selection.SeriesInstanceUID


def test_a_report_names_that_of_the_verdict_before(tmp_path: Path) -> None:
    on = about(header(tmp_path))
    first = ReviewRecord(NO, on, "sr")

    path = written(
        tmp_path,
        replace(YES, number=2),
        replace(on, record_before=(first.SOPClassUID, first.SOPInstanceUID)),
        "sr",
    )

    (study,) = dcmread(path).PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert [each.ReferencedSOPInstanceUID for each in series.ReferencedSOPSequence] == [first.SOPInstanceUID]
    assert dciodvfy(path) == []
    assert verify_file(path) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("charset", "words", "there"),
    [
        ("ISO_IR 192", "Gefäß 血管", "Gefäß 血管"),
        ("ISO_IR 100", "Gefäß falsch", "Gefäß falsch"),
        ("ISO_IR 100", "血管 ä", "?? a"),
        ("ISO_IR 144", "Сосуд", "Сосуд"),
        (None, "Gefäß", "Gefa?"),
    ],
)
def test_words_are_those_of_the_reviewer_where_the_study_has_the_characters(
    tmp_path: Path, kind: RecordKind, charset: str | None, words: str, there: str
) -> None:
    on = about(header(tmp_path, SpecificCharacterSet=charset))

    ds = dcmread(written(tmp_path, replace(NO, text=words, reviewer=words), on, kind))

    assert text_in(ds).endswith(f". {there}")
    (name,) = (item.PersonName for item in every_item(ds) if item.ValueType == "PNAME")
    assert name == f"{there}^"


@pytest.mark.parametrize("kind", KINDS)
def test_the_time_is_told_in_the_zone_of_the_study(tmp_path: Path, kind: RecordKind) -> None:
    ds = dcmread(written(tmp_path, NO, about(header(tmp_path, TimezoneOffsetFromUTC="+0200")), kind))

    assert (ds.ContentDate, ds.ContentTime) == ("20260302", "013015.250000")
    assert ds.TimezoneOffsetFromUTC == "+0200"


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_call_itself_synthetic_is_not_reviewed(tmp_path: Path, kind: RecordKind) -> None:
    ds = dcmread(write_xa(tmp_path / "source", None))

    with pytest.raises(SeriesError, match="synthetic"):
        ReviewRecord(NO, about(ds), kind)
