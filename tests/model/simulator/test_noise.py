"""Fields of grain: their variance, their correlation in time and space, and random access."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from casgan_dicom.model.simulator.noise import Grain, NoiseFields
from casgan_dicom.model.simulator.run import stream

RAW = Grain(levels=3.0)
FILTERED = Grain(levels=0.8, persistence=0.6, correlation_px=0.9)
SHAPE = (128, 128)


def cube(grain: Grain, frames: int = 12, rows: int = 128) -> np.ndarray:
    fields = NoiseFields(3, (rows, rows), grain)
    return np.stack([fields.field(k) for k in range(frames)])


def high_share(grain: Grain) -> float:
    """Power per frequency above 0.3 cycles per pixel over that below 0.1, on a matrix of 512."""
    power = np.mean(np.abs(np.fft.fft2(cube(grain, 1, 512))) ** 2, axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
    return float(power[frequency > 0.3].mean() / power[frequency < 0.1].mean())


@pytest.mark.parametrize("grain", [RAW, FILTERED])
def test_fields_are_normal_with_variance_one(grain: Grain) -> None:
    values = cube(grain)

    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(0.0, abs=0.02)
    assert values.var() == pytest.approx(1.0, abs=0.03)
    assert np.mean(np.abs(values) > 1.96) == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.7])
def test_neighbouring_frames_correlate_as_the_recursive_filter_has_it(persistence: float) -> None:
    values = cube(replace(RAW, persistence=persistence))

    for lag in (1, 2):
        correlation = np.mean(values[lag:] * values[:-lag])
        assert correlation == pytest.approx(persistence**lag, abs=0.03)


def test_raw_noise_is_white_and_filtered_noise_is_smooth() -> None:
    assert high_share(RAW) == pytest.approx(1.0, abs=0.1)
    # the mean of exp(-(2 pi 0.9 f)^2) above 0.3 over that below 0.1 cycles per pixel
    assert 0.001 < high_share(FILTERED) < 0.02


@pytest.mark.parametrize("grain", [RAW, FILTERED])
def test_a_frame_alone_is_the_frame_of_the_run(grain: Grain) -> None:
    run = cube(grain)

    for frame in (0, 7, 3):
        np.testing.assert_array_equal(NoiseFields(3, SHAPE, grain).field(frame), run[frame])


def test_frames_in_any_order_are_the_same_bytes() -> None:
    run, fields = cube(FILTERED), NoiseFields(3, SHAPE, FILTERED)

    for frame in (11, 0, 5, 5, 10):
        np.testing.assert_array_equal(fields.field(frame), run[frame])


def test_a_run_in_order_draws_one_field_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def counted(seed: int, name: str, frame: int) -> np.random.Generator:
        drawn.append(frame)
        return stream(seed, name, frame)

    monkeypatch.setattr("casgan_dicom.model.simulator.noise.stream", counted)
    fields = NoiseFields(3, SHAPE, FILTERED)
    fields.field(0)
    before = len(drawn)
    for frame in range(1, 6):
        fields.field(frame)

    assert len(drawn) - before == 5
    assert len(set(drawn)) == len(drawn)
    assert min(drawn) >= 0  # numpy's seeds are not negative


def test_another_seed_gives_other_noise() -> None:
    one, two = (NoiseFields(seed, SHAPE, RAW).field(0) for seed in (1, 2))

    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.03


@pytest.mark.parametrize("smooth", [0.0, 0.9])
def test_strength_on_a_coarser_matrix_is_that_of_averaged_pixels(smooth: float) -> None:
    """The oracle averages 2 x 2 pixels of the field at 512."""
    grain = replace(RAW, correlation_px=smooth)
    field = cube(grain, 1, 512)[0]
    averaged = field.reshape(256, 2, 256, 2).mean(axis=(1, 3)).std()

    assert grain.levels_at(512) == grain.levels
    assert grain.levels_at(256) / grain.levels == pytest.approx(averaged, rel=0.06)  # a kernel on pixels


def test_both_kinds_are_drawn_and_the_display_scales_them() -> None:
    grains = [Grain.sample(np.random.default_rng(s), contrast) for s in range(150) for contrast in (0.3, 1.0)]
    raw = [g for g in grains if g.persistence == 0]
    filtered = [g for g in grains if g.persistence > 0]

    assert 0.24 < len(raw) / len(grains) < 0.46  # 0.35 and three standard errors of 150 draws
    assert all(2.0 <= g.levels <= 5.0 for g in raw)
    assert all(0.5 <= g.levels <= 1.5 for g in filtered)
    assert all(0.45 <= g.persistence <= 0.8 and g.correlation_px >= 0.7 for g in filtered)
    weak, strong = (np.mean([g.levels for g in grains[start::2] if g.persistence == 0]) for start in (0, 1))
    assert weak < 0.85 * strong
