"""Pictures that shift and bend, textures and beam limits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from casgan_dicom.model.simulator.clutter import pacing_clutter, still_clutter
from casgan_dicom.model.simulator.collimator import Collimator
from casgan_dicom.model.simulator.detector import FIELD_STOP
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.layers import Deformation, Window, displacement, translate
from casgan_dicom.model.simulator.lungs import Ellipsoid, draw_lung_vessels
from casgan_dicom.model.simulator.texture import fractal_texture

VIEW = View(-30.0, 15.0, size=64)


def picture() -> npt.NDArray[np.float32]:
    noise = np.random.default_rng(0).standard_normal((64, 64))
    return np.asarray(ndimage.gaussian_filter(noise, 3), dtype=np.float32)


def bend(
    view: View, layer: npt.NDArray[np.float32], contraction: float, breath_mm: float
) -> npt.NDArray[np.float32]:
    """The whole picture bent, nothing cut off."""
    window = Window.of(view.size, view.size, (0.0, 0.0))
    return window.settle(Deformation.of(view, Heart()).apply(layer, window, contraction, breath_mm))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (0.25, 4.75), (-6.5, 0.4)])
def test_translation_agrees_with_scipy(shift: tuple[float, float]) -> None:
    moved = translate(picture(), np.array(shift))

    expected = ndimage.shift(picture(), (shift[1], shift[0]), order=1, mode="nearest")
    np.testing.assert_allclose(moved, expected, atol=1e-5)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (5.0, -7.0), (1.25, 3.5), (-30.0, 2.0)])
def test_window_shows_the_middle_of_a_moved_picture(shift: tuple[float, float]) -> None:
    """Also where the picture has moved farther than its margin: its border goes on."""
    window = Window.of(64, 40, shift)

    seen = window.settle(window.cut(picture()))

    expected = ndimage.shift(picture(), (shift[1], shift[0]), order=1, mode="nearest")[12:52, 12:52]
    np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_bent_picture_is_cut_like_a_still_one() -> None:
    """Cutting while bending gives the middle of the whole bent picture."""
    whole, window = bend(VIEW, picture(), 0.7, 6.0), Window.of(64, 40, (0.0, 0.0))

    part = window.settle(Deformation.of(VIEW, Heart()).apply(picture(), window, 0.7, 6.0))

    np.testing.assert_allclose(part, whole[12:52, 12:52], atol=1e-5)


def test_displacement_towards_the_feet_is_down_in_the_picture() -> None:
    """15 mm at the isocentre are 15 · 1100/750 mm on the detector."""
    view = View(0.0, 0.0, size=200, field_mm=200.0)

    np.testing.assert_allclose(displacement(view, (0.0, 0.0, -15.0)), [0.0, 15 * 1100 / 750])


def test_resting_deformation_leaves_the_picture_alone() -> None:
    still = picture()

    np.testing.assert_array_equal(bend(VIEW, still, 0.0, 0.0), still)


def test_breath_moves_the_bottom_of_the_picture_most() -> None:
    """Well under the diaphragm an edge sinks by most of the breath, magnified; at the top by a fifth."""
    view = View(0.0, 0.0, size=256)
    for row, share in ((230, 0.93), (8, 0.2)):
        edge = np.zeros((256, 256), dtype=np.float32)
        edge[row:] = 1.0

        moved = 256 - bend(view, edge, 0.0, 8.0)[:, 128].sum() - row

        assert moved == pytest.approx(share * displacement(view, (0.0, 0.0, -8.0))[1], abs=1.2)


def test_contraction_draws_the_surroundings_towards_the_heart() -> None:
    """A ring around the heart gets smaller, and the picture's corners stay."""
    view, heart = View(0.0, 0.0, size=128), Heart()
    centre, scale = view.project(heart.axes[2] * 0.3 * heart.semi_axes_mm[2])
    y, x = np.mgrid[:128, :128]
    disc = (np.hypot(x - centre[0], y - centre[1]) < 35 * scale).astype(np.float32)

    smaller = bend(view, disc, 1.0, 0.0)

    assert 0.7 < smaller.sum() / disc.sum() < 0.95
    np.testing.assert_allclose(
        bend(view, picture_of(128), 1.0, 0.0)[:4, :4], picture_of(128)[:4, :4], atol=0.05
    )


def picture_of(size: int) -> npt.NDArray[np.float32]:
    return np.asarray(ndimage.zoom(picture(), size / 64, order=1), dtype=np.float32)


@pytest.mark.parametrize("beta", [2.5, 3.2])
def test_texture_has_the_slope_asked_for(beta: float) -> None:
    """The radial power spectrum falls as 1/f^beta, measured by a straight line in log-log."""
    field = fractal_texture(np.random.default_rng(0), 256, 0.5, beta=beta, longest_mm=60.0)
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256, 0.5), np.fft.fftfreq(256, 0.5)))
    chosen = (frequency > 0.05) & (frequency < 0.9)

    slope = np.polyfit(np.log(frequency[chosen]), np.log(power[chosen]), 1)[0]

    assert field.std() == pytest.approx(1.0, abs=1e-3)
    assert slope == pytest.approx(-beta, abs=0.1)


@pytest.mark.parametrize("seed", range(12))
def test_collimator_stops_the_beam_outside_its_field(seed: int) -> None:
    collimator = Collimator.sample(np.random.default_rng(seed), 128)

    assert collimator.field[40:88, 40:88].all()
    assert (collimator.attenuation[collimator.field] < 1.5).all()  # a wedge at most
    assert (collimator.attenuation >= 0).all()
    stopped = collimator.attenuation == FIELD_STOP
    assert not (stopped & collimator.field).any()


def test_collimators_differ_from_run_to_run() -> None:
    fields = [Collimator.sample(np.random.default_rng(seed), 64).field for seed in range(30)]

    shares = np.array([field.mean() for field in fields])
    assert np.ptp(shares) > 0.1
    assert shares.min() > 0.5


def test_lung_vessels_stay_in_their_lung() -> None:
    view = View(0.0, 0.0, size=128)
    lung = Ellipsoid(np.array([30.0, 0.0, 0.0]), np.array([22.0, 30.0, 40.0]))

    chords = draw_lung_vessels(np.random.default_rng(0), view, lung, np.array([22.0, 0.0, 5.0]), ())

    y, x = np.mgrid[:128, :128]
    centre, scale = view.project(lung.centre)
    far = ((x - centre[0]) / (22 * scale)) ** 2 + ((y - centre[1]) / (40 * scale)) ** 2 > 4.0
    assert chords.max() > 1.0
    assert chords[far].max() == 0.0
    assert 0.03 < (chords[~far] > 0.1).mean() < 0.9


def test_some_patients_have_metal_and_most_have_none() -> None:
    view = View(0.0, 0.0, size=64)
    leads = [pacing_clutter(np.random.default_rng(seed), view, Heart()).any() for seed in range(60)]
    wires = [still_clutter(np.random.default_rng(seed), view, -22.0, -110.0).any() for seed in range(60)]

    assert 0 < sum(leads) < 20
    assert 10 < sum(wires) < 55
