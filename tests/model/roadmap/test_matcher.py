"""A toy run laid over another one, and everything that makes a frame or a run be refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from casgan_dicom.errors import SeriesError
from casgan_dicom.model.roadmap.confidence import (
    LARGEST_GAP_S,
    MOST_DISPLACED_PX,
    MOST_SPREAD_PX,
    refusal,
    run_verdict,
)
from casgan_dicom.model.roadmap.placed import FRAME_REASONS, RUN_REASONS, Confidence, compose
from casgan_dicom.model.roadmap.roadmap import Roadmap
from casgan_dicom.model.roadmap.run import FloatImage, Mask, ReferenceRun, TargetRun

_SIZE, _RATE = 128, 15.0
_R_WAVES = (0.0, 0.8, 1.6, 2.4)


def _texture(seed: int) -> FloatImage:
    noise = np.random.default_rng(seed).normal(size=(_SIZE + 40, _SIZE + 40))
    smooth = ndimage.gaussian_filter(noise, 2.0)
    return np.asarray(0.55 + 0.08 * smooth / smooth.std(), dtype=np.float32)


def _way(time: float) -> float:
    """Rows that the heart has moved, by its phase."""
    return float(5 * np.sin(2 * np.pi * (time % 0.8) / 0.8))


def _tree(time: float) -> Mask:
    rows, columns = np.mgrid[:_SIZE, :_SIZE]
    centre = 60 + 12 * np.sin(columns / 20) + _way(time)
    return np.asarray((np.abs(rows - centre) < 2.5) & (columns > 25) & (columns < 105))


def _frame(time: float, *, seed: int = 1, filled: bool = False, aside: float = 0.0) -> FloatImage:
    whole = ndimage.shift(_texture(seed), (_way(time) + aside, aside), order=1, mode="nearest")
    frame = whole[20:-20, 20:-20]
    drawn = frame * np.exp(-0.4 * _tree(time)) if filled else frame
    return np.asarray(np.clip(drawn, 0, 1), dtype=np.float32)


def _times(count: int) -> list[float]:
    return [k / _RATE for k in range(count)]


def _reference(count: int = 30, *, r_waves: tuple[float, ...] | None = _R_WAVES) -> ReferenceRun:
    times = _times(count)
    frames = np.stack([_frame(time, filled=True) for time in times])
    vessels = np.stack([_tree(time).astype(np.float32) for time in times])
    return ReferenceRun(frames, vessels, [True] * count, times, r_waves)


@pytest.fixture(scope="module")
def roadmap() -> Roadmap:
    return Roadmap.of(_reference())


def _target(count: int = 10, **known: object) -> TargetRun:
    return replace(TargetRun(_times(count), _R_WAVES), **known)  # type: ignore[arg-type]


def test_every_frame_gets_the_vessels_of_its_phase(roadmap: Roadmap) -> None:
    times = _times(10)
    run = roadmap.target(_target()).run(_frame(time) for time in times)

    assert not run.verdict.refused
    assert run.verdict.accepted == len(run) == 10
    for placed, time in zip(run, times, strict=True):
        vessels, depth = placed.vessels, placed.depth
        assert vessels is not None
        assert depth is not None
        true = _tree(time)
        assert 2 * (vessels & true).sum() / (vessels.sum() + true.sum()) > 0.85
        drawn = compose(_frame(time), depth, roadmap.scale)
        assert np.array_equal(drawn[depth == 0], _frame(time)[depth == 0])
        assert placed.phase_by == "ECG"
        assert placed.moved_mm is None  # no scale is known


def test_vessels_go_on_where_a_phase_lies_between_two_frames_of_the_reference(roadmap: Roadmap) -> None:
    times = [time + 0.5 / _RATE for time in _times(10)]
    run = roadmap.target(TargetRun(times, _R_WAVES)).run(_frame(time) for time in times)

    assert run.verdict.accepted >= 9  # here the whole background beats, and may be told to lie elsewhere
    for placed, time in zip(run, times, strict=True):
        vessels, true = placed.vessels, _tree(time)
        if vessels is None:
            continue
        assert placed.confidence.phase_gap_s == pytest.approx(0.5 / _RATE)
        assert 2 * (vessels & true).sum() / (vessels.sum() + true.sum()) > 0.85


def test_a_stream_says_the_same_frame_by_frame_where_nothing_is_to_come(roadmap: Roadmap) -> None:
    times = _times(10)
    matcher = roadmap.target(_target())
    first = next(matcher.stream(_frame(time) for time in times))

    assert first.refused is None
    assert matcher.verdict.frames == 1  # the second frame has not been read


def test_a_table_that_both_headers_tell_is_followed() -> None:
    roadmap = Roadmap.of(replace(_reference(), table_mm=(0.0, 0.0), pixel_mm=0.5))
    target = _target(3, table_mm=(3.0, 3.0), pixel_mm=0.5)
    run = roadmap.target(target).run(_frame(time, aside=6.0) for time in _times(3))

    assert run.placed[0].table_px == (6.0, 6.0)
    assert run.placed[0].table_moved_mm == pytest.approx(np.hypot(3, 3))
    assert run.placed[0].refused is None


def test_without_an_ecg_the_phase_is_estimated_and_said_so(roadmap: Roadmap) -> None:
    run = roadmap.target(_target(r_waves_s=None)).run(_frame(time) for time in _times(10))

    assert {placed.phase_by for placed in run} == {"images"}
    assert {placed.confidence.phase_gap_s for placed in run} == {None}


def test_somebody_else_is_refused_and_nothing_is_laid_over_his_frames(roadmap: Roadmap) -> None:
    run = roadmap.target(_target()).run(_frame(time, seed=9) for time in _times(10))

    assert run.verdict.refused
    assert {"frames", "view"} <= set(run.verdict.reasons)
    assert all(placed.depth is None and placed.vessels is None for placed in run)


def test_a_pan_that_no_header_tells_is_refused(roadmap: Roadmap) -> None:
    run = roadmap.target(_target()).run(_frame(time, aside=15.0) for time in _times(10))

    assert all(placed.refused is not None for placed in run)


def test_a_frame_is_refused_for_every_reason() -> None:
    good = Confidence(0.9, 0.9, 0.5, 9, 1.0, 0.01)
    cases = {
        "gap": (replace(good, phase_gap_s=LARGEST_GAP_S + 0.01), (0.0, 0.0), "ECG"),
        "background": (replace(good, background=0.1), (0.0, 0.0), "ECG"),
        "phase": (replace(good, background=0.6, phase_gap_s=None), (0.0, 0.0), "images"),
        "displaced": (replace(good, displaced_px=MOST_DISPLACED_PX + 0.1), (0.0, 0.0), "ECG"),
        "moved": (good, (9.0, 0.0), "ECG"),
        "elsewhere": (replace(good, background=0.6), (0.0, 0.0), "ECG"),
        "blocks": (replace(good, spread_px=MOST_SPREAD_PX + 1), (2.0, 0.0), "ECG"),
    }

    assert refusal(good, (0.0, 0.0), "ECG") is None
    for reason, (confidence, shift, phase_by) in cases.items():
        assert refusal(confidence, shift, phase_by) == reason  # type: ignore[arg-type]
    assert {*cases, "run"} == set(FRAME_REASONS)


def test_a_run_is_refused_for_every_reason() -> None:
    assert run_verdict(10, {"gap": 2}, "ECG").reasons == ()
    assert run_verdict(10, {"gap": 9}, "ECG").reasons == ("frames",)
    assert run_verdict(10, {"background": 9}, "ECG").reasons == ("frames", "view")
    assert run_verdict(10, {"phase": 9}, "images").reasons == ("frames", "ecg")
    assert set(RUN_REASONS) == {"frames", "view", "ecg", "artery"}


def test_a_reference_that_is_not_filled_for_a_beat_is_refused() -> None:
    with pytest.raises(SeriesError, match="want a heart beat"):
        Roadmap.of(_reference(6))
    dry = replace(_reference(12), filled=[False] * 12)
    with pytest.raises(SeriesError, match="no filled vessel"):
        Roadmap.of(dry)


def test_runs_that_do_not_fit_together_are_named(roadmap: Roadmap) -> None:
    with pytest.raises(ValueError, match="visible of the target"):
        roadmap.target(_target(visible=np.ones((4, 4), dtype=np.bool_)))
    with pytest.raises(ValueError, match="frame 0 of the target has shape"):
        roadmap.target(_target()).run([np.zeros((4, 4), np.float32)])
    with pytest.raises(ValueError, match="1 times"):
        roadmap.target(_target(1)).run(_frame(time) for time in _times(2))
    with pytest.raises(ValueError, match="table_mm"):
        Roadmap.of(replace(_reference(), table_mm=np.zeros((3, 2)), pixel_mm=1.0))


def test_a_wire_that_was_there_before_the_contrast_is_no_vessel() -> None:
    """The segmentor marks it only once vessels are filled."""
    wire = np.zeros((_SIZE, _SIZE), dtype=np.bool_)
    wire[10:118, 110:114] = True
    times = _times(34)
    frames = np.stack(
        [_frame(t, filled=k > 3) * np.where(wire, np.float32(0.75), 1) for k, t in enumerate(times)]
    )
    vessels = np.stack([(_tree(t) | wire).astype(np.float32) * (k > 3) for k, t in enumerate(times)])
    roadmap = Roadmap.of(
        ReferenceRun(frames.astype(np.float32), vessels, [k > 3 for k in range(34)], times, _R_WAVES)
    )

    kept = roadmap.layer(roadmap.frames[0]).mask_at((0.0, 0.0))

    assert kept[:, :100].any()
    assert kept[wire].mean() < 0.05
