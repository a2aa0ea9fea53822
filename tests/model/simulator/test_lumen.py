"""Uneven walls, and agent that sinks to the wall below."""

from __future__ import annotations

import numpy as np
import pytest

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.lumen import LAYER_RADIUS, layer_below, uneven_walls
from casgan_dicom.model.simulator.render import make_tubes


def relative(seed: int, radius: float, *, plaque: bool) -> Array:
    """Radius over the even one of a 100 mm vessel."""
    even = [np.full(200, radius), np.full(40, radius)]
    return np.asarray(uneven_walls(np.random.default_rng(seed), even, plaque=plaque)[0] / radius)


def test_walls_vary_by_a_few_percent() -> None:
    spread = [relative(seed, 1.5, plaque=False).std() for seed in range(20)]
    assert 0.02 < np.mean(spread) < 0.06
    assert min(relative(seed, 1.5, plaque=True).min() for seed in range(20)) >= 0.85


def test_vessels_keep_their_numbers_of_points() -> None:
    even = [np.full(n, 1.0) for n in (3, 50, 7)]
    assert [len(r) for r in uneven_walls(np.random.default_rng(0), even, plaque=True)] == [3, 50, 7]


def test_plaque_roughens_large_vessels_and_spares_thin_ones() -> None:
    """Radius is compared with that of the same patient without plaque where both draw the same noise."""

    def roughness(radius: float) -> float:
        shares = [relative(seed, radius, plaque=True) for seed in range(40)]
        return float(np.mean([np.diff(share, 2).std() for share in shares]))

    assert roughness(1.5) > 1.1 * roughness(0.4)


@pytest.mark.parametrize("direction", [(0.0, 0.0, 1.0), (1.0, 0.0, 1.0)])
def test_layer_touches_the_wall_at_the_back(direction: tuple[float, float, float]) -> None:
    line = np.outer(np.linspace(0, 30, 61), direction)
    tubes = make_tubes([(line, np.full(61, 2.0), np.linspace(0, 30, 61))], View())
    layer = layer_below(tubes)
    shift = layer.points - tubes.points
    np.testing.assert_allclose(shift[:, 1] + layer.radius, tubes.radius)
    np.testing.assert_allclose(shift[:, [0, 2]], 0.0, atol=1e-9)
    np.testing.assert_allclose(layer.radius, 2.0 * LAYER_RADIUS)


def test_layer_of_a_vessel_that_runs_straight_down_stays_in_its_middle() -> None:
    line = np.outer(np.linspace(0, 30, 61), (0.0, 1.0, 0.0))
    tubes = make_tubes([(line, np.full(61, 2.0), np.linspace(0, 30, 61))], View())
    np.testing.assert_allclose(layer_below(tubes).points, tubes.points, atol=1e-9)
