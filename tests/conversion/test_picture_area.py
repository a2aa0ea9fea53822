"""Blades that are burned into the pixels: nothing is drawn where a run has no picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.pixels.utils import pixel_array

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.picture_area import ALL_BLACK, PictureArea
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.report import Output
from casgan_dicom.model.atlas.plan import RunPlan
from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.model.drawing import Frames, Synthesis
from tests.support.factories import moving_frames, write_xa
from tests.support.painter import DiscPainter


class Flood(DiscPainter):
    """Makes every pixel lighter by a fifth of the display, whatever is there."""

    def __call__(
        self,
        frames: Frames,
        levels: Levels | None = None,
        _plan: RunPlan | None = None,
        _numbers: Sequence[int] | None = None,
    ) -> Synthesis:
        """Draw everywhere."""
        assert levels is not None
        attention = np.ones_like(frames) if self.with_attention else None
        return Synthesis(np.clip(frames + np.float32(0.2), 0, 1), attention)


def flooded(folder: Path, frames: np.ndarray, *, with_attention: bool = True) -> tuple[np.ndarray, Output]:
    """Pixels of the derived cine, without a banner, and what the report says."""
    source = write_xa(folder / "in" / "a", frames)
    painter = Flood(with_attention=with_attention)
    (output,) = convert_series(
        [source], painter.as_generator, ConvertOptions(banner=False), folder / "out"
    ).outputs
    return pixel_array(output.path), output


def bladed(count: int = 6) -> np.ndarray:
    """A run of 64 × 80 with a black blade of 9 columns, and one of 7 rows that opens in the last frame."""
    frames = np.clip(moving_frames(count), 40, 255).astype(np.uint8)
    lit = frames[-1, :7].copy()
    frames[:, :, :9] = 3
    frames[:, :7] = 2
    frames[-1, :7, 9:] = lit[:, 9:]
    return frames


@pytest.mark.parametrize("with_attention", [True, False])
def test_blades_stay_byte_for_byte_and_the_picture_beside_them_is_drawn_in(
    tmp_path: Path, *, with_attention: bool
) -> None:
    frames = bladed()

    made, output = flooded(tmp_path, frames, with_attention=with_attention)

    np.testing.assert_array_equal(made[:, :, :9], frames[:, :, :9])
    assert (made[:, 7:, 9:] > frames[:, 7:, 9:]).mean() > 0.9
    assert (made[:, :7, 9:] > frames[:, :7, 9:]).mean() > 0.9  # it opened once: there is a picture
    assert output.untouched_share == pytest.approx((made == frames).mean())
    assert ALL_BLACK not in output.warnings


def test_a_dark_place_inside_the_picture_is_picture() -> None:
    frames = np.full((3, 12, 12), 0.5, np.float32)
    frames[:, 4:7, 4:7] = 0.0
    frames[:, :, :2] = 0.0
    area = PictureArea()

    assert len(list(area.passing(frames))) == 3

    expected = np.ones((12, 12), bool)
    expected[:, :2] = False
    np.testing.assert_array_equal(area.mask(), expected)
    assert frames[0, 0, 0] == 0  # the frames were not written to


def test_a_run_without_any_picture_is_said(tmp_path: Path) -> None:
    frames = np.full((4, 64, 80), 2, np.uint8)
    frames[:, 30, 40] = 9  # no constant run; darker than any picture all the same

    made, output = flooded(tmp_path, frames)

    np.testing.assert_array_equal(made, frames)
    assert ALL_BLACK in output.warnings


def test_an_area_of_no_frames_is_an_error() -> None:
    with pytest.raises(ValueError, match="no frame of the run has passed"):
        PictureArea().mask()
