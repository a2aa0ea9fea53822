"""Does a simulated run look like a real one? The figures that were measured on real coronary runs.

The real figures come from 9 patients, 1,435 frames of 512 x 512 pixels. Ours are measured as a reader
would: on filled frames, along the centreline, the ratio of the frame to its contrast-free twin in linear
intensity. Widths are in pixels of a 512 x 512 picture of a field of 200 mm. What else gives a simulated run
away is measured in realism.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from casgan_dicom.model.simulator.cine import SimulatedCine
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.limits import Limit
from casgan_dicom.model.simulator.realism import REALISM, measure_realism

_REFERENCE_SIZE = 512
_REFERENCE_FIELD_MM = 200.0
_FILLED = 0.5

ACCEPTANCE: Mapping[str, Limit] = {
    "attenuation_p10": Limit("-ln(I/I_background) on the centreline, p10", 0.135, 0.07, 0.19),
    "attenuation_p50": Limit("-ln(I/I_background) on the centreline, p50", 0.223, 0.18, 0.27),
    "attenuation_p90": Limit("-ln(I/I_background) on the centreline, p90", 0.38, 0.28, 0.55),
    "depth_p50": Limit("-ln of the 8-bit grey values' ratio there, p50", 0.223, 0.16, 0.29),
    "width_p10": Limit("vessel width in px at 512 and 200 mm, p10", 5.7, 3.0, 6.5),
    "width_p50": Limit("vessel width in px at 512 and 200 mm, p50", 7.2, 6.0, 9.0),
    "width_p90": Limit("vessel width in px at 512 and 200 mm, p90", 12.0, 9.5, 15.0),
    "cover_percent": Limit("vessel cover of the frame in %", 2.8, 2.0, 5.0),
    "intensity_p1": Limit("8-bit intensity, p1", 84.0, 60.0, 100.0),
    "intensity_p25": Limit("8-bit intensity, p25", 104.0, 85.0, 120.0),
    "intensity_p50": Limit("8-bit intensity, p50", 115.0, 100.0, 135.0),
    "intensity_p75": Limit("8-bit intensity, p75", 131.0, 115.0, 155.0),
    "intensity_p99": Limit("8-bit intensity, p99", 165.0, 145.0, 200.0),
    "lead_in_min": Limit("contrast-free frames at the start of a run, fewest", None, 1.0, np.inf),
}
"""First table: key → real value and accepted range."""

TABLES: tuple[Mapping[str, Limit], ...] = (ACCEPTANCE, REALISM)
"""All that `measure` measures, in the order in which it is shown."""


def measure(cines: Sequence[SimulatedCine]) -> dict[str, float]:
    """Measure both tables on runs that hold filled frames.

    Parameters
    ----------
    cines
        Runs; best a dozen seeds with a few well filled frames each, at 512 pixels, and a few consecutive
        ones from the first on.

    Returns
    -------
    dict
        The keys of TABLES; percentiles are means over the runs, so that no run counts more. NaN for what
        none of the runs shows.

    Raises
    ------
    ValueError
        No run holds a filled frame.
    """
    rows = [row for cine in cines if (row := _measure_run(cine))]
    if not rows:
        raise ValueError(f"none of {len(cines)} runs holds a frame with a filled artery")
    table = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    table["lead_in_min"] = float(min(cine.run.lead_in_frames() for cine in cines))
    return table | measure_realism(cines)


def failures(table: Mapping[str, float]) -> tuple[str, ...]:
    """Name the quantities of a measured table that lie outside the accepted range, or were not seen."""
    limits = [(key, limit) for part in TABLES for key, limit in part.items()]
    return tuple(key for key, limit in limits if not limit.low <= table[key] <= limit.high)


def _measure_run(cine: SimulatedCine) -> dict[str, float]:
    filling = cine.run.filling()[list(cine.indices)]
    chosen = np.flatnonzero(filling >= _FILLED * cine.run.filling().max())
    if not len(chosen):
        return {}
    line = cine.centreline[chosen]
    plain, contrast = (cine.intensity(stored[chosen]) for stored in (cine.plain, cine.contrast))
    depth = np.log(np.maximum(plain, 1.0) / np.maximum(contrast, 1.0))[line]
    shown = [np.maximum(cine.display(a[chosen])[line], 1 / 255) for a in (cine.plain, cine.contrast)]
    scale = _REFERENCE_SIZE / cine.settings.size * cine.view.field_mm / _REFERENCE_FIELD_MM
    width = np.concatenate([_widths(cine.vessel_mask[t], cine.centreline[t]) for t in chosen]) * scale
    grey = 255 * cine.display(cine.contrast[chosen])[:, cine.field_mask]
    cover = 100 * float(cine.vessel_mask[chosen].mean())
    return {
        **{f"attenuation_p{p}": float(np.percentile(depth, p)) for p in (10, 50, 90)},
        "depth_p50": float(np.median(np.log(shown[0] / shown[1]))),
        **{f"width_p{p}": float(np.percentile(width, p)) for p in (10, 50, 90)},
        "cover_percent": cover,
        **{f"intensity_p{p}": float(np.percentile(grey, p)) for p in (1, 25, 50, 75, 99)},
    }


def _widths(mask: np.ndarray, line: np.ndarray) -> Array:
    """Width of the mask at each centreline pixel, in pixels: the largest disc that fits nearby."""
    radius = ndimage.maximum_filter(ndimage.distance_transform_edt(mask), size=3)
    return np.asarray(2 * radius[line] - 1, dtype=np.float64)
