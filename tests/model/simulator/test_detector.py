"""The imaging chain, against the statistics of quanta, Beer and Lambert, and another Gaussian filter."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from casgan_dicom.model.simulator.detector import (
    FIELD_STOP,
    Calibration,
    Detector,
    calibrate,
    expose,
    shown_range,
    uncurve,
)
from casgan_dicom.model.simulator.noise import Grain
from casgan_dicom.model.simulator.shutter import Rectangle

IDEAL = Detector(scatter=0.0, blur_mm=0.0, bits=12, shutter="none")
COUNTS = 4095  # with `counting` a stored value is the number of quanta

Image = npt.NDArray[np.float32]


def counting(quanta: float, shape: tuple[int, int], most: float = COUNTS) -> Calibration:
    """A calibration under which the ideal 12-bit detector stores quanta, `most` of them as 4095."""
    return Calibration(
        pixel_mm=1.0,
        quanta=quanta,
        electronic=0.0,
        middle=most,
        low=0.0,
        high=1.0,
        blank=np.zeros(shape, dtype=np.bool_),
    )


def flat(value: float, size: int = 256) -> Image:
    return np.full((size, size), value, dtype=np.float32)


def grain(seed: int, size: int = 256) -> Image:
    return np.random.default_rng(seed).standard_normal((size, size), dtype=np.float32)


def body(size: int = 128) -> Image:
    """Soft tissue with smooth structure, 2.5 to 4.5 attenuation lengths."""
    noise = np.random.default_rng(5).standard_normal((size, size))
    smooth = ndimage.gaussian_filter(noise, size / 12, mode="wrap")
    return np.asarray(3.5 + smooth / np.abs(smooth).max(), dtype=np.float32)


def everywhere(image: Image) -> npt.NDArray[np.bool_]:
    return np.ones(image.shape, dtype=np.bool_)


def test_both_twins_have_the_mean_of_beer_and_lambert_and_its_variance() -> None:
    n0, tissue, iodine = 6000.0, 2.0, 0.5
    plain, contrast = expose(IDEAL, counting(n0, (256, 256)), flat(tissue), flat(iodine), grain(1))

    for stored, mean in ((plain, n0 * np.exp(-tissue)), (contrast, n0 * np.exp(-tissue - iodine))):
        spread = 5 * np.sqrt(mean / stored.size)  # five standard errors of the mean
        assert stored.mean() == pytest.approx(mean, abs=spread)
        assert stored.var() == pytest.approx(mean, rel=0.03)  # standard error of a variance is 0.6 % here


def test_noise_relative_to_the_signal_grows_where_less_light_arrives() -> None:
    """A vessel of depth 1 has exp(-1) of the quanta, so exp(1/2) times the relative noise."""
    plain, contrast = expose(IDEAL, counting(6000.0, (256, 256)), flat(1.0), flat(1.0), grain(1))

    relative = [float(stored.std() / stored.mean()) for stored in (plain, contrast)]
    assert relative[1] / relative[0] == pytest.approx(np.exp(0.5), rel=0.01)


def test_readout_noise_adds_its_variance() -> None:
    calibration = replace(counting(6000.0, (256, 256)), electronic=30.0)
    plain, _ = expose(IDEAL, calibration, flat(2.0), None, grain(1))

    assert plain.var() == pytest.approx(6000 * np.exp(-2) + 900, rel=0.03)


def test_twins_are_equal_where_no_contrast_is() -> None:
    extra = flat(0.0)
    extra[100:110, 100:110] = 0.6
    plain, contrast = expose(IDEAL, counting(6000.0, extra.shape), flat(2.0), extra, grain(3))

    elsewhere = extra == 0
    np.testing.assert_array_equal(plain[elsewhere], contrast[elsewhere])
    assert contrast[~elsewhere].mean() < 0.65 * plain[~elsewhere].mean()


def test_noise_of_a_pixel_does_not_depend_on_what_others_show() -> None:
    other = flat(2.0)
    other[:, :128] = 0.9
    first, second = (
        expose(IDEAL, counting(6000.0, (256, 256)), tissue, None, grain(4))[0]
        for tissue in (flat(2.0), other)
    )

    np.testing.assert_array_equal(first[:, 128:], second[:, 128:])
    assert (first[:, :128] != second[:, :128]).all()


def test_scatter_moves_distant_grey_values_by_one_level_at_most() -> None:
    """A vessel takes primary beam away, and so a little of the scatter far from it."""
    tissue, extra = body(), flat(0.0, 128)
    extra[60:63, :] = 0.5
    detector = Detector(bits=8)
    calibration = calibrate(detector, tissue, everywhere(tissue), 200 / 128)

    plain, contrast = expose(detector, calibration, tissue, extra, grain(4, 128))

    far = np.abs(plain[90:].astype(int) - contrast[90:].astype(int))
    assert far.max() <= 1


def test_frame_without_contrast_is_its_own_twin() -> None:
    plain, contrast = expose(IDEAL, counting(900.0, (64, 64)), flat(1.0, 64), None, grain(0, 64))

    np.testing.assert_array_equal(plain, contrast)


def test_scatter_behind_a_shield_is_a_wide_gaussian_of_the_primary() -> None:
    """Half of the field is closed: what arrives there is scatter alone. The oracle is scipy's own filter."""
    tissue = flat(0.0, 128)
    tissue[:, 64:] = 19.0
    quanta = 1e8
    detector = replace(IDEAL, scatter=0.5, scatter_mm=20.0)

    plain, _ = expose(detector, counting(quanta, tissue.shape, quanta), tissue, None, flat(0.0, 128))

    expected = 0.5 * ndimage.gaussian_filter(np.exp(-tissue), 20.0, mode="nearest")
    np.testing.assert_allclose(plain[:, 66:] / COUNTS, expected[:, 66:], atol=0.004)


def test_logarithmic_detector_stores_line_integrals() -> None:
    """In LOG, equal steps of attenuation are equal steps of the stored value."""
    tissue = np.repeat(np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32), 32)[None].repeat(128, axis=0)
    detector = replace(IDEAL, relationship="LOG", compression=0.2)
    calibration = calibrate(detector, tissue, everywhere(tissue), 1.0)

    plain, _ = expose(detector, calibration, tissue, None, flat(0.0, 128))

    steps = np.diff([plain[:, 32 * i + 8 : 32 * i + 24].mean() for i in range(4)])
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.02)
    assert steps.mean() < 0


@pytest.mark.parametrize("compression", [0.25, 0.6, 1.0])
def test_display_compresses_anatomy_and_contrast_alike(compression: float) -> None:
    """A step of tissue and a vessel of the same depth look the same, exp(-c L) in grey."""
    tissue = flat(3.0, 128)
    tissue[:, 64:] = 3.3
    detector = replace(IDEAL, compression=compression)
    calibration = calibrate(detector, tissue, everywhere(tissue), 1.0)

    plain, contrast = expose(detector, calibration, tissue, flat(0.3, 128), flat(0.0, 128))

    step = np.log(plain[:, :64].mean() / plain[:, 64:].mean())
    vessel = np.log(plain.mean() / contrast.mean())
    assert step == pytest.approx(0.3 * compression, rel=0.02)
    assert vessel == pytest.approx(0.3 * compression, rel=0.02)


@pytest.mark.parametrize("relationship", ["LIN", "LOG"])
def test_hardness_is_the_contrast_of_grey_values_over_that_of_the_curve(
    relationship: Literal["LIN", "LOG"],
) -> None:
    detector = replace(IDEAL, relationship=relationship, compression=0.5, hardness=1.4)
    calibration = calibrate(detector, flat(3.0, 64), everywhere(flat(3.0, 64)), 1.0)

    plain, contrast = expose(detector, calibration, flat(3.0, 64), flat(0.02, 64), flat(0.0, 64))

    assert np.log(plain.mean() / contrast.mean()) == pytest.approx(0.02 * 0.5 * 1.4, rel=0.05)


@pytest.mark.parametrize("relationship", ["LIN", "LOG"])
def test_window_and_curve_can_be_undone(relationship: Literal["LIN", "LOG"]) -> None:
    detector = replace(IDEAL, relationship=relationship, compression=0.4, hardness=1.2)
    tissue, extra = body(), flat(0.25, 128)
    calibration = calibrate(detector, tissue, everywhere(tissue), 1.5)
    twins = expose(detector, calibration, tissue, extra, flat(0.0, 128))

    low, span = np.float32(calibration.low), np.float32(calibration.high - calibration.low)
    quanta = [uncurve(detector, low + span * t.astype(np.float32) / np.float32(4095)) for t in twins]

    np.testing.assert_allclose(np.log(quanta[0] / quanta[1]), 0.25, atol=0.01)  # 12 bits are 0.003 here


@pytest.mark.parametrize("relationship", ["LIN", "LOG"])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_calibration_brings_the_frame_into_the_middle_of_the_window(
    relationship: Literal["LIN", "LOG"], bits: Literal[8, 10, 12]
) -> None:
    detector = Detector(relationship=relationship, bits=bits, window=(0.33, 0.65), compression=0.5)
    tissue = body()
    calibration = calibrate(detector, tissue, everywhere(tissue), 200 / 128)

    plain, _ = expose(detector, calibration, tissue, None, grain(0, 128))

    dark, bright = np.percentile(plain, [1, 99]) / detector.max_value
    assert np.sqrt(dark * bright) == pytest.approx(np.sqrt(0.33 * 0.65), abs=0.01)
    expected = shown_range(detector, tissue, everywhere(tissue), 200 / 128)
    np.testing.assert_allclose((dark, bright), expected, atol=0.015)  # noise widens the tails a little


@pytest.mark.parametrize("compression", [0.3, 1.0])
@pytest.mark.parametrize("levels", [0.8, 3.0])
def test_noise_has_the_strength_asked_for_in_grey_levels(levels: float, compression: float) -> None:
    tissue = flat(3.5, 512)
    detector = Detector(grain=Grain(levels=levels, electronic=0.1), compression=compression)
    calibration = calibrate(detector, tissue, everywhere(tissue), 0.4)

    plain, _ = expose(detector, calibration, tissue, None, grain(0, 512))

    assert np.sqrt(plain.var() - 1 / 12) == pytest.approx(levels, rel=0.03)  # 1/12: whole levels


def test_brightness_of_a_settled_run_does_not_flicker() -> None:
    """Frames of one run differ by their noise only: the medians agree within a grey level."""
    detector, tissue = Detector(), body()
    calibration = calibrate(detector, tissue, everywhere(tissue), 200 / 128)

    medians = [np.median(expose(detector, calibration, tissue, None, grain(k, 128))[0]) for k in range(6)]

    assert np.ptp(medians) <= 1


def test_an_exposure_not_yet_settled_scales_the_quanta() -> None:
    settled, bright = (
        expose(IDEAL, counting(4000.0, (64, 64)), flat(2.0, 64), None, flat(0.0, 64), factor)[0]
        for factor in (1.0, 1.5)
    )

    assert bright.mean() == pytest.approx(1.5 * settled.mean(), rel=0.002)


@pytest.mark.parametrize("inverted", [False, True])
def test_field_stop_is_shown_black(inverted: bool) -> None:
    """Black is 0 in MONOCHROME2 and the largest value in MONOCHROME1."""
    tissue = body()
    tissue[:, :20] = FIELD_STOP
    detector = Detector(inverted=inverted, shutter="none")
    calibration = calibrate(detector, tissue, tissue < FIELD_STOP, 200 / 128)

    plain, contrast = expose(detector, calibration, tissue, np.zeros_like(tissue), grain(0, 128))

    black = 255 if inverted else 0
    assert (plain[:, :20] == black).all()
    assert (contrast[:, :20] == black).all()
    assert (plain[:, 24:] != black).all()


def test_inverted_detector_stores_the_complement() -> None:
    tissue = body()
    stored = [
        expose(d, calibrate(d, tissue, everywhere(tissue), 1.5), tissue, None, grain(9, 128))[0]
        for d in (Detector(inverted=False), Detector(inverted=True))
    ]

    np.testing.assert_array_equal(stored[0], 255 - stored[1])


def blades(margin: float, shutter: Literal["none", "burned", "tagged"]) -> tuple[Image, Calibration]:
    """A picture whose first 30 rows lie under a thin blade, and its calibration."""
    tissue = body()
    tissue[:30] += 1.5
    field = everywhere(tissue)
    field[:30] = False
    detector = Detector(shutter=shutter, shutter_margin=margin)
    calibration = calibrate(detector, tissue, field, 200 / 128)
    return np.asarray(expose(detector, calibration, tissue, None, grain(0, 128))[0]), calibration


def test_blades_are_black_with_a_shutter_and_dark_grey_without() -> None:
    shown = {kind: blades(0.0, kind)[0] for kind in ("none", "burned", "tagged")}

    assert (shown["burned"][:30] == 0).all()
    np.testing.assert_array_equal(shown["tagged"], shown["burned"])
    np.testing.assert_array_equal(shown["burned"][30:], shown["none"][30:])
    grey = shown["none"][:25]
    assert 5 < np.median(grey) < 0.6 * np.median(shown["none"][35:])
    assert np.ptp(ndimage.uniform_filter(grey.astype(float), 5)) > 5  # the patient is seen through it


def test_black_may_begin_behind_the_edge_of_the_field() -> None:
    assert (blades(4 / 128, "burned")[0][:26] == 0).all()
    assert (blades(4 / 128, "burned")[0][26:30] > 0).all()


def test_only_a_tagged_shutter_is_told_to_the_header() -> None:
    assert blades(0.0, "burned")[1].shutter is None
    calibration = blades(0.0, "tagged")[1]
    assert calibration.shutter == Rectangle(left=1, right=128, upper=31, lower=128)
    np.testing.assert_array_equal(calibration.blank, ~calibration.shutter.visible((128, 128)))


def test_sampled_detectors_keep_the_bits_asked_for_and_vary() -> None:
    detectors = [Detector.sample(np.random.default_rng(seed), bits=10) for seed in range(80)]

    assert {d.bits for d in detectors} == {10}
    assert {d.stored_relationship for d in detectors} == {"LIN", "LOG", "DISP"}
    assert {d.inverted for d in detectors} == {False, True}
    assert {d.shutter for d in detectors} == {"none", "burned", "tagged"}
    assert all(0.3 <= d.scatter <= 0.8 for d in detectors)
    assert all(d.window[0] < d.window[1] for d in detectors)
    assert {d.ramp.start == 0 for d in detectors} == {False, True}


def test_three_quarters_of_the_displays_compress() -> None:
    drawn = np.array([Detector.sample(np.random.default_rng(s)).compression for s in range(800)])

    compressed = drawn[drawn < 1]
    assert compressed.size / drawn.size == pytest.approx(0.75, abs=0.05)  # three standard errors
    assert compressed.min() >= 0.22
    assert np.median(compressed) == pytest.approx(np.sqrt(0.22), abs=0.05)  # log-uniform


def test_calibration_needs_an_open_field_of_the_same_shape() -> None:
    tissue = body()
    with pytest.raises(ValueError, match="empty"):
        calibrate(Detector(), tissue, np.zeros(tissue.shape, dtype=np.bool_), 1.0)
    with pytest.raises(ValueError, match="must agree"):
        calibrate(Detector(), tissue, np.ones((3, 3), dtype=np.bool_), 1.0)
