"""Simulated pairs with a guide: frames without and with contrast, and the tree that an atlas would draw.

The patients' arteries are such as a library holds: grown without narrowings, no wider than real ones are. So
the guide, which the atlas' renderer draws of the patient's own tree, and the contrast of the simulator show
the same vessels, and only the look differs. Rendered once and cached, like the frames of `simulated`; each
chest, which costs most of the time, is used for several patients.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.library import GROWTH, on_unit_heart
from casgan_dicom.model.atlas.posing import Pose
from casgan_dicom.model.atlas.render import narrowed, optical_depth, tree_lengths
from casgan_dicom.model.data.posed import (
    FINE,
    OTHER_PATIENTS,
    Bytes,
    Floats,
    PatientsOfChests,
    PoseSettings,
    join,
)
from casgan_dicom.model.data.rendering import SimulatedData, rendered, seeds
from casgan_dicom.model.simulator.background import Background, BackgroundSource
from casgan_dicom.model.simulator.cine import SimulatedCine, film
from casgan_dicom.model.simulator.run import draw_run, draw_view, stream
from casgan_dicom.model.simulator.tree import CoronaryTree, draw_dominance, grow_tree

_PER_DEPTH = 500.0
"""Steps of a stored optical depth."""
_TREE = 9_002
"""Stands beside a patient's seed for the tree that is grown as a library's are."""


@dataclass(frozen=True)
class GuidedRuns:
    """Frames before G backgrounds: K patients before each, F frames of each patient."""

    plain: Bytes
    """(G, K, F, 256, 256) display values times 255, without contrast."""
    contrast: Bytes
    """The same with contrast, in a well filled part of the run."""
    guide: Bytes
    """The same shape: optical depth of the tree as the atlas draws it, full, in steps of 1/500."""
    vessel: npt.NDArray[np.bool_]
    """The same shape: vessel that holds contrast."""


def guided_runs(data: SimulatedData, settings: PoseSettings) -> GuidedRuns:
    """Render, or read from the cache, all runs of the purpose "guided"; raises what `rendered` raises."""
    kind = _GuidedKind(settings.patients, settings.frames)
    parts = rendered(data, kind, seeds(data, "guided", settings.backgrounds))
    return join([_unpacked(dict(arrays)) for arrays in parts])


def depth_of(stored: Bytes) -> Floats:
    """Optical depths of `GuidedRuns.guide`."""
    return stored.astype(np.float32) / np.float32(_PER_DEPTH)


@dataclass(frozen=True)
class _GuidedKind(PatientsOfChests):
    """What is rendered of each background."""

    def facts(self) -> list[object]:
        """What the cached files depend on, beside simulator and anatomy."""
        return ["guided", self.patients, self.frames, repr(self.settings), repr(GROWTH)]

    def render(self, seed: int, source: BackgroundSource) -> dict[str, Any]:
        """Render the patients of one background."""
        _, view = draw_view(seed, self.settings)
        background = source.background(stream(seed, "background"), view)
        patients = [self._patient(seed, k, background) for k in range(self.patients)]
        arrays = {
            field.name: np.stack([p[field.name] for p in patients])[None] for field in fields(GuidedRuns)
        }
        return arrays | {"vessel": np.packbits(arrays["vessel"], axis=-1)}

    def _patient(self, seed: int, number: int, background: Background) -> dict[str, Any]:
        """The frames of one patient, (F, 256, 256) each."""
        other = seed + number * OTHER_PATIENTS
        artery, view = draw_view(seed, self.settings)
        drawn = draw_run(other, replace(self.settings, injected=artery), background.heart, view)
        rng = np.random.default_rng([other, _TREE])
        tree = grow_tree(rng, background.heart, artery, draw_dominance(rng), GROWTH)
        pose = Pose(replace(view, size=GRID), background.heart)
        run = replace(drawn, tree=_as_wide_as_real(tree, pose.pixels_per_mm * 512 / GRID))
        picked = run.well_filled(self.frames)
        picked += picked[-1:] * (self.frames - len(picked))  # a short puff fills the tree for few frames
        cine = film(other, run, background, picked)
        return {
            "plain": np.rint(255 * cine.display(cine.plain)).astype(np.uint8),
            "contrast": np.rint(255 * cine.display(cine.contrast)).astype(np.uint8),
            "guide": _guide(cine, tree, pose),
            "vessel": cine.vessel_mask,
        }


def _as_wide_as_real(tree: CoronaryTree, per_mm: float) -> CoronaryTree:
    """The tree with the radii that the atlas draws; `per_mm` pixels of a picture of 512."""
    lengths = [len(segment.radius) for segment in tree.segments]
    radii = narrowed(np.concatenate([segment.radius for segment in tree.segments]), per_mm)
    parts = np.split(radii, np.cumsum(lengths)[:-1])
    return replace(
        tree,
        segments=tuple(replace(s, radius=radius) for s, radius in zip(tree.segments, parts, strict=True)),
    )


def _guide(cine: SimulatedCine, tree: CoronaryTree, pose: Pose) -> Bytes:
    """What the atlas would draw had it the patient's own tree and motion."""
    unit = on_unit_heart(tree, pose.heart)
    places = (cine.projected(pose.heart.to_patient(unit.points)) + 0.5) * (GRID / FINE) - 0.5
    depth = optical_depth(tree_lengths(unit, pose, [(at, at) for at in places], (FINE, FINE)))
    return np.asarray(np.rint(_PER_DEPTH * depth), dtype=np.uint8)


def _unpacked(arrays: dict[str, Any]) -> GuidedRuns:
    vessel = np.unpackbits(arrays["vessel"], axis=-1).astype(bool)
    return GuidedRuns(**(arrays | {"vessel": vessel}))
