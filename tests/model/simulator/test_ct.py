"""CT backgrounds on a patient of a few ellipsoids, made here; one test on the real CT where it is at hand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from casgan_dicom.lab.ct import read_ct
from casgan_dicom.model.simulator.ct import CtBackgrounds, fit_heart
from casgan_dicom.model.simulator.ct_volume import (
    BLOOD_HU,
    attenuation_per_mm,
    remove_contrast,
    tissue_grids,
)
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart

STRUCTURES: Mapping[str, int] = {
    "liver": 5,
    "lung_upper_lobe_left": 10,
    "lung_upper_lobe_right": 12,
    "vertebrae_T8": 36,
    "heart": 51,
    "aorta": 52,
}
CT_FOLDER = Path(os.environ.get("CASGAN_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")) / "ct"
VIEW = View(-20.0, 5.0, size=64)
Volume = tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], npt.NDArray[np.float64]]


@pytest.fixture(scope="module")
def volume() -> Volume:
    """An enhanced chest of 4 x 4 x 5 mm voxels, centred in the heart: (hu, labels, voxel_to_patient)."""
    affine = np.diag([4.0, -4.0, 5.0, 1.0])  # rows run from back to front, as NIfTI leaves them
    affine[:3, 3] = [-176.0, 140.0, -130.0]
    k, j, i = np.mgrid[:52, :72, :88]
    x, y, z = 4.0 * i - 176, -4.0 * j + 140, 5.0 * k - 130

    def ellipsoid(
        centre: tuple[float, float, float], semi: tuple[float, float, float]
    ) -> npt.NDArray[np.bool_]:
        offsets = (x - centre[0]) / semi[0], (y - centre[1]) / semi[1], (z - centre[2]) / semi[2]
        return np.asarray(sum(o**2 for o in offsets) < 1)

    hu = np.full(x.shape, -1000, dtype=np.int16)
    labels = np.zeros(x.shape, dtype=np.uint8)
    body = ellipsoid((-20, 20, 0), (150, 105, 1e6))
    hu[body] = 30
    table = (np.abs(y - 134) < 5) & ~body
    hu[table] = 100
    for name, place, value in (
        ("lung_upper_lobe_right", ellipsoid((-80, 10, 10), (55, 80, 110)), -800),
        ("lung_upper_lobe_left", ellipsoid((45, 10, 10), (55, 80, 110)), -800),
        ("liver", ellipsoid((-50, 0, -130), (110, 90, 70)) & body, 70),
        ("heart", ellipsoid((0, 0, 0), (42, 40, 50)), 330),
        ("aorta", ellipsoid((5, 60, 0), (14, 14, 1e6)), 380),
        ("vertebrae_T8", ellipsoid((-22, 85, 0), (18, 16, 1e6)), 400),
    ):
        hu[place], labels[place] = value, STRUCTURES[name]
    return hu, labels, affine


@pytest.fixture(scope="module")
def patients(volume: Volume) -> CtBackgrounds:
    return CtBackgrounds(*volume, STRUCTURES)


def test_contrast_medium_becomes_blood_and_bone_stays(volume: Volume) -> None:
    hu, labels, _ = volume
    clean = remove_contrast(hu, labels, STRUCTURES, np.random.default_rng(0))

    for name in ("heart", "aorta"):
        values = clean[labels == STRUCTURES[name]]
        assert values.mean() == pytest.approx(BLOOD_HU, abs=0.5)
        assert values.std() == pytest.approx(10.0, rel=0.05)
    bone = labels == STRUCTURES["vertebrae_T8"]
    np.testing.assert_array_equal(clean[bone], hu[bone])
    np.testing.assert_array_equal(clean[hu <= 90], hu[hu <= 90])


def test_air_and_water_attenuate_as_they_should() -> None:
    """Water 0.0197 per mm at 65 keV (NIST), air nothing; calcium more than its HU says."""
    air, water, bone = attenuation_per_mm(np.array([-1000, 0, 1000], dtype=np.int16))

    assert air == 0.0
    assert water == pytest.approx(0.0197, rel=0.02)
    assert 2 * water < bone < 3 * water


def test_fitted_heart_is_the_ellipsoid_that_was_sampled() -> None:
    """Points fill a known ellipsoid evenly; the fit must return its axes."""
    truth = Heart(semi_axes_mm=(35.0, 41.0, 60.0))
    rng = np.random.default_rng(0)
    direction = rng.standard_normal((60000, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = truth.to_patient(direction * rng.random((60000, 1)) ** (1 / 3))

    fitted = fit_heart(points)

    np.testing.assert_allclose(fitted.semi_axes_mm, truth.semi_axes_mm, rtol=0.02)
    assert fitted.axes[2] @ truth.axes[2] > 0.999
    np.testing.assert_allclose(fitted.axes @ fitted.axes.T, np.eye(3), atol=1e-9)


def test_apex_points_to_the_left_the_front_and_the_feet() -> None:
    """Whatever sign the eigenvector has: mirrored points give the same apex."""
    rng = np.random.default_rng(1)
    points = Heart().to_patient(rng.standard_normal((5000, 3)))

    for sign in (1.0, -1.0):
        x, y, z = fit_heart(sign * points).axes[2]
        assert x > 0
        assert y < 0
        assert z < 0


def test_same_seed_makes_the_same_picture(patients: CtBackgrounds) -> None:
    first, second = (patients.background(np.random.default_rng(2), VIEW) for _ in range(2))

    np.testing.assert_array_equal(first.attenuation(0.3, 5.0), second.attenuation(0.3, 5.0))


def test_one_ct_gives_many_patients(patients: CtBackgrounds) -> None:
    hearts = [patients.background(np.random.default_rng(s), VIEW).heart for s in range(5)]

    sizes = np.array([heart.semi_axes_mm for heart in hearts])
    assert (np.ptp(sizes, axis=0) / sizes.mean(axis=0) > 0.05).all()
    assert np.ptp([heart.axes[2][0] for heart in hearts]) > 0.01


def test_heart_of_a_patient_is_the_label_reshaped(patients: CtBackgrounds) -> None:
    """The label is an ellipsoid of 42 x 40 x 50 mm; a variant resizes it by 0.6 to 1.45 at the most."""
    a, b, c = patients.background(np.random.default_rng(3), VIEW).heart.semi_axes_mm

    volume_ratio = a * b * c / (42 * 40 * 50)
    assert 0.6**3 < volume_ratio < 1.45**3
    assert abs(volume_ratio - 1.0) > 0.05


@pytest.mark.parametrize("seed", range(4))
def test_line_integrals_are_those_of_a_chest(patients: CtBackgrounds, seed: int) -> None:
    background = patients.background(np.random.default_rng(seed), VIEW)
    attenuation = background.attenuation(0.0, 0.0)
    inside = attenuation[background.field_mask()]

    assert attenuation.dtype == np.float32
    assert np.isfinite(attenuation).all()
    assert 1.5 < np.median(inside) < 6.0
    assert background.field_mask()[32, 32]


def test_heart_is_seen_where_its_mask_says(volume: Volume) -> None:
    """The heart has no air: beside it, inside the same lungs, the beam meets less tissue."""
    background = CtBackgrounds(*volume, STRUCTURES).background(
        np.random.default_rng(6), View(0.0, 0.0, size=64)
    )
    attenuation, heart = background.attenuation(0.0, 0.0), background.heart_mask(0.0)
    centre_rows = slice(26, 38)

    left_edge = np.flatnonzero(heart[32])[-1]
    within = attenuation[centre_rows, left_edge - 8 : left_edge - 3].mean()
    beside = attenuation[centre_rows, left_edge + 2 : left_edge + 5].mean()

    assert within > beside + 0.1


def test_heart_beats_and_diaphragm_sinks(patients: CtBackgrounds) -> None:
    background = patients.background(np.random.default_rng(0), VIEW)
    rest = background.attenuation(0.0, 0.0)
    field = background.field_mask()

    beat = (background.attenuation(0.36, 0.0) - rest)[field]
    breath = (background.attenuation(0.0, 12.0) - rest)[field]

    assert beat.min() < -0.05
    assert breath.min() < -0.1
    assert abs(np.median(beat)) < 0.02  # most of the picture stays
    assert background.heart_mask(0.36).sum() < background.heart_mask(0.0).sum()


def test_table_under_the_patient_is_removed(volume: Volume) -> None:
    """A dense table would lie over the whole picture of a frontal view."""
    hu, labels, affine = volume
    bare = hu.copy()
    bare[(hu == 100) & (labels == 0)] = -1000
    with_table, without = (
        CtBackgrounds(v, labels, affine, STRUCTURES)
        .background(np.random.default_rng(1), VIEW)
        .attenuation(0.0, 0.0)
        for v in (hu, bare)
    )

    np.testing.assert_allclose(with_table, without, atol=0.05)


def test_tissues_taken_apart_add_up_to_the_ct(volume: Volume) -> None:
    """Filled body - air + bone is what the CT attenuates; a bubble in the liver belongs to the air."""
    hu, labels, affine = volume
    clean = remove_contrast(hu, labels, STRUCTURES, np.random.default_rng(0))
    clean[2:8, 30:44, 24:36] = -1000  # gas in the liver
    coarse, bone = tissue_grids(clean, labels, STRUCTURES, affine)
    soft, air = np.moveaxis(coarse.values.astype(np.float64), -1, 0) * coarse.unit

    low = np.s_[:11]  # below the lungs, whose walls are thinner here than any patient's
    expected = attenuation_per_mm(np.where((hu == 100) & (labels == 0), -1000, clean)[low])  # no table
    found = 4 * (soft[low].sum() - air[low].sum()) + bone.values[low].sum(dtype=np.float64) * bone.unit
    assert found == pytest.approx(float(expected.sum(dtype=np.float64)), rel=0.02)
    x, y, z, _ = np.linalg.inv(coarse.voxel_to_isocentre) @ affine @ [30, 37, 5, 1]
    assert air[round(z), round(y), round(x)] > 0.015
    assert bone.values.any(axis=(0, 1, 3)).sum() * 4.0 <= 72.0  # the spine, 36 mm wide, grown and smoothed


@pytest.mark.parametrize(("primary", "secondary"), [(50.0, 40.0), (-50.0, -40.0), (50.0, -40.0)])
def test_steep_and_tight_views_are_filled(patients: CtBackgrounds, primary: float, secondary: float) -> None:
    view = View(primary, secondary, size=48, field_mm=110.0, shift_mm=(25.0, -20.0))

    background = patients.background(np.random.default_rng(1), view)
    inside = background.attenuation(0.2, 5.0)[background.field_mask()]

    assert np.isfinite(inside).all()
    assert inside.min() > 0.5
    assert np.ptp(inside) > 0.3


def test_one_background_serves_several_runs(patients: CtBackgrounds) -> None:
    """What a run asks of it leaves no trace: the next run sees the same patient."""
    background = patients.background(np.random.default_rng(4), VIEW)
    fresh = patients.background(np.random.default_rng(4), VIEW)

    for phase in (0.1, 0.36, 0.8):
        background.attenuation(phase, 9.0, np.array([4.5, -2.0]))
        background.clutter_mask(phase, 9.0)

    np.testing.assert_array_equal(background.attenuation(0.5, 2.0), fresh.attenuation(0.5, 2.0))


def test_a_ct_without_a_heart_is_refused(volume: Volume) -> None:
    hu, labels, affine = volume
    with pytest.raises(ValueError, match="labelled heart"):
        CtBackgrounds(hu, np.zeros_like(labels), affine, STRUCTURES)
    with pytest.raises(ValueError, match="labelled heart"):
        CtBackgrounds(hu, labels, affine, {"aorta": 52})
    with pytest.raises(ValueError, match="must agree"):
        CtBackgrounds(hu[1:], labels, affine, STRUCTURES)


def test_real_ct_gives_a_human_heart_and_a_chest() -> None:
    if not CT_FOLDER.is_dir():
        pytest.skip(f"no labelled CT in {CT_FOLDER}")
    ct = read_ct(CT_FOLDER)
    patients = CtBackgrounds(ct.hu, ct.labels, ct.voxel_to_patient, ct.structures)

    background = patients.background(np.random.default_rng(0), View(-30.0, 0.0, size=128))

    short_a, short_b, long = background.heart.semi_axes_mm
    assert 30 < min(short_a, short_b) <= max(short_a, short_b) < 60
    assert 50 < long < 90
    inside = background.attenuation(0.0, 0.0)[background.field_mask()]
    assert 2.0 < np.median(inside) < 6.0
    assert np.ptp(inside) > 1.0
