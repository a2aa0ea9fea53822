"""Where in the beat each frame is, from the best source at hand; the oracle is the simulator's motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.atlas.cues import GRID, Cues
from casgan_dicom.model.atlas.phase import Beat, read_beat
from casgan_dicom.model.simulator.geometry import Array
from tests.model.atlas.readings import FRAMES, SAMPLED, SETTINGS, Patient, oracle_cues, patient, told

TIMES = np.array([SETTINGS.time_s(i) for i in range(FRAMES)])


def way_of(of: Patient) -> Array:
    """From end-diastole to end-systole, seen by the patient's own eyes."""
    motion, view = of.run.motion, replace(of.run.view, size=GRID)
    ends = [motion.move(of.heart, of.run.tree.ostium, phase) for phase in (0.0, 0.36)]
    rest, systole = view.project(np.stack(ends))[0]
    return np.asarray(systole - rest)


def beat_of(of: Patient, cues: Cues, r_waves_s: tuple[float, ...] = ()) -> Beat:
    return read_beat(cues, SAMPLED, TIMES, r_waves_s, way_of(of))


def blind(cues: Cues) -> Cues:
    return replace(cues, tip_mass=np.zeros(len(SAMPLED)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_r_waves_give_the_true_contraction_of_every_frame(seed: int) -> None:
    of = patient(seed)
    beat = beat_of(of, oracle_cues(of), told(of).r_waves_s)
    assert beat.source == "R waves"
    np.testing.assert_allclose(beat.contraction, of.contraction(), atol=1e-6)
    assert beat.rate_bpm == pytest.approx(of.run.motion.heart_rate_bpm)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_an_ecg_the_tips_track_tells_the_beat(seed: int) -> None:
    of = patient(seed)
    beat = beat_of(of, oracle_cues(of))
    assert beat.source == "catheter tip"
    assert beat.rate_bpm == pytest.approx(of.run.motion.heart_rate_bpm, abs=2)
    assert np.abs(beat.contraction - of.contraction()).mean() < 0.06


def test_a_tip_that_jumps_in_some_frames_does_not_mislead() -> None:
    of = patient(2)
    cues = oracle_cues(of)
    tip = cues.tip.copy()
    tip[[3, 8]] += (40.0, -25.0)
    beat = beat_of(of, replace(cues, tip=tip))
    assert np.abs(beat.contraction - of.contraction()).mean() < 0.06
    assert beat.tips is not None
    assert np.abs(beat.tips - cues.tip).max() < 4


def test_without_tip_and_ecg_the_picture_tells_the_beat() -> None:
    of = patient(2)
    beat = beat_of(of, blind(oracle_cues(of)))
    assert beat.source == "picture"
    assert beat.tips is None
    assert np.abs(beat.contraction - of.contraction()).mean() < 0.2
    assert not beat.shift.any()


def test_readings_without_a_rhythm_are_smoothed_and_no_rate_is_claimed() -> None:
    of = patient(2)
    ramp = np.linspace(0.0, 1.0, len(SAMPLED))
    beat = beat_of(of, replace(blind(oracle_cues(of)), contraction=ramp))
    assert beat.rate_bpm is None
    assert beat.contraction.shape == (FRAMES,)
    np.testing.assert_allclose(beat.contraction[list(SAMPLED)], ramp, atol=0.1)


def test_a_tip_that_stands_still_is_not_taken_for_a_clock() -> None:
    of = patient(2)
    cues = oracle_cues(of)
    still = replace(
        cues, tip=cues.tip.mean(axis=0) + 0.3 * np.random.default_rng(0).normal(size=cues.tip.shape)
    )
    assert beat_of(of, still).source == "picture"


def test_breathing_is_read_from_the_tip() -> None:
    of = patient(2)
    cues = oracle_cues(of)
    rows = 6 * np.sin(2 * np.pi * TIMES / 4.0)
    breathing = replace(cues, tip=cues.tip + np.stack([0 * rows, rows], axis=1)[list(SAMPLED)])
    change = beat_of(of, breathing).shift - beat_of(of, cues).shift
    assert np.corrcoef(change[:, 1], rows)[0, 1] > 0.95
    assert 4 < np.abs(change[:, 1]).max() < 8
    assert not change[:, 0].any()


def test_a_moving_table_is_no_beat_and_moves_the_tree() -> None:
    """The tip goes with the table; what is left is the same beat, and the shift has the table's way."""
    of = patient(2)
    still = oracle_cues(of)
    way = np.linspace(0.0, 1.0, FRAMES)[:, None] * (-11.0, -6.0)
    pan = way[list(SAMPLED)]
    rested, panned = beat_of(of, still), beat_of(of, replace(still, tip=still.tip + pan, pan=pan))

    assert panned.rate_bpm == rested.rate_bpm
    np.testing.assert_allclose(panned.contraction, rested.contraction)
    inside = slice(0, SAMPLED[-1] + 1)  # beyond the last sampled frame nothing is known
    np.testing.assert_allclose((panned.shift - rested.shift)[inside], way[inside], atol=1e-9)
    assert panned.tips is not None
    assert rested.tips is not None
    np.testing.assert_allclose(panned.tips - rested.tips, pan)
