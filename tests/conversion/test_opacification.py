"""Which frames already show opacified vessels: runs drawn by hand, and shipped segmentors on whole runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.conversion.opacification import (
    MOST_LOOKS,
    ContrastCheck,
    Opacification,
    look_every,
    looks_in_turn,
)
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE, shipped_bundles
from casgan_dicom.model.generator import Generator
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.series import find_series
from tests.conversion.drawn_runs import (
    CATHETER_DEPTH,
    LOOKS_PER_SECOND,
    SIZE,
    DrawnRun,
    beat,
    catheter,
    draw,
    filled,
    lead_in,
    ribs,
    run_of,
    tree,
)
from tests.model.clips import KINDS, Kind, make_clip

Frames = npt.NDArray[np.float32]

ALL_VISIBLE = np.ones((SIZE, SIZE), np.bool_)


def test_a_lead_in_alone_shows_no_contrast_although_catheter_and_ribs_are_marked() -> None:
    for looks in (1, 2, 3, 12):
        said = judged(lead_in(looks))

        assert min(said.cover) > 0.015  # more than half of all real lead-ins have
        assert not any(said.opacified)


def test_a_run_that_is_filled_throughout_is_marked() -> None:
    for looks in (1, 3, 12):
        said = judged(filled(looks))

        assert all(said.opacified)
        assert set(said.reason) == {"filled throughout"}


@pytest.mark.parametrize("before", [1, 2, 10])
@pytest.mark.parametrize("after", [0, 8])
def test_an_injection_inside_the_run_is_found_where_it_is(before: int, after: int) -> None:
    said = (
        judged(lead_in(before) + filled(9) + lead_in(after)) if after else judged(lead_in(before) + filled(9))
    )

    assert said.opacified == (False,) * before + (True,) * 9 + (False,) * after
    assert said.reason[before:-1].count("rose") >= 7


def test_a_wash_out_is_found() -> None:
    assert judged(filled(9) + lead_in(9)).opacified == (True,) * 9 + (False,) * 9


def test_contrast_in_the_last_look_alone_is_found() -> None:
    assert judged(lead_in(12) + filled(1)).opacified == (False,) * 12 + (True,)


def test_marks_that_come_where_nothing_became_darker_are_no_contrast() -> None:
    """What a segmentor begins to see in a structure that was there all the time."""
    looks = [
        draw(
            (ribs(), 0.06, True), (catheter(beat(k, 3)), CATHETER_DEPTH, True), (tree((0, 0)), 0.06, k >= 10)
        )
        for k in range(20)
    ]

    said = judged(run_of(looks))

    assert said.cover[-1] > 3 * said.cover[0]
    assert not any(said.opacified)


def test_a_catheter_that_swings_in_and_out_of_the_picture_is_no_contrast() -> None:
    looks = [
        draw((ribs(), 0.06, True), (catheter(beat(k, 12), 1.0 if k % 6 > 2 else 0.4), CATHETER_DEPTH, True))
        for k in range(20)
    ]

    assert not any(judged(run_of(looks)).opacified)


def test_a_table_that_is_moved_brings_no_contrast() -> None:
    moved = [max(0, 4 * (k - 6)) for k in range(16)]
    looks = [
        draw((np.roll(ribs(), by, axis=0), 0.06, True), (catheter((by, 0)), CATHETER_DEPTH, True))
        for by in moved
    ]

    assert not any(judged(run_of(looks)).opacified)


def test_vessels_of_which_little_is_seen_over_a_dark_spine_are_found() -> None:
    """0.2 % of the picture is marked, and nothing else."""
    piece = tree((0, 0)) & (np.arange(SIZE)[:, None] > 96) & (np.arange(SIZE)[:, None] < 120)
    piece &= np.arange(SIZE) < 150
    looks = [
        draw((tree((0, 0)), 0.2 * (k >= 10), False), (piece, 0.05 * (k >= 10), k >= 10)) for k in range(20)
    ]

    said = judged(run_of(looks))

    assert 0.001 < said.cover[-1] < 0.006
    assert said.opacified == (False,) * 10 + (True,) * 10


def test_wires_that_stand_still_are_less_likely_a_tree_than_what_beats() -> None:
    """As many marks, and as dark: only the movement tells, and that is not sure."""
    still = run_of([draw((ribs(), 0.06, True), (tree((0, 0)), 0.1, True)) for _ in range(16)])
    beating = run_of([draw((ribs(), 0.06, True), (tree(beat(k)), 0.1, True)) for k in range(16)])

    wires, vessels = judged(still), judged(beating)

    assert set(wires.reason) == {"unsure"}
    assert max(wires.probability) < min(vessels.probability) - 0.1


def test_the_batches_that_frames_come_in_do_not_matter() -> None:
    run = lead_in(5) + filled(4)
    pieces = ContrastCheck(frame_rate=LOOKS_PER_SECOND)

    for part in (slice(0, 2), slice(2, 7), slice(7, 9)):
        pieces.add(run.frames[part], run.vessels[part], ALL_VISIBLE)

    assert pieces.result() == judged(run)


def test_a_larger_picture_of_the_same_run_is_judged_alike() -> None:
    run = lead_in(4) + filled(4)
    twice = DrawnRun(*(np.repeat(np.repeat(one, 2, 1), 2, 2) for one in (run.frames, run.vessels)))

    small, large = judged(run), judged(twice)

    assert large.opacified == small.opacified
    assert large.cover == pytest.approx(small.cover)
    assert large.probability == pytest.approx(small.probability, abs=0.1)


def test_frames_between_two_looks_follow_the_look_that_found_contrast() -> None:
    run = lead_in(3) + filled(3)
    every_third = ContrastCheck(every=3, frame_rate=3 * LOOKS_PER_SECOND)
    every_third.add(run.frames, run.vessels, ALL_VISIBLE)

    said = every_third.result(17)

    assert said.opacified == (False,) * 7 + (True,) * 10
    assert said.cover[6] == pytest.approx(judged(run).cover[2])
    assert said.cover[7] == pytest.approx(2 / 3 * said.cover[6] + 1 / 3 * said.cover[9])
    assert len(said.probability) == len(said.reason) == len(said.cover) == 17


def taken_in_turn(run: DrawnRun) -> tuple[ContrastCheck, int]:
    """A check that looks as a conversion does, and how often it looked."""
    contrast, looks = ContrastCheck(frame_rate=LOOKS_PER_SECOND), 0
    for turn in looks_in_turn(len(run.frames)):
        some = list(turn)
        contrast.add(run.frames[some], run.vessels[some], ALL_VISIBLE, some)
        looks += len(some)
        if contrast.quiet:
            break
    return contrast, looks


@pytest.mark.parametrize("looks", [24, 25, 26])
def test_a_run_without_contrast_is_told_by_a_third_of_the_looks(looks: int) -> None:
    run = lead_in(looks)

    contrast, taken = taken_in_turn(run)

    said = contrast.result(looks)
    assert taken == -(-looks // 3)
    assert said.opacified == judged(run).opacified == (False,) * looks
    assert set(said.reason) == {"quiet"}
    assert said.cover[-1] == judged(run).cover[-1]


@pytest.mark.parametrize(("before", "after"), [(20, 1), (14, 2), (12, 12), (3, 18), (0, 12)])
def test_a_run_with_contrast_is_looked_at_as_closely_as_ever(before: int, after: int) -> None:
    run = lead_in(before) + filled(after) if before else filled(after)

    contrast, taken = taken_in_turn(run)

    assert taken == before + after
    assert contrast.result() == judged(run)


@pytest.mark.parametrize("looks", range(0, 60))
def test_the_first_looks_end_with_the_last_one_and_leave_no_gap(looks: int) -> None:
    first, others = looks_in_turn(looks)

    assert sorted([*first, *others]) == list(range(looks))
    if looks:
        assert first[-1] == looks - 1
        assert first[0] < 3
        assert not others or set(np.diff(first)) == {3}


@pytest.mark.parametrize(("taken", "every", "frames"), [(3, 2, 7), (3, 2, 4), (3, 1, 4), (3, 2, None)])
def test_looks_that_do_not_fit_the_run_are_refused(taken: int, every: int, frames: int | None) -> None:
    contrast = ContrastCheck(every)
    nothing = np.zeros((taken, 8, 8), np.float32)
    contrast.add(nothing, nothing, np.ones((8, 8), np.bool_))

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
    assert look_every(frame_rate, 200) == every


@pytest.mark.parametrize("frames", [513, 4000, 10_000])
def test_a_long_run_is_not_looked_at_more_often_than_memory_allows(frames: int) -> None:
    for frame_rate in (None, 3.75, 30.0):
        assert -(-frames // look_every(frame_rate, frames)) <= MOST_LOOKS


@pytest.mark.parametrize("frame_rate", [None, 0.0, float("nan"), float("inf"), 1e9, 3.75])
def test_a_rate_that_cannot_be_changes_no_verdict(frame_rate: float | None) -> None:
    run = lead_in(8) + filled(8)

    assert judged(run, frame_rate).opacified == (False,) * 8 + (True,) * 8


def test_what_lies_behind_a_shutter_does_not_count() -> None:
    run = filled(2)
    nothing_to_the_left = np.broadcast_to(np.arange(SIZE) >= 240, (SIZE, SIZE))
    contrast = ContrastCheck()

    contrast.add(run.frames, run.vessels, nothing_to_the_left)

    assert max(contrast.result().cover) < 0.02
    assert not any(contrast.result().opacified)


def test_a_frame_that_is_covered_whole_shows_nothing_and_spoils_nothing() -> None:
    run = lead_in(6) + filled(6)
    visible = np.ones((12, SIZE, SIZE), np.bool_)
    visible[[2, 8]] = False
    contrast = ContrastCheck(frame_rate=LOOKS_PER_SECOND)

    contrast.add(run.frames, run.vessels, visible)

    said = contrast.result()
    assert [k for k, why in enumerate(said.reason) if why == "no picture"] == [2, 8]
    assert [said.probability[k] for k in (2, 8)] == [said.cover[k] for k in (2, 8)] == [0, 0]
    assert [k for k, yes in enumerate(said.opacified) if yes] == [6, 7, 9, 10, 11]


def test_a_check_without_frames_says_nothing() -> None:
    assert ContrastCheck().result() == Opacification((), (), (), ())


@pytest.mark.parametrize(
    ("frames", "vessels", "visible", "message"),
    [
        ((8, 8), (8, 8), (8, 8), r"shape \(T, H, W\)"),
        ((2, 8, 8), (2, 8, 8), (3, 8, 8), r"\(3, 8, 8\)"),
        ((2, 8, 8), (2, 8, 8), (8, 1), r"\(8, 1\)"),
        ((1, 8, 8), (2, 8, 8), (8, 8), r"\(1, 8, 8\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    frames: tuple[int, ...], vessels: tuple[int, ...], visible: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ContrastCheck().add(
            np.zeros(frames, np.float32), np.zeros(vessels, np.float32), np.ones(visible, np.bool_)
        )


@pytest.mark.parametrize("wrong", [np.nan, 1.5, -0.1])
@pytest.mark.parametrize("which", ["frames", "vessels"])
def test_values_that_are_no_share_are_refused(wrong: float, which: str) -> None:
    given = {name: np.full((1, 8, 8), 0.5, np.float32) for name in ("frames", "vessels")}
    given[which][:] = wrong

    with pytest.raises(ValueError, match=f"{which} need values in .0, 1., got {wrong}"):
        ContrastCheck().add(given["frames"], given["vessels"], np.ones((8, 8), np.bool_))


@pytest.mark.parametrize(
    ("bundle", "every"), [*((name, 4) for name in shipped_bundles()), (DEFAULT_BUNDLE, 2)]
)
def test_the_injection_into_a_real_run_is_found_where_it_begins(
    real_xa: Path, bundle: str, every: int
) -> None:
    """Read by eye, from 1: no contrast in frames 1 to 13, a first trace at 16, clear at 18.

    It was taken at 30 frames per second, of which every fourth is looked at.
    """
    said = check(bundle, real_run(real_xa), every)

    assert not any(said.opacified[:13])
    assert all(said.opacified[17:])


@pytest.mark.parametrize("part", [slice(0, 13), slice(4, 13), slice(0, 1), slice(4, 5), slice(10, 13)])
def test_a_real_lead_in_alone_shows_no_contrast(real_xa: Path, part: slice) -> None:
    assert not any(check(DEFAULT_BUNDLE, real_run(real_xa)[part]).opacified)


@pytest.mark.parametrize("part", [slice(27, 96, 4), slice(77, 96, 4), slice(27, 28), slice(77, 79)])
def test_a_real_run_without_its_lead_in_is_marked_throughout(real_xa: Path, part: slice) -> None:
    assert all(check(DEFAULT_BUNDLE, real_run(real_xa)[part], frame_rate=7.5).opacified)


def test_no_frame_of_the_sample_series_shows_contrast() -> None:
    for form in ("multi-frame", "single-frame"):
        (cine,) = find_series([Path(__file__).parents[2] / "sample_series" / form]).cines
        display = Display.of(cine)
        frames = np.stack([display.apply(k, one) for k, one in enumerate(iter_frames(cine))])

        assert not any(check(DEFAULT_BUNDLE, frames, every=2, frame_rate=15.0).opacified)


def test_frames_of_simulated_runs_are_told_apart() -> None:
    """A few held-out runs; bench_opacification measures more of them."""
    right: dict[Kind, npt.NDArray[np.bool_]] = {}
    for seed, kind in enumerate(KINDS, 71_000_000):
        clip = make_clip(seed, kind, ProceduralBackgrounds(), every=5)
        right[kind] = np.array(check(DEFAULT_BUNDLE, clip.frames, frame_rate=3.0).opacified) == clip.truth

    assert right["no contrast"].all()
    assert right["lead-in alone"].all()
    assert np.concatenate(list(right.values())).mean() >= 0.85


def judged(run: DrawnRun, frame_rate: float | None = LOOKS_PER_SECOND) -> Opacification:
    contrast = ContrastCheck(frame_rate=frame_rate)
    contrast.add(run.frames, run.vessels, np.ones(run.frames.shape[1:], np.bool_))
    return contrast.result()


@lru_cache(maxsize=2)
def generator_of(bundle: str) -> Generator:
    return Generator.load(bundle, device="cpu")


def check(bundle: str, frames: Frames, every: int = 1, frame_rate: float = 1000 / 33) -> Opacification:
    """Judge frames as a run of their own."""
    generator, contrast = generator_of(bundle), ContrastCheck(every, frame_rate)
    levels = generator.measure(frames)
    for part in parts_of(frames[::every], generator.batch):
        contrast.add(part, generator.vessels(part, levels), np.ones(part.shape, np.bool_))
    return contrast.result(len(frames))


def parts_of(frames: Frames, size: int) -> Sequence[Frames]:
    return [frames[k : k + size] for k in range(0, len(frames), size)]


@lru_cache(maxsize=1)
def real_run(folder: Path) -> Frames:
    path = folder / "XA_RCA_96f_jpegbaseline.dcm"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the test data")
    (cine,) = find_series([path]).cines
    display = Display.of(cine)
    return np.stack([display.apply(k, stored) for k, stored in enumerate(iter_frames(cine))])
