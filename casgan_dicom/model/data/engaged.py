"""Simulated patients with the catheter in one coronary artery and then in the other, and both trees.

What `model/engagement` learns from: the same background, heart and moment twice, and only the catheter, and
what it fills, is another. A chest costs most of the time, so several patients are filmed before each.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.data.posed import OTHER_PATIENTS, PatientsOfChests, halved, join
from casgan_dicom.model.data.rendering import RUN_FRAMES, Arrays, SimulatedData, rendered, seeds
from casgan_dicom.model.data.run_pairs import laid_anew
from casgan_dicom.model.simulator.background import BackgroundSource
from casgan_dicom.model.simulator.cine import SimulatedCine, film
from casgan_dicom.model.simulator.contrast import Injection
from casgan_dicom.model.simulator.run import Run, draw_run, draw_view, stream

_LAID, _EVERY = 40, 4
"""Points of that catheter, and every how many of its half millimetres there is one."""
_FULL_FOR_S = (1.0, 4.0)
"""How long before the run the injection has begun."""

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EngagedRuns:
    """N frames: of each patient two arteries, one after the other, and M frames with the catheter in each."""

    plain: Bytes
    """(N, 256, 256) display values times 255, without contrast."""
    contrast: Bytes
    """(N, 256, 256) the same with contrast."""
    tree: Mask
    """(N, 128, 128) vessels of the artery with the catheter that would be seen when they are filled."""
    laid: Floats
    """(N, 40, 2) column and row in pixels of the 256, from the tip backwards, of another catheter in it."""

    def partner(self, index: npt.NDArray[np.int64], frames: int) -> npt.NDArray[np.int64]:
        """The same patients and moments with the catheter in the other artery; `frames` is M."""
        both = 2 * frames
        return np.asarray(index // both * both + (index % both + frames) % both)


@dataclass(frozen=True)
class EngagedSettings:
    """How many of each."""

    backgrounds: int = 600
    """Chests."""
    patients: int = 3
    """Trees, catheters and beats before each."""
    frames: int = 2
    """Frames of each catheter."""


def engaged_runs(data: SimulatedData, settings: EngagedSettings) -> EngagedRuns:
    """Render, or read from the cache, all of them; raises what `simulated_runs` raises."""
    kind = _EngagedKind(settings.patients, settings.frames)
    parts = rendered(data, kind, seeds(data, "engagement", settings.backgrounds))
    return join([_unpacked(arrays) for arrays in parts])


@dataclass(frozen=True)
class _EngagedKind(PatientsOfChests):
    """What is rendered of each background."""

    def facts(self) -> list[object]:
        """What the cached files depend on, beside simulator and anatomy."""
        return ["engaged", self.patients, self.frames, repr(self.settings)]

    def render(self, seed: int, source: BackgroundSource) -> dict[str, Any]:
        """Render the patients of one background."""
        artery, view = draw_view(seed, self.settings)
        background = source.background(stream(seed, "background"), view)
        settings = replace(self.settings, injected=artery)
        records: list[EngagedRuns] = []
        for k in range(self.patients):
            other = seed + k * OTHER_PATIENTS
            rng = np.random.default_rng([other, 1])
            run = _filled(draw_run(other, settings, background.heart, view), rng)
            picked = sorted(int(i) for i in rng.choice(RUN_FRAMES, self.frames, replace=False))
            swapped = replace(run, tree=run.other, other=run.tree)
            records += [_record(film(other, one, background, picked), other) for one in (run, swapped)]
        arrays = dict(vars(join(records)))
        return arrays | {"tree": np.packbits(arrays["tree"], axis=-1)}


def _filled(run: Run, rng: np.random.Generator) -> Run:
    """The run with an injection that has begun before it and goes on."""
    begun = float(rng.uniform(*_FULL_FOR_S))
    return replace(run, injection=Injection(start_s=-begun, duration_s=1000.0, peak=run.injection.peak))


def _record(cine: SimulatedCine, seed: int) -> EngagedRuns:
    """What is learnt from the frames of one catheter."""
    way = laid_anew(seed, cine.run).course.points[: _LAID * _EVERY : _EVERY]
    return EngagedRuns(
        plain=_bytes(cine.display(cine.plain)),
        contrast=_bytes(cine.display(cine.contrast)),
        tree=halved(cine.vessel_mask),
        laid=cine.projected(way).astype(np.float32),
    )


def _bytes(frames: Floats) -> Bytes:
    return np.rint(255 * frames).astype(np.uint8)


def _unpacked(arrays: Arrays) -> EngagedRuns:
    read = {field.name: arrays[field.name] for field in fields(EngagedRuns)}
    return EngagedRuns(**(read | {"tree": np.unpackbits(read["tree"], axis=-1).astype(bool)}))
