"""What still gives a simulated run away: figures beside the greys and widths of acceptance.py.

Real figures are from 45 real coronary runs; noise, its power, the widest range of greys, changes between
frames and the blade's width from one cine of 512 x 512, measured on its 14 frames without contrast by the
functions that measure ours. A set of runs is judged, not a run: real rooms differ, so several figures ask for
the least and the most that a set holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.simulator import appearance, branching, temporal_noise
from casgan_dicom.model.simulator.cine import SimulatedCine
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.limits import Limit

REAL_FINE_POWER = 0.25
"""`temporal_noise.fine_power` of the real cine."""

_ROOT_MM = 12.0
_REFLUX_DEPTH = 0.025
_BLUSH_DEPTH = 0.02
_DARKEST = 90
"""Percentile: a blush darkens the territory of one artery, not the heart."""
_PANNED_SHARE = 0.02
_CLUTTERED_PERCENT = 0.05
_BEATS_APART = 0.06

Reduce = Callable[[Array], float]


@dataclass(frozen=True)
class _Row:
    """One figure of a set of runs."""

    limit: Limit
    figure: str
    """Key of what is measured on each run."""
    reduce: Reduce
    """From one value for each run to one for the set."""


def _mean(values: Array) -> float:
    return float(values.mean())


def _median(values: Array) -> float:
    return float(np.median(values))


def _least(values: Array) -> float:
    return float(values.min())


def _most(values: Array) -> float:
    return float(values.max())


def _geometric(values: Array) -> float:
    return float(np.exp(np.log(np.maximum(values, 1e-6)).mean()))


_ROWS: Mapping[str, _Row] = {
    "noise_sd": _Row(Limit("noise in time in levels, mean", 0.72, 0.23, 2.1), "noise_sd", _mean),
    "noise_lag1_least": _Row(Limit("its lag-1 correlation, least", 0.1, -0.2, 0.25), "lag1", _least),
    "noise_lag1_most": _Row(Limit("its lag-1 correlation, most", None, 0.35, 0.95), "lag1", _most),
    "fine_power": _Row(
        Limit("power above 0.3 cycles/px over the real, mean", 1, 0.33, 3), "fine", _geometric
    ),
    "range_mean": _Row(Limit("p99 - p1 of the field in levels, mean", None, 80, 170), "range", _mean),
    "range_least": _Row(Limit("p99 - p1 of the field in levels, least", 81, 30, 110), "range", _least),
    "range_most": _Row(Limit("p99 - p1 of the field in levels, most", 211, 150, 255), "range", _most),
    "catheter_depth": _Row(Limit("-ln of the catheter's greys, median", None, 0.04, 0.2), "cath", _median),
    "catheter_depth_most": _Row(Limit("-ln of the catheter's greys, most", 0.2, 0.12, 0.4), "cath", _most),
    "catheter_width": _Row(Limit("catheter width in px at 512, median", None, 5, 12), "cath_width", _median),
    "catheter_plain": _Row(Limit("runs with a catheter plain to the eye", 1, 0.8, 1), "cath_plain", _mean),
    "field_least": _Row(Limit("field in mm, smallest", 110, 110, 150), "field", _least),
    "field_most": _Row(Limit("field in mm, largest", 200, 180, 200), "field", _most),
    "tip_edge": _Row(Limit("tip from upper or left edge in px at 512", None, 60, 130), "tip", _median),
    "winding_thick": _Row(Limit("length / chord of 20 mm, thick, median", None, 1.01, 1.1), "thick", _median),
    "winding_thin": _Row(Limit("length / chord of 20 mm, thin, p90", None, 1.1, 2), "thin", _median),
    "branches": _Row(Limit("branches of a tree that can be seen, mean", None, 18, 90), "branches", _mean),
    "unevenness": _Row(Limit("calibre along a vessel, SD in %", None, 2, 15), "uneven", _median),
    "reflux": _Row(Limit("runs with reflux into the root", None, 0.4, 1), "reflux", _mean),
    "blush": _Row(Limit("runs with a myocardial blush", None, 0.1, 0.8), "blush", _mean),
    "clutter_share": _Row(Limit("runs with clutter", None, 0.3, 0.8), "cluttered", _mean),
    "clutter_most": _Row(Limit("clutter cover in %, most", 4.8, 0.5, 6), "clutter", _most),
    "change": _Row(Limit("mean change between frames in levels", 2.2, 0.73, 6.6), "change", _median),
    "change_most": _Row(Limit("mean change between frames, most", 8.9, 4, 15), "change_most", _most),
    "panned": _Row(Limit("runs with a table that is panned", None, 0.15, 0.65), "panned", _mean),
    "irregular": _Row(Limit("runs with an irregular heart", None, 0.05, 0.55), "irregular", _mean),
    "edge_width_most": _Row(Limit("width of the softest blade in px at 512", 11, 6, 40), "edge", _most),
    "shutter": _Row(Limit("runs that are black outside the field", None, 0.3, 0.9), "shutter", _mean),
    "round_fields": _Row(Limit("runs with a field that is round or cut", None, 0.25, 0.85), "round", _mean),
}

REALISM: Mapping[str, Limit] = {key: row.limit for key, row in _ROWS.items()}
"""Key of `measure_realism` → real value and accepted range."""


def measure_realism(cines: Sequence[SimulatedCine]) -> dict[str, float]:
    """Measure the second table on a set of runs.

    Parameters
    ----------
    cines
        Runs that hold a few consecutive frames from the first on, for what happens in time, and a few well
        filled ones; best a dozen or more, at 512 pixels.

    Returns
    -------
    dict
        The keys of REALISM; NaN for what none of the runs shows.
    """
    runs = [_of_run(cine) for cine in cines]
    return {key: _over_runs(row, [run[row.figure] for run in runs]) for key, row in _ROWS.items()}


def _over_runs(row: _Row, values: Sequence[float]) -> float:
    known = np.array([value for value in values if np.isfinite(value)])
    return row.reduce(known) if len(known) else float("nan")


def _of_run(cine: SimulatedCine) -> dict[str, float]:
    return {**_grain(cine), **_catheter(cine), **_framing(cine), **_branches(cine), **_agent(cine)}


def _grain(cine: SimulatedCine) -> dict[str, float]:
    """Noise, greys and changes of the consecutive frames from the first on, without contrast."""
    indices = np.asarray(cine.indices)
    lead = int(np.flatnonzero(np.append(np.diff(indices), 2) != 1)[0]) + 1
    levels, field = 255 * cine.display(cine.plain[:lead]), cine.field_mask
    sd, lag1 = temporal_noise.noise_in_time(levels, field)
    changes = temporal_noise.mean_changes(levels, field)
    low, high = np.percentile(levels[0][field], (1, 99))
    return {
        "noise_sd": sd,
        "lag1": lag1,
        "fine": temporal_noise.fine_power(levels[-1], field) / REAL_FINE_POWER,
        "range": float(high - low),
        "change": float(np.median(changes)) if len(changes) else float("nan"),
        "change_most": float(changes.max()) if len(changes) else float("nan"),
    }


def _catheter(cine: SimulatedCine) -> dict[str, float]:
    """How catheter and clutter show, and the field's edge."""
    picture, field, mask = cine.display(cine.plain[0]), cine.field_mask, cine.catheter_mask[0]
    depth, over_noise = appearance.depth_of(picture, mask, field)
    plain = float(appearance.plain_to_the_eye(depth, over_noise)) if np.isfinite(depth) else float("nan")
    clutter = appearance.clutter_cover(cine.clutter_mask, field)
    return {
        "cath": depth,
        "cath_width": appearance.mean_width(mask),
        "cath_plain": plain,
        "edge": appearance.edge_width(picture, field),
        "round": float(appearance.is_round_or_cut(field)),
        "shutter": float(cine.detector.shutter != "none"),
        "clutter": clutter,
        "cluttered": float(clutter > _CLUTTERED_PERCENT),
    }


def _framing(cine: SimulatedCine) -> dict[str, float]:
    """Field, place of the tip, table and rhythm."""
    run, settings = cine.run, cine.settings
    ways = [run.table.shift_mm(settings.time_s(i)) for i in range(settings.frames)]
    return {
        "field": run.view.field_mm,
        "tip": appearance.nearest_edge(cine.tip, settings.size),
        "panned": float(np.linalg.norm(ways, axis=1).max() > _PANNED_SHARE * run.view.field_mm),
        "irregular": float(np.std(run.motion.beats or (1.0,)) > _BEATS_APART),
    }


def _branches(cine: SimulatedCine) -> dict[str, float]:
    """The shape of the injected tree."""
    tree = cine.run.tree
    thick = branching.windings(tree, branching.THICK_MM, np.inf)
    thin = branching.windings(tree, 0.0, branching.THIN_MM)
    return {
        "thick": float(np.median(thick)) if len(thick) else float("nan"),
        "thin": float(np.percentile(thin, 90)) if len(thin) else float("nan"),
        "branches": float(branching.branch_count(tree)),
        "uneven": branching.unevenness(tree),
    }


def _agent(cine: SimulatedCine) -> dict[str, float]:
    """Whether contrast shows in the root of the aorta, and in the myocardium, in the best filled frames."""
    filling = cine.run.filling()[list(cine.indices)]
    chosen = np.flatnonzero(filling >= 0.5 * cine.run.filling().max())
    if not len(chosen):
        return {"reflux": float("nan"), "blush": float("nan")}
    root, muscle = (np.array(values) for values in zip(*(_depths(cine, int(t)) for t in chosen), strict=True))
    return {"reflux": float((root > _REFLUX_DEPTH).any()), "blush": float((muscle > _BLUSH_DEPTH).any())}


def _depths(cine: SimulatedCine, t: int) -> tuple[float, float]:
    """Depth of the contrast in the root and in the heart beside all vessels; scatter is taken off."""
    plain, contrast = (np.maximum(cine.intensity(a[t]), 1.0) for a in (cine.plain, cine.contrast))
    depth = np.log(plain / contrast)
    dark = cine.tree_mask[t] | cine.catheter_mask[t] | cine.clutter_mask[t]
    column, row = cine.projected(cine.run.tree.ostium[None])[t, 0]
    y, x = np.indices(dark.shape)
    reach = _ROOT_MM * cine.view.magnification / cine.view.pixel_mm
    root = cine.field_mask & (np.hypot(x - column, y - row) < reach)
    elsewhere = cine.field_mask & ~cine.heart_mask[t]
    in_root = appearance.contrast_beside(depth, root, dark, 3.0)
    in_heart = appearance.contrast_beside(depth, cine.heart_mask[t] & cine.field_mask, dark, 8.0)
    beside = appearance.contrast_beside(depth, elsewhere & ~root, dark, 8.0)
    return _darker(in_root, beside, 50), _darker(in_heart, beside, _DARKEST)


def _darker(inside: Array, beside: Array, percentile: float) -> float:
    """The darkest tenth of a region over a percentile of what lies beside it; 0 where it is hidden."""
    base = float(np.percentile(beside, percentile)) if len(beside) else 0.0
    return float(np.percentile(inside, _DARKEST)) - base if len(inside) else 0.0
