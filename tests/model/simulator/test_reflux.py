"""Agent in the aortic root, and the soft balls that it is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.simulator.blobs import draw_blobs
from casgan_dicom.model.simulator.contrast import Injection
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import Motion
from casgan_dicom.model.simulator.reflux import Reflux
from casgan_dicom.model.simulator.tree import grow_tree

VIEW = View(primary_deg=45.0, size=128)
TREE = grow_tree(np.random.default_rng(0), Heart(), "RCA", "right")
INJECTION = Injection(start_s=0.4, duration_s=2.0, reflux=0.8)
STILL = np.zeros(3)


def reflux(seed: int = 0, injection: Injection = INJECTION) -> Reflux:
    return Reflux.sample(np.random.default_rng(seed), injection, Motion(), TREE)


def test_a_ball_keeps_its_volume_and_its_place() -> None:
    """The sum over the detector is the volume times the magnified pixel density."""
    centre = np.array([[3.0, 0.0, 5.0]])
    image = draw_blobs(VIEW, centre, np.array([4.0]), np.array([50.0])).astype(np.float64)
    pixels, scale = VIEW.project(centre)
    assert image.sum() == pytest.approx(50.0 * scale[0] ** 2, rel=1e-3)
    rows, columns = np.indices(image.shape)
    assert (image * columns).sum() / image.sum() == pytest.approx(pixels[0, 0], abs=0.05)
    assert (image * rows).sum() / image.sum() == pytest.approx(pixels[0, 1], abs=0.05)


def test_no_cloud_before_the_injection_long_after_it_or_without_reflux() -> None:
    cloud = reflux()
    assert not cloud.path_length(VIEW, 0.4, STILL).any()
    assert cloud.path_length(VIEW, 1.5, STILL).max() > 0.2
    assert not cloud.path_length(VIEW, 5.0, STILL).any()
    none = reflux(injection=replace(INJECTION, reflux=0.0))
    assert not none.path_length(VIEW, 1.5, STILL).any()


def test_cloud_lies_around_the_ostium_and_moves_with_it() -> None:
    shift = 10 * VIEW.axes()[0]
    here, there = (reflux().path_length(VIEW, 1.5, s).astype(np.float64) for s in (STILL, shift))
    (column, row), scale = VIEW.project(TREE.ostium)
    rows, columns = np.indices(here.shape)
    away = np.hypot(columns - column, rows - row) / scale
    assert here[away < 30].sum() > 0.9 * here.sum()
    moved = (there * columns).sum() / there.sum() - (here * columns).sum() / here.sum()
    assert moved == pytest.approx(10 * scale, rel=0.1)


def test_cloud_pulses_with_the_beat() -> None:
    """Over two beats the amount rises and falls again, more than once."""
    amount = np.array([reflux().path_length(VIEW, t, STILL).sum() for t in np.arange(0.9, 2.3, 1 / 15)])
    turns = np.diff(np.sign(np.diff(amount)))
    assert np.count_nonzero(turns) >= 2
    assert amount.max() > 1.15 * amount[1:-1].min()


def test_another_seed_draws_another_cloud_and_stronger_reflux_a_darker_one() -> None:
    one, two = (reflux(seed).path_length(VIEW, 1.5, STILL) for seed in (0, 1))
    assert np.abs(one - two).max() > 0.3 * one.max()
    weak = reflux(injection=replace(INJECTION, reflux=0.4)).path_length(VIEW, 1.5, STILL)
    np.testing.assert_allclose(weak, one / 2, rtol=1e-4, atol=1e-6)
