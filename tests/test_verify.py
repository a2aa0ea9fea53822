"""Every rule finds its own deliberate fault, and nothing else."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import JPEGBaseline8Bit

from casgan_dicom.series import find_series
from casgan_dicom.verify import RULES, verify_dataset, verify_file
from tests.derived import cine_of, written
from tests.factories import moving_frames, write_xa
from tests.validators import dciodvfy

Fault = Callable[[Dataset], None]


def put(**values: object) -> Fault:
    """Set elements; None deletes them."""

    def apply(ds: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)

    return apply


def in_item(sequence: str, index: int, **values: object) -> Fault:
    """Set elements of one item of a sequence; None deletes them."""
    return lambda ds: put(**values)(ds[sequence][index])


def jpeg_called_lossless(ds: Dataset) -> None:
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"] * 4)
    ds["PixelData"].is_undefined_length = True


def jpeg_without_ratio(ds: Dataset) -> None:
    jpeg_called_lossless(ds)
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionMethod = "ISO_10918_1"


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


FAULTS: list[tuple[str, Fault]] = [
    ("sop-class", put(SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1")),
    ("synthetic-data", put(SyntheticData=None)),
    ("synthetic-data", put(SyntheticData="NO")),
    ("image-type", put(ImageType=["ORIGINAL", "PRIMARY"])),
    ("image-type", put(ImageType=None)),
    ("conversion-type", put(ConversionType="DI")),
    ("modality", put(Modality="CT")),
    ("derivation-description", put(DerivationDescription=None)),
    ("derivation-description", put(DerivationDescription="made by a network")),
    ("derivation-code", put(DerivationCodeSequence=None)),
    ("derivation-code", in_item("DerivationCodeSequence", 0, CodeValue="113072")),
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
    ("lossy-chain", put(LossyImageCompression=None)),
    ("lossy-chain", put(LossyImageCompression="01", LossyImageCompressionRatio=[4.0, 2.0])),
    ("lossy-chain", put(LossyImageCompressionRatio=[4.0], LossyImageCompressionMethod="ISO_10918_1")),
    ("lossy-chain", jpeg_called_lossless),
    ("lossy-chain", jpeg_without_ratio),
    ("presentation", put(VOILUTFunction="LINEAR")),
    ("presentation", put(PresentationLUTShape="INVERSE")),
    ("presentation", put(PhotometricInterpretation="MONOCHROME1")),
    ("pixel-spacing", put(PixelSpacing=[0.3, 0.3])),
    ("pixel-spacing", put(FrameOfReferenceUID="1.2.3")),
    ("private", private_at_root),
    ("private", private_in_item),
    ("not-copied", put(KVP=80)),
    ("not-copied", put(PositionerPrimaryAngle=30)),
    ("not-copied", put(ContrastBolusAgent="Iohexol")),
    ("not-copied", put(MaskSubtractionSequence=[Dataset()])),
    ("not-copied", overlay),
    ("not-copied", curve),
    ("cine-timing", put(FrameIncrementPointer=None)),
    ("cine-timing", put(FrameTime=None)),
    ("cine-timing", put(CineRate=None)),
    ("cine-timing", put(RecommendedDisplayFrameRate=24)),
    ("cine-timing", vector_of_other_length),
    ("pixel-length", put(NumberOfFrames=5)),
    ("pixel-length", put(PixelData=None)),
    ("own-text", put(SpecificCharacterSet="ISO_IR 192", ImageComments="künstlich")),
]

UNSEEN = [
    put(SyntheticData=None),
    put(DerivationDescription=None),
    put(ImageType=["ORIGINAL", "PRIMARY"]),
    put(ConversionType="DI"),
    put(PixelSpacing=[0.3, 0.3]),
    in_item("SourceImageSequence", 0, PurposeOfReferenceCodeSequence=None),
    put(VOILUTFunction="LINEAR"),
]
"""Faults that general validators pass over: why these rules exist."""


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    path = tmp_path / "honest.dcm"
    written(cine_of(tmp_path), path)
    return path


@pytest.mark.parametrize(("rule", "fault"), FAULTS, ids=lambda part: part if isinstance(part, str) else "")
def test_each_fault_is_found_by_its_rule_and_by_no_other(honest: Path, rule: str, fault: Fault) -> None:
    ds = dcmread(honest)
    assert verify_dataset(ds) == []

    fault(ds)

    findings = verify_dataset(ds)
    assert findings
    assert {finding.rule for finding in findings} == {rule}


def test_every_rule_has_a_fault() -> None:
    assert {rule for rule, _ in FAULTS} == set(RULES)


@pytest.mark.parametrize("fault", UNSEEN)
def test_rules_find_what_a_general_validator_passes_over(honest: Path, fault: Fault) -> None:
    ds = dcmread(honest)
    fault(ds)
    ds.save_as(honest, enforce_file_format=True)

    assert [line for line in dciodvfy(honest) if line.startswith("Error")] == []
    assert verify_file(honest) != []


def test_all_faults_of_one_object_are_found_at_once(honest: Path) -> None:
    ds = dcmread(honest)
    for fault in (put(SyntheticData=None), put(ConversionType="DI"), put(KVP=80), private_at_root):
        fault(ds)

    assert {finding.rule for finding in verify_dataset(ds)} == {
        "synthetic-data",
        "conversion-type",
        "not-copied",
        "private",
    }


def test_file_cut_short_is_found_although_its_header_is_whole(honest: Path) -> None:
    content = honest.read_bytes()
    honest.write_bytes(content[:-100])

    assert [finding.rule for finding in verify_file(honest)] == ["pixel-length"]


def test_pixels_are_left_in_the_file(tmp_path: Path) -> None:
    cine = find_series([write_xa(tmp_path / "long", moving_frames(200, 256, 256))]).cines[0]
    written(cine, tmp_path / "out")

    tracemalloc.start()
    findings = verify_file(tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert findings == []
    assert peak < 200 * 256 * 256 / 4


def test_acquisition_is_not_mistaken_for_a_derived_object(tmp_path: Path) -> None:
    findings = {finding.rule for finding in verify_file(write_xa(tmp_path / "xa"))}

    assert {"sop-class", "synthetic-data", "image-type", "source-image"} <= findings


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"\0" * 128 + b"DICM" + b"\xff" * 64])
def test_rubbish_is_a_finding_and_no_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rubbish").write_bytes(content)

    findings = verify_file(tmp_path / "rubbish")

    assert findings


@pytest.mark.parametrize(("rule", "fault"), FAULTS, ids=lambda part: part if isinstance(part, str) else "")
def test_findings_hold_no_patient_data(honest: Path, rule: str, fault: Fault) -> None:
    ds = dcmread(honest)
    ds.PatientName, ds.PatientID = "Very^Secret", "SECRET-7"

    fault(ds)

    assert "secret" not in " ".join(map(str, verify_dataset(ds))).lower()
