"""The learning rate over the steps."""

from __future__ import annotations

import pytest

from casgan_dicom.model.settings import OptimSettings
from casgan_dicom.model.training.schedule import learning_rate_factor


def test_learning_rate_is_flat_then_a_straight_line_to_zero() -> None:
    optim = OptimSettings(steps=10, decay_steps=4)
    factors = [learning_rate_factor(step, optim) for step in range(11)]
    assert factors == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0])
    assert all(learning_rate_factor(s, OptimSettings(steps=3, decay_steps=0)) == 1 for s in range(3))


def test_learning_rate_falls_in_steps_where_asked() -> None:
    optim = OptimSettings(schedule="step", step_every=3, step_gamma=0.5, steps=8, decay_steps=8)
    assert [learning_rate_factor(step, optim) for step in range(8)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_learning_rate_stays_where_it_is_to_stay() -> None:
    optim = OptimSettings(schedule="constant", steps=5, decay_steps=5)
    assert [learning_rate_factor(step, optim) for step in range(5)] == [1] * 5
