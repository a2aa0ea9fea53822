"""Which frames already show opacified vessels: the judgement by hand, and shipped segmentors on runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.conversion.opacification import (
    LASTING_AT_MOST,
    ContrastCheck,
    Opacification,
    judge,
    look_every,
)
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE, shipped_bundles
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import DisplayMapping
from casgan_dicom.source.series import find_series
from tests.model.clips import KINDS, Kind, make_clip

Frames = npt.NDArray[np.float32]

RISES = st.integers(0, 45).map(lambda k: k and k * 0.001 + 0.0004)
"""Cover above the catheter's, never so near a limit that adding the catheter's rounds it to beyond."""
RUNS = st.lists(RISES, min_size=1, max_size=60)
ALL_VISIBLE = np.ones((8, 8), np.bool_)


def percent(*values: float) -> list[float]:
    return [value / 100 for value in values]


FILLING = percent(0.6, 1.1, 1.9, 2.8, 3.1, 3.3, 3.2)
RUN_BY_HAND: dict[str, tuple[list[float], list[bool]]] = {
    "nothing at all": (percent(*[0] * 12), [False] * 12),
    "a catheter throughout": (percent(*[0.9, 1.1, 0.9, 1.0] * 3), [False] * 12),
    "an injection inside the run": (percent(*[0.1] * 6) + FILLING, [False] * 6 + [True] * 7),
    "an injection beside a catheter": (
        percent(*[0.7] * 6) + [c + 0.007 for c in FILLING],
        [False] * 6 + [True] * 7,
    ),
    "filled throughout": (percent(*[3.1, 2.7, 3.3, 2.9] * 3), [True] * 12),
    "washed out to nothing": (FILLING[::-1] + percent(*[0.1] * 6), [True] * 7 + [False] * 6),
    "a flash of one frame": (percent(0, 0, 0, 0, 30, 0, 0, 0, 0), [False] * 9),
    "a faint start before the exposure settles": (
        percent(*[0.65] * 4, *[0.1] * 8) + FILLING,
        [False] * 12 + [True] * 7,
    ),
    "a first drop that is not yet a vessel": (
        percent(*[0.1] * 6, 0.3) + FILLING,
        [False] * 7 + [True] * 7,
    ),
    "a second injection, smaller than the first": (
        percent(*[0.1] * 6) + FILLING + percent(*[0.1] * 3, *[1.2] * 3, *[0.1] * 3),
        [False] * 6 + [True] * 7 + [False] * 3 + [True] * 3 + [False] * 3,
    ),
    "one frame with vessels": (percent(2.6), [True]),
    "one frame with a catheter": (percent(1.0), [False]),
    "two frames with vessels": (percent(2.6, 2.4), [True, True]),
    "no frame": ([], []),
}


@pytest.mark.parametrize("name", RUN_BY_HAND)
def test_runs_are_judged_as_a_reader_would(name: str) -> None:
    cover, wanted = RUN_BY_HAND[name]

    assert judge(cover) == tuple(wanted)


@given(RUNS)
def test_every_frame_gets_a_verdict_and_the_way_of_time_does_not_matter(cover: list[float]) -> None:
    verdict = judge(cover)

    assert len(verdict) == len(cover)
    assert judge(cover[::-1]) == verdict[::-1]


@given(st.lists(st.floats(0, 0.0049), min_size=1, max_size=60))
def test_a_run_with_little_cover_has_no_contrast(cover: list[float]) -> None:
    assert not any(judge(cover))


@given(st.lists(st.floats(0.02, 0.06), min_size=1, max_size=60))
def test_a_run_with_much_cover_in_every_frame_is_opacified_throughout(cover: list[float]) -> None:
    assert all(judge(cover))


@given(RUNS, st.floats(0, LASTING_AT_MOST))
def test_a_catheter_that_lies_there_all_the_time_changes_nothing(rises: list[float], catheter: float) -> None:
    cover = [0.0] * (1 + len(rises) // 10) + rises  # empty frames from which the run knows its catheter

    assert judge([rise + catheter for rise in cover]) == judge(cover)


@given(st.lists(st.integers(0, 64), min_size=1, max_size=20), st.data())
def test_the_batches_that_frames_come_in_do_not_matter(marked: list[int], data: st.DataObject) -> None:
    maps = np.stack([marks(count) for count in marked])
    at = data.draw(st.integers(0, len(marked)))
    pieces = ContrastCheck()

    pieces.add(maps[:at], ALL_VISIBLE)
    pieces.add(maps[at:], np.broadcast_to(ALL_VISIBLE, maps[at:].shape))

    assert pieces.result() == judged(maps, ALL_VISIBLE)
    assert pieces.result().cover == tuple(count / 64 for count in marked)


def test_frames_between_two_looks_follow_the_look_that_found_contrast() -> None:
    every_third = ContrastCheck(every=3)
    every_third.add(np.stack([marks(count) for count in (0, 0, 32, 64, 0, 0)]), ALL_VISIBLE)

    said = every_third.result(17)

    assert said.opacified == (False,) * 4 + (True,) * 8 + (False,) * 5
    assert said.cover[6:10] == pytest.approx((0.5, 0.5 + 0.5 / 3, 0.5 + 1 / 3, 1))
    assert said.cover[-2:] == (0, 0)


@given(st.lists(st.integers(0, 64), max_size=12), st.integers(1, 5), st.integers(0, 4))
def test_a_frame_that_was_looked_at_keeps_its_verdict(marked: list[int], every: int, left: int) -> None:
    contrast = ContrastCheck(every)
    for count in marked:
        contrast.add(marks(count)[None], ALL_VISIBLE)
    frames = max(0, len(marked) * every - left % every)

    said = contrast.result(frames)

    looked_at = judge([count / 64 for count in marked])
    assert len(said.opacified) == len(said.cover) == frames
    assert said.opacified[::every] == looked_at
    assert said.cover[::every] == pytest.approx(tuple(count / 64 for count in marked))


@pytest.mark.parametrize(("taken", "every", "frames"), [(3, 2, 7), (3, 2, 4), (3, 1, 4), (3, 2, None)])
def test_looks_that_do_not_fit_the_run_are_refused(taken: int, every: int, frames: int | None) -> None:
    contrast = ContrastCheck(every)
    contrast.add(np.zeros((taken, 8, 8), np.float32), ALL_VISIBLE)

    with pytest.raises(ValueError, match=f"3 frames taken, .* step {every} "):
        contrast.result(frames)


def test_a_check_that_looks_at_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="every is 0"):
        ContrastCheck(every=0)


@pytest.mark.parametrize(
    ("frame_rate", "every"),
    [
        (1000 / 66.667, 2),
        *[(4.0, 1), (7.5, 1), (12.5, 1), (15.0, 2), (25.0, 3), (30.0, 4), (1000 / 33, 4)],
        *[(None, 1), (0.0, 1), (float("nan"), 1), (float("inf"), 1), (1e9, 1)],
    ],
)
def test_at_least_seven_frames_of_a_second_are_looked_at(frame_rate: float | None, every: int) -> None:
    assert look_every(frame_rate) == every


def test_what_lies_behind_a_shutter_does_not_count() -> None:
    maps = np.stack([marks(32), marks(64)])
    lower_half = np.arange(64).reshape(8, 8) >= 32
    each_its_own = np.stack([lower_half, ~lower_half])

    assert judged(maps, lower_half).cover == (0.0, 1.0)
    assert judged(maps, each_its_own).cover == (0.0, 1.0)
    assert judged(maps, ~lower_half).cover == (1.0, 1.0)


def test_a_frame_that_is_covered_whole_shows_nothing() -> None:
    assert judged(np.stack([marks(64)]), ~ALL_VISIBLE) == Opacification((False,), (0.0,))


def test_a_check_without_frames_says_nothing() -> None:
    assert ContrastCheck().result() == Opacification((), ())


@pytest.mark.parametrize(
    ("maps", "visible", "message"),
    [
        (np.zeros((8, 8), np.float32), ALL_VISIBLE, r"shape \(T, H, W\)"),
        (np.zeros((2, 8, 8), np.float32), np.ones((3, 8, 8), np.bool_), r"\(3, 8, 8\)"),
        (np.zeros((2, 8, 8), np.float32), np.ones((8, 1), np.bool_), r"\(8, 1\)"),
        (np.full((1, 8, 8), np.nan, np.float32), ALL_VISIBLE, "nan"),
        (np.full((1, 8, 8), 1.5, np.float32), ALL_VISIBLE, r"1\.5"),
    ],
)
def test_what_is_no_map_of_probability_is_refused(
    maps: Frames, visible: npt.NDArray[np.bool_], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ContrastCheck().add(maps, visible)


@pytest.mark.parametrize("bundle", shipped_bundles())
def test_the_injection_into_a_real_run_is_found_where_it_begins(real_xa: Path, bundle: str) -> None:
    """Read by eye: no contrast in frames 0 to 13, an injection from 14, filled from 24 on."""
    said = check(bundle, real_run(real_xa))

    first = said.opacified.index(True)
    assert abs(first - 14) <= 4
    assert all(said.opacified[first:])


def test_a_quarter_of_the_frames_of_a_real_run_is_enough(real_xa: Path) -> None:
    """It was taken at 30 frames per second."""
    frames = real_run(real_xa)
    every = look_every(1000 / 33)

    said = check(DEFAULT_BUNDLE, frames, every)

    first = said.opacified.index(True)
    assert every == 4
    assert abs(first - 14) <= 4
    assert all(said.opacified[first:])


def test_parts_of_a_real_run_are_judged_by_themselves(real_xa: Path) -> None:
    frames = real_run(real_xa)

    assert not any(check(DEFAULT_BUNDLE, frames[:14]).opacified)
    assert not any(check(DEFAULT_BUNDLE, frames[10:11]).opacified)
    assert all(check(DEFAULT_BUNDLE, frames[24:64:2]).opacified)
    assert all(check(DEFAULT_BUNDLE, frames[40:41]).opacified)


def test_frames_of_simulated_runs_are_told_apart() -> None:
    """A few held-out runs; bench_opacification measures more of them."""
    right: dict[Kind, npt.NDArray[np.bool_]] = {}
    for seed, kind in enumerate(KINDS, 71_000_000):
        clip = make_clip(seed, kind, ProceduralBackgrounds(), every=5)
        right[kind] = np.array(check(DEFAULT_BUNDLE, clip.frames).opacified) == clip.truth

    assert right["no contrast"].all()
    assert right["filled throughout"].all()
    assert np.concatenate(list(right.values())).mean() >= 0.9


def marks(count: int) -> Frames:
    """A map of 8 x 8 whose first so many pixels are vessel."""
    return np.where(np.arange(64).reshape(8, 8) < count, 0.9, 0.1).astype(np.float32)


def judged(maps: Frames, visible: npt.NDArray[np.bool_]) -> Opacification:
    contrast = ContrastCheck()
    contrast.add(maps, visible)
    return contrast.result()


@lru_cache(maxsize=2)
def generator_of(bundle: str) -> Generator:
    return Generator.load(bundle, device="cpu")


def check(bundle: str, frames: Frames, every: int = 1) -> Opacification:
    """Judge frames as a run of their own."""
    generator, contrast = generator_of(bundle), ContrastCheck(every)
    levels = generator.measure(frames)
    for part in parts_of(frames[::every], generator.batch):
        contrast.add(generator.vessels(part, levels), np.ones(part.shape, np.bool_))
    return contrast.result(len(frames))


def parts_of(frames: Frames, size: int) -> Sequence[Frames]:
    return [frames[k : k + size] for k in range(0, len(frames), size)]


@lru_cache(maxsize=1)
def real_run(folder: Path) -> Frames:
    path = folder / "XA_RCA_96f_jpegbaseline.dcm"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the test data")
    (cine,) = find_series([path]).cines
    mapping = DisplayMapping.from_dataset(cine.header)
    return np.stack([mapping.apply(stored) for stored in iter_frames(cine)])
