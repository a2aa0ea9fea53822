"""Simulated runs for the contrast check, with the truth of every frame from the simulator's own iodine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, simulate_cine
from casgan_dicom.model.simulator.contrast import iodine_attenuation

Kind = Literal[
    "no contrast",
    "lead-in alone",
    "injection inside",
    "filled throughout",
    "wash-out",
    "injection at the end",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
TREE_SHARE = 0.1
"""A frame shows vessels when this share of the injected tree's pixels does."""
DARKENED = 0.1
"""Attenuation by iodine, -ln(I/I0), from which a pixel of the tree shows; a tenth of what lies on the
centrelines of real filled vessels is below 0.135."""
_LEAD_IN_S = (0.3, 2.0)
_FRAMES = 90
"""6 s at 15 frames per second."""
_FILLED = 0.8
_AFTER_ONSET = 5
"""Frames of "injection at the end" that show vessels."""


@dataclass(frozen=True)
class Clip:
    """Frames of one simulated run."""

    seed: int
    kind: Kind
    frames: npt.NDArray[np.float32]
    """Display values, (T, H, W)."""
    truth: npt.NDArray[np.bool_]
    """Whether the frame shows opacified vessels, (T,)."""
    other_truths: Mapping[str, npt.NDArray[np.bool_]]
    """The same by other limits, to see how much of a figure is convention."""


def make_clip(
    seed: int, kind: Kind, backgrounds: BackgroundSource, *, size: int = 256, every: int = 2
) -> Clip:
    """Simulate one run of 6 s, of which only each `every`-th frame is kept, and cut its kind out of it."""
    settings = CineSettings(size=size, frames=_FRAMES, lead_in_s=_LEAD_IN_S)
    run = simulate_cine(seed, settings, backgrounds, indices=range(0, _FRAMES, every))
    injected = kind != "no contrast"
    darkened = share_of_tree(run, DARKENED)
    truth = darkened >= TREE_SHARE
    seen = run.vessel_mask.sum((1, 2)) / np.maximum(run.tree_mask.sum((1, 2)), 1)
    others = {
        "darkened by 0.05": share_of_tree(run, 0.05) >= TREE_SHARE,
        "a twentieth of the tree": darkened >= 0.05,
        "a fifth of the tree": darkened >= 0.2,
        "vessel mask": seen >= TREE_SHARE,
    }
    part = _part(kind, darkened, run.run.filling()[::every])
    shown = run.display((run.contrast if injected else run.plain)[part])
    cut = {name: other[part] & injected for name, other in others.items()}
    return Clip(seed, kind, shown, truth[part] & injected, cut)


def share_of_tree(run: SimulatedCine, attenuation: float) -> npt.NDArray[np.float64]:
    """Share of the injected tree's pixels that agent darkens by so much or more, (T,)."""
    shows = (iodine_attenuation(run.vessel_mm) >= attenuation) & run.tree_mask
    return np.asarray(shows.sum((1, 2)) / np.maximum(run.tree_mask.sum((1, 2)), 1))


def _part(kind: Kind, darkened: npt.NDArray[np.float64], filling: npt.NDArray[np.float64]) -> slice:
    truth = darkened >= TREE_SHARE
    filled = np.flatnonzero(truth & (filling >= _FILLED))
    if kind == "lead-in alone":
        return slice(0, max(1, int(np.flatnonzero(darkened > 0)[0])))
    if kind == "filled throughout":
        return slice(int(filled[0]), int(filled[-1]) + 1)
    if kind == "wash-out":
        return slice(int(filled[0]), None)
    if kind == "injection at the end":
        return slice(0, int(np.flatnonzero(truth)[0]) + _AFTER_ONSET)
    return slice(None)
