"""Every rule of the header finds its own deliberate fault, and nothing else; honest objects have none."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.source.series import find_series
from casgan_dicom.verification.header_rules import HEADER_RULES
from casgan_dicom.verification.kinds import ObjectKind, kind_of
from casgan_dicom.verification.verify import verify_dataset
from tests.support.derived import cine_of
from tests.support.factories import moving_frames, write_xa
from tests.support.honest import (
    Fault,
    drop,
    in_item,
    put,
    report_like,
    segmentation_like,
    write_cine,
    write_frame,
    write_map,
)


def private_in_item(ds: Dataset) -> None:
    ds.SourceImageSequence[0].private_block(0x0019, "MAKER", create=True).add_new(1, "LO", "x")


def private_at_root(ds: Dataset) -> None:
    ds.private_block(0x0019, "MAKER", create=True).add_new(1, "LO", "x")


def overlay(ds: Dataset) -> None:
    ds.add_new(0x60000010, "US", 64)


def curve(ds: Dataset) -> None:
    ds.add_new(0x50000005, "US", 2)


def source_uid_as_own(ds: Dataset) -> None:
    ds.SOPInstanceUID = ds.SourceImageSequence[0].ReferencedSOPInstanceUID


def source_series_as_own(ds: Dataset) -> None:
    ds.SeriesInstanceUID = ds.ReferencedSeriesSequence[0].SeriesInstanceUID


def serial_of_scanner(ds: Dataset) -> None:
    ds.ContributingEquipmentSequence[0].DeviceSerialNumber = ds.DeviceSerialNumber


def no_ours_among_equipment(ds: Dataset) -> None:
    del ds.ContributingEquipmentSequence[1]


def vector_of_other_length(ds: Dataset) -> None:
    del ds.FrameTime
    ds.FrameTimeVector = [0, 67, 67]
    ds.FrameIncrementPointer = Tag("FrameTimeVector")


def no_code_in_any_frame(ds: Dataset) -> None:
    for group in ds.PerFrameFunctionalGroupsSequence:
        drop(group.DerivationImageSequence[0], "DerivationCodeSequence")


def no_word_of_the_banner(ds: Dataset) -> None:
    ds.DerivationDescription = ds.DerivationDescription.replace("banner burned into every frame", "")


def both_words_of_the_banner(ds: Dataset) -> None:
    ds.DerivationDescription += " no banner burned in"


def acr_nema_date(ds: Dataset) -> None:
    ds["StudyDate"] = DataElement(Tag("StudyDate"), "DA", "2024.01.02", validation_mode=IGNORE)


FAULTS: list[tuple[str, Fault]] = [
    ("sop-class", put(SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1")),
    ("synthetic-data", put(SyntheticData=None)),
    ("synthetic-data", put(SyntheticData="NO")),
    ("image-type", put(ImageType=["ORIGINAL", "PRIMARY"])),
    ("image-type", put(ImageType=["DERIVED", "PRIMARY"])),
    ("image-type", put(ImageType=None)),
    ("conversion-type", put(ConversionType="DI")),
    ("modality", put(Modality="CT")),
    ("derivation-description", put(DerivationDescription=None)),
    ("derivation-description", put(DerivationDescription="by a network; banner burned into every frame")),
    ("derivation-code", put(DerivationCodeSequence=None)),
    ("derivation-code", in_item("DerivationCodeSequence", 0, CodeValue="113076")),
    ("banner-claim", no_word_of_the_banner),
    ("banner-claim", both_words_of_the_banner),
    ("source-image", put(SourceImageSequence=None)),
    ("source-image", in_item("SourceImageSequence", 0, ReferencedSOPClassUID=None)),
    ("source-purpose", in_item("SourceImageSequence", 0, PurposeOfReferenceCodeSequence=None)),
    ("source-location", in_item("SourceImageSequence", 0, SpatialLocationsPreserved="NO")),
    ("referenced-series", put(ReferencedSeriesSequence=None)),
    ("own-uids", source_uid_as_own),
    ("own-uids", source_series_as_own),
    ("synthesizing-equipment", no_ours_among_equipment),
    ("synthesizing-equipment", in_item("ContributingEquipmentSequence", 1, DeviceUID=None)),
    ("synthesizing-equipment", in_item("ContributingEquipmentSequence", 1, ContributionDateTime="20260301")),
    (
        "synthesizing-equipment",
        in_item("ContributingEquipmentSequence", 1, ContributionDescription="a model"),
    ),
    ("own-equipment", put(SoftwareVersions=None)),
    ("own-equipment", put(Manufacturer="Test bench")),
    ("own-equipment", serial_of_scanner),
    ("content-qualification", put(ContentQualification="PRODUCT")),
    ("series-description", put(SeriesDescription="LCA RAO30")),
    ("image-comments", put(ImageComments=None)),
    ("series-number", put(SeriesNumber=3)),
    ("burned-in-annotation", put(BurnedInAnnotation=None)),
    ("pixel-spacing", put(PixelSpacing=[0.3, 0.3])),
    ("pixel-spacing", put(FrameOfReferenceUID="1.2.3")),
    ("legal-values", acr_nema_date),
    ("private", private_at_root),
    ("private", private_in_item),
    ("not-copied", put(KVP=80)),
    ("not-copied", put(PositionerPrimaryAngle=30)),
    ("not-copied", put(ContrastBolusAgent="Iohexol")),
    ("not-copied", put(MaskSubtractionSequence=[Dataset()])),
    ("not-copied", put(ReferencedPerformedProcedureStepSequence=[])),
    ("not-copied", in_item("SourceImageSequence", 0, DigitalSignaturesSequence=[Dataset()])),
    ("not-copied", overlay),
    ("not-copied", curve),
    ("cine-timing", put(FrameIncrementPointer=None)),
    ("cine-timing", put(FrameTime=None)),
    ("cine-timing", put(CineRate=None)),
    ("cine-timing", put(RecommendedDisplayFrameRate=24)),
    ("cine-timing", vector_of_other_length),
    ("own-text", put(SpecificCharacterSet="ISO_IR 192", ImageComments="künstlich")),
]
"""What is wrong with a cine, and the one rule that says so."""

FRAME_FAULTS: list[tuple[str, Fault]] = [
    ("no-timing", put(FrameTime=66)),
    ("no-timing", put(CineRate=15)),
    ("no-timing", put(RecommendedDisplayFrameRate=15)),
    ("no-timing", put(NumberOfFrames=1)),
    ("image-type", put(ImageType=["ORIGINAL", "PRIMARY"])),
    ("conversion-type", put(ConversionType="DI")),
    ("banner-claim", no_word_of_the_banner),
]
SEGMENTATION_FAULTS: list[tuple[str, Fault]] = [
    ("image-type", put(ImageType=["DERIVED", "SECONDARY"])),
    ("modality", put(Modality="OT")),
    ("no-timing", put(FrameTime=66)),
    ("segments", put(SegmentSequence=None)),
    ("segments", in_item("SegmentSequence", 0, SegmentAlgorithmType="MANUAL")),
    ("segments", in_item("SegmentSequence", 0, SegmentAlgorithmName=None)),
    ("synthetic-data", put(SyntheticData=None)),
    ("derivation-description", put(DerivationDescription=None)),
    ("derivation-code", no_code_in_any_frame),
    (
        "source-purpose",
        lambda ds: drop(
            ds.PerFrameFunctionalGroupsSequence[2].DerivationImageSequence[0].SourceImageSequence[0],
            "PurposeOfReferenceCodeSequence",
        ),
    ),
    ("source-image", put(PerFrameFunctionalGroupsSequence=None)),
]
REPORT_FAULTS: list[tuple[str, Fault]] = [
    ("modality", put(Modality="OT")),
    ("synthetic-data", put(SyntheticData=None)),
    ("series-description", put(SeriesDescription="Quality")),
    ("series-number", put(SeriesNumber=5)),
    ("synthesizing-equipment", no_ours_among_equipment),
    ("report-evidence", put(CurrentRequestedProcedureEvidenceSequence=None)),
    (
        "report-evidence",
        lambda ds: drop(
            ds.CurrentRequestedProcedureEvidenceSequence[0]
            .ReferencedSeriesSequence[0]
            .ReferencedSOPSequence[0],
            "ReferencedSOPClassUID",
        ),
    ),
    ("report-unverified", put(VerificationFlag="VERIFIED")),
    ("no-picture", put(Rows=64)),
    ("no-picture", put(ImageType=["DERIVED", "SECONDARY"])),
    ("no-picture", put(BurnedInAnnotation="NO")),
    ("not-copied", put(ReferencedPerformedProcedureStepSequence=[Dataset()])),
]


@pytest.fixture
def cine(tmp_path: Path) -> Dataset:
    return dcmread(write_cine(cine_of(tmp_path), tmp_path / "cine.dcm"))


@pytest.fixture
def frame(tmp_path: Path) -> Dataset:
    return dcmread(write_frame(cine_of(tmp_path), tmp_path / "frame.dcm"))


def rules_broken(ds: Dataset) -> set[str]:
    return {finding.rule for finding in verify_dataset(ds)}


@pytest.mark.parametrize(("rule", "fault"), FAULTS, ids=lambda part: part if isinstance(part, str) else "")
def test_each_fault_of_a_cine_is_found_by_its_rule_and_by_no_other(
    cine: Dataset, rule: str, fault: Fault
) -> None:
    assert verify_dataset(cine) == []

    fault(cine)

    assert rules_broken(cine) == {rule}


@pytest.mark.parametrize(
    ("rule", "fault"), FRAME_FAULTS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_each_fault_of_a_single_frame_is_found_by_its_rule(frame: Dataset, rule: str, fault: Fault) -> None:
    assert verify_dataset(frame) == []

    fault(frame)

    assert rules_broken(frame) == {rule}


@pytest.mark.parametrize(
    ("rule", "fault"), SEGMENTATION_FAULTS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_each_fault_of_a_segmentation_is_found_by_its_rule(cine: Dataset, rule: str, fault: Fault) -> None:
    ds = segmentation_like(cine)
    assert verify_dataset(ds) == []

    fault(ds)

    assert rule in rules_broken(ds)
    assert rules_broken(ds) <= {rule, "derivation-code"}  # functional groups hold both


@pytest.mark.parametrize(
    ("rule", "fault"), REPORT_FAULTS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_each_fault_of_a_report_is_found_by_its_rule(cine: Dataset, rule: str, fault: Fault) -> None:
    ds = report_like(cine)
    assert verify_dataset(ds) == []

    fault(ds)

    assert rules_broken(ds) == {rule}


@pytest.mark.parametrize("name", ["attention", "vessels"])
def test_a_map_is_held_to_the_rules_of_a_cine(tmp_path: Path, name: str) -> None:
    ds = dcmread(write_map(cine_of(tmp_path), tmp_path / "map.dcm", name))
    assert verify_dataset(ds) == []
    assert kind_of(ds) is ObjectKind.CINE

    del ds.FrameTime, ds.SyntheticData

    assert rules_broken(ds) == {"cine-timing", "synthetic-data"}


def test_a_cine_of_one_frame_need_not_know_its_time(tmp_path: Path) -> None:
    one = find_series([write_xa(tmp_path / "one", moving_frames(1))]).cines[0]

    ds = dcmread(write_cine(one, tmp_path / "cine.dcm"))

    assert "FrameTime" not in ds
    assert verify_dataset(ds) == []


def test_every_rule_of_the_header_has_a_fault() -> None:
    faults = (*FAULTS, *FRAME_FAULTS, *SEGMENTATION_FAULTS, *REPORT_FAULTS)

    assert {rule for rule, _ in faults} == set(HEADER_RULES)


def test_a_report_with_the_uids_of_its_evidence_is_found_out(cine: Dataset) -> None:
    ds = report_like(cine)
    series = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    ds.SOPInstanceUID = series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    ds.SeriesInstanceUID = series.SeriesInstanceUID

    assert [finding.rule for finding in verify_dataset(ds)] == ["own-uids", "own-uids"]


@pytest.mark.parametrize(("rule", "fault"), FAULTS, ids=lambda part: part if isinstance(part, str) else "")
def test_findings_hold_no_patient_data(cine: Dataset, rule: str, fault: Fault) -> None:
    cine.PatientName, cine.PatientID = "Very^Secret", "SECRET-7"

    fault(cine)

    assert "secret" not in " ".join(map(str, verify_dataset(cine))).lower()
