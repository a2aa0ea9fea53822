"""Simulated runs with all that the atlas learns from them: where heart, trunks and catheter tip lie.

A chest costs most of a run's time, so each is used for several patients: other trees, catheters and phases
before the same background. Rendered once and cached, like the frames of `simulated`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.atlas import targets
from casgan_dicom.model.atlas.cues import GRID
from casgan_dicom.model.atlas.landmarks import SYSTEMS, landmarks
from casgan_dicom.model.data.rendering import RUN_FRAMES, Arrays, SimulatedData, rendered, seeds
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.cine import CineSettings, SimulatedCine, film
from casgan_dicom.model.simulator.render import make_tubes, path_length
from casgan_dicom.model.simulator.run import draw_run, draw_view, stream

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Runs = TypeVar("Runs", bound="DataclassInstance")

FINE = 256
"""Rows and columns of a frame."""
SEEN_MM = 0.3
"""Chord from which a vessel would be seen when it is full."""
_PER_MM = 16.0
"""Steps of a stored path length."""
OTHER_PATIENTS = 200_000
"""Distance of the seeds of patients before the same background."""

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PosedRuns:
    """N frames of P patients before one background, or of many; M of each patient, one after the other."""

    plain: Bytes
    """(N, 256, 256) display values times 255, without contrast."""
    mean: Bytes
    """(P, 256, 256) mean of each patient's frames."""
    shaft: npt.NDArray[np.bool_]
    """(N, 128, 128) the catheter."""
    clutter: npt.NDArray[np.bool_]
    """(N, 128, 128) what looks like one and is none."""
    path: Bytes
    """(N, 128, 128) path length through the injected tree as if it were full, in sixteenths of a mm."""
    tip: Floats
    """(N, 2) the catheter's tip in pixels of the 256; NaN where none is in the picture."""
    trunks: Floats
    """(N, 10, 2) landmarks of the injected artery, in `targets` units; NaN where a trunk is missing."""
    right: Floats
    """(P,) 1 for the right artery."""
    angles: Floats
    """(P, 2) primary and secondary angle in degrees."""
    phase: Floats
    """(N,) of the beat, 0 at end-diastole."""
    isocentre: Floats
    """(N, 2) the heart's centre at rest, in `targets` units."""
    scale: Floats
    """(P,) in `targets` units."""
    semi_axes: Floats
    """(P, 3) in `targets` units."""
    apex: Floats
    """(P, 3) in `targets` units."""

    @property
    def frames_each(self) -> int:
        """Frames of a patient."""
        return len(self.plain) // len(self.right)


@dataclass(frozen=True)
class PoseSettings:
    """How many of each."""

    backgrounds: int = 600
    """Chests."""
    patients: int = 4
    """Trees, catheters and beats before each."""
    frames: int = 3
    """Frames of each patient."""


def posed_runs(data: SimulatedData, settings: PoseSettings) -> PosedRuns:
    """Render, or read from the cache, all runs of the purpose "pose"; raises what `simulated_runs` raises."""
    kind = _PosedKind(settings.patients, settings.frames)
    parts = rendered(data, kind, seeds(data, "pose", settings.backgrounds))
    return join([_unpacked(arrays) for arrays in parts])


def join(parts: Sequence[Runs]) -> Runs:
    """Make one of many, of the same number of frames for each patient: their arrays one after the other."""
    first = parts[0]
    names = [field.name for field in fields(first)]
    return replace(first, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class PatientsOfChests:
    """Some patients before each background, some frames of each: what such renderings share."""

    patients: int
    frames: int

    @property
    def size(self) -> int:
        """Rows and columns of a frame."""
        return FINE

    @property
    def settings(self) -> CineSettings:
        """Of every run."""
        return CineSettings(size=FINE, frames=RUN_FRAMES)


@dataclass(frozen=True)
class _PosedKind(PatientsOfChests):
    """What is rendered of each background."""

    def facts(self) -> list[object]:
        """What the cached files depend on, beside simulator and anatomy."""
        return ["posed", self.patients, self.frames, repr(self.settings)]

    def render(self, seed: int, source: BackgroundSource) -> dict[str, Any]:
        """Render the patients of one background."""
        artery, view = draw_view(seed, self.settings)
        background = source.background(stream(seed, "background"), view)
        settings = replace(self.settings, injected=artery)
        records = []
        for k in range(self.patients):
            other = seed + k * OTHER_PATIENTS
            run = draw_run(other, settings, background.heart, view)
            records.append(_record(film(other, run, background, self._picked(seed, k))))
        return _packed(join(records))

    def _picked(self, seed: int, patient: int) -> tuple[int, ...]:
        """Frames of one patient, a few apart."""
        rng = np.random.default_rng([seed, patient])
        apart = int(rng.integers(2, 8))
        first = int(rng.integers(0, RUN_FRAMES - apart * (self.frames - 1)))
        return tuple(first + apart * k for k in range(self.frames))


def _record(cine: SimulatedCine) -> PosedRuns:
    """What is learnt from one patient's frames."""
    view, heart = cine.view, cine.heart
    shown = np.rint(255 * cine.display(cine.plain)).astype(np.uint8)
    fine = GRID / cine.settings.size
    trunks = cine.projected(landmarks(cine.run.tree))
    centre = cine.projected(np.zeros((1, 3)), beating=False)[:, 0]
    field_mm = view.field_mm * targets.MAGNIFICATION / view.magnification
    return PosedRuns(
        plain=shown,
        mean=np.rint(shown.mean(axis=0, keepdims=True)).astype(np.uint8),
        shaft=halved(cine.catheter_mask),
        clutter=halved(cine.clutter_mask),
        path=_paths(cine),
        tip=_seen_tips(cine),
        trunks=targets.from_pixels((trunks + 0.5) * fine - 0.5).astype(np.float32),
        right=np.array([cine.injected == SYSTEMS[1]], np.float32),
        angles=np.array([[view.primary_deg, view.secondary_deg]], np.float32),
        phase=cine.phase.astype(np.float32),
        isocentre=targets.from_pixels((centre + 0.5) * fine - 0.5).astype(np.float32),
        scale=np.atleast_1d(targets.scale_of(field_mm)).astype(np.float32),
        semi_axes=targets.semi_axes_values(heart.semi_axes_mm)[None].astype(np.float32),
        apex=targets.apex_values(heart.axes[2])[None].astype(np.float32),
    )


def _seen_tips(cine: SimulatedCine) -> Floats:
    """The catheter's tip in each frame, (T, 2); NaN where there is none, outside, and under a blade."""
    tips = cine.tip.astype(np.float32)
    for tip in tips:
        inside = np.isfinite(tip).all() and ((tip >= 0) & (tip <= cine.settings.size - 1)).all()
        if not inside or not cine.field_mask[round(float(tip[1])), round(float(tip[0]))]:
            tip[:] = np.nan
    return tips


def _paths(cine: SimulatedCine) -> Bytes:
    """Path length through the whole tree at rest of contrast, where it would be seen."""
    views = [replace(view, size=GRID) for view in cine.views()]
    tubes = make_tubes([(s.points, s.radius, s.arc) for s in cine.run.tree.segments], views[0])
    paths = [
        path_length(tubes, points, view) for points, view in zip(cine.moved(tubes.points), views, strict=True)
    ]
    seen = [np.where(path >= SEEN_MM, path, 0) for path in paths]
    return np.clip(np.rint(_PER_MM * np.stack(seen)), 0, 255).astype(np.uint8)


def path_mm(stored: Bytes) -> Floats:
    """Path lengths of `PosedRuns.path` in mm."""
    return stored.astype(np.float32) / np.float32(_PER_MM)


def halved(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Masks (T, 2n, 2n) at half the size: True where any pixel is."""
    count, rows, columns = masks.shape
    return np.asarray(masks.reshape(count, rows // 2, 2, columns // 2, 2).any(axis=(2, 4)))


def _packed(runs: PosedRuns) -> dict[str, Any]:
    arrays = dict(vars(runs))
    return arrays | {name: np.packbits(arrays[name], axis=-1) for name in ("shaft", "clutter")}


def _unpacked(arrays: Arrays) -> PosedRuns:
    read = {field.name: arrays[field.name] for field in fields(PosedRuns)}
    masks = {name: np.unpackbits(read[name], axis=-1).astype(bool) for name in ("shaft", "clutter")}
    return PosedRuns(**(read | masks))
