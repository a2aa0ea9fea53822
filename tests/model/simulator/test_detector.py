"""The imaging chain, against Poisson statistics, Beer and Lambert, and another Gaussian filter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from casgan_dicom.model.simulator.detector import FIELD_STOP, Calibration, Detector, calibrate, expose

IDEAL = Detector(scatter=0.0, blur_mm=0.0, readout_blur_px=0.0, electronic_noise=0.0, bits=12, shutter=False)
COUNTS = 4095  # with this window a stored value is the number of quanta


def counting(quanta: float, shape: tuple[int, int]) -> Calibration:
    """A calibration under which the ideal 12-bit detector stores quanta."""
    return Calibration(1.0, quanta, np.zeros(shape, dtype=np.bool_), 0.0, float(COUNTS))


def flat(value: float, size: int = 256) -> npt.NDArray[np.float32]:
    return np.full((size, size), value, dtype=np.float32)


def body(size: int = 128) -> npt.NDArray[np.float32]:
    """Soft tissue with smooth structure, 2.5 to 4.5 attenuation lengths."""
    noise = np.random.default_rng(5).standard_normal((size, size))
    smooth = ndimage.gaussian_filter(noise, size / 12, mode="wrap")
    return np.asarray(3.5 + smooth / np.abs(smooth).max(), dtype=np.float32)


def test_both_twins_are_poisson_with_the_mean_of_beer_and_lambert() -> None:
    n0, tissue, iodine = 6000.0, 2.0, 0.5
    plain, contrast = expose(
        IDEAL, counting(n0, (256, 256)), flat(tissue), flat(iodine), np.random.default_rng(1)
    )

    for stored, mean in ((plain, n0 * np.exp(-tissue)), (contrast, n0 * np.exp(-tissue - iodine))):
        spread = 5 * np.sqrt(mean / stored.size)  # five standard errors of the mean
        assert stored.mean() == pytest.approx(mean, abs=spread)
        assert stored.var() == pytest.approx(mean, rel=0.03)  # standard error of a variance is 0.6 % here


def test_twins_share_their_photon_noise() -> None:
    """Thinning Poisson(a) to Poisson(b) leaves covariance b, so the correlation is sqrt(b/a)."""
    iodine = 0.3
    plain, contrast = expose(
        IDEAL, counting(6000.0, (256, 256)), flat(2.0), flat(iodine), np.random.default_rng(2)
    )

    correlation = np.corrcoef(plain.ravel(), contrast.ravel())[0, 1]

    assert correlation == pytest.approx(np.exp(-iodine / 2), abs=0.01)


def test_twins_are_equal_where_no_contrast_is() -> None:
    extra = flat(0.0)
    extra[100:110, 100:110] = 0.6
    plain, contrast = expose(IDEAL, counting(6000.0, extra.shape), flat(2.0), extra, np.random.default_rng(3))

    elsewhere = extra == 0
    np.testing.assert_array_equal(plain[elsewhere], contrast[elsewhere])
    assert contrast[~elsewhere].mean() < 0.65 * plain[~elsewhere].mean()


def test_scatter_moves_distant_grey_values_by_one_level_at_most() -> None:
    """A vessel takes primary beam away, and so a little of the scatter far from it."""
    tissue, extra = body(), flat(0.0, 128)
    extra[60:63, :] = 0.5
    everywhere = np.ones(tissue.shape, dtype=np.bool_)
    detector = Detector(bits=8)
    calibration = calibrate(detector, tissue, everywhere, 200 / 128)

    plain, contrast = expose(detector, calibration, tissue, extra, np.random.default_rng(4))

    far = np.abs(plain[90:].astype(int) - contrast[90:].astype(int))
    assert far.max() <= 1


def test_frame_without_contrast_is_its_own_twin() -> None:
    plain, contrast = expose(IDEAL, counting(900.0, (64, 64)), flat(1.0, 64), None, np.random.default_rng(0))

    np.testing.assert_array_equal(plain, contrast)


def test_scatter_behind_a_shield_is_a_wide_gaussian_of_the_primary() -> None:
    """Half of the field is closed: what arrives there is scatter alone. The oracle is scipy's own filter."""
    tissue = flat(0.0, 128)
    tissue[:, 64:] = 19.0
    quanta = 1e8  # photon noise of 0.01 %
    detector = replace(IDEAL, scatter=0.5, scatter_mm=20.0)
    calibration = Calibration(1.0, quanta, np.zeros(tissue.shape, dtype=np.bool_), 0.0, quanta)

    plain, _ = expose(detector, calibration, tissue, None, np.random.default_rng(0))

    expected = 0.5 * ndimage.gaussian_filter(np.exp(-tissue), 20.0, mode="nearest")
    np.testing.assert_allclose(plain[:, 66:] / COUNTS, expected[:, 66:], atol=0.004)


def test_logarithmic_detector_stores_line_integrals() -> None:
    """In LOG, equal steps of attenuation are equal steps of the stored value."""
    tissue = np.repeat(np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32), 32)[None].repeat(128, axis=0)
    detector = replace(IDEAL, relationship="LOG", photons_per_mm2=1e6)
    calibration = calibrate(detector, tissue, np.ones(tissue.shape, dtype=np.bool_), 1.0)

    plain, _ = expose(detector, calibration, tissue, None, np.random.default_rng(0))

    steps = np.diff([plain[:, 32 * i + 8 : 32 * i + 24].mean() for i in range(4)])
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.02)
    assert steps.mean() < 0


@pytest.mark.parametrize("relationship", ["LIN", "LOG"])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_calibration_brings_the_frame_into_the_window(relationship: str, bits: int) -> None:
    detector = Detector(relationship=relationship, bits=bits, window=(0.33, 0.65))  # type: ignore[arg-type]
    tissue = body()
    calibration = calibrate(detector, tissue, np.ones(tissue.shape, dtype=np.bool_), 200 / 128)

    plain, _ = expose(detector, calibration, tissue, None, np.random.default_rng(0))

    shown = np.percentile(plain, [1, 99]) / detector.max_value
    np.testing.assert_allclose(shown, [0.33, 0.65], atol=0.02)  # noise widens the tails a little


def test_brightness_of_a_run_does_not_flicker() -> None:
    """Frames of one run differ by their noise only: the medians agree within a grey level."""
    detector, tissue = Detector(), body()
    calibration = calibrate(detector, tissue, np.ones(tissue.shape, dtype=np.bool_), 200 / 128)
    rng = np.random.default_rng(0)

    medians = [np.median(expose(detector, calibration, tissue, None, rng)[0]) for _ in range(6)]

    assert np.ptp(medians) <= 1


def test_exposure_reaches_the_photons_asked_for_at_any_pixel_size() -> None:
    """The same dose per area: a pixel of twice the side counts four times the quanta."""
    tissue, everywhere = flat(3.0, 64), np.ones((64, 64), dtype=np.bool_)
    detector = replace(IDEAL, photons_per_mm2=5000.0)

    quanta = [calibrate(detector, tissue, everywhere, side).quanta * np.exp(-3.0) for side in (0.4, 0.8)]

    np.testing.assert_allclose(quanta, [5000 * 0.16, 5000 * 0.64], rtol=1e-4)


@pytest.mark.parametrize("inverted", [False, True])
def test_field_stop_is_shown_black(inverted: bool) -> None:
    """Black is 0 in MONOCHROME2 and the largest value in MONOCHROME1."""
    tissue = body()
    tissue[:, :20] = FIELD_STOP
    detector = Detector(inverted=inverted, shutter=False)
    calibration = calibrate(detector, tissue, tissue < FIELD_STOP, 200 / 128)

    plain, contrast = expose(detector, calibration, tissue, np.zeros_like(tissue), np.random.default_rng(0))

    black = 255 if inverted else 0
    assert (plain[:, :20] == black).all()
    assert (contrast[:, :20] == black).all()
    assert (plain[:, 24:] != black).all()


def test_inverted_detector_stores_the_complement() -> None:
    tissue = body()
    everywhere = np.ones(tissue.shape, dtype=np.bool_)
    stored = [
        expose(d, calibrate(d, tissue, everywhere, 1.5), tissue, None, np.random.default_rng(9))[0]
        for d in (Detector(inverted=False), Detector(inverted=True))
    ]

    np.testing.assert_array_equal(stored[0], 255 - stored[1])


def test_shutter_blackens_what_the_collimator_covers() -> None:
    tissue = body()
    tissue[:30] += 3.0
    field = np.ones(tissue.shape, dtype=np.bool_)
    field[:30] = False
    shown = {}
    for shutter in (False, True):
        detector = Detector(shutter=shutter)
        calibration = calibrate(detector, tissue, field, 200 / 128)
        shown[shutter] = expose(detector, calibration, tissue, None, np.random.default_rng(0))[0]

    assert (shown[True][:30] == 0).all()
    np.testing.assert_array_equal(shown[True][30:], shown[False][30:])


def test_same_seed_gives_the_same_bytes() -> None:
    tissue, extra = body(), body() / np.float32(20)
    detector = Detector.sample(np.random.default_rng(7))
    calibration = calibrate(detector, tissue, np.ones(tissue.shape, dtype=np.bool_), 200 / 128)

    first, second = (
        np.stack(expose(detector, calibration, tissue, extra, np.random.default_rng(8))) for _ in range(2)
    )

    assert first.dtype == np.uint16
    np.testing.assert_array_equal(first, second)


def test_sampled_detectors_keep_the_bits_asked_for_and_vary() -> None:
    detectors = [Detector.sample(np.random.default_rng(seed), bits=10) for seed in range(60)]

    assert {d.bits for d in detectors} == {10}
    assert {d.relationship for d in detectors} == {"LIN", "LOG"}
    assert {d.inverted for d in detectors} == {False, True}
    assert all(0.3 <= d.scatter <= 0.8 for d in detectors)
    assert all(d.window[0] < d.window[1] for d in detectors)
    assert np.ptp([np.log(d.photons_per_mm2) for d in detectors]) > 1


def test_calibration_needs_an_open_field_of_the_same_shape() -> None:
    tissue = body()
    with pytest.raises(ValueError, match="empty"):
        calibrate(Detector(), tissue, np.zeros(tissue.shape, dtype=np.bool_), 1.0)
    with pytest.raises(ValueError, match="must agree"):
        calibrate(Detector(), tissue, np.ones((3, 3), dtype=np.bool_), 1.0)
