"""The derived object: what it says, what it carries over, what it leaves behind."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.derived.provenance import Provenance, ascii_only, derivation_text, view_name
from casgan_dicom.errors import SeriesError
from casgan_dicom.pixels.lossy import LossyHistory
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.verify import verify_file
from tests.derived.test_provenance import RECORD
from tests.support.derived import MODEL, PROVENANCE, by_another, cine_of, derived, written
from tests.support.factories import moving_frames, uid, write_xa, write_xa_single_frames
from tests.support.validators import dcentvfy, dciodvfy


def codes(sequence: Iterable[Dataset]) -> list[tuple[str, str]]:
    return [(item.CodeValue, item.CodingSchemeDesignator) for item in sequence]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7.2"),
        ("SyntheticData", "YES"),
        ("ImageType", ["DERIVED", "SECONDARY", "OTHER"]),
        ("ConversionType", "SYN"),
        ("Modality", "OT"),
        ("ContentQualification", "RESEARCH"),
        ("SeriesDescription", "AI SYNTHETIC angiogram RAO30 - not for diagnosis"),
        ("SeriesNumber", 9003),
        ("BurnedInAnnotation", "YES"),
        ("Manufacturer", "casgan-dicom"),
        ("ManufacturerModelName", "casgan-desk"),
        ("DeviceSerialNumber", "0123456789abcdef" * 4),
        ("PresentationLUTShape", "IDENTITY"),
        ("RescaleIntercept", 0),
        ("RescaleSlope", 1),
        ("RescaleType", "US"),
        ("PhotometricInterpretation", "MONOCHROME2"),
        ("BitsAllocated", 8),
        ("BitsStored", 8),
        ("HighBit", 7),
        ("PixelRepresentation", 0),
        ("NumberOfFrames", 4),
        ("Rows", 64),
        ("Columns", 80),
        ("PatientOrientation", None),
        ("StudyInstanceUID", uid("study")),
        ("PatientID", "TEST-1"),
        ("BodyPartExamined", "HEART"),
        ("AcquisitionDate", "20240102"),
        ("ContentDate", "20260301"),
        ("ContentTime", "233015.250000"),
        ("InstanceCreationDate", "20260301"),
    ],
)
def test_header_says(tmp_path: Path, keyword: str, value: object) -> None:
    ds = written(cine_of(tmp_path), tmp_path / "out")

    found = ds[keyword].value
    assert (None if found in ("", []) else found) == value


def test_general_validator_and_our_own_rules_find_nothing(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    path = tmp_path / "out"
    written(cine, path)

    assert dciodvfy(path) == []
    assert verify_file(path) == []


def test_source_and_derived_object_agree_on_patient_and_study(tmp_path: Path) -> None:
    full = {
        "PatientName": "Made^Up",
        "IssuerOfPatientID": "HOSPITAL A",
        "PatientBirthDate": "19500101",
        "PatientSex": "O",
        "PatientAge": "074Y",
        "StudyDescription": "Left heart",
        "AccessionNumber": "ACC1",
        "PatientComments": "none",
    }
    cine = cine_of(tmp_path, **full)

    ds = written(cine, tmp_path / "out")

    assert {keyword: str(ds[keyword].value) for keyword in full} == full
    assert dcentvfy(tmp_path / "source", tmp_path / "out") == []


def test_derivation_names_model_weights_and_recipe_within_its_length(tmp_path: Path) -> None:
    long = by_another(recipe="every detail " * 200)

    text = written(cine_of(tmp_path), tmp_path / "out", provenance=long).DerivationDescription

    assert len(text) <= 1024
    for part in (
        long.model.name,
        long.model.version,
        long.model.weights_sha256,
        "not imaged",
        "full range 0..255",
    ):
        assert part in text


def test_derivation_is_coded_as_artificial_intelligence(tmp_path: Path) -> None:
    ds = derived(cine_of(tmp_path))

    assert codes(ds.DerivationCodeSequence) == [("123110", "DCM")]


def test_every_single_frame_of_the_source_is_referenced(tmp_path: Path) -> None:
    write_xa_single_frames(tmp_path, moving_frames(5))
    cine = find_series([tmp_path]).cines[0]
    uids = [instance.sop_instance_uid for instance in cine.instances]

    ds = derived(cine)

    assert [item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence] == uids
    assert {item.SpatialLocationsPreserved for item in ds.SourceImageSequence} == {"YES"}
    purposes = [codes(item.PurposeOfReferenceCodeSequence) for item in ds.SourceImageSequence]
    assert purposes == [[("121322", "DCM")]] * 5
    (series,) = ds.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == uid("series")
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence] == uids


def test_equipment_is_scanner_this_software_and_highdicom(tmp_path: Path) -> None:
    ds = derived(cine_of(tmp_path, Manufacturer="Scanner maker", DeviceSerialNumber="S1"))

    purposes = [codes(item.PurposeOfReferenceCodeSequence)[0][0] for item in ds.ContributingEquipmentSequence]
    assert purposes == ["109101", "109100", "109102"]
    scanner, ours, library = ds.ContributingEquipmentSequence
    assert (scanner.Manufacturer, scanner.DeviceSerialNumber) == ("Scanner maker", "S1")
    assert str(scanner.ContributionDateTime) == "20240102101623"
    assert (ours.Manufacturer, ours.ManufacturerModelName) == ("casgan-dicom", "casgan-desk")
    assert str(ours.ContributionDateTime) == "20260301233015.250000+0000"
    assert MODEL.weights_sha256 in ours.ContributionDescription
    assert library.ManufacturerModelName == "highdicom"
    assert ds.DeviceSerialNumber != "S1"


@pytest.mark.parametrize("time", ["999999999999", "", "noon"])
@pytest.mark.filterwarnings("ignore")  # pydicom says what it thinks of such a time
def test_scanner_without_a_time_that_is_one_has_no_moment(tmp_path: Path, time: str) -> None:
    cine = cine_of(tmp_path)
    cine.header["AcquisitionTime"] = DataElement(Tag("AcquisitionTime"), "TM", time, validation_mode=IGNORE)

    scanner = derived(cine).ContributingEquipmentSequence[0]

    assert not scanner.get("ContributionDateTime")


def test_model_has_a_uid_of_its_own_that_follows_weights_and_recipe(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    others = [by_another(weights_sha256="9" * 64), by_another(recipe="another")]

    uids = [
        derived(cine, provenance=p).ContributingEquipmentSequence[1].DeviceUID for p in (PROVENANCE, *others)
    ]

    assert len(set(uids)) == 3


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Ångström^Åsa"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 100", "Müller^Jörg"),
    ],
)
def test_names_survive_in_their_character_set(tmp_path: Path, charset: str | list[str], name: str) -> None:
    cine = cine_of(tmp_path, SpecificCharacterSet=charset, PatientName=name)

    ds = written(cine, tmp_path / "out")

    assert str(ds.PatientName) == name
    assert ds["SpecificCharacterSet"].value == cine.header["SpecificCharacterSet"].value
    assert verify_file(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("offset", "date", "time"), [("+0130", "20260302", "010015"), ("-0500", "20260301", "183015")]
)
def test_stamps_are_in_the_time_zone_of_the_source(tmp_path: Path, offset: str, date: str, time: str) -> None:
    ds = derived(cine_of(tmp_path, TimezoneOffsetFromUTC=offset))

    assert ds.TimezoneOffsetFromUTC == offset
    assert str(ds.ContentDate) == date
    assert str(ds.ContentTime).startswith(time)
    assert str(ds.ContributingEquipmentSequence[1].ContributionDateTime).endswith(offset)


@pytest.mark.parametrize(("time", "rate"), [(33, 30), (66.667, 15), (40, 25), (1500, 1)])
def test_constant_timing_stands_in_four_places(tmp_path: Path, time: float, rate: int) -> None:
    ds = written(cine_of(tmp_path, FrameTime=time), tmp_path / "out")

    assert ds.FrameIncrementPointer == Tag("FrameTime")
    assert float(ds.FrameTime) == time
    assert (ds.CineRate, ds.RecommendedDisplayFrameRate) == (rate, rate)
    assert dciodvfy(tmp_path / "out") == []


def test_irregular_timing_keeps_its_vector(tmp_path: Path) -> None:
    vector = [0, 40, 80, 41]
    cine = cine_of(
        tmp_path, FrameTime=None, FrameTimeVector=vector, FrameIncrementPointer=Tag("FrameTimeVector")
    )

    ds = written(cine, tmp_path / "out")

    assert [float(step) for step in ds.FrameTimeVector] == vector
    assert ds.FrameIncrementPointer == Tag("FrameTimeVector")
    assert "FrameTime" not in ds
    assert ds.CineRate == 24  # 1000 / 41, the median
    assert dciodvfy(tmp_path / "out") == []
    assert verify_file(tmp_path / "out") == []


def test_single_picture_claims_no_timing(tmp_path: Path) -> None:
    ds = written(find_series([write_xa(tmp_path / "one", moving_frames(1))]).cines[0], tmp_path / "out")

    assert not any(word in ds for word in ("FrameTime", "CineRate", "FrameIncrementPointer"))
    assert dciodvfy(tmp_path / "out") == []


@pytest.mark.parametrize("kind", ["FIDUCIAL", "GEOMETRY"])
def test_calibrated_spacing_is_kept(tmp_path: Path, kind: str) -> None:
    cine = cine_of(
        tmp_path,
        PixelSpacing=[0.2, 0.2],
        PixelSpacingCalibrationType=kind,
        PixelSpacingCalibrationDescription="catheter",
    )

    ds = written(cine, tmp_path / "out")

    assert [float(mm) for mm in ds.PixelSpacing] == [0.2, 0.2]
    assert ds.PixelSpacingCalibrationType == kind
    assert ds.PixelSpacingCalibrationDescription == "catheter"
    assert dciodvfy(tmp_path / "out") == []


def test_spacing_at_the_detector_never_becomes_spacing_in_the_patient(tmp_path: Path) -> None:
    ds = derived(cine_of(tmp_path, ImagerPixelSpacing=[0.3, 0.3], PixelSpacing=[0.3, 0.3]))

    assert "PixelSpacing" not in ds
    assert "ImagerPixelSpacing" not in ds


def test_nothing_of_the_acquisition_comes_along(tmp_path: Path) -> None:
    acquisition = {
        "KVP": 80,
        "Exposure": 4,
        "IrradiationEventUID": uid("irradiation"),
        "ContrastBolusAgent": "",
        "WindowCenter": 90,
        "WindowWidth": 80,
        "VOILUTFunction": "LINEAR",
        "MaskSubtractionSequence": [Dataset()],
        "RecommendedViewingMode": "NAT",
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 5,
        "FrameOfReferenceUID": uid("frame of reference"),
        "StationName": "CATH1",
        "InstitutionName": "Somewhere",
        "PerformedProcedureStepID": "P1",
        "ReferencedPerformedProcedureStepSequence": [Dataset()],
        "SmallestImagePixelValue": 0,
        "ImageComments": "a private remark",
        "SeriesDescription": "LCA",
        "ProtocolName": "Cardiac",
    }
    ds = derived(cine_of(tmp_path, **acquisition))

    left = [word for word in acquisition if word in ds and ds[word].value == acquisition[word]]
    assert left == []
    assert [float(ds[word].value) for word in ("WindowCenter", "WindowWidth")] == [128, 256]


def test_nothing_private_comes_along_at_any_depth(tmp_path: Path) -> None:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "T-32000", "SRT", "Heart"
    item.private_block(0x0029, "MAKER", create=True).add_new(1, "LO", "10.0.0.1")
    cine = cine_of(tmp_path, AnatomicRegionSequence=[item], ProcedureCodeSequence=[item])
    cine.header.private_block(0x0009, "MAKER", create=True).add_new(2, "LO", "10.0.0.2")

    content = written(cine, tmp_path / "out")

    assert content.AnatomicRegionSequence[0].CodeMeaning == "Heart"
    assert b"10.0.0." not in (tmp_path / "out").read_bytes()
    assert b"MAKER" not in (tmp_path / "out").read_bytes()
    assert len(cine.header.AnatomicRegionSequence[0]) == 5  # the source still has its own


def test_lossy_history_is_carried_on(tmp_path: Path) -> None:
    lossy = LossyHistory(lossy=True, ratios=(4.3124, 10.0), methods=("ISO_10918_1", "ISO_15444_1"))

    ds = written(cine_of(tmp_path), tmp_path / "out", lossy=lossy)

    assert ds.LossyImageCompression == "01"
    assert [float(ratio) for ratio in ds.LossyImageCompressionRatio] == [4.3124, 10.0]
    assert list(ds.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_15444_1"]
    assert dciodvfy(tmp_path / "out") == []


def test_identity_burned_into_the_source_is_still_declared(tmp_path: Path) -> None:
    assert derived(cine_of(tmp_path, BurnedInAnnotation="YES")).BurnedInAnnotation == "YES"


@pytest.mark.parametrize(
    ("body", "side", "laterality"),
    [
        ("HEART", None, "absent"),
        ("HEART", "R", "absent"),
        ("CHEST", "L", "absent"),
        ("LEG", "L", "L"),
        ("LEG", None, ""),
        (None, None, ""),
        (None, "R", "R"),
    ],
)
def test_laterality_is_stated_unless_the_body_part_has_no_side(
    tmp_path: Path, body: str | None, side: str | None, laterality: str
) -> None:
    ds = written(cine_of(tmp_path, BodyPartExamined=body, Laterality=side), tmp_path / "out")

    assert ds.get("Laterality", "absent") in (laterality, laterality or None)
    assert not [line for line in dciodvfy(tmp_path / "out") if line.startswith("Error")]


def test_an_image_that_says_its_side_needs_no_other(tmp_path: Path) -> None:
    source = cine_of(tmp_path, BodyPartExamined="KIDNEY", Laterality="R", ImageLaterality="R")

    ds = written(source, tmp_path / "out")

    assert (ds.get("Laterality"), ds.ImageLaterality) == (None, "R")
    assert dciodvfy(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("source", "number"), [(None, 9000), (0, 9000), (12, 9012), (-4, 9000), (2**31 - 1, 9000)]
)
def test_series_number_is_9000_and_that_of_the_source(
    tmp_path: Path, source: int | None, number: int
) -> None:
    assert derived(cine_of(tmp_path, SeriesNumber=source)).SeriesNumber == number


@pytest.mark.parametrize(
    ("primary", "secondary", "name"),
    [
        (-30, 25, "RAO30 CRA25"),
        (45.4, -19.6, "LAO45 CAU20"),
        (0, 0, "AP"),
        (None, 10, "CRA10"),
        (None, None, ""),
        (99999999999999999999, 181, ""),  # no angle, and too long for a description
    ],
)
def test_view_is_named_as_cardiologists_do(primary: float | None, secondary: float | None, name: str) -> None:
    ds = Dataset()
    ds.PositionerPrimaryAngle, ds.PositionerSecondaryAngle = primary, secondary

    assert view_name(ds) == name


@pytest.mark.parametrize(
    ("position", "name"),
    [
        (None, "RAO30 CRA2"),
        ("", "RAO30 CRA2"),
        ("HFS", "RAO30 CRA2"),
        ("FFS", "RAO30 CRA2"),
        ("HFP", "-30/+2 deg"),
        ("HFDR", "-30/+2 deg"),
        ("FFP", "-30/+2 deg"),
    ],
)
def test_right_and_left_are_named_only_of_a_patient_on_the_back(position: str | None, name: str) -> None:
    ds = Dataset()
    ds.PositionerPrimaryAngle, ds.PositionerSecondaryAngle = -30, 2
    if position is not None:
        ds.PatientPosition = position

    assert view_name(ds) == name


def test_an_enhanced_patient_in_prone_position_has_no_sides_named() -> None:
    ds, item, prone = Dataset(), Dataset(), Dataset()
    ds.PositionerPrimaryAngle, prone.CodeValue = -30, "1240000"
    item.PatientOrientationModifierCodeSequence = [prone]
    ds.PatientOrientationCodeSequence = [item]

    assert view_name(ds) == "primary -30 deg"


@pytest.mark.parametrize(
    ("angles", "source", "title"),
    [
        ((-30.0, 0.0), "header", "RAO30"),
        ((30.0, 0.0), "header, primary sign flipped", "-30/+0 deg"),
        ((60.0, 5.0), "picture", "-30/+0 deg"),
        ((-28.0, 5.0), "given", "RAO30"),
        ((30.0, 5.0), "given", "-30/+0 deg"),
    ],
)
def test_a_title_names_no_side_where_the_plan_doubts_the_sign(
    tmp_path: Path, angles: tuple[float, float], source: str, title: str
) -> None:
    plan = replace(RECORD, angles_deg=angles, angles_source=source)

    ds = derived(cine_of(tmp_path), provenance=replace(PROVENANCE, plan=plan))

    assert ds.SeriesDescription == f"AI SYNTHETIC angiogram {title} - not for diagnosis"


def test_own_text_is_ascii_whatever_the_recipe_says() -> None:
    assert ascii_only("512 × 512 − naïve – “α”\\") == "512 x 512 - naive - ???/"
    assert derivation_text(by_another(recipe="größer × 山")).isascii()


def test_same_input_gives_the_same_uids_and_other_pixels_another_instance(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    first, again = derived(cine), derived(cine, created=datetime(2027, 1, 1, tzinfo=UTC))
    other = derived(cine, value=8)

    assert first.SOPInstanceUID == again.SOPInstanceUID
    assert first.SeriesInstanceUID == again.SeriesInstanceUID == other.SeriesInstanceUID
    assert first.SOPInstanceUID != other.SOPInstanceUID


@pytest.mark.parametrize(
    "provenance",
    [by_another(weights_sha256="1" * 64), by_another(recipe="x"), replace(PROVENANCE, banner=False)],
    ids=["weights", "recipe", "banner"],
)
def test_other_weights_recipe_or_form_give_another_series(tmp_path: Path, provenance: Provenance) -> None:
    cine = cine_of(tmp_path)

    other = derived(cine, provenance=provenance)

    assert other.SeriesInstanceUID != derived(cine).SeriesInstanceUID


def test_odd_number_of_bytes_is_padded_and_still_valid(tmp_path: Path) -> None:
    cine = find_series([write_xa(tmp_path / "odd", moving_frames(3, 65, 81))]).cines[0]

    ds = written(cine, tmp_path / "out")

    assert len(ds.PixelData) == 3 * 65 * 81 + 1
    assert dciodvfy(tmp_path / "out") == []
    assert verify_file(tmp_path / "out") == []


def test_source_without_study_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"StudyInstanceUID \(0020,000D\) is absent"):
        derived(cine_of(tmp_path, StudyInstanceUID=None))


@pytest.mark.parametrize("offset", ["+9900", "0100", "Z"])
def test_time_zone_that_is_none_is_not_followed(tmp_path: Path, offset: str) -> None:
    cine = cine_of(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what is deliberately wrong here
        cine.header.add_new("TimezoneOffsetFromUTC", "SH", offset)

    assert str(derived(cine).ContentTime) == "233015.250000"


def test_frame_time_that_is_no_time_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"FrameTime \(0018,1063\) means 1e-06 ms"):
        derived(cine_of(tmp_path, FrameTime="0.000001"))
