"""Frames of a run in, cues of the atlas out: the networks of a bundle in use."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from casgan_dicom.model.atlas import targets
from casgan_dicom.model.atlas.bearings import take_bearings
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.cues import GRID, Array, Cues
from casgan_dicom.model.atlas.darkness import shaft_depths
from casgan_dicom.model.atlas.panning import SIDE, table_shifts
from casgan_dicom.model.data.square import to_square
from casgan_dicom.model.networks.reading import CELLS, FINE, Found, find_tip, read_pose

_SWING = 6
"""Cells from the middle of a tip's way to its ends: 12 pixels of 128, more than the beat of most hearts."""
_PRESENT = 0.75
"""Quantile over the frames of how sure they are of the place: a quarter of them speaks for the run."""
_SURE_ELSEWHERE = 0.5
"""Chance of another place from which a frame is believed against the others."""
_REACH = 3
"""Cells to each side of the most likely one that count as the tip's place."""


@dataclass(frozen=True)
class Seen:
    """What T sampled frames of one run show whatever is known of the view."""

    found: Found
    """Tip and shaft, and what the pose is read from."""
    pan: Array
    """(T, 2), see `Cues`."""
    shaft_depth: Array
    """(T,), see `Cues`."""


def read_run(nets: nn.ModuleDict, frames: npt.NDArray[np.float32], context: RunContext) -> Cues:
    """Read the pose of sampled frames twice: for the view they show, and again told the one to draw in.

    Angles of the result are those of the first look, which nobody had told anything.
    """
    seen = look(nets, frames)
    first = read_cues(nets, seen)
    view = take_bearings(first, context).view
    again = read_cues(nets, seen, (view.primary_deg, view.secondary_deg))
    return replace(again, angles_deg=first.angles_deg)


@torch.inference_mode()
def look(nets: nn.ModuleDict, frames: npt.NDArray[np.float32]) -> Seen:
    """Find catheter and table in sampled frames of one run.

    Parameters
    ----------
    nets
        "tip" and "pose", in evaluation mode, on the CPU.
    frames
        Display values in [0, 1], (T, H, W), any size; spread over the run, whose mean they stand for.
    """
    fine = torch.from_numpy(np.ascontiguousarray(to_square(frames, FINE)))[:, None]
    found = find_tip(nets, fine, fine.mean(dim=0, keepdim=True).expand_as(fine))
    shaft = torch.sigmoid(found.marks[:, 0]).numpy()
    pan = table_shifts(to_square(frames, SIDE)) * GRID / SIDE
    return Seen(found, pan, shaft_depths(to_square(frames, GRID), shaft))


@torch.inference_mode()
def read_cues(nets: nn.ModuleDict, seen: Seen, angles_deg: tuple[float, float] | None = None) -> Cues:
    """Read the pose in what `look` found, told the view in degrees; None lets the network see it."""
    told = torch.from_numpy(targets.told(angles_deg, None)).expand(len(seen.pan), -1)
    read = read_pose(nets, seen.found, told)
    pose = {name: values.double().numpy() for name, values in read.pose.items()}
    tip, mass, none = _tip(read.tip)
    return Cues(
        right=pose["right"][:, 0],
        landmarks=targets.to_pixels(pose["landmarks"]),
        spread=targets.HALF * np.exp(pose["log_spread"]),
        contraction=np.clip(pose["phase"][:, 0], 0, 1),
        isocentre=targets.HALF * pose["isocentre"],
        field_mm=targets.field_of(pose["scale"][:, 0]),
        semi_axes_mm=targets.semi_axes_of(pose["semi_axes"]),
        apex=targets.apex_of(pose["apex"]),
        angles_deg=30 * pose["angles"],
        tip=tip,
        tip_mass=mass,
        no_tip=none,
        pan=seen.pan,
        vessel=torch.sigmoid(read.maps[:, 0]).numpy(),
        shaft_depth=seen.shaft_depth,
    )


def _where_the_run_has_it(heat: Tensor) -> Tensor:
    """Look for the tip, in frames that are not sure of it, where all frames together have it.

    A tip rides on the beating heart, it does not jump: where a frame alone would half take a bend or the edge
    for it, the others tell better. `heat` (T, 1, CELLS, CELLS), chances of each frame; a frame that is sure
    of another place, as where the table moves, keeps it.
    """
    together = F.avg_pool2d(heat.mean(dim=0, keepdim=True), 2 * _SWING + 1, 1, _SWING)
    row, column = divmod(int(together.flatten().argmax()), CELLS)
    at, reach = torch.arange(CELLS), _SWING + _REACH
    there = ((at - row).abs() <= reach)[:, None] & ((at - column).abs() <= reach)
    inside = (heat * there).sum(dim=(1, 2, 3), keepdim=True)
    elsewhere = heat.sum(dim=(1, 2, 3), keepdim=True) - inside
    present = torch.maximum(inside, torch.quantile(inside.flatten(), _PRESENT))
    folded = heat * there / inside.clamp(min=1e-6) * present
    return torch.where(elsewhere < _SURE_ELSEWHERE, folded, heat)


def _tip(logits: Tensor) -> tuple[Array, Array, Array]:
    """Place in pixels of `GRID` (T, 2), probability around it (T,), probability of none (T,)."""
    chances = torch.softmax(logits, dim=1)
    heat = _where_the_run_has_it(chances[:, :-1].reshape(-1, 1, CELLS, CELLS))
    likely = F.avg_pool2d(heat, 3, 1, 1).flatten(1).argmax(dim=1)
    near = F.pad(heat, (_REACH,) * 4)
    offsets = torch.arange(-_REACH, _REACH + 1, dtype=heat.dtype)
    places, masses = [], []
    for k, cell in enumerate(likely.tolist()):
        row, column = divmod(cell, CELLS)
        window = near[k, 0, row : row + 2 * _REACH + 1, column : column + 2 * _REACH + 1]
        mass = float(window.sum()) + 1e-9
        at = (
            column + float((window.sum(dim=0) * offsets).sum()) / mass,
            row + float((window.sum(dim=1) * offsets).sum()) / mass,
        )
        places.append([(value + 0.5) * GRID / CELLS - 0.5 for value in at])
        masses.append(mass)
    return np.array(places), np.array(masses), chances[:, -1].double().numpy()
