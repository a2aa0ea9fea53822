"""Frames of a run in, cues of the atlas out: the networks of a bundle in use."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage, special

from casgan_dicom.model.atlas import targets
from casgan_dicom.model.atlas.bearings import take_bearings
from casgan_dicom.model.atlas.context import RunContext
from casgan_dicom.model.atlas.cues import GRID, Array, Cues
from casgan_dicom.model.atlas.darkness import shaft_depths
from casgan_dicom.model.atlas.panning import SIDE, table_shifts
from casgan_dicom.model.data.square import to_square
from casgan_dicom.model.engines.graph import Graph
from casgan_dicom.model.networks.reading_shapes import CELLS, FINE, POSE_PARTS

Frames = npt.NDArray[np.float32]

_SWING = 6
"""Cells from the middle of a tip's way to its ends: 12 pixels of 128, more than the beat of most hearts."""
_PRESENT = 0.75
"""Quantile over the frames of how sure they are of the place: a quarter of them speaks for the run."""
_SURE_ELSEWHERE = 0.5
"""Chance of another place from which a frame is believed against the others."""
_REACH = 3
"""Cells to each side of the most likely one that count as the tip's place."""


@dataclass(frozen=True)
class Reader:
    """The networks of a bundle that read frames, see ``networks/reading.py``."""

    tip: Graph
    """`TipLook`."""
    pose: Graph
    """`PoseLook`."""


@dataclass(frozen=True)
class Seen:
    """What T sampled frames of one run show whatever is known of the view."""

    tip: Frames
    """Logits (T, 4097) of the cell of the tip, or of none."""
    pose_input: Frames
    """What the pose is read from, (T, 5, 128, 128)."""
    pan: Array
    """(T, 2), see `Cues`."""
    shaft_depth: Array
    """(T,), see `Cues`."""


def read_run(reader: Reader, frames: Frames, context: RunContext) -> Cues:
    """Read the pose of sampled frames twice: for the view they show, and again told the one to draw in.

    Angles of the result are those of the first look, which nobody had told anything.
    """
    seen = look(reader, frames)
    first = read_cues(reader, seen)
    view = take_bearings(first, context).view
    again = read_cues(reader, seen, (view.primary_deg, view.secondary_deg))
    return replace(again, angles_deg=first.angles_deg)


def look(reader: Reader, frames: Frames) -> Seen:
    """Find catheter and table in sampled frames of one run.

    Parameters
    ----------
    reader
        The networks.
    frames
        Display values in [0, 1], (T, H, W), any size; spread over the run, whose mean they stand for.
    """
    fine = to_square(frames, FINE)[:, None]
    mean = np.broadcast_to(fine.mean(axis=0, keepdims=True), fine.shape)
    tip, marks, pose_input = reader.tip(fine, np.ascontiguousarray(mean))
    shaft = special.expit(marks[:, 0])
    pan = table_shifts(to_square(frames, SIDE)) * GRID / SIDE
    return Seen(tip, pose_input, pan, shaft_depths(to_square(frames, GRID), shaft))


def read_cues(reader: Reader, seen: Seen, angles_deg: tuple[float, float] | None = None) -> Cues:
    """Read the pose in what `look` found, told the view in degrees; None lets the network see it."""
    told = np.tile(targets.told(angles_deg, None), (len(seen.pan), 1))
    *parts, maps = reader.pose(seen.pose_input, told)
    names = [name for name, _ in POSE_PARTS]
    pose = {name: part.astype(np.float64) for name, part in zip(names, parts, strict=True)}
    tip, mass, none = _tip(seen.tip)
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
        vessel=special.expit(maps[:, 0]),
        shaft_depth=seen.shaft_depth,
    )


def _where_the_run_has_it(heat: Frames) -> Frames:
    """Look for the tip, in frames that are not sure of it, where all frames together have it.

    A tip rides on the beating heart, it does not jump: where a frame alone would half take a bend or the edge
    for it, the others tell better. `heat` (T, CELLS, CELLS), chances of each frame; a frame that is sure of
    another place, as where the table moves, keeps it.
    """
    together = ndimage.uniform_filter(heat.mean(axis=0), 2 * _SWING + 1, mode="constant")
    row, column = np.unravel_index(together.argmax(), together.shape)
    at, reach = np.arange(CELLS), _SWING + _REACH
    there = (np.abs(at - row) <= reach)[:, None] & (np.abs(at - column) <= reach)
    inside = (heat * there).sum(axis=(1, 2), keepdims=True)
    elsewhere = heat.sum(axis=(1, 2), keepdims=True) - inside
    present = np.maximum(inside, np.quantile(inside, _PRESENT).astype(np.float32))
    folded = heat * there / np.maximum(inside, np.float32(1e-6)) * present
    return np.where(elsewhere < _SURE_ELSEWHERE, folded, heat)


def _tip(logits: Frames) -> tuple[Array, Array, Array]:
    """Place in pixels of `GRID` (T, 2), probability around it (T,), probability of none (T,)."""
    chances = special.softmax(logits, axis=1)
    heat = _where_the_run_has_it(chances[:, :-1].reshape(-1, CELLS, CELLS))
    near = np.pad(heat, ((0, 0), (_REACH, _REACH), (_REACH, _REACH)))
    offsets = np.arange(-_REACH, _REACH + 1)
    places, masses = [], []
    for each, around in zip(heat, near, strict=True):
        smooth = ndimage.uniform_filter(each, 3, mode="constant")
        row, column = np.unravel_index(smooth.argmax(), smooth.shape)
        window = around[row : row + 2 * _REACH + 1, column : column + 2 * _REACH + 1]
        mass = float(window.sum()) + 1e-9
        at = (
            column + float((window.sum(axis=0) * offsets).sum()) / mass,
            row + float((window.sum(axis=1) * offsets).sum()) / mass,
        )
        places.append([(value + 0.5) * GRID / CELLS - 0.5 for value in at])
        masses.append(mass)
    return np.array(places), np.array(masses), chances[:, -1].astype(np.float64)
