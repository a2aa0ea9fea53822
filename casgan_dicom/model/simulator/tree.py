"""Coronary arteries in three dimensions: named trunks in their grooves, side branches, radii, stenoses.

The trunks follow guide points on the epicardial ellipsoid (heart.py), given as azimuth and height in the
heart's own frame: azimuth 0° is the right ventricle's free wall, 90° the anterior interventricular groove's
side, 180° the left ventricle's lateral wall, 270° the diaphragm; height is along the long axis, -1 at the
base, +1 at the apex. The atrioventricular groove lies near height -0.35. Everything in mm, at end-diastole.

Anatomy: Dodge 1992 (calibres), Murray 1926 (radii at a branching), Keelan 2016 (growth on the epicardium).
Left out: vessels that reach the myocardium (below 0.2 mm) and veins.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.growth import Steering, grow, heart_direction, resample
from casgan_dicom.model.simulator.heart import Heart

System = Literal["LCA", "RCA"]
Dominance = Literal["right", "left", "co"]

SPACING_MM = 0.5
"""Distance between neighbouring points of a segment."""
SMALLEST_RADIUS_MM = 0.2
"""Vessels end here: thinner ones are not seen in a cine."""
_SMALLEST_ORIGIN_MM = 0.33
"""A branch that springs with less is left out."""


@dataclass(frozen=True)
class Segment:
    """One named vessel from its origin to its end."""

    name: str
    """Clinical abbreviation: LM, LAD, D1, S2, LCx, OM1, RCA, AM1, PDA, PLV ..."""
    parent: int
    """Index of the segment it springs from, -1 for the one that begins at the ostium."""
    points: Array
    """float64 (N, 3), patient mm at end-diastole, 0.5 mm apart."""
    radius: Array
    """float64 (N,), lumen radius in mm."""
    arc: Array
    """float64 (N,), distance from the ostium along the vessels in mm."""

    @property
    def length_mm(self) -> float:
        """Length of the segment in mm."""
        return float(self.arc[-1] - self.arc[0])


@dataclass(frozen=True)
class Stenosis:
    """A narrowing, as a reader would report it."""

    segment: int
    """Index of the narrowed segment."""
    at_mm: float
    """Where its throat is: distance from the segment's origin in mm."""
    length_mm: float
    """From normal calibre to normal calibre, in mm."""
    severity: float
    """Diameter reduction, 0 to 0.9."""


@dataclass(frozen=True)
class CoronaryTree:
    """The left or the right coronary artery with all its branches."""

    system: System
    """The ostium that fills it: LCA or RCA."""
    dominance: Dominance
    """Who feeds the posterior descending artery."""
    segments: tuple[Segment, ...]
    """Parents come before their children; the first begins at the ostium."""
    stenoses: tuple[Stenosis, ...] = ()
    """Narrowings, already contained in the radii."""

    @property
    def ostium(self) -> Array:
        """Where the artery leaves the aorta, float64 (3,), patient mm."""
        return np.asarray(self.segments[0].points[0])


@dataclass(frozen=True)
class _Trunk:
    """A vessel in a groove: guide points (azimuth in degrees, height, depth), 1 is the epicardium."""

    name: str
    guide: tuple[tuple[float, float, float], ...]
    radius: float
    end_ratio: float = 0.45
    rules: tuple[_Rule, ...] = ()


@dataclass(frozen=True)
class _Rule:
    """How a trunk's side branches of one kind spring."""

    name: str
    side: int
    """+1 to the left of the flow as seen from outside the heart, -1 to the right, 0 into the septum."""
    first_mm: float
    spacing_mm: tuple[float, float]
    ratio: tuple[float, float]
    """Radius at the origin over the parent's there."""
    towards: tuple[float, float, float]
    """Direction in heart axes (up, right, apex) that the branch bends to."""
    count: int = 9
    angle_deg: tuple[float, float] = (35.0, 75.0)
    length_per_radius: float = 45.0
    depth_end: float = 1.0
    """Depth that the branch reaches, 1 stays on the epicardium."""
    sub_branches: bool = True


_APEX = (0.0, 0.0, 1.0)
_DIAGONAL = _Rule("D", 1, 14.0, (13.0, 26.0), (0.48, 0.72), (-0.25, -0.5, 1.0), count=4)
_SEPTAL = _Rule(
    "S",
    0,
    12.0,
    (8.0, 13.0),
    (0.28, 0.45),
    (-1.0, 0.0, 0.45),
    6,
    (60.0, 85.0),
    55.0,
    0.55,
    sub_branches=False,
)
_RIGHT_VENTRICULAR = _Rule("RV", -1, 30.0, (22.0, 40.0), (0.2, 0.32), (-0.2, 0.7, 0.6), count=2)
_MARGINAL = _Rule("OM", -1, 10.0, (11.0, 22.0), (0.52, 0.75), _APEX, count=4)
_LEFT_ATRIAL = _Rule("LA", 1, 14.0, (20.0, 40.0), (0.2, 0.32), (0.0, 0.0, -1.0), count=2)
_ACUTE = _Rule("AM", 1, 32.0, (16.0, 30.0), (0.42, 0.68), (-0.35, 0.2, 1.0), count=3)
_CONUS = _Rule("CB", 1, 7.0, (99.0, 100.0), (0.3, 0.45), (0.7, 0.4, 0.6), count=1)
_SINUS_NODE = _Rule("SN", -1, 9.0, (99.0, 100.0), (0.25, 0.4), (0.4, -0.2, -1.0), count=1)
_POSTEROLATERAL = _Rule("PL", 1, 8.0, (10.0, 16.0), (0.55, 0.8), _APEX, count=3)
_INFERIOR_SEPTAL = _Rule(
    "IS", 0, 8.0, (8.0, 13.0), (0.25, 0.4), (1.0, 0.0, 0.3), 4, (60.0, 85.0), 35.0, 0.6, sub_branches=False
)
_SUB = _Rule(
    "b", 1, 10.0, (11.0, 18.0), (0.45, 0.7), _APEX, count=3, length_per_radius=32.0, sub_branches=False
)

_LM = _Trunk("LM", ((80.0, -0.56, 0.78), (89.0, -0.49, 0.88), (98.0, -0.42, 0.95)), 2.2, 0.97)
_LAD_GUIDE = ((98.0, -0.42, 0.95), (87.0, -0.25, 1.0), (80.0, 0.05, 1.0), (76.0, 0.4, 1.0), (77.0, 0.72, 1.0))
_LAD_SHORT = ((80.0, 0.92, 1.0),)
_LAD_WRAP = ((80.0, 0.93, 1.0), (0.0, 0.99, 1.0), (-85.0, 0.93, 1.0), (-86.0, 0.78, 1.0))
_LCX_GUIDE = ((98.0, -0.42, 0.95), (118.0, -0.38, 1.0), (148.0, -0.36, 1.0), (178.0, -0.34, 1.0))
_LCX_END = {"right": ((205.0, -0.3, 1.0),), "co": ((215.0, -0.33, 1.0), (240.0, -0.34, 1.0))}
_LCX_LEFT = ((215.0, -0.34, 1.0), (245.0, -0.36, 1.0), (266.0, -0.34, 1.0))
_RAMUS = _Trunk(
    "RI", ((98.0, -0.42, 0.95), (112.0, -0.2, 1.0), (124.0, 0.1, 1.0), (128.0, 0.45, 1.0)), 1.1, 0.4, (_SUB,)
)
_RCA_GUIDE = (
    (52.0, -0.62, 0.5),
    (40.0, -0.48, 0.85),
    (24.0, -0.38, 1.0),
    (0.0, -0.32, 1.0),
    (-30.0, -0.3, 1.0),
)
_RCA_END = ((-62.0, -0.32, 1.0), (-90.0, -0.38, 1.0))
_RCA_SHORT = ((-52.0, -0.24, 1.0),)
_PDA_GUIDE = (
    (-90.0, -0.38, 1.0),
    (-88.0, -0.18, 1.0),
    (-86.0, 0.15, 1.0),
    (-84.0, 0.5, 1.0),
    (-84.0, 0.68, 1.0),
)
_PLV_GUIDE = ((-90.0, -0.38, 1.0), (-104.0, -0.36, 1.0), (-122.0, -0.3, 1.0), (-140.0, -0.2, 1.0))


@dataclass
class _Builder:
    """The tree while it grows."""

    heart: Heart
    rng: np.random.Generator
    murray: float
    wobble: float
    """Standard deviation of the curvature that makes a vessel tortuous, 1/mm."""
    scale: float
    """Calibre of this patient over the mean."""
    segments: list[Segment] = field(default_factory=list)

    def trunk(self, trunk: _Trunk, parent: int) -> int:
        """Grow a trunk, return its index."""
        guide = np.array(trunk.guide) + self._jitter(len(trunk.guide), fixed_start=parent >= 0)
        unit = resample(heart_direction(guide[:, 0], guide[:, 1]), 25.0, closed_ends=True)
        depth = PchipInterpolator(np.linspace(0, 1, len(guide)), guide[:, 2])
        steering = Steering(guide=unit * np.asarray(self.heart.semi_axes_mm), wobble=self.wobble)
        surface = grow(self.heart, steering, self.rng)
        path = surface * depth(np.linspace(0, 1, len(surface)))[:, None]
        if parent >= 0:
            origin = self.segments[parent].points[-1] @ self.heart.axes.T
            fade = np.exp(-np.linspace(0, 1, len(path)) * len(path) / 10.0)[:, None]
            path = path + (origin - path[0]) * fade
        return self._add(trunk.name, parent, path, (trunk.radius * self.scale, trunk.end_ratio))

    def _jitter(self, count: int, *, fixed_start: bool) -> Array:
        jitter = self.rng.normal(0.0, 1.0, (count, 3)) * np.array([4.0, 0.035, 0.0])
        if fixed_start:
            jitter[0] = 0.0
        return np.asarray(jitter)

    def _add(self, name: str, parent: int, path: Array, calibre: tuple[float, float]) -> int:
        """Append a segment that tapers from the first calibre by the second, `path` in heart axes."""
        points = resample(path @ self.heart.axes, SPACING_MM)
        s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        radius = calibre[0] * (1 + (calibre[1] - 1) * s / s[-1])
        start = 0.0
        if parent >= 0:
            mother = self.segments[parent]
            start = mother.arc[int(np.argmin(np.linalg.norm(mother.points - points[0], axis=1)))]
        self.segments.append(Segment(name, parent, points, radius, start + s))
        return len(self.segments) - 1

    def side_branches(self, index: int, rules: tuple[_Rule, ...]) -> None:
        """Let the branches of each rule spring from one segment and narrow it by Murray's law."""
        for rule in rules:
            at = rule.first_mm * self.rng.uniform(0.8, 1.3)
            side = rule.side
            for number in range(1, rule.count + 1):
                if at > self.segments[index].length_mm - 5.0:
                    break
                child = self._branch(index, replace(rule, side=side), f"{rule.name}{number}", at)
                if child is not None and rule.sub_branches:
                    sub = replace(_SUB, name=f"{rule.name}{number}b", towards=rule.towards)
                    self.side_branches(child, (sub,))
                if rule.name.endswith("b"):
                    side = -side
                at += self.rng.uniform(*rule.spacing_mm)

    def _branch(self, index: int, rule: _Rule, name: str, at_mm: float) -> int | None:
        mother = self.segments[index]
        k = int(at_mm / SPACING_MM)
        radius = mother.radius[k] * self.rng.uniform(*rule.ratio)
        if radius < _SMALLEST_ORIGIN_MM:
            return None
        length = radius * rule.length_per_radius * self.rng.uniform(0.7, 1.3)
        path = self._branch_path(mother, k, rule, min(length, 85.0))
        thinned = (mother.radius[k] ** self.murray - radius**self.murray) ** (1 / self.murray)
        step = np.where(np.arange(len(mother.radius)) > k, thinned / mother.radius[k], 1.0)
        smooth = gaussian_filter1d(step, 1.5 / SPACING_MM, mode="nearest")
        self.segments[index] = replace(mother, radius=np.maximum(mother.radius * smooth, SMALLEST_RADIUS_MM))
        end = max(0.55, SMALLEST_RADIUS_MM / radius)
        return self._add(name, index, path, (radius, end))

    def _branch_path(self, mother: Segment, k: int, rule: _Rule, length_mm: float) -> Array:
        local = mother.points @ self.heart.axes.T
        tangent = local[min(k + 2, len(local) - 1)] - local[max(k - 2, 0)]
        steering = Steering(
            start=local[k],
            along=tangent,
            angle_rad=float(np.deg2rad(self.rng.uniform(*rule.angle_deg))) * (rule.side or 1),
            towards=np.asarray(rule.towards),
            length_mm=length_mm,
            wobble=self.wobble * 1.8,
            inward=rule.side == 0,
        )
        return grow(self.heart, steering, self.rng)


def grow_tree(rng: np.random.Generator, heart: Heart, system: System, dominance: Dominance) -> CoronaryTree:
    """Grow one patient's left or right coronary artery on a heart.

    Parameters
    ----------
    rng
        Source of every choice: course, branches, calibres, narrowings.
    heart
        The ellipsoid to grow on.
    system
        LCA (left main, LAD, circumflex) or RCA.
    dominance
        Which artery gives off the posterior descending artery: "right" the RCA, "left" the circumflex,
        "co" the RCA while the circumflex feeds the posterolateral wall.

    Returns
    -------
    CoronaryTree
        Points 0.5 mm apart at end-diastole, radii in mm including the stenoses.
    """
    builder = _Builder(
        heart,
        rng,
        rng.uniform(2.3, 3.0),
        float(rng.uniform(0.02, 0.05)),
        float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.25)),
    )
    if system == "LCA":
        _grow_left(builder, dominance)
    else:
        _grow_right(builder, dominance)
    segments, stenoses = _narrow(builder.segments, rng)
    return CoronaryTree(system, dominance, segments, stenoses)


def _grow_left(builder: _Builder, dominance: Dominance) -> None:
    rng = builder.rng
    lm = builder.trunk(_LM, -1)
    wraps = rng.random() < 0.6
    lad = builder.trunk(_Trunk("LAD", _LAD_GUIDE + (_LAD_WRAP if wraps else _LAD_SHORT), 1.8, 0.8), lm)
    ends = _LCX_LEFT if dominance == "left" else _LCX_END[dominance]
    lcx = builder.trunk(_Trunk("LCx", _LCX_GUIDE + ends, 1.8 if dominance == "left" else 1.6, 0.85), lm)
    if rng.random() < 0.25:
        ramus = builder.trunk(_RAMUS, lm)
        builder.side_branches(ramus, _RAMUS.rules)
    builder.side_branches(lad, (_DIAGONAL, _SEPTAL, _RIGHT_VENTRICULAR))
    builder.side_branches(lcx, (_MARGINAL, _LEFT_ATRIAL))
    if dominance == "left":
        pda = builder.trunk(_Trunk("PDA", ((266.0, -0.34, 1.0), *_PDA_GUIDE[1:]), 1.1, 0.6), lcx)
        builder.side_branches(pda, (_INFERIOR_SEPTAL, _SUB))


def _grow_right(builder: _Builder, dominance: Dominance) -> None:
    if dominance == "left":
        rca = builder.trunk(_Trunk("RCA", _RCA_GUIDE + _RCA_SHORT, 1.4, 0.5), -1)
        builder.side_branches(rca, (_CONUS, _SINUS_NODE, _ACUTE))
        return
    rca = builder.trunk(_Trunk("RCA", _RCA_GUIDE + _RCA_END, 1.9, 0.85), -1)
    builder.side_branches(rca, (_CONUS, _SINUS_NODE, _ACUTE))
    end = float(builder.segments[rca].radius[-1]) / builder.scale
    pda = builder.trunk(_Trunk("PDA", _PDA_GUIDE, end * 0.84, 0.6), rca)
    builder.side_branches(pda, (_INFERIOR_SEPTAL, _SUB))
    if dominance == "right":
        plv = builder.trunk(_Trunk("PLV", _PLV_GUIDE, end * 0.82, 0.65), rca)
        builder.side_branches(plv, (_POSTEROLATERAL,))


def _narrow(
    segments: list[Segment], rng: np.random.Generator
) -> tuple[tuple[Segment, ...], tuple[Stenosis, ...]]:
    """Put cosine dips into the radii of the larger segments."""
    narrowed = list(segments)
    stenoses = []
    large = [i for i, s in enumerate(segments) if s.radius[0] > 0.9 and s.length_mm > 25.0]
    for _ in range(int(rng.poisson(1.2))):
        index = int(rng.choice(large))
        segment = narrowed[index]
        s = segment.arc - segment.arc[0]
        stenosis = Stenosis(
            index,
            float(rng.uniform(8.0, max(9.0, segment.length_mm * 0.7))),
            float(rng.uniform(6.0, 18.0)),
            float(rng.uniform(0.1, 0.9)),
        )
        away = np.clip(np.abs(s - stenosis.at_mm) / (stenosis.length_mm / 2), 0.0, 1.0)
        dip = 1 - stenosis.severity * 0.5 * (1 + np.cos(np.pi * away))
        narrowed[index] = replace(segment, radius=segment.radius * dip)
        stenoses.append(stenosis)
    return tuple(narrowed), tuple(stenoses)


def draw_dominance(rng: np.random.Generator) -> Dominance:
    """Draw who feeds the posterior descending artery: 85 % right, 8 % left, 7 % both."""
    u = rng.random()
    if u < 0.85:
        return "right"
    return "left" if u < 0.93 else "co"
