"""Pairs of runs that do not fit, one for every reason: what is refused and why, from frames to the verdict.

A patch of the background beats with a short vessel, the rest of the picture stands still. Lengths are pixels
of the toy frame of 128; those of the limits are twice as many.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from casgan_dicom.errors import SeriesError
from casgan_dicom.model.roadmap.placed import FRAME_REASONS, RUN_REASONS, FrameReason, PlacedRun
from casgan_dicom.model.roadmap.roadmap import Roadmap
from casgan_dicom.model.roadmap.run import Array, FloatImage, Mask, ReferenceRun, TargetRun

_SIZE, _RATE = 128, 15.0
_R_WAVES = (0.0, 0.8, 1.6, 2.4)
_PATCH = (slice(38, 92), slice(38, 96))
_ROWS, _COLUMNS = np.mgrid[:_SIZE, :_SIZE]


def _texture(seed: int) -> FloatImage:
    noise = np.random.default_rng(seed).normal(size=(_SIZE, _SIZE))
    smooth = ndimage.gaussian_filter(noise, 2.0, mode="wrap")
    return np.asarray(0.55 + 0.08 * smooth / smooth.std(), dtype=np.float32)


def _way(time: float) -> float:
    return float(4 * np.sin(2 * np.pi * (time % 0.8) / 0.8))


def _tree(time: float) -> Mask:
    centre = 65 + 8 * np.sin(_COLUMNS / 8) + _way(time)
    return np.asarray((np.abs(_ROWS - centre) < 2.5) & (_COLUMNS > 44) & (_COLUMNS < 90))


def _frame(
    time: float,
    *,
    seed: int = 1,
    heart: float = 0.0,
    sheared: float = 0.0,
    rest: float = 0.0,
    aside: int = 0,
) -> FloatImage:
    """A frame without contrast: `heart` and `rest` move the patch and what is around it down, `aside` moves
    what is around it to the right, `sheared` the patch down at its right edge and up at its left one."""
    picture = np.roll(_moved(_texture(seed), np.full(_SIZE, rest)), aside, axis=1)
    columns = np.arange(_SIZE) - 67
    picture[_PATCH] = _moved(_texture(seed), _way(time) + heart + sheared * columns / 31)[_PATCH]
    return picture


def _mixed(one: FloatImage, other: FloatImage, share: float) -> FloatImage:
    """Two layers of tissue, one of which is the other's `share` of the picture."""
    return np.asarray((1 - share) * one + share * other, dtype=np.float32)


def _moved(picture: FloatImage, down: Array) -> FloatImage:
    """A picture whose columns are moved down by so much each, (W,)."""
    places = [_ROWS - down[None, :], _COLUMNS]
    return np.asarray(ndimage.map_coordinates(picture, places, order=1, mode="grid-wrap"), dtype=np.float32)


def _times(count: int, rate: float = _RATE) -> list[float]:
    return [k / rate for k in range(count)]


def _roadmap(rate: float = _RATE, seen: Callable[[int], bool] = lambda _number: True) -> Roadmap:
    """Of two seconds; `seen` says in which of its frames the segmentor finds the vessel."""
    times = _times(round(2 * rate), rate)
    trees = [_tree(time) for time in times]
    frames = [_frame(time) * np.exp(-0.4 * tree) for time, tree in zip(times, trees, strict=True)]
    vessels = [tree.astype(np.float32) * seen(number) for number, tree in enumerate(trees)]
    return Roadmap.of(ReferenceRun(frames, vessels, [True] * len(times), times, _R_WAVES))


@pytest.fixture(scope="module")
def roadmap() -> Roadmap:
    return _roadmap()


def _run(
    roadmap: Roadmap, picture: Callable[[float], FloatImage] = _frame, *, ecg: bool = True, count: int = 10
) -> PlacedRun:
    times = _times(count)
    waves = _R_WAVES if ecg else None
    return roadmap.target(TargetRun(times, waves)).run(picture(time) for time in times)


def test_the_same_patient_at_rest_is_not_refused(roadmap: Roadmap) -> None:
    assert {placed.refused for placed in _run(roadmap)} == {None}
    assert {placed.refused for placed in _run(roadmap, ecg=False)} == {None}


_PROVOKED: dict[FrameReason, Callable[[float], FloatImage]] = {
    "background": lambda time: _frame(time, seed=9),
    "elsewhere": lambda time: _mixed(_frame(time), _frame(time, heart=10.0), 0.7),
    "displaced": lambda time: _frame(time, aside=4),
    "blocks": lambda time: _frame(time, heart=2.5, sheared=6.0),
}
"""What is seen in place of the patient at rest, by why it is refused."""


@pytest.mark.parametrize("reason", _PROVOKED)
def test_a_frame_is_refused_for_what_it_shows(roadmap: Roadmap, reason: FrameReason) -> None:
    run = _run(roadmap, lambda time: _PROVOKED[reason](time) if time > 0.5 else _frame(time))

    assert {placed.refused for placed in run.placed[:5]} == {None}
    assert reason in {placed.refused for placed in run.placed[-2:]}


def test_a_phase_that_no_filled_frame_shows_is_refused() -> None:
    """At 3.75 frames a second each beat of 0.8 s shows the same three phases."""
    times = [0.0, 0.8 / 6]
    matcher = _roadmap(3.75).target(TargetRun(times, _R_WAVES))

    assert [placed.refused for placed in matcher.stream(map(_frame, times))] == [None, "gap"]


def test_a_phase_that_the_pictures_hardly_tell_is_refused(roadmap: Roadmap) -> None:
    """With an ECG the same frames are not."""
    told, estimated = (
        _run(roadmap, lambda time: _mixed(_frame(time), _texture(9), 0.45), ecg=ecg) for ecg in (True, False)
    )

    assert {placed.refused for placed in told} == {None}
    assert {"phase"} <= {placed.refused for placed in estimated} <= {"phase", "run"}
    assert estimated.verdict.reasons == ("frames", "ecg")


def test_a_run_of_somebody_else_is_refused_with_the_frames_that_look_alike(roadmap: Roadmap) -> None:
    run = _run(roadmap, lambda time: _frame(time, seed=9) if time > 0.1 else _frame(time))

    assert run.verdict.reasons == ("frames", "view")
    assert run.placed[0].refused == "run"
    assert all(placed.depth is None for placed in run)


def test_a_reference_whose_vessels_come_and_go_is_refused() -> None:
    assert len(_roadmap(seen=lambda number: number % 3 > 0).frames) == 20
    with pytest.raises(SeriesError, match=r"vessels are found in only 10 of its 28 filled frames"):
        _roadmap(seen=lambda number: number % 3 == 0)


def test_a_run_whose_catheter_is_not_seen_in_the_artery_is_refused(roadmap: Roadmap) -> None:
    """Eight frames are asked about, each with its tree; nobody who can tell is no reason."""
    asked: list[tuple[FloatImage, Mask]] = []

    def engaged(frames: FloatImage, trees: Mask) -> float:
        asked.append((frames, trees))
        return evidence

    times = _times(20)
    for evidence in (-0.1, 0.1):
        run = roadmap.target(TargetRun(times, _R_WAVES)).run(map(_frame, times), engaged)
        assert run.verdict.reasons == (("artery",) if evidence < 0 else ())
        assert run.verdict.engaged == evidence
        assert {placed.refused for placed in run} == ({"run"} if evidence < 0 else {None})
    frames, trees = asked[0]
    assert frames.shape == trees.shape == (8, _SIZE, _SIZE)
    assert np.array_equal(frames[-1], _frame(times[-1]))
    true = _tree(times[-1])
    assert 2 * (trees[-1] & true).sum() / (trees[-1].sum() + true.sum()) > 0.85
    unsure = roadmap.target(TargetRun(times, _R_WAVES)).run(map(_frame, times), lambda *_: None)
    assert unsure.verdict.reasons == ()
    assert unsure.verdict.engaged is None


def test_the_catheter_is_looked_for_where_frames_are_accepted(roadmap: Roadmap) -> None:
    """Of a run that is refused already nobody is asked."""
    shown: list[int] = []

    def engaged(frames: FloatImage, _trees: Mask) -> float:
        shown.append(len(frames))
        return 1.0

    times = _times(20)
    pictures = [_frame(time, seed=9 if number < 3 else 1) for number, time in enumerate(times)]
    assert not roadmap.target(TargetRun(times, _R_WAVES)).run(pictures, engaged).verdict.refused
    assert shown == [6]  # of frames 0, 2, 5, 8, 10, 13, 16 and 19
    others = (_frame(time, seed=9) for time in times)
    assert roadmap.target(TargetRun(times, _R_WAVES)).run(others, engaged).verdict.refused
    assert shown == [6]


def test_every_reason_is_provoked_here() -> None:
    """But for "moved", which test_matcher.py tells of the figures: along the patient no shift comes that far
    without another reason, and this heart does not beat to the side."""
    assert {*_PROVOKED, "gap", "phase", "run", "moved"} == set(FRAME_REASONS)
    assert {"frames", "view", "ecg", "artery"} == set(RUN_REASONS)
