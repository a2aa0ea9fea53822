"""The one cine of a file or folder, and what a viewer would show of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from tests.support.factories import Frames


def cine_of(path: Path) -> Cine:
    """The cine; an error where there is none, or more than one."""
    (cine,) = find_series([path]).cines
    return cine


def shown(path: Path) -> Frames:
    """Its display values in [0, 1], (T, H, W)."""
    cine = cine_of(path)
    display = Display.of(cine)
    return np.stack([display.apply(k, frame) for k, frame in enumerate(iter_frames(cine))])
