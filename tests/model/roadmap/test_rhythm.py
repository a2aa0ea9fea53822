"""Phases from images: the likeliest way through the reference."""

from __future__ import annotations

import numpy as np

from casgan_dicom.model.roadmap.rhythm import Way, step_costs

_COUNT, _BEAT = 24, 8
_TIMES = np.arange(_COUNT) / 10


def _alike() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Vessels of a steady beat of 8 frames: alike by their phase."""
    phase = np.arange(_COUNT) * 2 * np.pi / _BEAT
    return np.asarray(0.5 + 0.5 * np.cos(phase[:, None] - phase[None, :]))


def test_the_next_frame_costs_nothing_and_the_opposite_phase_most() -> None:
    costs = step_costs(_alike(), _TIMES, 0.1)

    assert costs[3, 4] < 1e-9
    assert costs[3, 12] < 1e-9  # the same phase a beat later
    assert costs[3].argmax() % _BEAT == (4 + _BEAT // 2) % _BEAT
    assert (costs >= 0).all()


def test_after_the_last_frame_the_beat_goes_on_in_an_earlier_one() -> None:
    costs = step_costs(_alike(), _TIMES, 0.1)

    assert costs[_COUNT - 1].argmin() % _BEAT == 0


def test_one_wrong_look_does_not_lead_off_the_way() -> None:
    truth = [(5 + k) % _COUNT for k in range(14)]
    rng, way = np.random.default_rng(2), Way(step_costs(_alike(), _TIMES, 0.1))
    for k, at in enumerate(truth):
        fit = 0.6 + 0.1 * _alike()[at] + rng.normal(0, 0.01, _COUNT)
        if k == 6:
            fit = 0.6 + 0.1 * _alike()[(at + 4) % _COUNT]
        way.step(fit)

    assert [found % _BEAT for found in way.whole()] == [at % _BEAT for at in truth]


def test_no_frame_has_no_way() -> None:
    assert Way(np.zeros((3, 3))).whole() == []
