"""R waves in the ECG that old runs carry as a curve (PS3.3-1998 C.10.2, retired), if no pointer tells them.

A group 50xx of type ECG holds samples that are spread evenly over the frames, as many for each.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset

from casgan_dicom.source.elements import integer, several
from casgan_dicom.source.qrs import LEAST_HZ, Array, r_waves

_TYPES = ("u2", "i2", "f4", "f8", "i4")
"""Data Value Representation (50xx,0103)."""


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
            places = r_waves(samples, len(samples) / length_s)
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
