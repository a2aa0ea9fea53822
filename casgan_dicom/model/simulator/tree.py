"""Coronary arteries in three dimensions: trunks, branches, twigs, their radii and narrowings.

Trunks follow anatomy.py through growth.py; their branches are grown generation by generation, and each
narrows its parent by Murray's law. lumen.py then makes the walls uneven. Everything in mm, at end-diastole.

Sources: Dodge 1992 (calibres), Murray 1926 (radii at a branching), Keelan 2016 (growth on the epicardium).
Left out: veins, and vessels of less than 0.08 mm radius.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from casgan_dicom.model.simulator.anatomy import (
    SUB,
    Course,
    Dominance,
    Rule,
    System,
    draw_dominance,
    draw_left,
    draw_right,
)
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.growth import (
    SPACING_MM,
    Sprouts,
    displace,
    grow,
    heart_direction,
    lay_trunk,
    resample,
    wander,
)
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.lumen import uneven_walls

__all__ = [
    "SMALLEST_RADIUS_MM",
    "CoronaryTree",
    "Dominance",
    "Growth",
    "Segment",
    "Stenosis",
    "System",
    "draw_dominance",
    "grow_tree",
]

SMALLEST_RADIUS_MM = 0.08
"""Vessels thin out to this radius and end: thinner ones are not seen in a cine."""
_SMALLEST_ORIGIN_MM = 0.17
"""A branch that springs with less is left out."""
_LONGEST_MM = 90.0
_TRUNK_THINS, _BRANCH_THINS = 0.17, 0.27
"""Exponents of a vessel's radius over the share of its length that is left."""
_GENERATIONS = 3


@dataclass(frozen=True)
class Growth:
    """What a tree may become, apart from its anatomy."""

    stenoses: bool = True
    """Whether narrowings and plaque may occur."""
    calibre: tuple[float, float] = (0.8, 1.25)
    """Range of the patient's calibre over the mean."""


@dataclass(frozen=True)
class Segment:
    """One named vessel from its origin to its end."""

    name: str
    """Clinical abbreviation: LM, LAD, D1, S2, LCx, OM1, RCA, AM1, PDA, PLV ..., D1b2 a branch of D1."""
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
class _Sprout:
    """A branch before it is grown."""

    name: str
    parent: int
    at: int
    """Index of the parent's point."""
    radius: float
    side: int
    towards: Array
    inward: bool
    rule: Rule


@dataclass
class _Builder:
    """The tree while it grows; its points are in heart axes until it is finished."""

    heart: Heart
    rng: np.random.Generator
    murray: float
    tortuosity: float
    """Of this patient over the median."""
    scale: float
    """Calibre of this patient over the mean."""
    segments: list[Segment] = field(default_factory=list)

    def trunk(self, course: Course) -> int:
        """Lay a trunk, return its index."""
        semi = np.asarray(self.heart.semi_axes_mm)
        azimuth, height, depth = course.guide.T
        guide = heart_direction(azimuth, height) * semi * depth[:, None]
        parent, leaving, radius = -1, None, course.radius * self.scale
        if course.parent is not None:
            parent = next(i for i, s in enumerate(self.segments) if s.name == course.parent)
            mother = self.segments[parent]
            at = round(course.springs_at * (len(mother.points) - 1))
            tangent = mother.points[at] - mother.points[max(at - 3, 0)]
            leaving = 0.7 * tangent / np.linalg.norm(tangent)
            guide[0] = mother.points[at]
            depth = np.concatenate([[np.linalg.norm(guide[0] / semi)], depth[1:]])
            radius = course.radius * mother.radius[at]
            if course.springs_at < 1:
                self._thin(parent, at, radius)
        path = self._winding(lay_trunk(self.heart, guide, depth, leaving=leaving), radius)
        calibre = (radius, course.taper, _TRUNK_THINS * course.ends)
        return self._add(course.name, parent, resample(path, SPACING_MM), calibre)

    def _winding(self, path: Array, radius: float) -> Array:
        """Let a trunk wander; in one of three winding patients the far half of a long one is a corkscrew."""
        t = np.linspace(0.0, 1.0, len(path))
        wavelength = np.array([self.rng.uniform(30.0, 50.0), self.rng.uniform(12.0, 17.0), 20.0])
        swing = self.tortuosity * np.array([0.14, 0.07, 0.0])
        if len(path) > 50 and radius < 2.0 and self.tortuosity > 1.2 and self.rng.random() < 0.35:
            swing[1] = self.rng.uniform(0.3, 0.5)
        amplitude = np.minimum(swing, 0.55) * wavelength / (2 * np.pi)
        amplitude[2] = 0.25 * self.tortuosity
        slow, quick, outwards = wander(self.rng, len(path), wavelength, amplitude)
        begins = np.clip(np.arange(len(path)) / 30.0 - 0.2, 0.0, 1.0)
        far = 1.0 if swing[1] < 0.3 else np.clip(2.5 * t - 0.7, 0.0, 1.0)
        return displace(self.heart, path, (slow + far * quick) * begins, outwards * begins)

    def _add(self, name: str, parent: int, path: Array, calibre: tuple[float, float, float]) -> int:
        """Append a segment of a radius at its origin, a taper, and an exponent by which its end thins out."""
        s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        radius, taper, thins = calibre
        t = s / s[-1]
        radii = radius * (1 + (taper - 1) * t) * (1 - t) ** thins
        start = 0.0
        if parent >= 0:
            mother = self.segments[parent]
            start = mother.arc[int(np.argmin(np.linalg.norm(mother.points - path[0], axis=1)))]
        radii = np.maximum(radii, SMALLEST_RADIUS_MM)
        self.segments.append(Segment(name, parent, path, radii, start + s))
        return len(self.segments) - 1

    def _thin(self, index: int, at: int, radius: float) -> None:
        """Narrow a vessel behind the origin of a branch by Murray's law."""
        mother = self.segments[index]
        before = mother.radius[at]
        left = (max(before**self.murray - radius**self.murray, 0.0)) ** (1 / self.murray)
        share = max(left / before, 0.6)
        behind = np.clip((np.arange(len(mother.radius)) - at) * SPACING_MM / 4.0 + 0.5, 0.0, 1.0)
        radii = mother.radius * (1 + (share - 1) * behind)
        self.segments[index] = replace(mother, radius=np.maximum(radii, SMALLEST_RADIUS_MM))

    def branch(self, rules: dict[int, tuple[Rule, ...]]) -> None:
        """Grow all branches, generation by generation; `rules` are those of each trunk."""
        sprouts = [s for index, own in rules.items() for rule in own for s in self._draw(index, rule)]
        for _ in range(_GENERATIONS):
            grown = self._grow(sprouts)
            sprouts = [
                sprout
                for index, parent in grown
                if parent.rule.sprouts
                for sprout in self._draw(
                    index, replace(SUB, towards=tuple(parent.towards)), inward=parent.inward
                )
            ]

    def _draw(self, index: int, rule: Rule, *, inward: bool = False) -> Iterator[_Sprout]:
        """Draw the branches of one kind from the origin on."""
        at = self.rng.uniform(*rule.first_mm)
        side = rule.side if rule.name not in "bt" else int(self.rng.choice((-1, 1)))
        name = f"{self.segments[index].name}{rule.name}" if rule.name in "bt" else rule.name
        for number in range(1, int(self.rng.integers(rule.count[0], rule.count[1] + 1)) + 1):
            mother = self.segments[index]
            if at > mother.length_mm - 3.0:
                return
            k = min(int(at / SPACING_MM), len(mother.radius) - 1)
            radius = float(mother.radius[k] * self.rng.uniform(*rule.ratio))
            at += self.rng.uniform(*rule.spacing_mm)
            if radius < _SMALLEST_ORIGIN_MM:
                continue
            self._thin(index, k, radius)
            towards = np.asarray(rule.towards) + self.rng.normal(0.0, rule.freedom, 3)
            yield _Sprout(f"{name}{number}", index, k, radius, side, towards, inward or side == 0, rule)
            side = -side if rule.name in "bt" else side

    def _grow(self, sprouts: list[_Sprout]) -> list[tuple[int, _Sprout]]:
        """Grow one generation; the index and the description of each new segment."""
        if not sprouts:
            return []
        paths = grow(self.heart, self._steering(sprouts), self.rng)
        return [
            (self._add(sprout.name, sprout.parent, path, (sprout.radius, 1.0, _BRANCH_THINS)), sprout)
            for sprout, path in zip(sprouts, paths, strict=True)
        ]

    def _steering(self, sprouts: list[_Sprout]) -> Sprouts:
        """What growth.py needs to know: how far thin and thick branches wander, and at which wavelengths."""
        rng, count = self.rng, len(sprouts)
        radius = np.array([s.radius for s in sprouts])
        side = np.array([s.side for s in sprouts])
        mothers = [self.segments[s.parent] for s in sprouts]
        rules = [s.rule for s in sprouts]
        short = np.clip(5.0 + 9.0 * radius, 6.5, 20.0) * rng.uniform(0.8, 1.25, count)
        swing = self.tortuosity * np.array([r.swing for r in rules])
        quick = np.minimum(swing * 0.24 / np.sqrt(radius + 0.4), 0.75)
        corkscrew = rng.random(count) < np.array([r.corkscrew for r in rules]) * min(self.tortuosity, 2.0)
        quick = np.where(corkscrew, rng.uniform(0.7, 1.1, count), quick)
        length = radius * np.array([r.length_per_radius for r in rules]) * rng.uniform(0.45, 1.4, count)
        return Sprouts(
            start=np.array([m.points[s.at] for m, s in zip(mothers, sprouts, strict=True)]),
            along=np.array([_direction(m, s.at) for m, s in zip(mothers, sprouts, strict=True)]),
            turn_rad=np.deg2rad([rng.uniform(*r.angle_deg) for r in rules]) * np.where(side == 0, 1, side),
            turn_mm=2.0 + 2.5 * np.array([m.radius[s.at] for m, s in zip(mothers, sprouts, strict=True)]),
            towards=np.array([s.towards for s in sprouts]),
            length_mm=np.minimum(length, _LONGEST_MM),
            swing_rad=np.stack([np.minimum(0.3 * swing, 0.6), quick], axis=1),
            wavelength_mm=np.stack([4.0 * short, np.where(corkscrew, 0.9 * short + 2.0, short)], axis=1),
            inward=np.array([s.inward for s in sprouts], dtype=np.float64),
            depth=1.0 + rng.uniform(0, 1, count) * np.array([r.bulge for r in rules]),
        )


def _direction(segment: Segment, at: int) -> Array:
    """Unit tangent of a segment at one of its points."""
    ahead = segment.points[min(at + 3, len(segment.points) - 1)] - segment.points[max(at - 3, 0)]
    return np.asarray(ahead / np.linalg.norm(ahead))


def grow_tree(
    rng: np.random.Generator,
    heart: Heart,
    system: System,
    dominance: Dominance,
    growth: Growth = Growth(),
) -> CoronaryTree:
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
    growth
        Range of calibres, and whether there may be narrowings.

    Returns
    -------
    CoronaryTree
        Points 0.5 mm apart at end-diastole, radii in mm including the stenoses.
    """
    low, high = growth.calibre
    builder = _Builder(
        heart,
        rng,
        murray=float(rng.uniform(2.3, 3.0)),
        tortuosity=float(np.clip(rng.lognormal(0.0, 0.45), 0.4, 2.6)),
        scale=float(rng.triangular(low, np.clip(1.0, low, high), high)),
    )
    courses = draw_left(rng, dominance) if system == "LCA" else draw_right(rng, dominance)
    builder.branch({builder.trunk(course): course.rules for course in courses})
    uneven = uneven_walls(rng, [s.radius for s in builder.segments], plaque=growth.stenoses)
    segments = [
        replace(s, points=s.points @ heart.axes, radius=np.maximum(r, SMALLEST_RADIUS_MM))
        for s, r in zip(builder.segments, uneven, strict=True)
    ]
    segments, stenoses = _narrow(segments, rng) if growth.stenoses else (segments, [])
    return CoronaryTree(system, dominance, tuple(segments), tuple(stenoses))


def _narrow(segments: list[Segment], rng: np.random.Generator) -> tuple[list[Segment], list[Stenosis]]:
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
    return narrowed, stenoses
