"""Which single frames make a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    XRayRadiofluoroscopicImageStorage,
)

from casgan_dicom.pixels.display import DisplayMapping
from casgan_dicom.source.series import find_series
from tests.support.factories import moving_frames, uid, write_xa, write_xa_single_frames, xa_dataset

SINGLE: dict[str, object] = {"NumberOfFrames": None, "FrameTime": None, "FrameIncrementPointer": None}
CIRCLE: dict[str, object] = {
    "ShutterShape": "CIRCULAR",
    "CenterOfCircularShutter": [32, 40],
    "RadiusOfCircularShutter": 30,
}


def write_six(folder: Path, late: Mapping[str, object], early: Mapping[str, object] = SINGLE) -> None:
    """Six single frames in the order of time, of which the last three say `late` and the others `early`."""
    for k, frame in enumerate(moving_frames(6)):
        own = SINGLE | {"SOPInstanceUID": uid(f"single {k}"), "AcquisitionTime": f"10000{k}"}
        own["InstanceNumber"] = k + 1
        write_xa(folder / str(k), frame[None], **(own | dict(late if k >= 3 else early)))


def lut(*data: int) -> Dataset:
    """An item of a LUT sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(data), 0, 8]
    item.add_new("LUTData", "US", list(data))
    return item


def test_two_multi_frame_instances_of_a_series_are_two_cines_in_the_order_of_instance_number(
    tmp_path: Path,
) -> None:
    write_xa(tmp_path / "1", moving_frames(3), SOPInstanceUID=uid("second"), InstanceNumber=2)
    write_xa(tmp_path / "2", moving_frames(2), SOPInstanceUID=uid("first"), InstanceNumber=1)

    (series,) = find_series([tmp_path]).series

    assert [cine.frames for cine in series.cines] == [2, 3]


def test_planes_that_share_an_instance_number_stay_two_cines(tmp_path: Path) -> None:
    for plane in "AB":
        write_xa(
            tmp_path / plane, SOPInstanceUID=uid(plane), ImageType=["ORIGINAL", "PRIMARY", f"BIPLANE {plane}"]
        )

    cines = find_series([tmp_path]).cines

    assert {cine.instances[0].sop_instance_uid for cine in cines} == {uid("A"), uid("B")}


def test_single_frames_with_increasing_times_are_one_cine_in_the_order_of_time(tmp_path: Path) -> None:
    paths = write_xa_single_frames(tmp_path, moving_frames(12), step_s=0.1)

    (cine,) = find_series([tmp_path]).cines

    assert [instance.path for instance in cine.instances] == paths
    assert cine.frames == 12
    assert cine.timing.frame_time_ms == 100.0
    assert cine.timing.vector_ms is None
    assert cine.notes == ()


def test_time_goes_before_instance_number(tmp_path: Path) -> None:
    first, second = moving_frames(2)
    write_xa(
        tmp_path / "a", first[None], SOPInstanceUID="2.25.1", InstanceNumber=2, AcquisitionTime="100000.1"
    )
    write_xa(
        tmp_path / "b", second[None], SOPInstanceUID="2.25.2", InstanceNumber=1, AcquisitionTime="100000.2"
    )

    (cine,) = find_series([tmp_path]).cines

    assert [instance.sop_instance_uid for instance in cine.instances] == ["2.25.1", "2.25.2"]


def test_content_time_orders_frames_that_share_the_acquisition_time_of_their_run(tmp_path: Path) -> None:
    for k, frame in enumerate(moving_frames(3)):
        write_xa(tmp_path / str(k), frame[None], SOPInstanceUID=f"2.25.{9 - k}", ContentTime=f"10000{k}")

    (cine,) = find_series([tmp_path]).cines

    assert [instance.sop_instance_uid for instance in cine.instances] == ["2.25.9", "2.25.8", "2.25.7"]
    assert cine.timing.source == "ContentTime (0008,0033)"


def test_copies_of_a_picture_in_other_syntaxes_are_no_run(tmp_path: Path) -> None:
    for k, syntax in enumerate([RLELossless, JPEG2000Lossless]):
        write_xa(
            tmp_path / str(k),
            moving_frames(1),
            syntax=syntax,
            SOPInstanceUID=uid(str(k)),
            ContentTime=f"10000{k}",
        )

    cines = find_series([tmp_path]).cines

    assert [cine.frames for cine in cines] == [1, 1]
    assert "TransferSyntaxUID (0002,0010)" in cines[0].notes[0]


def test_uncompressed_syntaxes_are_of_one_kind(tmp_path: Path) -> None:
    for k, syntax in enumerate([ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]):
        write_xa(
            tmp_path / str(k),
            moving_frames(1),
            syntax=syntax,
            SOPInstanceUID=uid(str(k)),
            ContentTime=f"10000{k}",
        )

    assert [cine.frames for cine in find_series([tmp_path]).cines] == [2]


@pytest.mark.parametrize(
    ("late", "named"),
    [
        ({"SOPClassUID": XRayRadiofluoroscopicImageStorage}, "SOPClassUID (0008,0016)"),
        ({"Modality": "CT"}, "Modality (0008,0060)"),
        ({"PatientID": "TEST-2"}, "PatientID (0010,0020)"),
        ({"PatientName": "Other^Run"}, "PatientName (0010,0010)"),
        ({"StudyInstanceUID": uid("other study")}, "StudyInstanceUID (0020,000D)"),
        ({"Columns": 40, "Rows": 128}, "Rows (0028,0010), Columns (0028,0011)"),
        ({"BitsStored": 7, "HighBit": 6}, "BitsStored (0028,0101), HighBit (0028,0102)"),
        ({"PixelSpacing": [0.3, 0.3]}, "PixelSpacing (0028,0030)"),
        ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation (0028,0301)"),
        ({"PixelAspectRatio": [6, 5]}, "PixelAspectRatio (0028,0034)"),
        ({"RescaleSlope": 2, "RescaleIntercept": 0}, "RescaleSlope (0028,1053)"),
        ({"RescaleSlope": 1, "RescaleIntercept": -9}, "RescaleIntercept (0028,1052)"),
        ({"PixelIntensityRelationship": "LOG"}, "PixelIntensityRelationship (0028,1040)"),
        ({"ModalityLUTSequence": [lut(1, 2)]}, "ModalityLUTSequence (0028,3000)"),
        (CIRCLE, "ShutterShape (0018,1600)"),
        ({"LossyImageCompression": "01"}, "LossyImageCompression (0028,2110)"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "BIPLANE B"]}, "ImageType (0008,0008) value 3"),
        ({"PositionerPrimaryAngle": 60}, "PositionerPrimaryAngle (0018,1510)"),
        ({"WindowCenter": 60, "WindowWidth": 90}, "WindowCenter (0028,1050)"),
        ({"VOILUTSequence": [lut(0, 255)]}, "VOILUTSequence (0028,3010)"),
        ({"syntax": RLELossless}, "TransferSyntaxUID (0002,0010)"),
    ],
)
def test_what_may_not_vary_in_a_run_makes_two_of_it_and_is_named(
    tmp_path: Path, late: dict[str, object], named: str
) -> None:
    write_six(tmp_path, late)

    cines = find_series([tmp_path]).cines

    members = [{instance.sop_instance_uid for instance in cine.instances} for cine in cines]
    assert sorted(map(len, members)) == [3, 3]
    assert {uid(f"single {k}") for k in range(3)} in members
    for cine in cines:
        (note,) = cine.notes
        assert note.startswith("3 of 6 single-frame images of the series; the others differ in ")
        assert named in note
        assert "TEST" not in note
        assert "Run" not in note


@pytest.mark.parametrize(
    "late",
    [
        {"ContrastBolusAgent": "Iohexol"},
        {"RecommendedViewingMode": "SUB"},
        {"SyntheticData": "YES", "ImageType": ["DERIVED", "PRIMARY", "SINGLE PLANE"]},
        {"FrameOfReferenceUID": uid("frame of reference")},
        {"RescaleSlope": "1.0", "RescaleIntercept": "", "ShutterShape": ""},
    ],
)
def test_what_may_vary_stays_one_run_with_the_headers_of_all(tmp_path: Path, late: dict[str, object]) -> None:
    write_six(tmp_path, late, {"RescaleSlope": "1"} if "RescaleSlope" in late else {})

    (cine,) = find_series([tmp_path]).cines

    uids = [instance.sop_instance_uid for instance in cine.instances]
    assert uids == [uid(f"single {k}") for k in range(6)]
    assert [header.SOPInstanceUID for header in cine.headers] == uids
    assert cine.header is cine.headers[0]
    assert cine.notes == ()


def test_one_odd_image_does_not_break_up_the_run(tmp_path: Path) -> None:
    write_xa_single_frames(tmp_path, moving_frames(12))
    write_xa(tmp_path / "odd", moving_frames(1, 64, 64), **(SINGLE | {"SOPInstanceUID": uid("odd")}))

    cines = find_series([tmp_path]).cines

    assert sorted(cine.frames for cine in cines) == [1, 12]
    (run,) = (cine for cine in cines if cine.frames == 12)
    assert run.timing.frame_time_ms == 100.0
    assert run.notes == (
        "12 of 13 single-frame images of the series; the others differ in Columns (0028,0011)",
    )


def test_planes_of_single_frames_are_two_runs_in_the_order_of_time(tmp_path: Path) -> None:
    for plane, angle in ("A", -30), ("B", 60):
        write_xa_single_frames(
            tmp_path / plane,
            moving_frames(5),
            ImageType=["ORIGINAL", "PRIMARY", f"BIPLANE {plane}"],
            PositionerPrimaryAngle=angle,
        )
        for k, path in enumerate(sorted((tmp_path / plane).iterdir())):
            ds = dcmread(path)
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid(f"{plane} {k}"))
            ds.save_as(path)

    cines = find_series([tmp_path]).cines

    assert [cine.frames for cine in cines] == [5, 5]
    assert {cine.header.PositionerPrimaryAngle for cine in cines} == {-30, 60}
    assert all(
        {header.ImageType[2] for header in cine.headers} == {cine.header.ImageType[2]} for cine in cines
    )
    assert all(cine.timing.frame_time_ms == 100.0 for cine in cines)


@pytest.mark.parametrize("time", [None, "", "100000"])
def test_single_frames_without_increasing_times_are_one_output_each(tmp_path: Path, time: str | None) -> None:
    write_six(tmp_path, {"AcquisitionTime": time}, {"AcquisitionTime": "100000"})

    cines = find_series([tmp_path]).cines

    assert [cine.frames for cine in cines] == [1] * 6
    assert all("times do not increase" in cine.notes[0] for cine in cines)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("first", "other", "runs"),
    [
        ((2048, 4096), (2050, 4090), 1),
        ((2048, 4096), (2065, 4096), 2),
        ((2048, 4096), (2048, 4200), 2),
        ((2048, 1), (2048, 1), 1),
        ((2048, 1), (2049, 1), 2),
    ],
)
def test_windows_that_differ_by_less_than_a_grey_level_are_one_run(
    tmp_path: Path, first: tuple[int, int], other: tuple[int, int], runs: int, photometric: str
) -> None:
    """The oracle is what the pipeline itself makes of every stored value under both windows."""
    same = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PhotometricInterpretation": photometric}
    a, b = (same | {"WindowCenter": center, "WindowWidth": width} for center, width in (first, other))
    write_six(tmp_path, b, a)

    cines = find_series([tmp_path]).cines

    shown = [DisplayMapping.from_dataset(xa_dataset(**header)).table for header in (a, b)]
    assert len(cines) == runs
    assert (np.abs(shown[0] - shown[1]).max() <= 1 / 255) is np.bool_(runs == 1)
    if runs == 1 and first != other:
        assert "that of the first frame is applied to all" in cines[0].notes[0]


def test_windows_without_a_ramp_that_numbers_can_hold_never_raise(tmp_path: Path) -> None:
    step = {"WindowCenter": "1e30", "WindowWidth": "2"}
    write_six(tmp_path, step, {"WindowCenter": "1e308", "WindowWidth": "1e308"})

    assert [cine.frames for cine in find_series([tmp_path]).cines] == [3, 3]


def test_frames_with_a_window_of_their_own_each_are_stills(tmp_path: Path) -> None:
    for k, frame in enumerate(moving_frames(3)):
        own = SINGLE | {"SOPInstanceUID": uid(str(k)), "AcquisitionTime": f"10000{k}"}
        write_xa(tmp_path / str(k), frame[None], **own, WindowCenter=100 + 20 * k, WindowWidth=200)

    assert [cine.frames for cine in find_series([tmp_path]).cines] == [1, 1, 1]


def test_a_window_function_or_lut_of_its_own_is_never_alike(tmp_path: Path) -> None:
    window = {"WindowCenter": 128, "WindowWidth": 200}
    write_six(tmp_path, window | {"WindowCenter": 128.1, "VOILUTFunction": "SIGMOID"}, window)

    assert [cine.frames for cine in find_series([tmp_path]).cines] == [3, 3]


@pytest.mark.parametrize("data", [[0, 100, 255], [0, 200, 255]])
def test_voi_luts_are_compared_by_their_content(tmp_path: Path, data: list[int]) -> None:
    write_six(tmp_path, {"VOILUTSequence": [lut(*data)]}, {"VOILUTSequence": [lut(0, 100, 255)]})

    assert len(find_series([tmp_path]).cines) == (1 if data[1] == 100 else 2)


def test_a_lossy_form_of_a_compression_is_no_part_of_a_lossless_run(tmp_path: Path) -> None:
    write_six(tmp_path, {"syntax": JPEGBaseline8Bit}, {"syntax": JPEG2000Lossless})

    assert [cine.frames for cine in find_series([tmp_path]).cines] == [3, 3]


def test_a_note_names_a_few_of_many_differences(tmp_path: Path) -> None:
    many = {
        "Modality": "CT", "PatientID": "2", "PatientSex": "F", "PatientBirthDate": "19700101",
        "StudyInstanceUID": uid("x"), "BurnedInAnnotation": "YES", "PixelSpacing": [1, 1],
    }  # fmt: skip
    write_six(tmp_path, many)

    assert find_series([tmp_path]).cines[0].notes[0].endswith(" and 2 more")
