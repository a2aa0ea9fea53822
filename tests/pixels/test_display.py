"""Stored values to display values and back, against pydicom and DCMTK."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_rescale, apply_voi, apply_windowing
from pydicom.uid import ExplicitVRBigEndian

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.display import DisplayMapping, to_stored
from casgan_dicom.source.elements import swap_bytes
from tests.support.cines import shown
from tests.support.factories import moving_frames, write_xa, xa_dataset
from tests.support.programs import find_program


def every_value(bits: int, signed: bool = False) -> npt.NDArray[np.int32]:
    """Every stored value of a pixel format, in ascending order."""
    low = -(2 ** (bits - 1)) if signed else 0
    return np.arange(low, low + 2**bits, dtype=np.int32)


def header(bits: int = 12, **overrides: object) -> Dataset:
    own: dict[str, object] = {"BitsAllocated": 16, "BitsStored": bits, "HighBit": bits - 1}
    return xa_dataset(**(own | overrides))


def lut_item(data: list[int], first: int, depth: int) -> Dataset:
    """A VOI LUT Sequence item with the VR of unsigned pixels."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(data), first, depth])
    item.add_new("LUTData", "US", data)
    return item


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("width", [1, 2, 256, 4096])
@pytest.mark.parametrize("signed", [False, True])
def test_windows_agree_with_pydicom(function: str, width: int, signed: bool) -> None:
    """The oracle is another implementation of PS3.3 C.11.2.1.2 and C.11.2.1.3, not our own."""
    center = -300 if signed else 1800
    ds = header(
        12, PixelRepresentation=int(signed), WindowCenter=center, WindowWidth=width, VOILUTFunction=function
    )
    stored = every_value(12, signed)

    ours = DisplayMapping.from_dataset(ds).apply(stored)

    with np.errstate(over="ignore"):  # pydicom's sigmoid overflows, rightly, to 0
        theirs = apply_windowing(stored, ds)
    low, high = float(stored[0]), float(stored[-1])
    np.testing.assert_allclose(ours, (theirs - low) / (high - low), atol=1e-6)  # float32 of a unit range


@pytest.mark.parametrize(("bits", "depth", "first"), [(8, 8, 0), (12, 10, 100), (12, 16, 0)])
def test_voi_luts_agree_with_pydicom(bits: int, depth: int, first: int) -> None:
    entries = 200
    data = [round((k / (entries - 1)) ** 2 * (2**depth - 1)) for k in range(entries)]
    ds = header(bits, VOILUTSequence=[lut_item(data, first, depth)])
    stored = every_value(bits)

    ours = DisplayMapping.from_dataset(ds).apply(stored)

    np.testing.assert_allclose(ours, apply_voi(stored, ds) / (2**depth - 1), atol=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_lut_data_of_bytes_says_the_same_as_numbers(packed: bool) -> None:
    data = [255 - k for k in range(256)]
    item = lut_item(data, 0, 8)
    item["LUTData"].VR = "OW"
    item["LUTData"].value = np.asarray(data, dtype="u1" if packed else "<u2").tobytes()
    ds = header(8, BitsAllocated=8, VOILUTSequence=[item])
    ds.set_original_encoding(False, True)

    ours = DisplayMapping.from_dataset(ds).apply(every_value(8))

    np.testing.assert_allclose(ours, np.asarray(data) / 255, atol=1e-6)


def test_a_first_value_of_a_signed_lut_read_as_unsigned_is_negative() -> None:
    ds = header(12, PixelRepresentation=1, VOILUTSequence=[lut_item([0, 128, 255], 65535, 8)])

    mapping = DisplayMapping.from_dataset(ds)

    np.testing.assert_allclose(
        mapping.apply(np.array([-2, -1, 0, 1, 2])), np.array([0, 0, 128, 255, 255]) / 255
    )


@pytest.mark.parametrize(
    ("first", "intercept", "vr"),
    [(64512, -1024, "US"), (-1024, -1024, "SS"), (0, 0, "US"), (-25536, 40000, "SS"), (40000, 40000, "US")],
)
def test_the_first_value_mapped_has_the_sign_of_what_is_mapped(first: int, intercept: int, vr: str) -> None:
    item = lut_item(list(range(4096)), 0, 12)
    item.add_new("LUTDescriptor", vr, [4096, first, 12])
    ds = header(12, VOILUTSequence=[item], RescaleSlope=1, RescaleIntercept=intercept)

    mapping = DisplayMapping.from_dataset(ds)

    np.testing.assert_allclose(mapping.apply(np.arange(4096)), np.arange(4096) / 4095, atol=1e-6)


@pytest.mark.parametrize("missing", [1, 96])
@pytest.mark.parametrize("as_words", [False, True])
def test_a_lut_that_is_a_little_short_is_not_taken_for_bytes(missing: int, as_words: bool) -> None:
    data = list(range(4096 - missing))
    item = lut_item(data, 0, 12)
    item.LUTDescriptor = [4096, 0, 12]
    if as_words:
        item.add_new("LUTData", "OW", np.asarray(data, "<u2").tobytes())
    ds = header(12, VOILUTSequence=[item], WindowCenter=2048, WindowWidth=4096)
    ds.set_original_encoding(False, True)

    mapping = DisplayMapping.from_dataset(ds)

    assert f"has {4096 - missing} values" in mapping.notes[0]
    np.testing.assert_allclose(mapping.apply(np.arange(4096)), np.arange(4096) / 4095, atol=1e-6)


def test_bytes_of_a_lut_lie_in_words_of_big_endian_too(tmp_path: Path) -> None:
    data = np.arange(255, -1, -1, dtype=np.uint8)
    item = lut_item([0], 0, 8)
    item.LUTDescriptor = [256, 0, 8]
    item.add_new("LUTData", "OW", swap_bytes(data.tobytes()))
    path = write_xa(tmp_path / "a", syntax=ExplicitVRBigEndian, VOILUTSequence=[item])

    np.testing.assert_allclose(shown(path), data[moving_frames()] / 255, atol=1e-6)


@pytest.mark.parametrize(
    "rescale",
    [{"RescaleSlope": 2}, {"RescaleSlope": 2, "RescaleIntercept": ""}, {"RescaleIntercept": -100}],
)
def test_half_a_rescale_is_a_note(rescale: dict[str, object]) -> None:
    (said,) = DisplayMapping.from_dataset(header(8, **rescale)).notes

    assert said.startswith("RescaleSlope (0028,1053), RescaleIntercept (0028,1052)")


@pytest.mark.parametrize("keyword", ["VOILUTFunction", "PixelIntensityRelationship"])
def test_what_is_no_code_is_not_repeated(keyword: str) -> None:
    odd: dict[str, object] = {"WindowCenter": 100, "WindowWidth": 50, keyword: "Doe^John of 3 Main Street"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of no legal CS
        mapping = DisplayMapping.from_dataset(header(8, **odd))

    assert "Doe" not in mapping.describe().title()
    assert "no legal CS" in mapping.describe()


def test_a_voi_lut_goes_before_a_window() -> None:
    ds = header(8, VOILUTSequence=[lut_item([0, 255], 10, 8)], WindowCenter=100, WindowWidth=50)

    mapping = DisplayMapping.from_dataset(ds)

    assert mapping.apply(np.array([10, 11], dtype=np.uint8)).tolist() == [0.0, 1.0]
    assert "VOI LUT of 2 entries" in mapping.describe()
    assert "window" not in mapping.describe()


def test_of_several_windows_the_first_is_used() -> None:
    several = header(12, WindowCenter=[1000, 2000], WindowWidth=[400, 800])
    first = header(12, WindowCenter=1000, WindowWidth=400)

    np.testing.assert_array_equal(
        DisplayMapping.from_dataset(several).table, DisplayMapping.from_dataset(first).table
    )


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_without_window_the_full_stored_range_is_shown(bits: int, signed: bool) -> None:
    shown = DisplayMapping.from_dataset(header(bits, PixelRepresentation=int(signed))).apply(
        every_value(bits, signed)
    )

    np.testing.assert_allclose(shown, np.linspace(0, 1, 2**bits), atol=1e-7)


def test_eight_bits_without_window_come_back_bit_for_bit() -> None:
    stored = every_value(8).astype(np.uint8)
    mapping = DisplayMapping.from_dataset(header(8, BitsAllocated=8))

    back = to_stored(mapping.apply(stored))

    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, stored)


def test_twelve_bits_come_back_bit_for_bit_in_twelve() -> None:
    stored = every_value(12).astype(np.uint16)

    back = to_stored(DisplayMapping.from_dataset(header(12)).apply(stored), 12)

    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, stored)


@pytest.mark.parametrize("relationship", ["LOG", "DISP"])
def test_what_leads_back_to_intensity_is_not_applied_for_display(relationship: str) -> None:
    plain = header(12, WindowCenter=2000, WindowWidth=1000)
    log = header(
        12,
        WindowCenter=2000,
        WindowWidth=1000,
        PixelIntensityRelationship=relationship,
        ModalityLUTSequence=[lut_item([65535 - k for k in range(256)], 0, 16)],
        RescaleSlope=2,
        RescaleIntercept=-1000,
    )

    np.testing.assert_array_equal(
        DisplayMapping.from_dataset(log).table, DisplayMapping.from_dataset(plain).table
    )


@pytest.mark.parametrize("relationship", ["LIN", "DRM", None])
def test_the_rescale_of_other_runs_comes_before_the_window(relationship: str | None) -> None:
    ds = header(
        12,
        RescaleSlope=0.5,
        RescaleIntercept=-1000,
        WindowCenter=40,
        WindowWidth=400,
        PixelIntensityRelationship=relationship,
    )
    stored = every_value(12)

    ours = DisplayMapping.from_dataset(ds).apply(stored)

    theirs = apply_windowing(apply_rescale(stored, ds), ds)
    np.testing.assert_allclose(ours, (theirs + 1000) / (4095 * 0.5), atol=1e-6)


def test_an_unknown_relationship_is_said() -> None:
    assert (
        "intensity DRM (unknown)"
        in DisplayMapping.from_dataset(header(PixelIntensityRelationship="DRM")).describe()
    )


@pytest.mark.parametrize(
    "window", [{}, {"WindowCenter": 500, "WindowWidth": 300, "VOILUTFunction": "SIGMOID"}]
)
def test_monochrome1_is_the_negative_of_monochrome2(window: dict[str, object]) -> None:
    one, two = (
        DisplayMapping.from_dataset(header(12, PhotometricInterpretation=f"MONOCHROME{k}", **window)).table
        for k in (1, 2)
    )

    np.testing.assert_allclose(one, 1.0 - two, atol=1e-7)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<i2", ">i2", "<i4"])
def test_bits_above_bits_stored_are_ignored_in_every_layout(dtype: str) -> None:
    clean = np.array([0, 1, 2047, 4095])
    dirty = clean | 0xF000
    mapping = DisplayMapping.from_dataset(header(12))

    as_stored = dirty.astype(np.uint16).view(np.int16) if "i2" in dtype else dirty

    np.testing.assert_array_equal(mapping.apply(as_stored.astype(dtype)), mapping.apply(clean))


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"WindowCenter": 100, "WindowWidth": 0}, "window 100/0 not applied"),
        ({"WindowCenter": 100, "WindowWidth": -5, "VOILUTFunction": "SIGMOID"}, "not applied"),
        ({"WindowCenter": 100, "WindowWidth": 50, "VOILUTFunction": "MAGIC"}, "LINEAR (for unknown MAGIC)"),
        ({"VOILUTSequence": [Dataset()]}, "VOI LUT not applied"),
        ({"RescaleSlope": 0, "RescaleIntercept": 3}, "rescale not applied"),
    ],
)
def test_what_cannot_be_used_is_passed_over_and_said(odd: dict[str, object], said: str) -> None:
    assert said in DisplayMapping.from_dataset(header(8, **odd)).describe()


@pytest.mark.parametrize("slope", [1e308, -1e308])
def test_a_rescale_that_leaves_the_numbers_is_a_pixel_error(slope: float) -> None:
    with pytest.raises(PixelError, match=r"RescaleSlope \(0028,1053\)"):
        DisplayMapping.from_dataset(header(12, RescaleSlope=slope, RescaleIntercept=0))


@pytest.mark.parametrize(
    ("depth", "said"), [(12, 16), (10, 16), (14, 16), (8, 16), (12, 14), (16, 12), (12, 8)]
)
@pytest.mark.parametrize("top", [1.0, 0.7])
def test_a_lut_is_scaled_by_the_values_it_has(depth: int, said: int, top: float) -> None:
    """OHIF viewers of 2019 and 2024 showed such pictures nearly black."""
    entries = 300
    data = [round(k / (entries - 1) * top * (2**depth - 1)) for k in range(entries)]
    item = lut_item(data, 50, said)

    mapping = DisplayMapping.from_dataset(header(12, VOILUTSequence=[item]))

    shown = mapping.apply(np.arange(50, 350))
    np.testing.assert_allclose(shown, np.asarray(data) / (2**depth - 1), atol=1e-6)
    assert f"{depth} bit (said {said})" in mapping.describe()
    assert mapping.notes == (
        f"LUTDescriptor (0028,3002) of the VOI LUT says {said} bits, its values go up to {data[-1]}: "
        f"read as {depth} bits",
    )


def test_a_lut_up_to_a_power_of_two_has_the_bits_below_it() -> None:
    item = lut_item(list(range(0, 4097, 16)), 0, 16)

    mapping = DisplayMapping.from_dataset(header(9, VOILUTSequence=[item]))

    assert float(mapping.apply(np.array([256]))[0]) == 1.0
    assert "12 bit (said 16)" in mapping.describe()


@pytest.mark.parametrize("said", [0, 4, 24])
def test_a_depth_that_no_table_has_is_replaced_by_that_of_the_values(said: int) -> None:
    item = lut_item(list(range(0, 4096, 4)), 0, said)

    mapping = DisplayMapping.from_dataset(header(10, VOILUTSequence=[item]))

    np.testing.assert_allclose(mapping.apply(np.arange(1024)), np.arange(0, 4096, 4) / 4095, atol=1e-6)
    assert f"says {said} bits" in mapping.notes[0]


@pytest.mark.parametrize("data", [[0] * 16, [0, 100, 200], [3, 2, 1]])
def test_a_dark_lut_of_eight_bits_stays_dark(data: list[int]) -> None:
    mapping = DisplayMapping.from_dataset(header(8, VOILUTSequence=[lut_item(data, 0, 8)]))

    np.testing.assert_allclose(mapping.apply(np.arange(len(data))), np.asarray(data) / 255, atol=1e-6)
    assert mapping.notes == ()


def test_bytes_of_a_lut_packed_into_words_are_unpacked() -> None:
    data = np.arange(255, -1, -1, dtype=np.uint8)
    item = lut_item(data.view("<u2").tolist(), 0, 8)
    item.LUTDescriptor = [256, 0, 8]

    mapping = DisplayMapping.from_dataset(header(8, VOILUTSequence=[item]))

    np.testing.assert_allclose(mapping.apply(np.arange(256)), data / 255, atol=1e-6)


def test_a_lut_that_cannot_be_used_is_a_note() -> None:
    item = lut_item([1, 2, 3], 0, 8)
    item.LUTDescriptor = [256, 0, 8]

    (said,) = DisplayMapping.from_dataset(header(8, VOILUTSequence=[item])).notes

    assert said == (
        "VOI LUT not applied: LUTData (0028,3006) has 3 values, LUTDescriptor (0028,3002) says 256"
    )


def test_a_presentation_lut_is_not_applied_and_said() -> None:
    ds = header(8, PresentationLUTSequence=[lut_item([0, 128, 255], 0, 8)])

    assert "Presentation LUT not applied" in DisplayMapping.from_dataset(ds).describe()


def test_a_lut_with_fewer_data_than_entries_is_passed_over() -> None:
    item = lut_item([1, 2, 3], 0, 8)
    item.LUTDescriptor = [256, 0, 8]

    assert "fewer data" in DisplayMapping.from_dataset(header(8, VOILUTSequence=[item])).describe()


@pytest.mark.parametrize(
    "wrong",
    [
        {"BitsStored": None},
        {"BitsStored": 17},
        {"PhotometricInterpretation": "RGB"},
        {"PhotometricInterpretation": None},
    ],
)
def test_a_format_that_is_not_grayscale_is_a_pixel_error(wrong: dict[str, object]) -> None:
    with pytest.raises(PixelError, match="need"):
        DisplayMapping.from_dataset(header(12, **wrong))


@given(
    center=st.floats(-5000, 5000),
    width=st.floats(1, 10000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_a_window_never_leaves_its_range_nor_reverses(center: float, width: float, function: str) -> None:
    ds = header(12, WindowCenter=f"{center:.8g}", WindowWidth=f"{width:.8g}", VOILUTFunction=function)

    table = DisplayMapping.from_dataset(ds).table

    assert table.min() >= 0
    assert table.max() <= 1
    assert (np.diff(table) >= 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_never_written(value: float) -> None:
    with pytest.raises(PixelError, match="1 of 4"):
        to_stored(np.array([0.0, 0.5, value, 1.0]))


def test_values_outside_the_range_are_clipped() -> None:
    assert to_stored(np.array([-0.1, 0.0, 1.0, 1.1], dtype=np.float32)).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 1500}])
def test_eight_bit_output_agrees_with_dcmtk(
    tmp_path: Path, photometric: str, window: dict[str, object]
) -> None:
    run = moving_frames(1, 64, 96, 12)
    path = write_xa(tmp_path / "a", run, BitsStored=12, PhotometricInterpretation=photometric, **window)
    command = [
        find_program("dcmj2pnm", "dcmtk"),
        *(["+Wi", "1"] if window else []),
        "+on2",
        str(path),
        str(tmp_path / "a.png"),
    ]
    subprocess.run(command, check=True, capture_output=True)

    ours = to_stored(
        DisplayMapping.from_dataset(header(12, PhotometricInterpretation=photometric, **window)).apply(run[0])
    )

    theirs = np.asarray(Image.open(tmp_path / "a.png"), dtype=np.int32)
    if theirs.max() > 255:
        theirs = theirs >> 8
    # DCMTK truncates where we round, so a level may differ by one.
    assert np.abs(theirs - ours).max() <= 1
