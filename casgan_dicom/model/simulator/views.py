"""The projections of coronary angiography, framed as operators frame them.

Angles follow geometry.View: primary LAO positive, secondary cranial positive. An operator works with a small
field and moves the table until the ostium lies in the upper left or upper part of the picture; the heart
fills the rest, and the distal tree may leave it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from casgan_dicom.model.simulator.geometry import Array, View
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

FIELD_MM = (110.0, 200.0)
"""Side of the field in the detector's plane, smallest and largest."""
_SOURCE_ISOCENTRE_MM = (700.0, 780.0)
_SOURCE_DETECTOR_MM = (950.0, 1200.0)
_JITTER_DEG = 6.0
_IN_BETWEEN = 0.15
"""Share of the views that lie between two presets."""
_MARGIN = (0.06, 0.18)
"""Free share of the field above and left of the artery: 30 to 92 of 512 pixels."""
_GENEROUS = 0.15
"""Share of the runs in which that is more, up to 0.4: the operator looks at the catheter first."""
_OSTIUM_WITHIN = (0.13, 0.8)
"""The ostium stays between these shares of the field, whatever is shown of the rest."""
_WITHIN_CIRCLE = 0.45
"""Share of the field that the ostium is away from its centre at most: a round field stop must not hide it."""

_EXTENT: dict[System, tuple[tuple[float, float, float], ...]] = {
    "LCA": (
        (77.0, -0.58, 0.78),
        (98.0, -0.42, 1.0),
        (77.0, 0.4, 1.0),
        (80.0, 0.93, 1.0),
        (148.0, -0.36, 1.0),
        (205.0, -0.3, 1.0),
    ),
    "RCA": (
        (54.0, -0.6, 0.8),
        (40.0, -0.48, 0.85),
        (0.0, -0.32, 1.0),
        (-30.0, -0.3, 1.0),
        (-90.0, -0.38, 1.0),
        (-84.0, 0.6, 1.0),
        (-135.0, -0.22, 1.0),
    ),
}
"""(azimuth, height, depth) of what the operator wants in the picture, see tree.py; the ostium comes first."""


def sample_view(
    rng: np.random.Generator,
    system: System,
    *,
    size: int,
    field_mm: float | None = None,
    preset: str | None = None,
) -> View:
    """Draw a view of the left or right coronary artery.

    Parameters
    ----------
    rng
        Source of angles, distances, field and the table's position.
    system
        The injected artery.
    size
        Detector matrix.
    field_mm
        Side of the detector's field in mm; None draws it, 110 to 200.
    preset
        A name from STANDARD_VIEWS; None draws one, now and then something between two. Each angle has a
        jitter of 6°.

    Raises
    ------
    ValueError
        The artery has no such preset.
    """
    presets = STANDARD_VIEWS[system]
    if preset is not None and preset not in presets:
        raise ValueError(f"view preset {preset!r} is not one of the {system}'s: {', '.join(sorted(presets))}")
    one, two = (str(name) for name in rng.choice(sorted(presets), 2, replace=False))
    way = float(rng.uniform(0.2, 0.8)) if rng.random() < _IN_BETWEEN else 0.0
    nominal = (1 - way) * np.array(presets[one]) + way * np.array(presets[two])
    if preset is not None:
        nominal = np.array(presets[preset])
    primary, secondary = nominal + rng.normal(0.0, _JITTER_DEG, 2)
    smallest, largest = FIELD_MM
    drawn_mm = largest - (largest - smallest) * float(rng.random()) ** 2  # half of them above 175 mm
    view = View(
        primary_deg=float(primary),
        secondary_deg=float(secondary),
        size=size,
        field_mm=drawn_mm if field_mm is None else field_mm,
        source_isocentre_mm=float(rng.uniform(*_SOURCE_ISOCENTRE_MM)),
        source_detector_mm=float(rng.uniform(*_SOURCE_DETECTOR_MM)),
    )
    right, down = _table_shift(rng, system, view) + rng.normal(0.0, 0.02, 2) * view.field_mm
    return replace(view, shift_mm=(float(right), float(down)))


def _table_shift(rng: np.random.Generator, system: System, view: View) -> Array:
    """Where the isocentre falls when the artery begins in the upper left, (right, down), detector mm."""
    azimuth, height, depth = np.array(_EXTENT[system]).T
    pixels, _ = view.project(Heart().to_patient(heart_direction(azimuth, height) * depth[:, None]))
    places = (pixels + 0.5) * view.pixel_mm  # mm from the upper left corner
    lowest = places.min(axis=0)
    spare = np.maximum(view.field_mm - (places.max(axis=0) - lowest), 0.0)
    free = np.where(rng.random(2) < _GENEROUS, rng.uniform(_MARGIN[1], 0.4, 2), rng.uniform(*_MARGIN, 2))
    margin = np.maximum(free * view.field_mm, rng.uniform(0.1, 0.33, 2) * spare)
    first, last = (share * view.field_mm - places[0] for share in _OSTIUM_WITHIN)
    shift = np.clip(margin - lowest, first, last)
    off_centre = places[0] + shift - view.field_mm / 2
    too_far = 1 - _WITHIN_CIRCLE * view.field_mm / max(float(np.linalg.norm(off_centre)), 1e-6)
    return np.asarray(shift - max(too_far, 0.0) * off_centre)
