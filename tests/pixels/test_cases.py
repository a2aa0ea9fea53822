"""Small files that stand for situations people reported; skipped where they are not at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.conversion.inspection import inspect
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.lossy import lossy_history
from tests.support.cines import cine_of, shown


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("02-explicit-said-implicit", "the data set is in 'Explicit VR Little Endian': read as it is"),
        ("03-padded-odd-frames", "read as 1 of padding behind each frame"),
        ("08-baseline-as-lossless", "which has lost information"),
        ("10-offset-per-fragment", "Basic Offset Table"),
        ("11-no-sequence-delimiter", "ends without its sequence delimiter"),
        ("12-voi-lut-depth", "says 16 bits, its values go up to 4095: read as 12 bits"),
    ],
)
def test_what_was_read_otherwise_than_the_file_says_is_said(cases: Path, case: str, said: str) -> None:
    (cine,) = inspect([cases / case]).cines

    assert cine.converted
    assert said in " ".join(cine.warnings)


def test_white_of_near_lossless_jpeg_ls_stays_white(cases: Path) -> None:
    frames = np.stack(list(iter_frames(cine_of(cases / "01-jpegls-overshoot" / "in.dcm"))))

    assert frames.max() == 1023
    assert (frames == 1023).sum() >= 1340


def test_a_baseline_stream_is_lossy_under_a_lossless_name(cases: Path) -> None:
    history = lossy_history(cine_of(cases / "08-baseline-as-lossless" / "in.dcm"))

    assert (history.lossy, history.methods) == (True, ("ISO_10918_1",))
    assert history.ratios[0] > 1


def test_padded_odd_frames_stand_still(cases: Path) -> None:
    """Their border does not move; read without the padding, every frame is one pixel further."""
    frames = np.stack(list(iter_frames(cine_of(cases / "03-padded-odd-frames" / "in.dcm"))))

    still = np.abs(np.diff(frames.astype(int), axis=0)) == 0
    assert still.mean() > 0.5


def test_a_voi_lut_of_twelve_bits_reaches_white(cases: Path) -> None:
    assert shown(cases / "12-voi-lut-depth" / "in.dcm").max() > 0.5
