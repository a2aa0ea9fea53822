"""A plan in pixels: millimetres of vessel in each frame of a run, and the darkening by it.

A tree is a list of straight pieces about 1 mm long. A piece is what its tube's discs add up to when they are
laid along it without a gap: in a pixel that lies t along the piece and x beside it, the length that the
disc's chord there, |t - s| < h(x), has in common with the piece, -L/2 < s < L/2. Pieces in a row add up to
the chord 2·h exactly, however long they are, so a thousand do for a tree (the simulator lays a disc every
half pixel).

The profile h is that of a disc seen through the detector: A (1 - x²/R²)^p, with p, R and A such that area,
variance and kurtosis are those of the semicircle blurred by the detector. Sharp for a trunk (p = 1/2), a bell
for a twig. What moves across itself while X-rays are on is blurred by that, too: a line of that length has a
twelfth of its square as variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from scipy.special import gammaln

from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.library import THINNEST_MM, Library, UnitTree
from casgan_dicom.model.atlas.plan import RunPlan
from casgan_dicom.model.atlas.posing import Pose, warped
from casgan_dicom.model.simulator.contrast import Injection, iodine_attenuation
from casgan_dicom.model.simulator.geometry import Array

FloatImages = npt.NDArray[np.float32]
Filling = Callable[[Array], Array]
"""Share of agent, 0 to 1, from the way in mm that blood has come from the ostium, any shape."""

CONCENTRATION = 0.8
"""Of agent in a filled vessel, see simulator.contrast."""
DARKEST = 0.46
"""What -ln of the light comes near and never passes: real vessels have .22 in the middle, .38 at the 90th
percentile of their centre lines, and none over .55."""
_BLUR_MM = 0.28
"""Standard deviation of the detector's blur, in its plane."""
_PIXEL_VARIANCE = 1 / 12
"""Of a pixel's own aperture, pixels squared."""
_WIDTHS = ((50.0, 7.0), (90.0, 12.0))
"""(percentile, pixels of a picture of 512): widths of real vessels, to which trees are narrowed."""
_WIDEST = 16.0
"""What the widths of trunks come near and never pass, the same pixels."""
_ROOT = 8
"""Points at the beginning of a branch that may lie in its mother."""
_FLATTEST = 4.0
"""Greatest power p: a bell, as far as the eye goes."""
_SHORTEST_PX = 1.0
"""A piece seen end on is drawn this long: a pixel's softness along it."""
_REACHES = (2, 3, 4, 5, 6, 7, 8, 9, 11, 14, 18, 26, 40, 80)
"""Half sides in pixels of the windows that pieces are drawn in."""


@dataclass(frozen=True)
class _Pieces:
    """What does not change over the frames, for Q pieces of a tree."""

    start: npt.NDArray[np.int64]
    """(Q,) first point of each piece; the next one is its end."""
    length_mm: npt.NDArray[np.float32]
    """(Q,)."""
    arc_mm: Array
    """(Q,) way that blood has come from the ostium."""
    radius: npt.NDArray[np.float32]
    """(Q,) pixels."""
    blur: float
    """Variance of the detector's blur, pixels squared."""


@dataclass(frozen=True)
class _Profiles:
    """h of Q pieces in one frame."""

    edge: npt.NDArray[np.float32]
    """(Q,) R, pixels."""
    power: npt.NDArray[np.float32]
    """(Q,) p."""
    height: npt.NDArray[np.float32]
    """(Q,) A, pixels."""

    def take(self, chosen: npt.NDArray[np.int64]) -> _Profiles:
        """Some of them."""
        return _Profiles(self.edge[chosen], self.power[chosen], self.height[chosen])


def path_lengths(
    plan: RunPlan, library: Library, numbers: Sequence[int], shape: tuple[int, int]
) -> FloatImages:
    """Length of vessel that the beam passes, as the detector shows it.

    Parameters
    ----------
    plan
        Of the run; a refused one draws nothing.
    library
        The one that it was made with.
    numbers
        Frames of the run, T of them.
    shape
        Rows H and columns W of a frame.

    Returns
    -------
    float32 (T, H, W)
        Patient mm of vessel that is full of agent; 0 away from the tree, and where no agent has come yet.
    """
    if plan.refused:
        return np.zeros((len(numbers), *shape), dtype=np.float32)
    tree, pose, half = library.trees[plan.facts.tree], Pose(plan.view, plan.heart), plan.exposure / 2
    places = [
        tuple(_places(tree, pose, plan, number + aside) for aside in (-half, half)) for number in numbers
    ]
    pieces = _planned_pieces(plan, library, max(shape))
    return _lengths(pieces, places, shape, [_filling(plan, number) for number in numbers])


@lru_cache(maxsize=2)
def _planned_pieces(plan: RunPlan, library: Library, longest: int) -> _Pieces:
    """Those of a plan, cut once for all its frames."""
    tree, pose = library.trees[plan.facts.tree], Pose(plan.view, plan.heart)
    return _pieces(tree, pose, longest / GRID)


def tree_lengths(
    tree: UnitTree, pose: Pose, places: Sequence[tuple[Array, ...]], shape: tuple[int, int]
) -> FloatImages:
    """The same of one tree, full of agent, whose points are known in T frames.

    `places` has where they are when X-rays go on and off again, two arrays (P, 2) of pixels of GRID a frame.
    """
    return _lengths(_pieces(tree, pose, max(shape) / GRID), places, shape, [_full] * len(places))


def _lengths(
    pieces: _Pieces,
    places: Sequence[tuple[Array, ...]],
    shape: tuple[int, int],
    fillings: Sequence[Filling],
) -> FloatImages:
    """Millimetres of agent in T frames; `fillings` say how much there is so many mm from the ostium."""
    drawn = np.zeros((len(places), *shape), dtype=np.float32)
    for image, moment, filling in zip(drawn, places, fillings, strict=True):
        opened, closed = (_in_full(pixels, shape).astype(np.float32) for pixels in moment)
        _draw(image, (opened + closed) / np.float32(2), _filled(pieces, filling), closed - opened)
    return drawn


def _full(arc_mm: Array) -> Array:
    return np.ones_like(arc_mm)


def _filling(plan: RunPlan, number: int) -> Filling:
    """How full vessels are in a frame: a front runs down from the ostium, later agent washes out."""
    if plan.facts.injection_s is None:
        return _full
    injection, time_s = Injection(*plan.facts.injection_s), float(plan.times_s[number])
    return lambda arc_mm: injection.concentration(time_s, arc_mm) / injection.peak


def _filled(pieces: _Pieces, filling: Filling) -> _Pieces:
    """Pieces with as much of their length as there is agent in them; those without any stay away."""
    share = filling(pieces.arc_mm)
    some = share > 0
    chosen = {name: getattr(pieces, name)[some] for name in ("start", "radius", "arc_mm")}
    length = (pieces.length_mm[some] * share[some]).astype(np.float32)
    return replace(pieces, length_mm=length, **chosen)


def _places(tree: UnitTree, pose: Pose, plan: RunPlan, number: float) -> Array:
    """Pixels (P, 2) of GRID at a moment of the run, between two of its frames where it is no whole number."""
    frames = np.arange(len(plan.contraction))
    contracted = float(np.interp(number, frames, plan.contraction))
    shift = [np.interp(number, frames, plan.shift[:, k]) for k in (0, 1)]
    return warped(pose.project(tree.points, contracted) + shift, np.asarray(plan.centre), plan.warp)


def optical_depth(path_mm: FloatImages, concentration: float = CONCENTRATION) -> FloatImages:
    """-ln of the light that agent leaves, float32, the shape of `path_mm`; below `DARKEST`.

    Beer-Lambert with the beam's hardening, bent towards DARKEST: T = L / (1 + (L / DARKEST)^3)^(1/3).
    """
    drawn = np.zeros_like(path_mm)
    vessel = path_mm > 0  # a few per cent of a picture
    depth = iodine_attenuation(np.float32(concentration) * path_mm[vessel])
    drawn[vessel] = depth / np.cbrt(1 + (depth / np.float32(DARKEST)) ** 3)
    return drawn


def optical_depths(
    plan: RunPlan, library: Library, numbers: Sequence[int], shape: tuple[int, int]
) -> FloatImages:
    """-ln of the light that the planned tree leaves in the run's own grey scale, float32 (T, H, W)."""
    return usual_depths(plan, library, numbers, shape) * np.float32(plan.facts.darkness)


def usual_depths(
    plan: RunPlan, library: Library, numbers: Sequence[int], shape: tuple[int, int]
) -> FloatImages:
    """The same in a usual grey scale: what a generator corrects that learnt itself how dark runs are."""
    return optical_depth(path_lengths(plan, library, numbers, shape))


def _in_full(pixels: Array, shape: tuple[int, int]) -> Array:
    """Pixels of GRID in a frame of H x W: its longer side is the square's, its corner is the square's."""
    inner = [max(1, round(side * GRID / max(shape))) for side in shape]
    return np.asarray((pixels + 0.5) * np.array([shape[1] / inner[1], shape[0] / inner[0]]) - 0.5)


def _pieces(tree: UnitTree, pose: Pose, enlarged: float) -> _Pieces:
    """Cut a tree for pictures `enlarged` times GRID."""
    start = np.flatnonzero(tree.inner)
    ends = pose.heart.to_patient(tree.points)
    length = np.linalg.norm(ends[start + 1] - ends[start], axis=1) * _free(tree, ends)[start]
    per_mm = pose.view.project((ends[start] + ends[start + 1]) / 2)[1] * enlarged  # (Q,) at its own depth
    radius = (tree.radius[start] + tree.radius[start + 1]) / 2
    radius = narrowed(radius, pose.pixels_per_mm * 512 / GRID) * per_mm
    arc = _arcs(tree, ends)
    blur = (_BLUR_MM / pose.view.pixel_mm * enlarged) ** 2 + _PIXEL_VARIANCE
    along = (arc[start] + arc[start + 1]) / 2
    return _Pieces(start, length.astype(np.float32), along, radius.astype(np.float32), blur)


def _arcs(tree: UnitTree, points: Array) -> Array:
    """Way (P,) along the vessels from the ostium to each point (P, 3), in mm.

    A branch goes on from the point of the vessels before it that is nearest to where it begins.
    """
    arc = np.zeros(len(points))
    for segment in range(int(tree.segment.max()) + 1):
        own = np.flatnonzero(tree.segment == segment)
        way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points[own], axis=0), axis=1))])
        mother = int(cdist(points[own[:1]], points[: own[0]])[0].argmin()) if own[0] else 0
        arc[own] = arc[mother] + way
    return arc


def _profiles(pieces: _Pieces, smear: FloatImages) -> _Profiles:
    """Discs blurred by the detector and, along `smear` pixels (Q,) across the vessel, by their motion."""
    own, blur = pieces.radius**2 / 4, pieces.blur + smear**2 / 12
    power = np.minimum(3 * (1 + blur / own) ** 2 - 2.5, _FLATTEST)
    edge = np.sqrt((own + blur) * (2 * power + 3))
    area = edge * np.sqrt(np.pi) * np.exp(gammaln(power + 1) - gammaln(power + 1.5))
    height = np.pi * pieces.radius**2 / 2 / area
    return _Profiles(*(values.astype(np.float32) for values in (edge, power, height)))


def _free(tree: UnitTree, points: Array) -> Array:
    """How far each point (P, 3), in mm, lies outside the vessels that its own springs from, (P,) 0 to 1.

    A branch begins on the centre line of its mother: what lies in her lumen is hers already, and counted
    twice every branching would be a dark knot. Towards her own ends she fades, so there both are needed.
    """
    free, lumen = np.ones(len(points)), np.zeros(len(points), dtype=np.bool_)
    for segment in range(int(tree.segment.max()) + 1):
        own = np.flatnonzero(tree.segment == segment)
        root = own[:_ROOT]
        if lumen.any():
            away = cdist(points[root], points[lumen]) / tree.radius[lumen]
            free[root] = np.clip(2 * away.min(axis=1) - 1, 0.0, 1.0)
        ends = cdist(points[own], points[own[[0, -1]]]).min(axis=1)
        lumen[own] = ends > tree.radius[own]
    return free


def narrowed(radius: Array, per_mm: float) -> Array:
    """Radii (Q,) in mm of a tree no wider than real vessels are; `per_mm` pixels of a picture of 512."""
    widths = 2 * radius * per_mm
    measured = widths[2 * radius >= THINNEST_MM]
    if measured.size:
        widths = widths * min(1.0, *(wide / np.percentile(measured, percent) for percent, wide in _WIDTHS))
    return np.asarray(widths / (1 + (widths / _WIDEST) ** 4) ** 0.25 / (2 * per_mm))


@dataclass(frozen=True)
class _Lines:
    """Where Q pieces are in one frame, pixels."""

    middle: FloatImages
    """(Q, 2)."""
    along: FloatImages
    """(Q, 2) unit vectors; any where a piece is seen end on."""
    half: FloatImages
    """(Q,) half lengths."""

    @classmethod
    def between(cls, first: FloatImages, last: FloatImages) -> _Lines:
        """Lines from (Q, 2) to (Q, 2)."""
        way = last - first
        long = np.sqrt((way**2).sum(axis=1))
        along = np.where(long[:, None] > 0, way, np.float32(1.0)) / np.maximum(long, 1e-6)[:, None]
        half = np.maximum(long, np.float32(_SHORTEST_PX)) / 2
        return cls(
            np.asarray((first + last) / 2, np.float32),
            np.asarray(along, dtype=np.float32),
            np.asarray(half, np.float32),
        )

    def take(self, chosen: npt.NDArray[np.int64]) -> _Lines:
        """Some of the lines."""
        return _Lines(self.middle[chosen], self.along[chosen], self.half[chosen])


def _draw(image: FloatImages, ends: FloatImages, pieces: _Pieces, way: FloatImages) -> None:
    """Add all pieces to an image (H, W).

    `ends` (P, 2) are the tree's points in its pixels, `way` (P, 2) how far they move while X-rays are on.
    """
    lines = _Lines.between(ends[pieces.start], ends[pieces.start + 1])
    moved = way[pieces.start]
    across = np.abs(moved[:, 0] * lines.along[:, 1] - moved[:, 1] * lines.along[:, 0])
    profiles = _profiles(pieces, across)
    need = (profiles.edge + lines.half + 1)[:, None]
    upper = np.array(image.shape[::-1]) - 1
    near = ((lines.middle > -need) & (lines.middle < upper + need)).all(axis=1) & (need[:, 0] <= _REACHES[-1])
    if not near.any():
        return
    reaches = np.array(_REACHES)[np.searchsorted(_REACHES[:-1], need[:, 0])]
    margin = int(reaches[near].max() + need[near].max()) + 2  # a window near the picture stays on the canvas
    canvas = np.zeros((image.shape[0] + 2 * margin, image.shape[1] + 2 * margin), dtype=np.float32)
    for reach in np.unique(reaches[near]):
        chosen = np.flatnonzero(near & (reaches == reach))
        window = _window(lines.take(chosen), profiles.take(chosen), pieces.length_mm[chosen], int(reach))
        column, row = np.rint(lines.middle[chosen]).astype(np.int64).T[:, :, None] + margin
        offset = np.arange(-reach, reach + 1)
        places = ((row + offset) * canvas.shape[1])[:, :, None] + (column + offset)[:, None, :]
        np.add.at(canvas.ravel(), places.ravel(), window.ravel())
    image += canvas[margin : margin + image.shape[0], margin : margin + image.shape[1]]


def _window(lines: _Lines, profiles: _Profiles, length_mm: FloatImages, reach: int) -> FloatImages:
    """Millimetres (Q, 2·reach + 1, 2·reach + 1) around the middles of pieces of these lengths (Q,)."""
    offset = np.arange(-reach, reach + 1, dtype=np.float32)
    rest = np.rint(lines.middle) - lines.middle
    dx = (offset + rest[:, :1])[:, None, :]  # (Q, 1, K)
    dy = (offset + rest[:, 1:])[:, :, None]  # (Q, K, 1)
    ux, uy = lines.along[:, 0, None, None], lines.along[:, 1, None, None]
    edge, power, height = (v[:, None, None] for v in (profiles.edge, profiles.power, profiles.height))
    half = lines.half[:, None, None]
    chord = (ux / edge) * dy - (uy / edge) * dx  # x / R, and in place to h(x)
    np.maximum(1 - chord * chord, np.float32(1e-12), out=chord)
    np.log(chord, out=chord)
    chord *= power
    np.exp(chord, out=chord)
    chord *= height
    common = np.abs(ux * dx + uy * dy)  # |t|, and in place to the length in common
    np.subtract(chord + half, common, out=common)
    chord *= 2
    np.minimum(common, chord, out=common)
    np.clip(common, np.float32(0.0), 2 * half, out=common)
    common *= length_mm[:, None, None] / (2 * half)
    return np.asarray(common)
