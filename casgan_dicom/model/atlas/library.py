"""The library: coronary trees on the unit heart, to be laid on any heart.

A point of a tree is stored in the heart's own axes (up, right, apex) over its semi-axes, so one tree fits
every heart; radii stay in mm. No tree has a narrowing: the atlas never invents a lesion. A library is a few
arrays and nothing else, small enough to travel with a bundle, and the same seed grows the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.atlas.landmarks import SYSTEMS, landmarks
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.tree import CoronaryTree, Growth, System, draw_dominance, grow_tree

TREES = 48
"""Trees of each artery in a library: sixteen choose nearly as well as 256, and a few more differ more."""
THINNEST_MM = 0.875
"""Diameter from which a vessel is seen in a cine, and its width can be measured."""
_EVERY = 2
"""Points of the simulator per point kept: 1 mm apart."""
GROWTH = Growth(stenoses=False, calibre=(0.8, 1.05))
"""Never a narrowing; calibre over the mean patient's: real coronaries look narrower than a textbook's."""
_HEART = Heart(semi_axes_mm=(44.0, 47.0, 64.0))
"""What the trees grow on: the mean of the hearts that the networks learn from."""


@dataclass(frozen=True)
class UnitTree:
    """One tree on the unit heart: S segments, P points in all."""

    system: System
    """Left or right."""
    points: Array
    """float64 (P, 3), heart axes over semi-axes, about 1 mm apart along a segment, segment after segment."""
    radius: Array
    """float64 (P,), mm."""
    segment: npt.NDArray[np.int64]
    """(P,) number of the segment that each point belongs to, from 0 for the one at the ostium."""
    landmarks: Array
    """float64 (L, 3), see landmarks.py; NaN where the tree lacks the trunk."""

    @property
    def inner(self) -> npt.NDArray[np.bool_]:
        """(P - 1,) whether a point and its successor belong to the same segment."""
        return np.asarray(self.segment[1:] == self.segment[:-1])


@dataclass(frozen=True, eq=False)
class Library:
    """Trees of both arteries, numbered through."""

    trees: tuple[UnitTree, ...]
    """The number of a tree is its place here."""

    def numbers(self, system: System) -> tuple[int, ...]:
        """Numbers of one artery's trees."""
        return tuple(k for k, tree in enumerate(self.trees) if tree.system == system)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The library as arrays of a safetensors file; `from_arrays` reads them.

        `points` float16 (P, 3), `radius` float16 (P,), `segment_points` int32 (S,) points of each segment,
        `tree_segments` int32 (K,) segments of each tree, `right` uint8 (K,), `landmarks` float32 (K, L, 3).
        """
        counts = [np.bincount(tree.segment) for tree in self.trees]
        return {
            "points": np.concatenate([tree.points for tree in self.trees]).astype(np.float16),
            "radius": np.concatenate([tree.radius for tree in self.trees]).astype(np.float16),
            "segment_points": np.concatenate(counts).astype(np.int32),
            "tree_segments": np.array([len(count) for count in counts], dtype=np.int32),
            "right": np.array([tree.system == "RCA" for tree in self.trees], dtype=np.uint8),
            "landmarks": np.stack([tree.landmarks for tree in self.trees]).astype(np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Library:
        """Read what `arrays` gave.

        Raises
        ------
        ValueError
            An array is missing, or their lengths contradict each other.
        """
        wanted = {"points", "radius", "segment_points", "tree_segments", "right", "landmarks"}
        if missing := sorted(wanted - set(arrays)):
            raise ValueError(f"a library of trees lacks the arrays {', '.join(missing)}")
        counts, segments = arrays["segment_points"].astype(int), arrays["tree_segments"].astype(int)
        lengths = (len(arrays["points"]), len(counts), len(segments), len(segments))
        found = (counts.sum(), segments.sum(), len(arrays["right"]), len(arrays["landmarks"]))
        if lengths != found or len(arrays["radius"]) != lengths[0]:
            raise ValueError(
                f"a library's arrays contradict each other: {lengths} entries, {found} announced"
            )
        owner = np.repeat(np.arange(len(segments)), segments)  # (S,) tree of each segment
        return cls(tuple(_unpack(arrays, np.repeat(owner, counts) == k, k) for k in range(len(segments))))


def grow_library(seed: int, count: int = TREES) -> Library:
    """Grow `count` trees of each artery, left ones first; the same seed gives the same library."""
    trees = []
    for index, system in enumerate(SYSTEMS):
        for number in range(count):
            rng = np.random.default_rng([seed, index, number])
            trees.append(on_unit_heart(grow_tree(rng, _HEART, system, draw_dominance(rng), GROWTH), _HEART))
    packed = Library(tuple(trees)).arrays()
    return Library.from_arrays(packed)  # what a bundle keeps is what is drawn, to the last bit


def on_unit_heart(tree: CoronaryTree, heart: Heart) -> UnitTree:
    """A tree that lies on `heart`, as a library would hold it."""
    kept = [_thinned(len(segment.points)) for segment in tree.segments]
    unit = [_to_unit(segment.points[keep], heart) for segment, keep in zip(tree.segments, kept, strict=True)]
    return UnitTree(
        tree.system,
        np.concatenate(unit),
        np.concatenate([segment.radius[keep] for segment, keep in zip(tree.segments, kept, strict=True)]),
        np.repeat(np.arange(len(kept)), [len(keep) for keep in kept]),
        _to_unit(landmarks(tree), heart),
    )


def _unpack(arrays: Mapping[str, npt.NDArray[Any]], mine: npt.NDArray[np.bool_], number: int) -> UnitTree:
    """One tree out of the arrays of all; `mine` (P,) marks its points."""
    counts = arrays["segment_points"].astype(int)
    segment = np.repeat(np.arange(len(counts)), counts)[mine]
    return UnitTree(
        "RCA" if arrays["right"][number] else "LCA",
        arrays["points"][mine].astype(np.float64),
        arrays["radius"][mine].astype(np.float64),
        segment - segment[0],
        arrays["landmarks"][number].astype(np.float64),
    )


def _thinned(count: int) -> npt.NDArray[np.int64]:
    """Every second point of a segment, both ends among them."""
    return np.linspace(0, count - 1, max(2, round((count - 1) / _EVERY) + 1)).round().astype(np.int64)


def _to_unit(points: Array, heart: Heart) -> Array:
    return np.asarray(points @ heart.axes.T / np.asarray(heart.semi_axes_mm))
