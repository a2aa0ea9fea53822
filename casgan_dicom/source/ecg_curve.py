"""R waves in the ECG that old runs carry as a curve (PS3.3-1998 C.10.2, retired), if no pointer tells them.

A group 50xx of type ECG holds samples that are spread evenly over the frames, as many for each. What stands
out of an ECG in its steepness is the QRS complex:

    e = mean of (dx/dt)² over 80 ms
    QRS: the highest e within 0.3 s, at least a fifth of the run's highest; R wave: its extreme

Samples are cut off at both ends of their range, so heights mean little; the first and the last tenth of a
second is left out, where a filter of the device rings.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from casgan_dicom.source.elements import integer, several

LEAST_HZ = 100.0
"""Samples per second below which a QRS complex cannot be seen."""
_TYPES = ("u2", "i2", "f4", "f8", "i4")
"""Data Value Representation (50xx,0103)."""
_QRS_S, _APART_S, _EDGE_S = 0.08, 0.3, 0.1
_OF_HIGHEST = 0.2
_STANDS_OUT = 0.1
"""Share of the highest steepness that half of the samples may reach at most."""

Array = npt.NDArray[np.float64]


def r_waves_of_curve(ds: Dataset, times_s: tuple[float, ...]) -> tuple[float, ...]:
    """R waves in the first ECG of a multi-frame header, in seconds after the first frame.

    `times_s` is the time of each frame. Empty where there is no such curve, where its samples do not fall
    evenly on the frames, or where nothing in it stands out as a QRS complex does.
    """
    frames = len(times_s)
    if frames < 2:
        return ()
    length_s = times_s[-1] * frames / (frames - 1)  # the last frame lasts, too
    for samples in _ecgs(ds):
        if len(samples) % frames == 0 and len(samples) / length_s >= LEAST_HZ:
            places = _qrs(samples, len(samples) / length_s)
            return tuple(float(place) * length_s / len(samples) for place in places)
    return ()


def _ecgs(ds: Dataset) -> Iterator[Array]:
    """Samples of every curve that calls itself an ECG and has one value for each point."""
    for group in range(0x5000, 0x5020, 2):
        kind, data = ds.get((group, 0x0020)), ds.get((group, 0x3000))
        if (
            kind is None
            or str(kind.value).strip() != "ECG"
            or data is None
            or not isinstance(data.value, bytes)
        ):
            continue
        form = _value(ds, group, 0x0103)
        explicit = sum(integer(one) == 1 for one in several(_value(ds, group, 0x0110)))
        if not isinstance(form, int) or form not in range(len(_TYPES)) or explicit != 1:
            continue
        order = ">" if ds.original_encoding[1] is False else "<"
        dtype = np.dtype(order + _TYPES[form])
        points = integer(_value(ds, group, 0x0010))
        if 0 < points <= len(data.value) // dtype.itemsize:
            yield np.frombuffer(data.value, dtype, points).astype(np.float64)


def _value(ds: Dataset, group: int, element: int) -> object:
    found = ds.get((group, element))
    return None if found is None else found.value


def _qrs(samples: Array, rate_hz: float) -> list[int]:
    """Places of the QRS complexes among samples."""
    width = max(1, round(_QRS_S * rate_hz))
    steep = np.convolve(np.gradient(samples) ** 2, np.ones(width) / width, "same")
    edge = round(_EDGE_S * rate_hz)
    steep[:edge] = steep[len(steep) - edge :] = 0
    highest = float(steep.max(initial=0))
    if not np.isfinite(steep).all() or highest <= 0 or np.median(steep) > _STANDS_OUT * highest:
        return []
    found: list[int] = []
    for place in np.argsort(-steep, kind="stable"):
        if steep[place] < _OF_HIGHEST * highest:
            break
        if all(abs(int(place) - other) >= _APART_S * rate_hz for other in found):
            found.append(int(place))
    return [_r_wave(samples, place, width) for place in sorted(found)]


def _r_wave(samples: Array, place: int, width: int) -> int:
    """The first sample that is farthest from the usual value around: it may be cut off there."""
    first = max(0, place - width)
    around = samples[max(0, place - 3 * width) : place + 3 * width]
    return first + int(np.abs(samples[first : place + width // 2] - np.median(around)).argmax())
