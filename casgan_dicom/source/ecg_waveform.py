"""R waves in a Waveform Sequence (5400,0100), of the run itself or of a waveform object beside it.

Each item is a multiplex group (PS3.3 C.10.9): channels whose samples alternate. An object beside the run
tells of its heart only where both are of one study and their clocks are one: the same Synchronization Frame
of Reference UID (0020,0200), and Acquisition DateTime (0008,002A) in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from pydicom.dataset import Dataset

from casgan_dicom.source.clocks import moment_of
from casgan_dicom.source.elements import integer, items_of, numbers, one_text
from casgan_dicom.source.qrs import LEAST_HZ, Array, r_waves

_FORMS = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
"""Waveform Sample Interpretation (5400,1006)."""
_ECG_CLASSES = "1.2.840.10008.5.1.4.1.1.9.1."
"""Begins the SOP Classes whose channels are all those of an ECG."""
_MOST_CHANNELS = 64
_BEYOND_S = 3.0
"""R waves of an object that is longer than the run count up to here beyond its ends."""


def r_waves_of_waveform(ds: Dataset, length_s: float, first_s: float = 0.0) -> tuple[float, ...]:
    """R waves in the first ECG channel that shows any, in seconds after the first frame of a run.

    Parameters
    ----------
    ds
        A header with a Waveform Sequence (5400,0100).
    length_s
        Of the run.
    first_s
        When the waveform's own clock begins, seconds after the run's first frame.

    Returns
    -------
    tuple of float
        Rising; empty without such a channel, and where its elements contradict each other.
    """
    for group in items_of(ds, "WaveformSequence"):
        rate = numbers(group, "SamplingFrequency")
        if len(rate) != 1 or not LEAST_HZ <= rate[0] <= 1e5:
            continue
        begin = first_s + sum(numbers(group, "MultiplexGroupTimeOffset")[:1]) / 1000
        for samples in _ecgs(ds, group):
            waves = [begin + place / rate[0] for place in r_waves(samples, rate[0])]
            near = tuple(wave for wave in waves if -_BEYOND_S <= wave <= length_s + _BEYOND_S)
            if near:
                return near
    return ()


def waveforms_beside(header: Dataset, waveforms: Iterable[Dataset]) -> tuple[Dataset, ...]:
    """Those waveform objects whose clock is that of a run, by the headers of all."""
    clock = _clock(header)
    return tuple(ds for ds in waveforms if _clock(ds) == clock) if all(clock) else ()


def r_waves_beside(header: Dataset, waveforms: Iterable[Dataset], length_s: float) -> tuple[float, ...]:
    """R waves of the first object of `waveforms_beside` that was recorded with the run, in seconds after its
    first frame."""
    for ds in waveforms:
        begin = _begin_s(ds, header)
        found = () if begin is None else r_waves_of_waveform(ds, length_s, begin)
        if found:
            return found
    return ()


def _clock(ds: Dataset) -> tuple[str, str]:
    """The study, and the frame of reference of the clock."""
    return one_text(ds, "StudyInstanceUID"), one_text(ds, "SynchronizationFrameOfReferenceUID")


def _begin_s(ds: Dataset, header: Dataset) -> float | None:
    """Seconds from the beginning of a run to that of a waveform; None where one of them is unknown."""
    own, run = (moment_of(one, "", "AcquisitionDateTime") for one in (ds, header))
    return None if own is None or run is None else own.seconds_after(run)


def _ecgs(ds: Dataset, group: Dataset) -> Iterator[Array]:
    """Samples of each ECG channel of a multiplex group, float64 (N,)."""
    count, channels = (
        integer(group.get("NumberOfWaveformSamples")),
        items_of(group, "ChannelDefinitionSequence"),
    )
    form = _FORMS.get(one_text(group, "WaveformSampleInterpretation"))
    data = group.get("WaveformData")
    if form is None or count < 1 or not isinstance(data, bytes) or not 0 < len(channels) <= _MOST_CHANNELS:
        return
    if integer(group.get("NumberOfWaveformChannels")) != len(channels):
        return
    dtype = np.dtype((">" if ds.original_encoding[1] is False else "<") + form)
    if dtype.itemsize * 8 != integer(group.get("WaveformBitsAllocated")):
        return
    if len(data) < count * len(channels) * dtype.itemsize:
        return
    samples = np.frombuffer(data, dtype, count * len(channels)).reshape(count, len(channels))
    every = one_text(ds, "SOPClassUID").startswith(_ECG_CLASSES)
    for at, channel in enumerate(channels):
        if every or _is_ecg(channel):
            yield samples[:, at].astype(np.float64)


def _is_ecg(channel: Dataset) -> bool:
    """Whether the Channel Source Sequence (003A,0208) names a lead of an ECG (CID 3001)."""
    for code in items_of(channel, "ChannelSourceSequence"):
        scheme, value = one_text(code, "CodingSchemeDesignator"), one_text(code, "CodeValue")
        if scheme == "SCPECG" or (scheme == "MDC" and value.startswith("2:")):
            return True
        if "ECG" in one_text(code, "CodeMeaning").upper():
            return True
    return False
