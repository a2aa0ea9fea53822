"""The display of each frame of a cine: its mapping, its shutters, and where its values sit in their words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display, DisplayMapping, to_stored
from casgan_dicom.source.series import find_series
from casgan_dicom.source.shutters import shutter_mask
from tests.source.test_shutters import add_bitmap
from tests.support.factories import moving_frames, write_xa, xa_dataset
from tests.support.programs import find_program


def header(**overrides: object) -> Dataset:
    """A header of 12 bits in 16."""
    return xa_dataset(**({"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11} | overrides))


def test_a_classic_run_is_shown_alike_in_every_frame(tmp_path: Path) -> None:
    run = moving_frames(3, bits=12)
    window = {"WindowCenter": 2000, "WindowWidth": 1500}
    circle = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [32, 40], "RadiusOfCircularShutter": 9}
    write_xa(tmp_path / "run", run, BitsStored=12, **window, **circle)
    (cine,) = find_series([tmp_path]).cines

    display = Display.of(cine)

    mapping = DisplayMapping.from_dataset(cine.header)
    assert display.describe() == mapping.describe()
    for k, frame in enumerate(run):
        np.testing.assert_array_equal(display.apply(k, frame), mapping.apply(frame))
        np.testing.assert_array_equal(display.visible(k), shutter_mask(cine.header, 64, 80))
    assert display.apply(0, run[0]).dtype == np.float32


def test_a_mask_is_made_once_and_cannot_be_changed(tmp_path: Path) -> None:
    write_xa(tmp_path / "run")
    display = Display.of(find_series([tmp_path]).cines[0])

    assert display.visible(0) is display.visible(3)
    with pytest.raises(ValueError, match="read-only"):
        display.visible(0)[0, 0] = False


def test_a_run_without_a_grayscale_format_has_no_display(tmp_path: Path) -> None:
    write_xa(tmp_path / "run", None, PhotometricInterpretation="RGB")

    with pytest.raises(PixelError, match="need MONOCHROME1 or MONOCHROME2"):
        Display.of(find_series([tmp_path]).cines[0])


def test_a_bitmap_of_several_frames_hides_in_its_own(tmp_path: Path) -> None:
    write_xa(tmp_path / "run")
    ds = dcmread(tmp_path / "run")
    bits = np.zeros((2, 64, 80), dtype=np.uint8)
    bits[0, 5], bits[1, 7] = 1, 1
    add_bitmap(ds, bits, first=2)
    ds.save_as(tmp_path / "run")

    display = Display.of(find_series([tmp_path]).cines[0])

    hidden = [np.flatnonzero(~display.visible(k).any(axis=1)).tolist() for k in range(4)]
    assert hidden == [[], [5], [7], []]


@pytest.mark.parametrize(
    ("shape", "photometric", "said"),
    [
        ("INVERSE", "MONOCHROME2", True),
        ("INVERSE", "MONOCHROME1", False),
        ("IDENTITY", "MONOCHROME2", False),
        (None, "MONOCHROME1", False),
    ],
)
def test_a_presentation_lut_that_contradicts_the_pixels_is_said_and_not_applied(
    shape: str | None, photometric: str, said: bool
) -> None:
    """PS3.3 C.8.11.3.1.2: INVERSE says of MONOCHROME1 what that says itself, so it inverts nothing more."""
    plain = header(PhotometricInterpretation=photometric)
    with_shape = header(PhotometricInterpretation=photometric, PresentationLUTShape=shape)

    mapping = DisplayMapping.from_dataset(with_shape)

    np.testing.assert_array_equal(mapping.table, DisplayMapping.from_dataset(plain).table)
    assert ("Presentation LUT INVERSE not applied" in mapping.describe()) is said


@pytest.mark.parametrize("signed", [0, 1])
def test_values_at_the_top_of_their_words_are_displayed_like_those_at_the_bottom(signed: int) -> None:
    bottom = header(PixelRepresentation=signed, WindowCenter=100, WindowWidth=900)
    top = header(PixelRepresentation=signed, WindowCenter=100, WindowWidth=900, HighBit=15)
    patterns = np.arange(4096, dtype=np.uint16)
    overlay = patterns % 16  # in the bits below

    mapping = DisplayMapping.from_dataset(top)

    np.testing.assert_array_equal(
        mapping.apply((patterns << 4) | overlay), DisplayMapping.from_dataset(bottom).apply(patterns)
    )
    assert "stored in bits 4 to 15" in mapping.describe()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_values_at_the_top_of_their_words_agree_with_dcmtk(tmp_path: Path, syntax: str) -> None:
    run = moving_frames(1, 64, 96, 12) << 4
    window = {"WindowCenter": 2000, "WindowWidth": 1500}
    path = write_xa(tmp_path / "a", run, syntax=syntax, BitsStored=12, HighBit=15, **window)
    dcmtk = find_program("dcmj2pnm", "dcmtk"), find_program("dcmdrle", "dcmtk")
    if syntax == RLELossless:
        subprocess.run([dcmtk[1], path, tmp_path / "b"], check=True, capture_output=True)
    source = tmp_path / ("b" if syntax == RLELossless else "a")
    picture = tmp_path / "a.png"
    subprocess.run([dcmtk[0], "+Wi", "1", "+on", source, picture], check=True, capture_output=True)
    (cine,) = find_series([path]).cines

    ours = to_stored(Display.of(cine).apply(0, next(iter_frames(cine))))

    # DCMTK truncates where we round, so a level may differ by one.
    assert np.abs(np.asarray(Image.open(picture), dtype=np.int32) - ours).max() <= 1
