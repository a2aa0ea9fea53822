"""Points of the trunks that tell how a coronary tree lies: the same ones in every tree of an artery.

A landmark is a share of the length of a named trunk, so it exists before any branch is known.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.tree import CoronaryTree, System

SYSTEMS: tuple[System, ...] = ("LCA", "RCA")
"""The arteries, in the order that arrays of both have."""

PLACES: Mapping[System, tuple[tuple[str, float], ...]] = {
    "LCA": (
        *(("LM", 0.0), ("LM", 1.0), ("LAD", 0.2), ("LAD", 0.4), ("LAD", 0.6), ("LAD", 0.8), ("LAD", 1.0)),
        *(("LCx", 0.33), ("LCx", 0.66), ("LCx", 1.0)),
    ),
    "RCA": (
        *(("RCA", 0.0), ("RCA", 0.15), ("RCA", 0.3), ("RCA", 0.45), ("RCA", 0.6), ("RCA", 0.8), ("RCA", 1.0)),
        *(("PDA", 0.5), ("PDA", 1.0), ("PLV", 1.0)),
    ),
}
"""(trunk, share of its length) of each landmark; the first is the ostium."""


def landmarks(tree: CoronaryTree) -> Array:
    """Landmarks of a tree, float64 (10, 3) patient mm at end-diastole; NaN where it lacks a trunk."""
    trunks = {segment.name: segment.points for segment in tree.segments}
    found = np.full((len(PLACES[tree.system]), 3), np.nan)
    for k, (name, share) in enumerate(PLACES[tree.system]):
        if name in trunks:
            found[k] = trunks[name][round(share * (len(trunks[name]) - 1))]
    return found
