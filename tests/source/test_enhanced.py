"""Enhanced XA and XRF, read as the classic header that everything else reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    JPEGLSLossless,
    XRayAngiographicImageStorage,
)

from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.eligible import reasons_against, warnings
from casgan_dicom.source.enhanced import classic_view, is_enhanced
from casgan_dicom.source.series import find_series
from tests.support.cines import cine_of
from tests.support.enhanced_factory import Macros, moment, window, write_enhanced
from tests.support.factories import moving_frames, uid, write_xa, xa_dataset
from tests.support.validators import dciodvfy


def read(path: Path, **options: object) -> Cine:
    return cine_of(write_enhanced(path / "run", **options))  # type: ignore[arg-type]


def test_the_made_up_object_has_no_error_for_an_independent_judge(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "run")

    assert [line for line in dciodvfy(path) if line.startswith("Error")] == []


@pytest.mark.parametrize(
    ("sop_class", "modality"), [(EnhancedXAImageStorage, "XA"), (EnhancedXRFImageStorage, "RF")]
)
def test_an_enhanced_run_is_one_cine_that_may_be_converted(
    tmp_path: Path, sop_class: str, modality: str
) -> None:
    run = moving_frames(6)

    cine = read(tmp_path, frames=run, SOPClassUID=sop_class, Modality=modality)

    assert reasons_against(cine) == ()
    assert warnings(cine) == ()
    assert cine.header.SOPClassUID == sop_class
    assert cine.header.file_meta.TransferSyntaxUID == cine.instances[0].transfer_syntax
    np.testing.assert_array_equal(np.stack(list(iter_frames(cine))), run)


def test_a_compressed_enhanced_run_is_decoded(tmp_path: Path) -> None:
    run = moving_frames(3, bits=12)

    cine = read(tmp_path, frames=run, syntax=JPEGLSLossless, BitsStored=12)

    np.testing.assert_array_equal(np.stack(list(iter_frames(cine))), run)


def test_functional_groups_become_classic_elements(tmp_path: Path) -> None:
    header = read(tmp_path).header

    assert (header.PositionerPrimaryAngle, header.PositionerSecondaryAngle) == (-30, 20)
    assert header.PatientOrientation == ["L", "F"]
    assert header.BodyPartExamined == "HEART"
    assert header.AnatomicRegionSequence[0].CodeValue == "80891009"
    assert header.ImageType == ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    assert header.ImagerPixelSpacing == [0.2, 0.2]
    assert header.PixelIntensityRelationship == "LIN"
    assert (header.WindowCenter, header.WindowWidth) == (128, 256)
    assert (header.AcquisitionDate, header.AcquisitionTime) == ("20240102", "101623.000000")
    assert "SharedFunctionalGroupsSequence" not in header
    assert "PerFrameFunctionalGroupsSequence" not in header


def test_the_header_itself_is_not_changed() -> None:
    ds = xa_dataset(SOPClassUID=EnhancedXAImageStorage, PlaneIdentification="PLANE A")
    before = ds.to_json()

    view = classic_view(ds, 4)

    assert view.header.ImageType[2] == "BIPLANE A"
    assert ds.to_json() == before


@pytest.mark.parametrize(
    ("acquired", "zone", "date", "time"),
    [
        ("20240102101623.5", None, "20240102", "101623.500000"),
        ("20240102233000.0+0100", "+0300", "20240103", "013000.000000"),
        ("20240102101623+0100", None, "20240102", "101623.000000"),
        ("202401021016", None, None, None),
        ("20249902101623", None, None, None),
    ],
)
def test_the_time_of_acquisition_is_that_of_the_zone_of_the_header(
    acquired: str, zone: str | None, date: str | None, time: str | None
) -> None:
    own = {"AcquisitionDate": None, "AcquisitionTime": None}
    ds = xa_dataset(**own, TimezoneOffsetFromUTC=zone)
    ds.add(DataElement(Tag("AcquisitionDateTime"), "DT", acquired, validation_mode=IGNORE))

    header = classic_view(ds, 4).header

    assert (header.get("AcquisitionDate"), header.get("AcquisitionTime")) == (date, time)


def test_spacing_in_the_patient_is_calibrated_and_that_at_the_detector_is_not(tmp_path: Path) -> None:
    calibrated = read(tmp_path / "a").header
    plain = read(tmp_path / "b", shared={"ProjectionPixelCalibrationSequence": None}).header

    assert calibrated.PixelSpacing == [0.15, 0.15]
    assert calibrated.PixelSpacingCalibrationType == "GEOMETRY"
    assert "PixelSpacing" not in plain


@pytest.mark.parametrize("spacing", [[0, 0.1], [0.1], [-1, 0.2], None])
def test_a_spacing_that_is_none_is_left_out(tmp_path: Path, spacing: list[float] | None) -> None:
    macro = {"ObjectPixelSpacingInCenterOfBeam": spacing}

    header = read(tmp_path, shared={"ProjectionPixelCalibrationSequence": macro}).header

    assert "PixelSpacing" not in header


def test_spacing_that_differs_between_frames_is_left_out(tmp_path: Path) -> None:
    header = read(
        tmp_path,
        per_frame=lambda k: {
            "ProjectionPixelCalibrationSequence": {"ObjectPixelSpacingInCenterOfBeam": [0.1 + k / 100] * 2}
        },
    ).header

    assert "PixelSpacing" not in header


def test_a_positioner_that_moves_is_noted_with_the_angle_of_the_first_frame(tmp_path: Path) -> None:
    cine = read(
        tmp_path,
        per_frame=lambda k: {
            "PositionerPositionSequence": {
                "PositionerPrimaryAngle": 10 * k - 30,
                "PositionerSecondaryAngle": 0,
            }
        },
    )

    assert cine.header.PositionerPrimaryAngle == -30
    assert cine.notes == (
        "PositionerPrimaryAngle (0018,1510) moves by 30 degrees during the run: "
        "a rotation, for which no one view stands",
    )


def test_windows_of_single_frames_are_applied_to_their_frames(tmp_path: Path) -> None:
    run = moving_frames(4)
    cine = read(
        tmp_path, frames=run, per_frame=lambda k: {"FrameVOILUTSequence": window(100 + 10 * k, 60 + k)}
    )

    display = Display.of(cine)

    for k, frame in enumerate(run):
        # PS3.3 C.11.2.1.2.1, written down once more
        center, width = 100 + 10 * k, 60 + k
        wanted = np.clip((frame - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
        np.testing.assert_allclose(display.apply(k, frame), wanted, atol=1e-6)
    assert "window 100/60 LINEAR" in display.describe()
    assert "3 of 4 frames" in display.describe()


def test_equal_windows_of_all_frames_are_one(tmp_path: Path) -> None:
    cine = read(tmp_path, per_frame=lambda _: {"FrameVOILUTSequence": window(90, 40)})

    assert cine.frame_vois == ()
    assert cine.header.WindowCenter == 90
    assert Display.of(cine).describe() == "8 bit unsigned MONOCHROME2; intensity LIN; window 90/40 LINEAR"


def test_the_intensity_relationship_may_differ_between_frames(tmp_path: Path) -> None:
    words = ["LOG", "LOG", "DRM", "LOG"]
    cine = read(
        tmp_path,
        per_frame=lambda k: {"FramePixelDataPropertiesSequence": {"PixelIntensityRelationship": words[k]}},
    )

    text = Display.of(cine).describe()

    assert "intensity LOG" in text
    assert "1 of 4 frames in 1 other way" in text


def test_a_lut_back_to_intensity_changes_nothing(tmp_path: Path) -> None:
    lut = {"LUTDescriptor": [256, 0, 16], "LUTData": bytes(512), "LUTFunction": "TO_LINEAR"}
    plain = read(tmp_path / "a")
    with_lut = read(tmp_path / "b", shared={"PixelIntensityRelationshipLUTSequence": lut})

    stored = np.arange(256, dtype=np.uint8)
    for cine in (plain, with_lut):
        assert Display.of(cine).apply(0, stored)[255] == pytest.approx(1.0)
    np.testing.assert_array_equal(Display.of(plain).apply(0, stored), Display.of(with_lut).apply(0, stored))


def test_shutters_of_single_frames_hide_in_their_frames(tmp_path: Path) -> None:
    def shutter(k: int) -> Macros:
        edges = {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 1 + 5 * k}
        return {"FrameDisplayShutterSequence": edges}

    display = Display.of(read(tmp_path, per_frame=shutter))

    for k in range(4):
        assert display.visible(k).any(axis=0).tolist() == [column >= 5 * k for column in range(80)]


def test_a_shared_shutter_hides_in_every_frame_and_stands_in_the_header(tmp_path: Path) -> None:
    circle = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [32, 40], "RadiusOfCircularShutter": 20}

    cine = read(tmp_path, shared={"FrameDisplayShutterSequence": circle})

    assert cine.frame_shutters == ()
    assert cine.header.ShutterShape == "CIRCULAR"
    display = Display.of(cine)
    assert display.visible(0) is display.visible(3)
    assert (display.visible(3)[31, 39], display.visible(3)[0, 0]) == (True, False)


def test_times_of_single_frames_are_the_timing(tmp_path: Path) -> None:
    steps = [0.0, 0.1, 0.2, 0.9]
    cine = read(
        tmp_path,
        per_frame=lambda k: {"FrameContentSequence": {"FrameAcquisitionDateTime": moment(steps[k])}},
    )

    assert cine.timing.vector_ms == pytest.approx((0.0, 100.0, 100.0, 700.0))
    assert cine.timing.source == "FrameAcquisitionDateTime (0018,9074)"
    assert any("gaps" in note for note in cine.notes)


@pytest.mark.parametrize("times", [["", "", "", ""], [moment(1.0)] * 4])
def test_reference_times_stand_in_for_times_of_acquisition_that_say_nothing(
    tmp_path: Path, times: list[str]
) -> None:
    cine = read(
        tmp_path,
        per_frame=lambda k: {
            "FrameContentSequence": {
                "FrameAcquisitionDateTime": times[k],
                "FrameReferenceDateTime": moment(k / 10),
            }
        },
    )

    assert cine.timing.frame_time_ms == pytest.approx(100.0)
    assert cine.timing.source == "FrameReferenceDateTime (0018,9151)"


def test_without_times_the_rate_of_presentation_counts_and_times_that_go_back_are_noted(
    tmp_path: Path,
) -> None:
    item = Dataset()
    item.StartTrim, item.StopTrim, item.RecommendedDisplayFrameRateInFloat = 1, 4, 12.5
    cine = read(
        tmp_path,
        FrameDisplaySequence=[item],
        per_frame=lambda k: {"FrameContentSequence": {"FrameAcquisitionDateTime": moment(9 - k)}},
    )

    assert cine.timing.frame_time_ms == 80.0
    assert cine.timing.source == "RecommendedDisplayFrameRateInFloat (0008,9459)"
    assert "FrameAcquisitionDateTime (0018,9074)" in cine.notes[0]


def test_planes_of_one_series_are_two_cines(tmp_path: Path) -> None:
    for plane in "AB":
        write_enhanced(
            tmp_path / plane,
            SOPInstanceUID=uid(plane),
            PlaneIdentification=f"PLANE {plane}",
            InstanceNumber=1,
        )

    cines = find_series([tmp_path]).cines

    assert {cine.header.ImageType[2] for cine in cines} == {"BIPLANE A", "BIPLANE B"}
    assert all(cine.frames == 4 for cine in cines)


def test_enhanced_objects_of_one_frame_are_never_joined(tmp_path: Path) -> None:
    for k in range(3):
        write_enhanced(tmp_path / str(k), moving_frames(1), SOPInstanceUID=uid(str(k)))
        write_xa(tmp_path / f"classic {k}", moving_frames(1), SOPInstanceUID=uid(f"classic {k}"))

    cines = find_series([tmp_path]).cines

    assert sum(is_enhanced(cine.header) for cine in cines) == 3


@pytest.mark.parametrize("items", [1, 3, 5])
def test_a_wrong_number_of_per_frame_items_is_a_reason(tmp_path: Path, items: int) -> None:
    cine = read(tmp_path, items=items)

    (reason,) = reasons_against(cine)

    assert f"PerFrameFunctionalGroupsSequence (5200,9230) has {items} items, need one for each of 4" in str(
        reason
    )
    assert not reason.forceable


@pytest.mark.parametrize("shared", [True, False])
def test_without_groups_all_frames_are_read_alike_and_that_is_said(tmp_path: Path, shared: bool) -> None:
    path = write_enhanced(tmp_path / "run", items=0, CineRate=20)
    if not shared:
        ds = dcmread(path)
        del ds.SharedFunctionalGroupsSequence
        ds.save_as(path)

    cine = cine_of(path)

    assert reasons_against(cine) == ()
    assert "(5200,9230) is absent" in cine.notes[0]
    assert cine.timing.frame_time_ms == 50.0
    assert ("window 128/256" in Display.of(cine).describe()) is shared


def test_a_frame_count_beyond_reason_allocates_nothing(tmp_path: Path) -> None:
    cine = read(tmp_path, NumberOfFrames=2**31 - 1)

    assert cine.frame_vois == cine.frame_shutters == cine.frame_contrast == ()
    assert {reason.forceable for reason in reasons_against(cine)} == {False}


@pytest.mark.parametrize(
    "macro",
    [
        {"FrameVOILUTSequence": []},
        {"FrameVOILUTSequence": {"WindowCenter": "", "WindowWidth": ""}},
        {"FrameAnatomySequence": {}},
        {"FrameAnatomySequence": {"AnatomicRegionSequence": []}},
        {"PositionerPositionSequence": {"PositionerPrimaryAngle": ""}},
        {"FrameDisplayShutterSequence": {"ShutterShape": "BITMAP", "ShutterOverlayGroup": 0x6002}},
        {"FramePixelDataPropertiesSequence": {}},
        {"ContrastBolusUsageSequence": []},
    ],
)
def test_empty_groups_break_nothing(tmp_path: Path, macro: Macros) -> None:
    cine = read(tmp_path, shared=macro)

    display = Display.of(cine)

    assert reasons_against(cine) == ()
    assert display.visible(0).all()
    assert display.apply(0, moving_frames()[0]).max() <= 1


def test_one_bad_value_among_the_frames_leaves_the_others(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "run", per_frame=lambda k: {"FrameVOILUTSequence": window(100 + k, 77)})
    content = path.read_bytes()
    assert content.count(b"DS\x06\x00102.0 ") == 1
    path.write_bytes(content.replace(b"DS\x06\x00102.0 ", b"FD\x06\x00102.0 "))  # FD has 8 bytes

    cine = cine_of(path)

    assert [voi.get("WindowCenter") for voi in cine.frame_vois] == [100, 101, None, 103]
    assert any("WindowCenter (0028,1050) ignored" in note for note in cine.notes)
    assert not any("102" in note for note in cine.notes)


def test_more_windows_than_are_kept_are_each_applied(tmp_path: Path) -> None:
    run = np.zeros((200, 64, 64), dtype=np.uint16)
    run[:, 0, 0] = 1200
    cine = read(
        tmp_path,
        frames=run,
        BitsStored=12,
        per_frame=lambda k: {"FrameVOILUTSequence": window(1000 + k, 800)},
    )

    display = Display.of(cine)

    shown = [display.apply(k, run[k])[0, 0] for k in (0, 199, 0)]
    first, last = (1200 - 999.5) / 799 + 0.5, (1200 - 1198.5) / 799 + 0.5
    assert shown == pytest.approx([first, last, first])
    assert "199 of 200 frames" in display.describe()


def test_a_classic_run_is_not_enhanced() -> None:
    assert not is_enhanced(xa_dataset(SOPClassUID=XRayAngiographicImageStorage))


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("unreadable", ["", "XX", "20240102250000"])
@pytest.mark.parametrize("missing", [0, 2, 4])
def test_a_frame_without_a_time_leaves_the_times_of_the_others(
    tmp_path: Path, unreadable: str, missing: int
) -> None:
    times = [moment(0.1 * k) for k in range(5)]
    times[missing] = unreadable

    cine = read(
        tmp_path,
        frames=moving_frames(5),
        per_frame=lambda k: {"FrameContentSequence": {"FrameAcquisitionDateTime": times[k]}},
    )

    assert (cine.timing.frame_time_ms, cine.timing.vector_ms) == (100.0, None)
    assert cine.timing.source == "FrameAcquisitionDateTime (0018,9074)"
    assert "cannot be read in 1 of 5 frames: it is taken to pass evenly" in cine.timing.notes[0]


def test_frames_of_which_most_have_no_time_have_none_of_theirs(tmp_path: Path) -> None:
    cine = read(
        tmp_path,
        frames=moving_frames(4),
        per_frame=lambda k: {
            "FrameContentSequence": {"FrameAcquisitionDateTime": moment(k) if k < 2 else ""}
        },
    )

    assert cine.timing.source == "default"
    assert "is missing in most frames" in cine.timing.notes[0]


def test_frames_without_a_window_among_others_that_have_one_are_said(tmp_path: Path) -> None:
    cine = read(
        tmp_path,
        shared={"FrameVOILUTSequence": None},
        per_frame=lambda k: {} if k == 1 else {"FrameVOILUTSequence": window(100, 50)},
    )

    assert cine.notes[0].startswith("FrameVOILUTSequence (0028,9132) is absent in 1 of 4 frames")
