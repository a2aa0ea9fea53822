"""What may be converted, and every reason why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from casgan_dicom.source.cine import Cine
from casgan_dicom.source.eligible import Reason, reasons_against, reasons_against_series, warnings
from casgan_dicom.source.series import find_series
from tests.support.factories import moving_frames, write_header, write_xa


def cine_of(folder: Path, **header: object) -> Cine:
    """The only cine of a folder that holds one run with this header."""
    write_xa(folder / "run", **header)  # type: ignore[arg-type]
    return find_series([folder]).cines[0]


def mask_item(operation: str) -> Dataset:
    item = Dataset()
    item.MaskOperation = operation
    return item


def only(reasons: tuple[Reason, ...]) -> Reason:
    (reason,) = reasons
    return reason


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"SOPClassUID": XRayRadiofluoroscopicImageStorage, "Modality": "RF"},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"ImageType": ["DERIVED", "PRIMARY", "SINGLE PLANE"]},
        {"MaskSubtractionSequence": [mask_item("NONE")], "RecommendedViewingMode": "NAT"},
        {"ContrastBolusAgent": ""},
        {"SyntheticData": "YES"},
        {"SyntheticData": "NO", "ImageType": ["DERIVED", "PRIMARY"]},
    ],
)
def test_an_ordinary_run_may_be_converted(tmp_path: Path, header: dict[str, object]) -> None:
    assert reasons_against(cine_of(tmp_path, **header)) == ()


@pytest.mark.parametrize(
    ("header", "tag", "forceable"),
    [
        ({"ContrastBolusAgent": "Iohexol"}, "(0018,0010)", True),
        ({"ContrastBolusAgentSequence": [Dataset()]}, "(0018,0012)", True),
        ({"MaskSubtractionSequence": [mask_item("AVG_SUB")]}, "(0028,6101)", True),
        ({"RecommendedViewingMode": "SUB"}, "(0028,1090)", True),
        ({"SyntheticData": "YES", "ImageType": ["DERIVED", "SECONDARY"]}, "(0008,001C)", False),
        ({"SyntheticData": "YES", "ImageType": None}, "(0008,001C)", False),
        ({"SOPClassUID": CTImageStorage}, "(0008,0016)", False),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "(0008,0016)", True),
        ({"SOPClassUID": MultiFrameGrayscaleByteSecondaryCaptureImageStorage}, "(0008,0016)", True),
        ({"SOPClassUID": MultiFrameGrayscaleWordSecondaryCaptureImageStorage}, "(0008,0016)", True),
        ({"Modality": "OT"}, "(0008,0060)", False),
        ({"Modality": None}, "(0008,0060)", False),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "(0028,0004)", False),
        ({"HighBit": 15}, "(0028,0102)", False),
        ({"BitsAllocated": 32}, "(0028,0100)", False),
        ({"BitsStored": None}, "(0028,0101)", False),
        ({"Rows": 63}, "(0028,0010)", False),
        ({"Columns": None}, "(0028,0011)", False),
        ({"NumberOfFrames": 0}, "(0028,0008)", False),
    ],
)
def test_each_reason_names_its_tag_and_whether_one_may_insist(
    tmp_path: Path, header: dict[str, object], tag: str, forceable: bool
) -> None:
    reason = only(reasons_against(cine_of(tmp_path, **header)))

    assert tag in reason.text
    assert reason.forceable is forceable


def test_a_secondary_capture_says_how_to_insist(tmp_path: Path) -> None:
    reason = only(reasons_against(cine_of(tmp_path, SOPClassUID=SecondaryCaptureImageStorage)))

    assert reason.text == (
        "SOPClassUID (0008,0016) is 'Secondary Capture Image Storage', "
        "a Secondary Capture: converted when asked with --force"
    )


def test_a_secondary_capture_of_another_modality_is_no_matter_of_insisting(tmp_path: Path) -> None:
    reasons = reasons_against(cine_of(tmp_path, SOPClassUID=SecondaryCaptureImageStorage, Modality="CT"))

    assert [reason.forceable for reason in reasons] == [True, False]


@pytest.mark.parametrize(
    "header",
    [
        {"BitsAllocated": 16, "BitsStored": 7, "HighBit": 6},
        {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
        {"BitsAllocated": 32, "BitsStored": 12, "HighBit": 11},
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
    ],
)
def test_pixels_of_other_sizes_are_refused_with_the_sizes_that_are_read(
    tmp_path: Path, header: dict[str, object]
) -> None:
    reason = only(reasons_against(cine_of(tmp_path, **header)))

    assert reason.text.endswith("need 8 or 16, 8 to 16, and 0 or 1")
    assert not reason.forceable


@pytest.mark.parametrize(
    ("syntax", "refused"),
    [(ExplicitVRLittleEndian, False), (RLELossless, False), (JPEG2000Lossless, True)],
)
def test_values_at_the_top_of_their_words_are_read_unless_compressed(
    tmp_path: Path, syntax: str, refused: bool
) -> None:
    reasons = reasons_against(
        cine_of(tmp_path, frames=moving_frames(2, bits=16), syntax=syntax, BitsStored=12, HighBit=15)
    )

    assert ["HighBit (0028,0102) is 15" in reason.text for reason in reasons] == ([True] if refused else [])


def test_ct_is_refused_for_its_class_and_its_modality(tmp_path: Path) -> None:
    reasons = reasons_against(cine_of(tmp_path, SOPClassUID=CTImageStorage, Modality="CT"))

    assert [reason.forceable for reason in reasons] == [False, False]
    assert "'CT Image Storage'" in reasons[0].text
    assert "'CT'" in reasons[1].text


def test_colour_ultrasound_is_refused_with_every_reason_at_once(tmp_path: Path) -> None:
    rgb = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    write_xa(tmp_path / "us", rgb, SOPClassUID=UltrasoundMultiFrameImageStorage, Modality="US")

    reasons = reasons_against(find_series([tmp_path]).cines[0])

    assert [text.split()[0] for text in map(str, reasons)] == ["SOPClassUID", "Modality", "SamplesPerPixel"]


def test_a_run_without_pixel_data_is_refused(tmp_path: Path) -> None:
    write_header(tmp_path / "header only")

    reason = only(reasons_against(find_series([tmp_path]).cines[0]))

    assert "PixelData (7FE0,0010) is absent" in reason.text
    assert not reason.forceable


def test_a_header_that_asks_for_too_much_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)

    wide = replace(cine, columns=60_000)
    long = replace(cine, rows=4096, columns=4096, frames=256)

    assert "at most 4096" in only(reasons_against(wide)).text
    assert "4294967294 bytes" in only(reasons_against(long)).text
    assert reasons_against(replace(long, frames=255)) == ()


def test_reasons_hold_no_patient_data(tmp_path: Path) -> None:
    cine = cine_of(
        tmp_path, PatientName="Secret^Name", PatientID="SECRET-1", Modality="CT", ContrastBolusAgent="X"
    )

    said = " ".join(map(str, reasons_against(cine)))

    assert "Secret" not in said
    assert "SECRET" not in said


def six_frames(folder: Path, late: dict[str, object]) -> Cine:
    """A run of six single frames of which the last two say `late`."""
    for k, frame in enumerate(moving_frames(6)):
        own: dict[str, object] = {
            "SOPInstanceUID": f"2.25.{k + 1}",
            "AcquisitionTime": f"10000{k}",
            "NumberOfFrames": None,
        }
        own["InstanceNumber"] = k + 1
        write_xa(folder / str(k), frame[None], **(own | (late if k >= 4 else {})))
    (cine,) = find_series([folder]).cines
    assert cine.frames == 6
    return cine


@pytest.mark.parametrize(
    ("late", "tag", "forceable"),
    [
        ({"ContrastBolusAgent": "Iohexol"}, "(0018,0010)", True),
        ({"ContrastBolusAgentSequence": [Dataset()]}, "(0018,0012)", True),
        ({"RecommendedViewingMode": "SUB"}, "(0028,1090)", True),
        ({"MaskSubtractionSequence": [mask_item("AVG_SUB")]}, "(0028,6101)", True),
        ({"SyntheticData": "YES", "ImageType": ["DERIVED", "PRIMARY", "SINGLE PLANE"]}, "(0008,001C)", False),
    ],
)
def test_what_only_some_frames_say_counts_and_is_said_once(
    tmp_path: Path, late: dict[str, object], tag: str, forceable: bool
) -> None:
    reason = only(reasons_against(six_frames(tmp_path, late)))

    assert tag in reason.text
    assert reason.text.endswith(" (in 2 of 6 frames)")
    assert reason.forceable is forceable


def test_modality_and_class_are_asked_of_every_header(tmp_path: Path) -> None:
    cine = six_frames(tmp_path, {})
    for header in cine.headers[3:]:
        header.Modality, header.SOPClassUID = "CT", CTImageStorage

    assert [reason.text.rpartition(" (")[2] for reason in reasons_against(cine)] == ["in 3 of 6 frames)"] * 2


def test_what_all_frames_say_is_said_once_and_not_counted(tmp_path: Path) -> None:
    cine = six_frames(tmp_path, {})
    for header in cine.headers:
        header.Modality = "CT"

    assert only(reasons_against(cine)).text == "Modality (0008,0060) is 'CT', need XA or RF"


def test_the_body_part_of_every_frame_is_looked_at(tmp_path: Path) -> None:
    assert "'HEAD'" in warnings(six_frames(tmp_path, {"BodyPartExamined": "HEAD"}))[0]


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ("1.2.03.4", "'1.2.03.4'"),
        ("1." * 33, "no legal UI (66 characters)"),
        ("Secret^Name", "no legal UI (11 characters)"),
    ],
)
def test_a_uid_that_is_none_is_refused_before_anything_is_generated(
    tmp_path: Path, keyword: str, wrong: str, found: str
) -> None:
    path = write_xa(tmp_path / "run", None, **{keyword: "2.25.99999"})
    content = path.read_bytes()
    ui = b"UI" + len(wrong).to_bytes(2, "little")
    path.write_bytes(content.replace(b"UI\x0a\x002.25.99999", ui + wrong.encode()))

    reason = only(reasons_against(find_series([path]).cines[0]))

    assert reason.text.startswith(keyword)
    assert found in reason.text
    assert "need a UID" in reason.text
    assert "Secret" not in reason.text
    assert not reason.forceable


@pytest.mark.parametrize("study", [None, ""])
def test_a_run_without_study_is_refused(tmp_path: Path, study: str | None) -> None:
    reason = only(reasons_against(cine_of(tmp_path, StudyInstanceUID=study)))

    assert "StudyInstanceUID (0020,000D) is absent or empty" in reason.text


@pytest.mark.parametrize(
    ("header", "source"),
    [
        ({"FrameTime": 0.5}, "FrameTime (0018,1063)"),
        ({"FrameTime": None, "CineRate": 2000}, "CineRate (0018,0040)"),
        (
            {"FrameTimeVector": [0, 0.5, 0.5, 0.5], "FrameIncrementPointer": Tag("FrameTimeVector")},
            "FrameTimeVector (0018,1065)",
        ),
    ],
)
def test_a_run_faster_than_any_is_refused(tmp_path: Path, header: dict[str, object], source: str) -> None:
    reason = only(reasons_against(cine_of(tmp_path, **header)))

    assert reason.text == f"{source} means 0.5 ms from frame to frame, need at least 1"
    assert not reason.forceable


def test_a_still_has_no_frame_time_to_be_wrong(tmp_path: Path) -> None:
    cine = find_series([write_xa(tmp_path / "still", moving_frames(1), FrameTime=0.5)]).cines[0]

    assert reasons_against(cine) == ()


@pytest.mark.parametrize(
    ("keyword", "tag"), [("PatientID", "(0010,0020)"), ("StudyInstanceUID", "(0020,000D)")]
)
def test_a_series_of_two_patients_or_studies_is_refused_whole(tmp_path: Path, keyword: str, tag: str) -> None:
    """Its derived objects would share a Series Instance UID, and one of them would be in the wrong study."""
    for k in (1, 2):
        varied: dict[str, object] = {"SOPInstanceUID": f"2.25.{k}", keyword: f"2.25.77{k}"}
        write_xa(tmp_path / str(k), None, **varied)

    (series,) = find_series([tmp_path]).series

    reason = only(reasons_against_series(series))
    assert reason.text == f"{keyword} {tag} has 2 different values in one series, need one"
    assert not reason.forceable


def test_a_series_of_two_runs_of_one_patient_is_in_order(tmp_path: Path) -> None:
    for k in (1, 2):
        write_xa(tmp_path / str(k), SOPInstanceUID=f"2.25.{k}")

    assert reasons_against_series(find_series([tmp_path]).series[0]) == ()


def test_a_body_part_that_is_no_heart_is_a_warning_only(tmp_path: Path) -> None:
    cine = cine_of(tmp_path, BodyPartExamined="HEAD")

    assert reasons_against(cine) == ()
    assert "BodyPartExamined (0018,0015) is 'HEAD'" in warnings(cine)[0]


@pytest.mark.parametrize("body_part", ["HEART", "CHEST"])
def test_a_heart_is_no_warning(tmp_path: Path, body_part: str) -> None:
    assert warnings(cine_of(tmp_path, BodyPartExamined=body_part)) == ()


@pytest.mark.parametrize("body_part", ["", None])
def test_a_body_part_that_nobody_names_is_said(tmp_path: Path, body_part: str | None) -> None:
    (said,) = warnings(cine_of(tmp_path, BodyPartExamined=body_part))

    assert "BodyPartExamined (0018,0015)" in said
    assert "no header says that this is a heart" in said


def test_a_picture_of_the_size_of_a_chest_is_said(tmp_path: Path) -> None:
    spacing = {"BodyPartExamined": "HEART", "ImagerPixelSpacing": [5.4, 5.4]}

    (said,) = warnings(cine_of(tmp_path, **spacing))

    assert "ImagerPixelSpacing (0018,1164) means a picture of 432 mm" in said


def test_the_notes_of_the_headers_are_among_the_warnings(tmp_path: Path) -> None:
    for k, frame in enumerate(moving_frames(2)):
        write_xa(tmp_path / str(k), frame[None], SOPInstanceUID=f"2.25.{k + 1}")

    cine = find_series([tmp_path]).cines[0]

    assert cine.notes
    assert warnings(cine) == cine.notes


def test_the_real_run_may_be_converted_and_the_real_stills_when_asked(real_xa: Path) -> None:
    cines = find_series([real_xa]).cines

    assert [reasons_against(cine) for cine in cines if cine.frames > 1] == [()]
    stills = [reasons_against(cine) for cine in cines if cine.frames == 1]
    assert len(stills) == 4
    assert all(only(reasons).forceable and "Secondary Capture" in reasons[0].text for reasons in stills)
