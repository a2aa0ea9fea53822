"""Frames that the networks look at."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.atlas.sampling import sampled_frames
from casgan_dicom.model.simulator.geometry import Array


@pytest.mark.parametrize("frames", [1, 2, 16])
def test_a_short_run_is_looked_at_whole(frames: int) -> None:
    assert sampled_frames(frames) == tuple(range(frames))


@pytest.mark.parametrize("frames", [17, 40, 96, 500])
def test_frames_of_a_long_run_span_it_in_order_and_are_few(frames: int) -> None:
    chosen = np.array(sampled_frames(frames))
    assert chosen[0] == 0
    assert chosen[-1] == frames - 1
    assert 12 <= len(chosen) <= 16
    assert (np.diff(chosen) > 0).all()


def most_alike(times: Array) -> float:
    """Greatest correlation between waves of two rates at least 12 per minute apart, 0 to 1."""
    rates = np.arange(50, 121, 5) / 60
    waves = np.exp(2j * np.pi * rates[:, None] * times) / np.sqrt(len(times))
    apart = np.abs(rates[:, None] - rates) >= 12 / 60
    mirrored = np.abs(waves @ waves.T)  # a rate and the one that looks like it backwards
    return float(max(np.abs(waves @ waves.conj().T)[apart].max(), mirrored[apart].max()))


def test_no_heart_rate_looks_like_another_in_the_sampled_frames() -> None:
    """As two do whose sum is the rate at which evenly spread frames are taken."""
    assert most_alike(np.linspace(0, 95, 16) / 15.0) > 0.9
    assert most_alike(np.array(sampled_frames(96)) / 15.0) < 0.8
