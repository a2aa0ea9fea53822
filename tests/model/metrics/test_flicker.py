"""Flicker against loops, closed forms, and the motion that the simulator knows."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.model.metrics.flicker import (
    background_flicker,
    score_flicker,
    steadiness,
    warping_error,
)
from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from tests.model.simulator.phantom import WaterBaths

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def cine() -> SimulatedCine:
    """Nothing flows back into the aortic root in this one: that would flicker, too."""
    run = simulate_cine(2, CineSettings(size=128, frames=40), WaterBaths(), indices=range(24, 30))
    assert run.run.injection.reflux == 0
    return run


def texture(seed: int, shape: tuple[int, int, int]) -> Frames:
    return np.random.default_rng(seed).uniform(0.1, 0.9, shape).astype(np.float32)


def moving_bar(frames: int = 4, step: int = 2) -> tuple[Masks, Array]:
    """A vertical bar, 3 px wide, that moves right by `step` px a frame, and points along its middle."""
    masks = np.zeros((frames, 40, 40), dtype=bool)
    tracks = np.zeros((frames, 20, 2))
    for t in range(frames):
        masks[t, 10:30, 9 + step * t : 12 + step * t] = True
        tracks[t] = np.stack([np.full(20, 10.0 + step * t), np.arange(10.0, 30.0)], axis=1)
    return masks, tracks


def bilinear(image: Frames, row: float, column: float) -> float:
    r, c = math.floor(row), math.floor(column)
    v, u = row - r, column - c
    upper = (1 - u) * float(image[r, c]) + u * float(image[r, c + 1])
    lower = (1 - u) * float(image[r + 1, c]) + u * float(image[r + 1, c + 1])
    return (1 - v) * upper + v * lower


def test_what_moves_along_with_the_vessel_has_no_warping_error() -> None:
    masks, tracks = moving_bar()
    frames = np.stack([np.roll(texture(1, (1, 40, 40))[0], 2 * t, axis=1) for t in range(4)])
    assert warping_error(frames, masks, tracks) == pytest.approx(0, abs=1e-7)
    assert warping_error(frames, masks, np.zeros_like(tracks)) > 0.05, "wrong motion"


def test_warping_error_of_a_brightness_that_jumps_is_the_jump() -> None:
    masks, tracks = moving_bar(frames=3)
    frames = np.broadcast_to(np.array([0.2, 0.5, 0.4], np.float32)[:, None, None], (3, 40, 40))
    assert warping_error(frames, masks, tracks) == pytest.approx((0.3 + 0.1) / 2)


def test_warping_error_agrees_with_a_loop_over_pixels() -> None:
    masks, tracks = moving_bar(frames=3)
    rng = np.random.default_rng(2)
    tracks = tracks + np.cumsum(rng.uniform(-0.6, 0.6, tracks.shape), axis=0)
    masks[2, :20] = False  # the agent leaves the upper half
    frames = texture(3, masks.shape)

    changes = []
    for t in range(2):
        for row, column in np.argwhere(masks[t]):
            nearest = np.argmin([math.dist((column, row), point) for point in tracks[t]])
            dx, dy = tracks[t + 1][nearest] - tracks[t][nearest]
            if masks[t + 1][round(row + dy), round(column + dx)]:
                later = bilinear(frames[t + 1], row + dy, column + dx)
                changes.append(abs(float(frames[t][row, column]) - later))

    assert len(changes) > 20
    assert warping_error(frames, masks, tracks) == pytest.approx(np.mean(changes), abs=1e-6)


def test_a_vessel_that_leaves_the_picture_does_not_count() -> None:
    masks, tracks = moving_bar(frames=2)
    tracks[1, :, 0] += 100
    assert math.isnan(warping_error(texture(4, masks.shape), masks, tracks))


def test_background_flicker_agrees_with_a_loop_over_pixels() -> None:
    images, plain = texture(5, (4, 8, 9)), texture(6, (4, 8, 9))
    where = np.random.default_rng(7).random((8, 9)) < 0.5
    variances = [np.var(images[:, r, c].astype(float) - plain[:, r, c]) for r, c in np.argwhere(where)]
    assert background_flicker(images, plain, where) == pytest.approx(math.sqrt(np.mean(variances)))


def test_steadiness_is_the_mean_dice_of_neighbours_that_show_anything() -> None:
    masks = np.zeros((5, 4, 4), dtype=bool)
    masks[2, 0] = masks[3, 0] = masks[3, 1] = True  # empty, empty, 4 px, 8 px, empty
    assert steadiness(masks) == pytest.approx((0 + 2 * 4 / 12 + 0) / 3)
    assert steadiness(masks[2:3].repeat(3, axis=0)) == 1
    assert math.isnan(steadiness(masks[:2]))


def test_the_truth_is_as_steady_as_itself(cine: SimulatedCine) -> None:
    plain, contrast = cine.display(cine.plain), cine.display(cine.contrast)

    scores = score_flicker(
        contrast, cine.vessel_mask, plain, contrast, cine.vessel_mask, cine.vessel_tracks()
    )

    assert scores.background_ratio == 1
    assert scores.steadiness == scores.true_steadiness
    assert 0 < scores.steadiness < 1, "the heart beats"
    assert scores.warping_excess == 0
    assert scores.warping_error > 0, "noise and what lies behind"


def test_other_vessels_in_each_frame_are_seen_as_flicker(cine: SimulatedCine) -> None:
    plain, contrast = cine.display(cine.plain), cine.display(cine.contrast)
    drawn = np.stack([np.roll(mask, 9 * (t % 2), axis=1) for t, mask in enumerate(cine.vessel_mask)])
    images = np.where(drawn, plain - np.float32(0.2), plain)

    jumping = score_flicker(images, drawn, plain, contrast, cine.vessel_mask, cine.vessel_tracks())

    assert jumping.background_ratio > 2
    assert jumping.steadiness < 0.5 * jumping.true_steadiness
    assert jumping.warping_excess > 0.02


def test_the_input_itself_does_not_flicker_and_draws_nothing(cine: SimulatedCine) -> None:
    plain, contrast = cine.display(cine.plain), cine.display(cine.contrast)

    scores = score_flicker(plain, np.zeros_like(cine.vessel_mask), plain, contrast, cine.vessel_mask)

    assert scores.background_flicker == scores.background_ratio == 0
    assert math.isnan(scores.steadiness)
    assert math.isnan(scores.warping_error), "no known motion was given"
    assert math.isnan(scores.warping_excess)


def test_the_ratio_is_undefined_where_the_truth_does_not_change() -> None:
    masks, _ = moving_bar()
    plain = texture(8, masks.shape)
    scores = score_flicker(texture(9, masks.shape), masks, plain, plain, masks)
    assert scores.background_flicker > 0.1
    assert math.isnan(scores.background_ratio)


def test_the_background_is_what_lies_apart_from_every_vessel_of_the_cine() -> None:
    masks, _ = moving_bar()
    plain = texture(10, masks.shape)
    way = [(row, column) for row in range(10, 30) for column in range(9, 18)]
    near = [[min(math.dist(p, (r, c)) for p in way) <= 3 for c in range(40)] for r in range(40)]
    images = np.where(near, plain + texture(11, masks.shape), plain)
    assert score_flicker(images, masks, plain, plain, masks).background_flicker == 0

    images[:, 20, 21] += np.array([0, 0.5, 0, 0.5], np.float32)  # four pixels right of the bar's last place

    expected = 0.25 / math.sqrt(40 * 40 - np.count_nonzero(near))
    scores = score_flicker(images, masks, plain, plain, masks)
    assert scores.background_flicker == pytest.approx(expected, rel=1e-5)


def test_one_frame_does_not_flicker_in_any_defined_way() -> None:
    masks, tracks = moving_bar(frames=1)
    frames = texture(12, masks.shape)
    scores = score_flicker(frames, masks, frames, frames, masks, tracks)
    assert all(math.isnan(value) for value in vars(scores).values())


def test_shapes_that_differ_are_refused() -> None:
    masks, tracks = moving_bar()
    frames = texture(13, masks.shape)
    with pytest.raises(ValueError, match="equal shapes"):
        score_flicker(frames[:3], masks, frames, frames, masks)
    with pytest.raises(ValueError, match="tracks"):
        score_flicker(frames, masks, frames, frames, masks, tracks[:3])
    with pytest.raises(ValueError, match="equal shapes"):
        score_flicker(frames[0], masks[0], frames[0], frames[0], masks[0])


def test_tracks_run_along_the_vessels_that_are_drawn(cine: SimulatedCine) -> None:
    """Every pixel of the rendered centreline holds a track point, in each frame."""
    tracks = cine.vessel_tracks()
    assert tracks.shape[0] == 6
    for line, points in zip(cine.centreline, tracks, strict=True):
        held = {tuple(p) for p in np.rint(points).astype(int)}
        assert line.any()
        assert all((column, row) in held for row, column in np.argwhere(line))


def test_the_known_motion_explains_how_the_vessels_change(cine: SimulatedCine) -> None:
    """The path through the vessels hardly changes along the tracks, and a lot at a fixed place."""
    thickness = np.clip(cine.vessel_mm / 10, 0, 1).astype(np.float32)
    tracks = cine.vessel_tracks()
    known = warping_error(thickness, cine.vessel_mask, tracks)
    ignored = warping_error(thickness, cine.vessel_mask, np.zeros_like(tracks))
    assert known < 0.4 * ignored
