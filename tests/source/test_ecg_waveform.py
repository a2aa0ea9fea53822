"""R waves in the Waveform Sequence of a run, or of an object beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import TwelveLeadECGWaveformStorage

from casgan_dicom.source.acquisition import acquisition_of
from casgan_dicom.source.ecg_waveform import r_waves_of_waveform
from casgan_dicom.source.series import find_series
from tests.source.test_ecg_curve import BEATS_S, FRAME_S, ecg
from tests.support.factories import moving_frames, uid, write_header, write_xa

_LENGTH_S = 60 * FRAME_S
_HZ = 500.0
_LEAD_II = ("MDC", "2:2", "Lead II")
_PRESSURE = ("MDC", "109000", "Aortic pressure")


def _code(scheme: str, value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodingSchemeDesignator, code.CodeValue, code.CodeMeaning = scheme, value, meaning
    return code


def _group(codes: tuple[tuple[str, str, str], ...] = (_PRESSURE, _LEAD_II), form: str = "SS") -> Dataset:
    """A multiplex group whose last channel is the ECG of `ecg`, the others slow waves."""
    points = round(_LENGTH_S * _HZ)
    slow = 20 * np.sin(np.arange(points) / 200)
    channels = np.stack([*[slow] * (len(codes) - 1), ecg(points=points) - 128], axis=1)
    if form[0] == "U":
        channels = channels + 128
    bits = {"B": 8, "S": 16, "L": 32}[form[1]]
    group = Dataset()
    group.MultiplexGroupTimeOffset = "0"
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = len(codes), points
    group.SamplingFrequency = _HZ
    group.ChannelDefinitionSequence = [Dataset() for _ in codes]
    for channel, code in zip(group.ChannelDefinitionSequence, codes, strict=True):
        channel.ChannelSourceSequence = [_code(*code)]
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = bits, form
    kind = f"<{'u' if form[0] == 'U' else 'i'}{bits // 8}"
    group.add_new(0x54001010, "OB" if bits == 8 else "OW", np.rint(channels).astype(kind).tobytes())
    return group


def _header(*groups: Dataset) -> Dataset:
    ds = Dataset()
    ds.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    ds.WaveformSequence = list(groups)
    return ds


@pytest.mark.parametrize("form", ["SB", "UB", "SS", "US", "SL", "UL"])
def test_every_r_wave_is_found_in_every_form_of_sample(form: str) -> None:
    found = r_waves_of_waveform(_header(_group(form=form)), _LENGTH_S)

    assert found == pytest.approx(BEATS_S, abs=0.02)


@pytest.mark.parametrize("lead", [("SCPECG", "5.6.3-9-2", "Lead II"), ("99X", "1", "ECG, surface")])
def test_a_lead_is_known_by_its_code(lead: tuple[str, str, str]) -> None:
    assert len(r_waves_of_waveform(_header(_group((_PRESSURE, lead))), _LENGTH_S)) == len(BEATS_S)


def test_an_offset_of_the_group_moves_its_waves() -> None:
    group = _group()
    group.MultiplexGroupTimeOffset = "250"

    assert r_waves_of_waveform(_header(group), _LENGTH_S) == pytest.approx(np.add(BEATS_S, 0.25), abs=0.02)


@pytest.mark.parametrize(
    "change",
    [
        {"SamplingFrequency": 50},
        {"SamplingFrequency": None},
        {"NumberOfWaveformSamples": 10**6},
        {"NumberOfWaveformSamples": 0},
        {"NumberOfWaveformChannels": 3},
        {"WaveformBitsAllocated": 8},
        {"WaveformSampleInterpretation": "MB"},
        {"WaveformSampleInterpretation": None},
        {"WaveformData": None},
        {"ChannelDefinitionSequence": None},
    ],
)
def test_a_group_that_contradicts_itself_tells_nothing(change: dict[str, Any]) -> None:
    group = _group()
    for keyword, value in change.items():
        if value is None:
            delattr(group, keyword)
        else:
            setattr(group, keyword, value)

    assert r_waves_of_waveform(_header(group), _LENGTH_S) == ()


def test_a_pressure_is_no_ecg_and_the_next_group_is_looked_at() -> None:
    pressures = _group((_PRESSURE, _PRESSURE))

    assert r_waves_of_waveform(_header(pressures), _LENGTH_S) == ()
    assert len(r_waves_of_waveform(_header(pressures, _group()), _LENGTH_S)) == len(BEATS_S)
    assert r_waves_of_waveform(Dataset(), _LENGTH_S) == ()


def _run(path: Path, **header: object) -> Path:
    return write_xa(path, moving_frames(60), FrameTime=FRAME_S * 1000, **header)


def test_the_waveform_in_a_run_tells_where_no_pointer_does(tmp_path: Path) -> None:
    for name, header in (("a", {}), ("b", {"RWavePointer": [1, 14, 27]})):
        path = _run(tmp_path / name, **header)
        ds = dcmread(path)
        ds.WaveformSequence = [_group()]
        ds.save_as(path, enforce_file_format=True)

    found = [acquisition_of(find_series([tmp_path / name]).cines[0]).r_waves_s for name in ("a", "b")]

    assert found[0] == pytest.approx(BEATS_S, abs=0.02)
    assert found[1] == pytest.approx((0, 13 * FRAME_S, 26 * FRAME_S), abs=1e-3)


_CLOCK = {"SynchronizationFrameOfReferenceUID": uid("clock"), "AcquisitionDateTime": "20240102101623.500"}


@pytest.mark.parametrize(
    ("own", "shared"),
    [
        ({}, True),
        ({"SynchronizationFrameOfReferenceUID": uid("another clock")}, False),
        ({"SynchronizationFrameOfReferenceUID": None}, False),
        ({"AcquisitionDateTime": None}, False),
        ({"StudyInstanceUID": uid("another study")}, False),
    ],
)
def test_an_ecg_beside_a_run_counts_where_both_have_one_clock(
    tmp_path: Path, own: dict[str, object], shared: bool
) -> None:
    """It begins a quarter of a second before the run: its waves come as much earlier. Another one, of an hour
    before, tells nothing."""
    _run(tmp_path / "run", **_CLOCK)
    for name, begin in (("ecg", "20240102101623.250"), ("before", "20240102091623.250")):
        recorded: dict[str, object] = {
            "SOPClassUID": TwelveLeadECGWaveformStorage,
            "SOPInstanceUID": uid(name),
            "SeriesInstanceUID": uid(f"{name} series"),
            "Modality": "ECG",
            "WaveformSequence": [_group((_LEAD_II,))],
        }
        write_header(tmp_path / name, **recorded | _CLOCK | {"AcquisitionDateTime": begin} | own)

    cines = {cine.series_uid: cine for cine in find_series([tmp_path]).cines}
    found = acquisition_of(cines[uid("series")]).r_waves_s

    assert found == (pytest.approx(np.subtract(BEATS_S, 0.25), abs=0.02) if shared else ())
