"""Where coronary arteries run in different people: trunks in their grooves, and how branches spring.

Places on the heart are azimuth and height in its own frame: azimuth 0° is the right ventricle's free wall,
90° the anterior interventricular groove's side, 180° the left ventricle's lateral wall, 270° (-90°) the
diaphragm; height is along the long axis, -1 at the base, +1 at the apex. The atrioventricular groove lies
near height -0.35. Depth is 1 on the epicardium and less inside. Calibres: Dodge 1992.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from casgan_dicom.model.simulator.geometry import Array

System = Literal["LCA", "RCA"]
Dominance = Literal["right", "left", "co"]
Guide = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Rule:
    """How the side branches of one kind spring from a vessel."""

    name: str
    """Clinical abbreviation without its number."""
    side: int
    """+1 to the left of the flow as seen from outside the heart, -1 to the right, 0 into the septum."""
    towards: tuple[float, float, float]
    """Direction in heart axes (up, right, apex) that the branches bend to."""
    first_mm: tuple[float, float]
    """Range of the first one's distance from the vessel's origin."""
    spacing_mm: tuple[float, float]
    """Range of the distance between two."""
    ratio: tuple[float, float]
    """Range of the radius at the origin over the parent's there."""
    count: tuple[int, int]
    """Fewest and most."""
    angle_deg: tuple[float, float] = (35.0, 75.0)
    """Range of the angle to the parent after the first few mm."""
    length_per_radius: float = 64.0
    """Mean length over the radius at the origin."""
    sprouts: bool = True
    """Whether the branches branch again."""
    swing: float = 1.0
    """Tortuosity over that of other branches of the calibre."""
    corkscrew: float = 0.05
    """Share of the branches that wind like a corkscrew."""
    freedom: float = 0.3
    """How far the aim of each branch differs from that of its kind, standard deviation per axis."""
    bulge: float = 0.0
    """How far the right ventricle may lift the branches off the ellipsoid, share of its radius."""


@dataclass(frozen=True)
class Course:
    """One trunk of one patient."""

    name: str
    """Clinical abbreviation."""
    guide: Array
    """float64 (M, 3), azimuth in degrees, height and depth of the points that it runs through."""
    radius: float
    """Radius at the ostium in mm; for a trunk that springs from another, radius over its parent's there."""
    rules: tuple[Rule, ...]
    """Its side branches."""
    parent: str | None = None
    """Name of the trunk that it springs from."""
    springs_at: float = 1.0
    """Where on its parent, share of the parent's length."""
    taper: float = 0.88
    """Radius towards the end over that at the origin, apart from what branches take."""
    ends: bool = True
    """Whether it thins out to nothing at its end, else others go on from there."""


_APEX = (0.0, 0.0, 1.0)
_BASE = (0.0, 0.0, -1.0)
_DIAGONAL = Rule("D", 1, (-0.25, -0.5, 1.0), (6, 26), (8, 24), (0.48, 0.8), (3, 5))
_SEPTAL = Rule(
    "S", 0, (-1.0, 0.0, 0.45), (8, 18), (4, 15), (0.2, 0.42), (4, 9), (60, 88), 62.0, swing=0.6, corkscrew=0.0
)
_RIGHT_VENTRICULAR = Rule(
    "RV", -1, (-0.2, 0.7, 0.6), (16, 40), (15, 40), (0.18, 0.34), (1, 3), swing=1.4, corkscrew=0.3
)
_MARGINAL = Rule("OM", -1, _APEX, (5, 22), (7, 18), (0.5, 0.85), (3, 5))
_LEFT_ATRIAL = Rule("LA", 1, _BASE, (8, 25), (15, 40), (0.2, 0.34), (1, 2), swing=1.4, corkscrew=0.2)
_ACUTE = Rule(
    "AM",
    1,
    (-0.35, 0.2, 1.0),
    (20, 44),
    (10, 26),
    (0.34, 0.68),
    (2, 4),
    corkscrew=0.15,
    swing=1.2,
    bulge=0.16,
)
_CONUS = Rule(
    "CB",
    1,
    (0.7, 0.4, 0.6),
    (3, 12),
    (40, 50),
    (0.24, 0.42),
    (1, 1),
    (50, 100),
    swing=1.5,
    corkscrew=0.45,
    bulge=0.25,
)
_SINUS_NODE = Rule("SN", -1, (0.4, -0.2, -1.0), (5, 14), (40, 50), (0.22, 0.38), (0, 1), swing=1.2)
_FREE_WALL = Rule(
    "RVB",
    1,
    (0.1, 0.4, 0.8),
    (12, 24),
    (10, 26),
    (0.16, 0.36),
    (2, 4),
    (40, 100),
    swing=1.5,
    corkscrew=0.35,
    bulge=0.25,
)
_POSTEROLATERAL = Rule("PL", 1, _APEX, (5, 14), (6, 14), (0.45, 0.78), (3, 5))
_INFERIOR_SEPTAL = Rule(
    "IS", 0, (1.0, 0.0, 0.3), (5, 14), (4, 14), (0.2, 0.36), (3, 7), (60, 88), 45.0, swing=0.6, corkscrew=0.0
)
_PAIR = Rule("b", 1, _APEX, (8, 26), (9, 24), (0.34, 0.68), (3, 5), (30, 80), 58.0)
SUB = Rule("b", 1, _APEX, (4, 16), (4, 15), (0.4, 0.82), (2, 7), (25, 75), 60.0, freedom=0.5)
"""Branches of a branch; they spring to both sides in turn."""
TWIG = Rule("t", 1, _APEX, (4, 20), (8, 26), (0.1, 0.3), (2, 7), (35, 100), 60.0, False, 1.3, 0.12, 0.9)
"""Fine vessels that spring from trunks anywhere."""

_LM: Guide = ((77.0, -0.58, 0.78), (84.0, -0.5, 0.88), (91.0, -0.415, 0.95))
_LAD: Guide = ((91.0, -0.4, 0.95), (88.0, -0.24, 1.0), (81.0, 0.05, 1.0), (77.0, 0.4, 1.0), (78.0, 0.7, 1.0))
_LAD_ENDS: tuple[Guide, ...] = (
    (),
    ((80.0, 0.92, 1.0),),
    ((80.0, 0.93, 1.0), (0.0, 0.99, 1.0), (-85.0, 0.93, 1.0), (-86.0, 0.78, 1.0)),
)
_LCX: Guide = ((91.0, -0.4, 0.95), (112.0, -0.39, 1.0), (138.0, -0.36, 1.0), (168.0, -0.34, 1.0))
_RAMUS: Guide = ((91.0, -0.4, 0.95), (106.0, -0.22, 1.0), (120.0, 0.1, 1.0), (127.0, 0.45, 1.0))
_RCA: Guide = (
    (54.0, -0.6, 0.8),
    (40.0, -0.48, 0.93),
    (22.0, -0.37, 1.0),
    (-2.0, -0.32, 1.0),
    (-30.0, -0.3, 1.0),
)
_PDA: Guide = (
    (-90.0, -0.36, 1.0),
    (-88.0, -0.08, 1.0),
    (-86.0, 0.2, 1.0),
    (-84.0, 0.5, 1.0),
    (-84.0, 0.7, 1.0),
)


def draw_dominance(rng: np.random.Generator) -> Dominance:
    """Draw who feeds the posterior descending artery: 85 % right, 8 % left, 7 % both."""
    u = rng.random()
    if u < 0.85:
        return "right"
    return "left" if u < 0.93 else "co"


def draw_left(rng: np.random.Generator, dominance: Dominance) -> tuple[Course, ...]:
    """Draw the trunks of a left coronary artery; parents come before their children."""
    trunks = [Course("LM", _main_stem(rng), 2.2, (), taper=0.97, ends=False)]
    ends = _LAD_ENDS[int(rng.choice(3, p=(0.12, 0.33, 0.55)))]
    lad = _varied_groove(rng, _LAD + ends, along_axis=True)
    rules = (_DIAGONAL, _SEPTAL, _RIGHT_VENTRICULAR, TWIG)
    trunks.append(Course("LAD", lad, float(rng.uniform(0.76, 0.88)), rules, "LM"))
    last = {"right": (178.0, 228.0), "co": (232.0, 252.0), "left": (262.0, 270.0)}[dominance]
    lcx = _LCX + _onwards(168.0, float(rng.uniform(*last)), -0.34)
    share = (0.78, 0.9) if dominance == "left" else (0.6, 0.82)
    trunks.append(
        Course(
            "LCx",
            _varied_groove(rng, lcx),
            float(rng.uniform(*share)),
            (_MARGINAL, _LEFT_ATRIAL, TWIG),
            "LM",
            taper=0.8 if dominance == "left" else 0.72,
            ends=dominance != "left",
        )
    )
    if rng.random() < 0.25:
        ramus = _varied_groove(rng, _RAMUS, along_axis=True)
        trunks.append(Course("RI", ramus, float(rng.uniform(0.42, 0.6)), (_PAIR,), "LM"))
    if dominance == "left":
        trunks.append(_posterior_descending(rng, "LCx", 1.0, -94.0))
    return tuple(trunks)


def draw_right(rng: np.random.Generator, dominance: Dominance) -> tuple[Course, ...]:
    """Draw the trunks of a right coronary artery; a small one ends before the crux."""
    rules = (_CONUS, _SINUS_NODE, _FREE_WALL, _ACUTE, TWIG)
    if dominance == "left":
        guide = _RCA + _onwards(-30.0, float(rng.uniform(-66, -38)), -0.26)
        return (Course("RCA", _varied_groove(rng, _rooted(rng, guide)), 1.4, rules),)
    crux = float(rng.uniform(-104.0, -78.0))
    guide = _rooted(rng, _RCA + _onwards(-30.0, crux, -0.37))
    rca = Course("RCA", _varied_groove(rng, guide), 1.9, rules, taper=0.78, ends=False)
    early = rng.random() < 0.35
    springs = float(rng.uniform(0.72, 0.93)) if early else 1.0
    trunks = [rca, _posterior_descending(rng, "RCA", springs, crux + 130.0 * (1 - springs))]
    if dominance == "right":
        trunks.append(_posterolateral(rng, crux))
    return tuple(trunks)


def _posterior_descending(rng: np.random.Generator, parent: str, springs: float, azimuth: float) -> Course:
    """The artery of the inferior groove; one that springs early crosses to it over the free wall."""
    guide = np.array(_PDA)
    guide[0, 0] = azimuth
    guide[1, 0] += 0.45 * (azimuth + 90.0)
    length = int(rng.integers(3, 6))
    rules = (_INFERIOR_SEPTAL, _PAIR)
    varied = _varied_groove(rng, tuple(map(tuple, guide[:length])), along_axis=True)
    return Course("PDA", varied, float(rng.uniform(0.6, 0.86)), rules, parent, springs)


def _posterolateral(rng: np.random.Generator, crux: float) -> Course:
    """The right artery's continuation beyond the crux: up to the atrioventricular node, then down again."""
    reach = float(rng.uniform(30.0, 72.0))
    rise = float(rng.uniform(0.0, 0.12)) * min(reach / 45.0, 1.0)
    guide = (
        (crux, -0.37, 1.0),
        (crux - 0.35 * reach, -0.38 - rise, 1.0),
        (crux - 0.65 * reach, -0.35 - 0.5 * rise, 1.0),
        (crux - reach, float(rng.uniform(-0.3, -0.1)), 1.0),
    )
    return Course(
        "PLV", _varied_groove(rng, guide), float(rng.uniform(0.7, 0.9)), (_POSTEROLATERAL, TWIG), "RCA"
    )


def _main_stem(rng: np.random.Generator) -> Array:
    """A left main stem of 5 to 20 mm."""
    guide = np.array(_LM)
    share = rng.uniform(0.45, 1.3)
    guide[1:] = guide[0] + share * (guide[1:] - guide[0])
    guide[:, 0] += rng.normal(0.0, 5.0)
    guide[:, 1] += rng.normal(0.0, 0.035) + np.array([0.0, 0.5, 1.0]) * rng.normal(0.0, 0.03)
    return np.asarray(guide)


def _rooted(rng: np.random.Generator, guide: Guide) -> Guide:
    """Move the right ostium; in one of twelve the artery first climbs (shepherd's crook)."""
    (azimuth, height, depth), second, *others = guide
    moved = (azimuth + float(rng.normal(0, 5)), height + float(rng.normal(0, 0.04)), depth)
    if rng.random() < 0.08:
        second = (second[0] + 22.0, second[1] - 0.04, second[2] + 0.1)
    return (moved, second, *others)


def _onwards(start: float, end: float, height: float) -> Guide:
    """Guide points in the atrioventricular groove, about 30° apart, from behind `start` to `end`."""
    count = max(1, round(abs(end - start) / 30.0))
    return tuple((float(a), height, 1.0) for a in np.linspace(start, end, count + 1)[1:])


def _varied_groove(rng: np.random.Generator, guide: Guide, *, along_axis: bool = False) -> Array:
    """Bend a trunk as people differ: the atrioventricular plane tilts, interventricular grooves bow."""
    points = np.array(guide)
    t = np.linspace(0.0, 1.0, len(points))
    if along_axis:
        points[:, 0] += rng.normal(0.0, 7.0) * t + rng.normal(0.0, 6.0) * np.sin(np.pi * t)
        points[1:, 1] += rng.normal(0.0, 0.02, len(points) - 1)
    else:
        tilt = rng.normal(0.0, 0.065) * np.cos(np.deg2rad(points[:, 0] - rng.uniform(0, 360)))
        points[:, 1] += (rng.normal(0.0, 0.045) + tilt) * np.clip(3 * t, 0.0, 1.0)
        points[1:, :2] += rng.normal(0.0, 1.0, (len(points) - 1, 2)) * np.array([3.0, 0.018])
    points[:, 1] = np.clip(points[:, 1], -0.75, 0.995)
    return np.asarray(points)
