"""R waves in the ECG that an old run carries as a curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from casgan_dicom.source.acquisition import acquisition_of
from casgan_dicom.source.ecg_curve import r_waves_of_curve
from casgan_dicom.source.series import find_series
from tests.support.factories import moving_frames, write_xa

FRAME_S = 1 / 15
TIMES = tuple(k * FRAME_S for k in range(60))
BEATS_S = (0.5, 1.4, 2.25, 3.2)


def ecg(beats: tuple[float, ...] = BEATS_S, noise: float = 1.0, points: int = 60 * 30) -> np.ndarray:
    """A P wave, a QRS complex and a T wave for each beat, over a drift, as bytes would hold it."""
    t = np.arange(points) / points * 60 * FRAME_S
    wave = 100 + 15 * np.sin(t) + np.random.default_rng(1).normal(0, noise, points)
    for beat in beats:
        for height, at, width in ((12, -0.16, 0.03), (120, 0, 0.012), (-30, 0.03, 0.012), (25, 0.28, 0.06)):
            wave += height * np.exp(-(((t - beat - at) / width) ** 2) / 2)
    return np.clip(wave, 0, 255)


def curve(samples: np.ndarray, group: int = 0x5000, **change: Any) -> Dataset:  # noqa: ANN401 - any element
    """A header with a curve; `change` overrules an element by its number, as in `e0103=1`."""
    form = ("<u2", "<i2", "<f4", "<f8", "<i4")[change.get("e0103") or 0]
    values: dict[int, tuple[str, Any]] = {
        0x0005: ("US", 2),
        0x0010: ("US", len(samples)),
        0x0020: ("CS", "ECG"),
        0x0103: ("US", 0),
        0x0110: ("US", [0, 1]),
        0x3000: ("OW", np.rint(samples).astype(form).tobytes()),
    }
    ds = Dataset()
    ds.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    for number, (vr, usual) in values.items():
        value = change.get(f"e{number:04x}", usual)
        if value is not None:
            ds.add_new((group, number), vr, value)
    return ds


@pytest.mark.parametrize("form", range(5))
@pytest.mark.parametrize("group", [0x5000, 0x5002])
def test_every_r_wave_is_found_within_a_frame(form: int, group: int) -> None:
    found = r_waves_of_curve(curve(ecg(), group, e0103=form), TIMES)

    assert len(found) == len(BEATS_S)
    assert np.abs(np.subtract(found, BEATS_S)).max() < FRAME_S / 2


def test_waves_that_are_cut_off_by_the_range_are_found() -> None:
    found = r_waves_of_curve(curve(np.clip(ecg(), 60, 140)), TIMES)

    assert len(found) == len(BEATS_S)


@pytest.mark.parametrize(
    "change",
    [
        {"e0020": "PRESSURE"},
        {"e0103": None},
        {"e0110": [1, 1]},
        {"e0110": None},
        {"e0010": 0},
        {"e0010": 10**6 // 20},
        {"e3000": None},
        {"e0010": 1799},
    ],
)
def test_a_curve_that_is_no_even_ecg_tells_nothing(change: dict[str, Any]) -> None:
    assert r_waves_of_curve(curve(ecg(), **{"e0103": 0} | change), TIMES) == ()


@pytest.mark.parametrize("samples", [np.full(1800, 90.0), ecg((), noise=20.0), ecg(points=240)])
def test_a_line_noise_or_too_few_samples_tell_nothing(samples: np.ndarray) -> None:
    assert r_waves_of_curve(curve(samples), TIMES) == ()


def test_a_run_without_a_pointer_is_told_by_its_curve_and_one_with_it_by_that(tmp_path: Path) -> None:
    for name, header in (("a", {}), ("b", {"RWavePointer": [1, 14, 27]})):
        path = write_xa(tmp_path / name, moving_frames(60), FrameTime=1000 / 15, **header)
        ds = dcmread(path)
        for element in curve(ecg()):
            ds.add(element)
        ds.save_as(path, enforce_file_format=True)

    found = [acquisition_of(find_series([tmp_path / name]).cines[0]).r_waves_s for name in ("a", "b")]

    assert found[0] == pytest.approx(BEATS_S, abs=FRAME_S / 2)
    assert found[1] == pytest.approx((0, 13 * FRAME_S, 26 * FRAME_S), abs=1e-3)


def test_the_curve_of_a_real_run_says_what_its_pointer_says(real_xa: Path) -> None:
    """R Wave Pointer of that file is 20, 53, 77; a frame lasts 33 ms."""
    (cine,) = find_series([real_xa / "XA_RCA_96f_jpegbaseline.dcm"]).cines
    times = acquisition_of(cine).times_s

    found = r_waves_of_curve(cine.header, times)

    assert [round(wave / 0.033) + 1 for wave in found] == pytest.approx([20, 53, 77], abs=1.01)


def test_other_curves_and_very_long_ones_are_not_kept(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", moving_frames(60))
    ds = dcmread(path)
    for group, change in (
        (0x5000, {"e0020": "PRESSURE"}),
        (0x5002, {}),
        (0x5004, {"e3000": bytes(2**20 + 2)}),
    ):
        for element in curve(ecg(), group, **change):
            ds.add(element)
    ds.save_as(path, enforce_file_format=True)

    (cine,) = find_series([path]).cines

    assert {tag.group for tag in list(cine.header.keys()) if tag.group >= 0x5000} == {0x5002}
    assert any("3 curves not drawn" in note for note in cine.notes)
