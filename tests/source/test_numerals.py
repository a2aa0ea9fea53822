"""Numbers that are not written as numbers: read where that is plain, and said."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from casgan_dicom.pixels.display import Display
from casgan_dicom.source.acquisition import acquisition_of
from casgan_dicom.source.numerals import mend_numerals
from tests.support.cines import cine_of
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import moving_frames, with_texts, write_xa, write_xa_single_frames

COMMA = "has a decimal comma, which is read as a decimal point"


def written(keyword: str, vr: str, value: bytes) -> tuple[object, list[str]]:
    """What an element with this value in the file is read as, and what is said."""
    ds = Dataset()
    tag = Tag(keyword)
    ds._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, vr != "UN", True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parser's own, which header.py counts
        notes = mend_numerals(ds, ds[tag])
    found = ds.get(keyword)
    return (list(found) if hasattr(found, "__iter__") and not isinstance(found, str) else found), notes


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "read"),
    [
        ("FrameTime", "DS", b"66,667", 66.667),
        ("FrameTime", "DS", b"66,667\\33 ", 66.667),
        ("FrameTime", "DS", b"x\\66.667 ", 66.667),
        ("CineRate", "IS", b"29,97 ", 29.97),
        ("CineRate", "IS", b"30,0", 30),
        ("RescaleSlope", "DS", b"1,5 ", 1.5),
        ("PositionerPrimaryAngle", "DS", b"-30,5 ", -30.5),
        ("PositionerPrimaryAngle", "DS", b"-30.5\\\\", -30.5),
        ("ImagerPixelSpacing", "DS", b"0,3\\0,3 ", [0.3, 0.3]),
        ("ImagerPixelSpacing", "DS", b"0.3\\0.3\\x ", [0.3, 0.3]),
        ("WindowCenter", "DS", b"2048\\x", [2048, ""]),
        ("WindowCenter", "DS", b"2048\\", [2048, ""]),
        ("WindowCenter", "DS", b"nan\\2048 ", ["", 2048]),
        ("FrameTimeVector", "DS", b"0\\66,667\\66,667 ", [0, 66.667, 66.667]),
        ("RWaveTimeVector", "DS", b"12,5\\800,5 ", [12.5, 800.5]),
        ("ShutterLeftVerticalEdge", "IS", b"10,0", 10),
        ("VerticesOfThePolygonalShutter", "IS", b"1\\1\\x\\1\\5\\5", [1, 1, "", 1, 5, 5]),
    ],
)
def test_what_is_plain_is_read_and_said(keyword: str, vr: str, value: bytes, read: object) -> None:
    found, notes = written(keyword, vr, value)

    assert found == read
    assert notes
    assert all(f"{keyword} {Tag(keyword)}" in note for note in notes)


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("FrameTime", "DS", b"66.667 ms "),
        ("FrameTime", "DS", b"1,234,5 "),
        ("FrameTime", "DS", b"1e400 "),
        ("FrameTime", "DS", b"nan "),
        ("ImagerPixelSpacing", "DS", b"0.3\\x "),
        ("ImagerPixelSpacing", "DS", b"0.3 "),
        ("WindowCenter", "DS", b"x\\y "),
        ("PositionerPrimaryAngle", "FD", b"\0\0\0\0\0\0\xf8\x7f"),
        ("PatientWeight", "DS", b"about 70"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_said_without_its_value(
    keyword: str, vr: str, value: bytes
) -> None:
    found, notes = written(keyword, vr, value)

    assert found is None
    assert len(notes) == 1
    assert f"{keyword} {Tag(keyword)}" in notes[0]
    assert "70" not in notes[0]


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("FrameTime", "DS", b" 66.667 "),
        ("FrameTime", "DS", b"\\ "),
        ("FrameTimeVector", "DS", b"0\\33\\33 "),
        ("PatientWeight", "DS", b""),
        ("NumberOfFrames", "IS", b"4x"),
        ("StudyID", "SH", b"1,5 "),
    ],
)
def test_what_is_right_or_no_number_stays_as_it_is(keyword: str, vr: str, value: bytes) -> None:
    _, notes = written(keyword, vr, value)

    assert notes == []


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("center", "width"),
    [("2048,0", "1000,0"), ("2048\\x", "1000\\y"), ("2048\\", "1000\\"), ("2048\\3", "1000\\0"),
     ("x\\2048", "5\\1000"), ("7\\2048", "0\\1000"), ("7\\2048", "-3\\1000,00")],
)  # fmt: skip
def test_the_first_window_that_can_be_used_is_used(
    tmp_path: Path, center: str, width: str, syntax: str
) -> None:
    run = moving_frames(2, bits=12)
    wanted = write_xa(tmp_path / "a", run, BitsStored=12, WindowCenter=2048, WindowWidth=1000)
    odd = write_xa(tmp_path / "b", run, BitsStored=12, syntax=syntax)

    cine = cine_of(with_texts(odd, WindowCenter=center, WindowWidth=width))

    np.testing.assert_array_equal(
        Display.of(cine).apply(0, run[0]), Display.of(cine_of(wanted)).apply(0, run[0])
    )
    assert any("Window" in note for note in cine.notes) is ((center, width) != ("2048\\3", "1000\\0"))


@pytest.mark.parametrize(("center", "width"), [("2048", "0"), ("2048", "x"), ("x\\y", "5\\6")])
def test_a_window_that_cannot_be_used_is_said(tmp_path: Path, center: str, width: str) -> None:
    path = write_xa(tmp_path / "a", moving_frames(2, bits=12), BitsStored=12)

    cine = cine_of(with_texts(path, WindowCenter=center, WindowWidth=width))

    assert any("the full range is shown" in note for note in cine.notes)
    assert "full range 0..4095" in Display.of(cine).describe()


def test_windows_of_an_enhanced_object_and_of_single_frames_are_read_alike(tmp_path: Path) -> None:
    run = moving_frames(3, bits=12)
    enhanced = write_enhanced(
        tmp_path / "e",
        run,
        shared={"FrameVOILUTSequence": {"WindowCenter": [7, 2048], "WindowWidth": [0, 1000]}},
    )
    for path in write_xa_single_frames(tmp_path / "s", run, BitsStored=12):
        with_texts(path, WindowCenter="7\\2048", WindowWidth="0\\1000")

    for cine in (cine_of(enhanced), cine_of(tmp_path / "s")):
        assert cine.frames == 3
        assert "window 2048/1000" in Display.of(cine).describe()
        assert any("window 1 cannot be used" in note for note in cine.notes)


def test_times_with_a_decimal_comma_are_used_and_said(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", moving_frames(2), CineRate=30)

    cine = cine_of(with_texts(path, FrameTime="66,667"))

    assert (cine.timing.frame_time_ms, cine.timing.source) == (66.667, "FrameTime (0018,1063)")
    assert cine.notes == (f"FrameTime (0018,1063) {COMMA}",)


@pytest.mark.parametrize("frame_time", ["0", "-5", "66.667 ms"])
def test_a_frame_time_that_is_none_is_said(tmp_path: Path, frame_time: str) -> None:
    path = write_xa(tmp_path / "a", moving_frames(2), CineRate=20)

    cine = cine_of(with_texts(path, FrameTime=frame_time))

    assert cine.timing.frame_time_ms == 50.0
    assert any("FrameTime (0018,1063)" in note for note in cine.notes)


def test_view_and_scale_with_a_decimal_comma_are_used(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", moving_frames(2, 512, 512))

    acquisition = acquisition_of(
        cine_of(
            with_texts(
                path,
                PositionerPrimaryAngle="-30,5",
                PositionerSecondaryAngle="10,0\\0",
                ImagerPixelSpacing="0,3\\0,3",
                DistanceSourceToDetector="1000,0",
            )
        )
    )

    assert acquisition.angles_deg == (-30.5, 10.0)
    assert acquisition.pixel_mm == pytest.approx(0.3)
    assert acquisition.source_detector_mm == 1000.0


@pytest.mark.parametrize(
    ("slope", "intercept", "said"),
    [
        ("2,0", "-10,5", "rescale 2/-10.5"),
        ("2\\x", "-10", "rescale 2/-10"),
        ("2", "ten", "rescale not applied"),
        ("two", "-10", "rescale not applied"),
        ("1", "ten", ""),
    ],
)
def test_a_rescale_is_read_or_said(tmp_path: Path, slope: str, intercept: str, said: str) -> None:
    path = write_xa(tmp_path / "a", moving_frames(2, bits=12), BitsStored=12)

    cine = cine_of(with_texts(path, RescaleSlope=slope, RescaleIntercept=intercept))

    assert (said in Display.of(cine).describe()) if said else "rescale" not in Display.of(cine).describe()
    assert all("Rescale" in note for note in cine.notes)
    assert bool(cine.notes) is ((slope, intercept) != ("2", "-10"))


def test_a_function_of_the_window_that_is_none_is_said(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", WindowCenter=100, WindowWidth=50, VOILUTFunction="MAGIC")

    assert cine_of(path).notes == (
        "VOILUTFunction (0028,1056) is none of LINEAR, LINEAR_EXACT, SIGMOID: read as LINEAR",
    )


@pytest.mark.parametrize("vr", ["LO", "SH", "UT", "ST", "UN"])
def test_numbers_that_are_written_as_texts_are_read_as_numbers(vr: str) -> None:
    assert written("FrameTime", vr, b"66,667") == (66.667, [f"FrameTime (0018,1063) {COMMA}"])
    assert written("WindowCenter", vr, b"2048,5\\1")[0] == [2048.5, 1]
    assert written("FrameTime", vr, b"66.667")[1] == []


@pytest.mark.parametrize("vr", ["DS", "IS", "LO"])
def test_a_code_that_is_written_as_a_number_stays_a_code(vr: str) -> None:
    assert written("PositionerMotion", vr, b"DYNAMIC ") == ("DYNAMIC", [])
