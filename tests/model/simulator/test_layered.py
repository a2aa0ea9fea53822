"""The layers of one patient: what moves with the heart, what with the table, and what stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from casgan_dicom.model.simulator.collimator import Collimator
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.layered import LayeredBackground

VIEW = View(-30.0, 10.0, size=80, field_mm=180.0, margin_px=10)
WIDE = VIEW.widened()
SYSTOLE = 0.36
FloatImage = npt.NDArray[np.float32]


def blank() -> FloatImage:
    return np.zeros((WIDE.size, WIDE.size), dtype=np.float32)


def noise(seed: int) -> FloatImage:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(blank().shape), 2.0)
    return np.asarray(field, dtype=np.float32)


def dot(row: int, column: int) -> FloatImage:
    """A foreign body of 3 x 3 pixels of the wide picture."""
    image = blank()
    image[row - 1 : row + 2, column - 1 : column + 2] = 0.5
    return image


def background(**layers: FloatImage) -> LayeredBackground:
    """A patient of the layers given; half of the collimator's field takes off 1."""
    blades = np.zeros((80, 80), dtype=np.float32)
    blades[:, 40:] = 1.0
    collimator = Collimator(blades, np.ones((80, 80), dtype=np.bool_))
    names = ("still", "air", "clutter", "implants")
    return LayeredBackground(Heart(), VIEW, collimator, **{n: layers.get(n, blank()) for n in names})


def test_margin_does_not_move_a_pixel() -> None:
    point = np.array([20.0, -30.0, 15.0])

    (here, scale), (there, wide_scale) = VIEW.project(point), WIDE.project(point)

    np.testing.assert_allclose(there - here, (WIDE.size - 80) / 2)
    assert scale == pytest.approx(wide_scale)
    assert WIDE.size == 100


def test_attenuation_is_the_sum_of_the_layers() -> None:
    layers = {name: noise(i) for i, name in enumerate(("still", "air", "clutter", "implants"))}
    patient = background(**layers)
    margin = (WIDE.size - 80) // 2
    middle = np.s_[margin : margin + 80, margin : margin + 80]

    total = layers["still"] - layers["air"] + layers["clutter"] + layers["implants"]

    np.testing.assert_allclose(
        patient.attenuation(0.0, 0.0), total[middle] + patient.collimator.attenuation, atol=1e-5
    )


@pytest.mark.parametrize("table", [(6.0, -4.0), (-3.5, 2.25)])
@pytest.mark.parametrize(("phase", "breath"), [(0.0, 0.0), (SYSTOLE, 7.0)])
def test_table_moves_the_patient_and_not_the_collimator(
    table: tuple[float, float], phase: float, breath: float
) -> None:
    """The oracle moves the picture at rest; what comes in from the margin is real, so edges are left out."""
    patient = background(still=noise(0), air=noise(1), clutter=noise(2), implants=noise(3))
    blades = patient.collimator.attenuation
    rest = patient.attenuation(phase, breath) - blades

    moved = patient.attenuation(phase, breath, np.array(table)) - blades

    expected = ndimage.shift(rest, (table[1], table[0]), order=1, mode="nearest")
    np.testing.assert_allclose(moved[8:-8, 8:-8], expected[8:-8, 8:-8], atol=1e-4)


def test_panning_brings_in_anatomy_from_the_margin() -> None:
    """A bar that lies beyond the border at rest is seen after the table has moved."""
    bar = blank()
    bar[:, 4:7] = 1.0  # margin of 10: outside
    patient = background(still=bar)
    blades = patient.collimator.attenuation

    assert (patient.attenuation(0.0, 0.0) == blades).all()
    assert ((patient.attenuation(0.0, 0.0, np.array([8.0, 0.0])) - blades)[:, 2:5] > 0.9).all()


def test_only_clutter_of_the_heart_beats_and_breathes() -> None:
    patient = background(clutter=dot(30, 30), implants=dot(60, 60))
    rest, later = patient.clutter_mask(0.0, 0.0), patient.clutter_mask(SYSTOLE, 10.0)

    assert rest.sum() == 18
    assert (later[15:25, 15:25] == rest[15:25, 15:25]).all()
    moved = ndimage.center_of_mass(later[35:, 35:])
    at_rest = ndimage.center_of_mass(rest[35:, 35:])
    way, _ = VIEW.project(6.0 * Heart().axes[2] + [0.0, 0.0, -4.0])
    expected = way - VIEW.project(np.zeros(3))[0]
    np.testing.assert_allclose([moved[1] - at_rest[1], moved[0] - at_rest[0]], expected, atol=0.6)


def test_masks_follow_the_table() -> None:
    patient = background(clutter=dot(40, 40))

    table = np.array([5.0, -3.0])

    clutter = patient.clutter_mask(0.0, 0.0, table)
    heart = patient.heart_mask(0.0, table)

    np.testing.assert_array_equal(clutter, np.roll(patient.clutter_mask(0.0, 0.0), (-3, 5), (0, 1)))
    rolled = np.roll(patient.heart_mask(0.0), (-3, 5), (0, 1))
    assert (heart != rolled)[8:-8, 8:-8].mean() < 0.003
    assert heart.any()


def test_heart_draws_air_along_at_its_border_and_leaves_the_rest() -> None:
    """A vessel beside the heart moves with the beat, one in the picture's corner does not."""
    view = View(0.0, 0.0, size=80, margin_px=10)
    centre, scale = view.widened().project(Heart().axes[2] * 18.0)
    beside = dot(int(centre[1]), int(centre[0] + 45 * scale))
    corner = dot(14, 14)
    collimator = Collimator(np.zeros((80, 80), dtype=np.float32), np.ones((80, 80), dtype=np.bool_))
    change = []
    for vessel in (beside, corner):
        patient = LayeredBackground(Heart(), view, collimator, blank(), vessel, blank(), blank())
        change.append(np.abs(patient.attenuation(SYSTOLE, 0.0) - patient.attenuation(0.0, 0.0)).max())

    assert change[0] > 0.1
    assert change[1] < 0.02
