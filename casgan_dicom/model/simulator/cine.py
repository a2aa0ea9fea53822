"""A whole run: every frame with and without contrast, and the truth about both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.background import Background, BackgroundSource
from casgan_dicom.model.simulator.detector import Calibration, Detector, uncurve
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.render import FloatImage, make_tubes
from casgan_dicom.model.simulator.run import CineSettings, Run, draw_run, draw_view, stream
from casgan_dicom.model.simulator.studio import Frame, Mask, Studio
from casgan_dicom.model.simulator.tree import System

__all__ = ["CineSettings", "SimulatedCine", "film", "simulate_cine"]

Stored = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class SimulatedCine:
    """One run, T frames of H x W, twice, with its truth."""

    plain: Stored
    """(T, H, W) stored values without contrast; uint8 for 8 bits, else uint16."""
    contrast: Stored
    """(T, H, W) the same run with contrast, the same photon noise away from the vessels."""
    vessel_mask: Mask
    """(T, H, W) vessel that holds contrast in that frame."""
    vessel_mm: FloatImage
    """(T, H, W) path length through the injected tree in mm times the relative concentration."""
    tree_mask: Mask
    """(T, H, W) the whole injected tree, filled or not."""
    centreline: Mask
    """(T, H, W) centreline pixels of the vessel that holds contrast."""
    catheter_mask: Mask
    """(T, H, W) the catheter."""
    clutter_mask: Mask
    """(T, H, W) wires, leads, clips, electrodes, valves, a second catheter; not folds of skin or cloth."""
    tip: Array
    """(T, 2) column and row of the catheter's tip in pixels, in or out of the picture; NaN without one."""
    heart_mask: Mask
    """(T, H, W) the heart's projection."""
    field_mask: Mask
    """(H, W) where the collimator lets X-rays through."""
    phase: Array
    """(T,) cardiac phase in [0, 1), 0 at end-diastole."""
    indices: tuple[int, ...]
    """(T,) which frames of the run these are."""
    run: Run
    """The patient, the injection and the machine."""
    heart: Heart
    """What the arteries lie on and move with."""
    detector: Detector
    """The imaging chain: relationship, bits, inverted or not."""
    calibration: Calibration
    """Exposure and window, fixed over the run."""
    seed: int
    """The run's seed."""
    settings: CineSettings
    """As asked for."""

    @property
    def view(self) -> View:
        """Where source and detector stood."""
        return self.run.view

    @property
    def injected(self) -> System:
        """The injected artery, LCA or RCA."""
        return self.run.tree.system

    def vessel_tracks(self) -> Array:
        """Where points of the injected tree are in each frame: the vessels' known motion.

        Returns
        -------
        float64 (T, N, 2)
            Column and row in pixels of N points, at most about half a pixel apart along every branch,
            filled or not; some lie outside the picture.
        """
        tubes = make_tubes([(s.points, s.radius, s.arc) for s in self.run.tree.segments], self.view)
        return self.projected(tubes.points)

    def views(self) -> tuple[View, ...]:
        """Where source and detector stood beside the patient in each frame: the table moves."""
        return tuple(self.run.view_at(self.settings.time_s(i)) for i in self.indices)

    def moved(self, points: Array, *, beating: bool = True) -> Array:
        """Where points of the heart are in each frame.

        Parameters
        ----------
        points
            (N, 3) patient mm at end-diastole.
        beating
            False leaves the beat out: breath only.

        Returns
        -------
        float64 (T, N, 3)
            Patient mm.
        """
        motion, times = self.run.motion, [self.settings.time_s(i) for i in self.indices]
        phases = self.phase if beating else np.zeros(len(self.phase))
        return np.stack(
            [
                motion.move(self.heart, points, float(phase), motion.breath_mm(time))
                for phase, time in zip(phases, times, strict=True)
            ]
        )

    def projected(self, points: Array, *, beating: bool = True) -> Array:
        """The same in the picture: float64 (T, N, 2), column and row in pixels."""
        pairs = zip(self.views(), self.moved(points, beating=beating), strict=True)
        return np.stack([view.project(moved)[0] for view, moved in pairs])

    def display(self, stored: npt.NDArray[np.unsignedinteger]) -> FloatImage:
        """Stored values as display values in [0, 1], float32, MONOCHROME1 inverted back."""
        unit = stored.astype(np.float32) / np.float32(self.detector.max_value)
        return 1 - unit if self.detector.inverted else unit

    def intensity(self, stored: npt.NDArray[np.unsignedinteger]) -> FloatImage:
        """Stored values as detected quanta per pixel, float32: window and display curve undone."""
        low, high = self.calibration.low, self.calibration.high
        signal = np.float32(low) + self.display(stored) * np.float32(high - low)
        return np.float32(self.calibration.middle) * uncurve(self.detector, signal)


def simulate_cine(
    seed: int,
    settings: CineSettings,
    backgrounds: BackgroundSource,
    *,
    indices: Sequence[int] | None = None,
    well_filled: int | None = None,
    consecutive: int = 0,
) -> SimulatedCine:
    """Simulate one run with and without contrast.

    Parameters
    ----------
    seed
        Decides everything; the same seed, settings and background source give the same bytes.
    settings
        Size, length and kind of run.
    backgrounds
        Makes the patient around the arteries.
    indices
        Frames to render, each in [0, settings.frames); None renders all of them.
    well_filled
        Instead of `indices`: render this many frames, spread over the part where the tree is filled.
    consecutive
        With `well_filled`: render the first frames of the run, too.

    Raises
    ------
    ValueError
        An index lies outside the run, or both `indices` and `well_filled` are given.
    """
    if indices is not None and well_filled is not None:
        raise ValueError("give indices or well_filled, not both")
    _, view = draw_view(seed, settings)
    background = backgrounds.background(stream(seed, "background"), view)
    run = draw_run(seed, settings, background.heart)
    chosen = _chosen(run, indices) if well_filled is None else run.measured(well_filled, consecutive)
    return film(seed, run, background, chosen)


def film(seed: int, run: Run, background: Background, indices: Sequence[int]) -> SimulatedCine:
    """Render frames of a run that is drawn already, before a background of its view.

    `seed` decides what the run leaves open: the imaging chain, the catheter, the noise. Several patients may
    be filmed before one background, which takes longer to make than a few frames.
    """
    return film_in(seed, Studio.build(seed, run, background), indices)


def film_in(seed: int, studio: Studio, indices: Sequence[int]) -> SimulatedCine:
    """Render frames in a studio that is set up already; `seed` is the one that is noted with them."""
    run = studio.run
    frames = [studio.frame(index) for index in indices]
    stacked = {field.name: np.stack([getattr(f, field.name) for f in frames]) for field in fields(Frame)}
    depth = np.uint8 if run.settings.bits == 8 else np.uint16
    stacked |= {name: stacked[name].astype(depth) for name in ("plain", "contrast")}
    return SimulatedCine(
        **stacked,
        field_mask=studio.field,
        phase=run.motion.phase([run.settings.time_s(i) for i in indices]),
        indices=tuple(indices),
        run=run,
        heart=studio.background.heart,
        detector=studio.detector,
        calibration=studio.calibration,
        seed=seed,
        settings=run.settings,
    )


def _chosen(run: Run, indices: Sequence[int] | None) -> tuple[int, ...]:
    chosen = tuple(range(run.settings.frames)) if indices is None else tuple(int(i) for i in indices)
    wrong = [i for i in chosen if not 0 <= i < run.settings.frames]
    if wrong or not chosen:
        raise ValueError(f"frame indexes {wrong} are outside the run of {run.settings.frames} frames")
    return chosen
