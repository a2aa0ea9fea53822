"""The standard projections of coronary angiography, drawn with the jitter of everyday work.

Angles follow geometry.View: primary LAO positive, secondary cranial positive.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.growth import heart_direction
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.tree import System

STANDARD_VIEWS: dict[System, dict[str, tuple[float, float]]] = {
    "LCA": {
        "RAO30": (-30.0, 0.0),
        "RAO20CAU20": (-20.0, -20.0),
        "RAO30CRA25": (-30.0, 25.0),
        "AP CRA30": (0.0, 30.0),
        "AP CAU25": (0.0, -25.0),
        "LAO45CRA25": (45.0, 25.0),
        "LAO45CAU25": (45.0, -25.0),
    },
    "RCA": {
        "LAO45": (45.0, 0.0),
        "LAO30CRA20": (30.0, 20.0),
        "RAO30": (-30.0, 0.0),
        "AP CRA25": (0.0, 25.0),
    },
}
"""Name → (primary, secondary) in degrees, for each artery; LAO45CAU25 is the spider view."""

_EXTENT: dict[System, tuple[tuple[float, float], ...]] = {
    "LCA": ((98.0, -0.42), (77.0, 0.4), (80.0, 0.93), (148.0, -0.36), (205.0, -0.3)),
    "RCA": ((40.0, -0.48), (0.0, -0.32), (-30.0, -0.3), (-90.0, -0.38), (-84.0, 0.6), (-122.0, -0.3)),
}
"""(azimuth, height) of points that the operator wants in the picture, see tree.py."""
_CENTRING = 0.7
"""Share of the way that the table is moved to bring the artery to the centre."""


def _table_shift(injected: System, view: View) -> tuple[float, float]:
    """Where the isocentre falls when the artery is brought towards the centre, (right, down), mm."""
    azimuth, height = np.array(_EXTENT[injected]).T
    pixels, _ = view.project(Heart().to_patient(heart_direction(azimuth, height)))
    off = (pixels.min(axis=0) + pixels.max(axis=0)) / 2 - (view.size - 1) / 2
    right, down = -_CENTRING * off * view.pixel_mm
    return float(right), float(down)


def sample_view(
    rng: np.random.Generator, system: System, *, size: int, field_mm: float, preset: str | None = None
) -> View:
    """Draw a view of the left or right coronary artery.

    Parameters
    ----------
    rng
        Source of preset and jitter (4° in each angle, 5 mm in the table's position).
    system
        The injected artery.
    size, field_mm
        Detector matrix and side of its field in mm.
    preset
        A name from STANDARD_VIEWS; None draws one.

    Raises
    ------
    ValueError
        The artery has no such preset.
    """
    presets = STANDARD_VIEWS[system]
    drawn = str(rng.choice(sorted(presets)))
    name = drawn if preset is None else preset
    if name not in presets:
        raise ValueError(f"view preset {name!r} is not one of the {system}'s: {', '.join(sorted(presets))}")
    primary, secondary = presets[name] + rng.normal(0.0, 4.0, 2)
    view = View(float(primary), float(secondary), size, field_mm)
    shift = np.array(_table_shift(system, view)) + rng.normal(0.0, 5.0, 2)
    return replace(view, shift_mm=(float(shift[0]), float(shift[1])))
