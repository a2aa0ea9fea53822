"""The grain of a run, measured on frames whose noise is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from casgan_dicom.model.simulator.temporal_noise import fine_power, mean_changes, noise_in_time

SIZE = 160
FIELD = np.ones((SIZE, SIZE), dtype=np.bool_)


def recursive(share: float, sd: float = 3.0, frames: int = 6) -> np.ndarray:
    """White grain that keeps a share of the frame before, with the same deviation in every frame."""
    rng = np.random.default_rng(1)
    run = [rng.normal(0.0, sd, (SIZE, SIZE))]
    for _ in range(frames - 1):
        run.append(share * run[-1] + np.sqrt(1 - share**2) * rng.normal(0.0, sd, (SIZE, SIZE)))
    return np.stack(run)


def drifting_ramp(frames: int = 6) -> np.ndarray:
    """Anatomy: a broad slope with a soft wave that moves by 2 pixels a frame."""
    columns = np.arange(SIZE, dtype=np.float64)
    waves = [80 + 30 * np.sin((columns - 2 * t) / 25) for t in range(frames)]
    return np.broadcast_to(np.array(waves)[:, None, :], (frames, SIZE, SIZE)).copy()


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_correlation_and_deviation_of_known_grain_are_found(share: float) -> None:
    sd, lag1 = noise_in_time(recursive(share), FIELD)
    assert lag1 == pytest.approx(share, abs=0.03)
    assert sd == pytest.approx(3.0, rel=0.06)  # what is coarser than 2 pixels is left out: 3 %


def test_moving_anatomy_is_no_grain() -> None:
    still, moving = recursive(0.3), recursive(0.3) + drifting_ramp()
    np.testing.assert_allclose(noise_in_time(moving, FIELD), noise_in_time(still, FIELD), rtol=0.1)


def test_blades_are_no_grain() -> None:
    frames, field = recursive(0.0), FIELD.copy()
    field[:, :40] = False
    frames[::2, :, :36] += 100.0
    assert noise_in_time(frames, field)[0] == pytest.approx(3.0, rel=0.06)


@pytest.mark.parametrize(
    ("frames", "field"),
    [(recursive(0.0)[:2], FIELD), (recursive(0.0), ~FIELD), (np.zeros((6, SIZE, SIZE)), FIELD)],
    ids=["two frames", "no field", "no grain"],
)
def test_what_cannot_be_measured_is_nan(frames: np.ndarray, field: np.ndarray) -> None:
    assert np.isnan(noise_in_time(frames, field)).all()


def test_fine_power_of_white_noise_is_its_variance_and_a_filter_takes_it_away() -> None:
    white = recursive(0.0)[0]
    assert fine_power(white, FIELD) == pytest.approx(9.0, rel=0.1)
    assert fine_power(ndimage.gaussian_filter(white, 1.0), FIELD) < 0.9
    assert fine_power(white + drifting_ramp()[0], FIELD) == pytest.approx(9.0, rel=0.1)


def test_a_field_without_a_whole_tile_has_no_fine_power() -> None:
    assert np.isnan(fine_power(recursive(0.0)[0], ~FIELD))


def test_change_is_measured_within_the_field() -> None:
    frames, field = np.zeros((3, 8, 8)), np.zeros((8, 8), dtype=np.bool_)
    field[:4] = True
    frames[1, :4], frames[2, :4], frames[:, 4:] = 4.0, 10.0, 200.0
    np.testing.assert_allclose(mean_changes(frames, field), [4.0, 6.0])
