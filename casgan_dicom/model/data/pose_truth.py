"""What a simulated run is measured against beside its vessels: its pose, and trees it might have had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.atlas.sampling import sampled_frames
from casgan_dicom.model.data.rendering import Arrays
from casgan_dicom.model.simulator.background import Background
from casgan_dicom.model.simulator.cine import SimulatedCine, film
from casgan_dicom.model.simulator.geometry import View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.run import Run, draw_view
from casgan_dicom.model.simulator.tree import draw_dominance, grow_tree

_ANOTHER, _USUAL = 9_001, 9_002
"""Stand beside a run's seed for trees that its patient might have had."""
_OTHERS = 64
"""Other patients among whom one is looked for who was filmed in nearly the same view."""
_OTHER_SEEDS = 500_000
"""Distance of their seeds."""

Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PoseTruth:
    """Of one run of N frames; T of them are measured, S of them are what a planner would sample."""

    right: bool
    """Whether the right artery is injected."""
    angles_deg: tuple[float, float]
    """Positioner Primary and Secondary Angle."""
    distances_mm: tuple[float, float]
    """Source to patient and source to detector."""
    pixel_mm: float
    """Imager Pixel Spacing."""
    times_s: tuple[float, ...]
    """(N,) when the frames were taken, after the first of them."""
    numbers: tuple[int, ...]
    """(T,) places of the measured frames in the run."""
    sampled: tuple[int, ...]
    """(S,) places of the sampled frames."""
    looked_at: Frames
    """(S, H, W) display values of the sampled frames without contrast."""
    looked_at_bare: Frames
    """(S, H, W) the same, had there been no catheter."""
    ostium: npt.NDArray[np.float64]
    """(T, 2) column and row in pixels where the artery begins."""
    usual: Frames
    """(T, H, W) display values with contrast of another tree of the same artery, laid on the mean heart, with
    the table where another patient had it in nearly the same view: what angles and artery alone tell."""
    another: Frames
    """(T, H, W) the same, laid on the patient's own heart: all but the patient's own tree."""
    bare: Frames
    """(T, H, W) display values without contrast, had there been no catheter."""


_PICTURES = ("looked_at", "looked_at_bare", "usual", "another", "bare")


def pose_arrays(seed: int, cine: SimulatedCine, background: Background) -> dict[str, Any]:
    """`PoseTruth` of a cine of this seed as arrays, rendered before the same background."""
    run, frames = cine.run, cine.settings.frames
    sampled = sampled_frames(frames)

    def shown(other: Run, numbers: Sequence[int], *, contrast: bool) -> npt.NDArray[np.uint8]:
        made = film(seed, other, background, numbers)
        return eight_bit(made, made.contrast if contrast else made.plain)

    without = replace(run, settings=replace(run.settings, catheter=False))
    return {
        "right": np.array(run.tree.system == "RCA"),
        "angles_deg": np.array([run.view.primary_deg, run.view.secondary_deg]),
        "distances_mm": np.array([run.view.source_isocentre_mm, run.view.source_detector_mm]),
        "pixel_mm": np.array(run.view.pixel_mm),
        "times_s": np.array([run.settings.time_s(index) for index in range(frames)]),
        "numbers": np.array(cine.indices),
        "sampled": np.array(sampled),
        "ostium": cine.projected(run.tree.ostium[None])[:, 0],
        "looked_at": shown(run, sampled, contrast=False),
        "looked_at_bare": shown(without, sampled, contrast=False),
        "usual": shown(_usual(seed, run), cine.indices, contrast=True),
        "another": shown(_another(seed, run, cine.heart), cine.indices, contrast=True),
        "bare": shown(without, cine.indices, contrast=False),
    }


def read_pose(arrays: Arrays) -> PoseTruth:
    """Undo `pose_arrays`."""
    (primary, secondary), (near, far) = (arrays[name].tolist() for name in ("angles_deg", "distances_mm"))
    return PoseTruth(
        right=bool(arrays["right"]),
        angles_deg=(primary, secondary),
        distances_mm=(near, far),
        pixel_mm=float(arrays["pixel_mm"]),
        times_s=tuple(arrays["times_s"].tolist()),
        numbers=tuple(arrays["numbers"].tolist()),
        sampled=tuple(arrays["sampled"].tolist()),
        ostium=arrays["ostium"],
        **{name: arrays[name] / np.float32(255) for name in _PICTURES},
    )


def eight_bit(cine: SimulatedCine, stored: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.uint8]:
    """Stored values as display values times 255."""
    return np.rint(cine.display(stored) * 255).astype(np.uint8)


def _another(seed: int, run: Run, heart: Heart) -> Run:
    """The run, had its patient another tree of the same artery."""
    rng = np.random.default_rng([seed, _ANOTHER])
    return replace(run, tree=grow_tree(rng, heart, run.tree.system, draw_dominance(rng)))


def _usual(seed: int, run: Run) -> Run:
    """The run with a tree where artery and angles alone would have it."""
    rng = np.random.default_rng([seed, _USUAL])
    tree = grow_tree(rng, Heart(), run.tree.system, draw_dominance(rng))
    return replace(run, tree=tree, view=_framed_by_another(seed, run))


def _framed_by_another(seed: int, run: Run) -> View:
    """The run's view with the table where it was for another patient, filmed from nearly the same side."""
    own = run.view
    settings = replace(run.settings, injected=run.tree.system)
    others = [draw_view(seed + _OTHER_SEEDS + k, settings)[1] for k in range(_OTHERS)]
    beam = own.axes()[2]
    alike = max(others, key=lambda other: float(other.axes()[2] @ beam))
    right, down = (shift * own.field_mm / alike.field_mm for shift in alike.shift_mm)
    return replace(own, shift_mm=(right, down))
