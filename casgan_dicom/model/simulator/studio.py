"""One run set up for rendering, and one frame of it: the physics of simulator/ put together.

L = L_background + L_cues + L_catheter            the plain frame
L + L_iodine(vessels + catheter + cloud)          the frame with contrast
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.background import Background
from casgan_dicom.model.simulator.catheter import Catheter
from casgan_dicom.model.simulator.contrast import iodine_attenuation
from casgan_dicom.model.simulator.cues import Cues
from casgan_dicom.model.simulator.detector import Calibration, Detector, calibrate, expose
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.harmonise import Harmonisation, fit_harmonisation
from casgan_dicom.model.simulator.render import FloatImage, Tubes, centreline, make_tubes, path_length
from casgan_dicom.model.simulator.run import Run, stream

Mask = npt.NDArray[np.bool_]
StoredImage = npt.NDArray[np.uint16]

SEEN_MM = 0.7
"""Diameter times relative concentration from which a reader would draw a vessel: the masks hold these."""
_EDGE_MM = 0.3
"""Chord at which a vessel's footprint ends."""
_CATHETER_EDGE_MM = 0.05


@dataclass(frozen=True)
class Frame:
    """One frame, twice, with its truth; every image is (H, W)."""

    plain: StoredImage
    """Stored values without contrast."""
    contrast: StoredImage
    """Stored values with contrast."""
    vessel_mask: Mask
    """Vessel that holds enough agent to be seen."""
    vessel_mm: FloatImage
    """Path length through the injected tree in mm times concentration."""
    tree_mask: Mask
    """The injected tree, filled or not."""
    centreline: Mask
    """Centreline pixels of `vessel_mask`."""
    catheter_mask: Mask
    """The catheter."""
    heart_mask: Mask
    """The heart's projection."""


@dataclass(frozen=True)
class _Pose:
    """Where everything is at one moment."""

    time: float
    phase: float
    breath: float
    vessels: Array
    empty: Array
    tip: Array
    """How far the catheter's tip has moved, (3,)."""


@dataclass(frozen=True)
class Studio:
    """What stays the same over a run, prepared for rendering."""

    run: Run
    """What the seed decided."""
    background: Background
    """The patient around the arteries."""
    field: Mask
    """Where X-rays pass, (H, W)."""
    detector: Detector
    """The imaging chain."""
    harmonisation: Harmonisation
    """Compression of the background, fitted on the first frame."""
    calibration: Calibration
    """Exposure and window, fixed on the first frame."""
    vessels: Tubes
    """The injected tree."""
    empty: Tubes
    """The other tree."""
    cues: Cues
    """What the empty vessels leave."""
    catheter: Catheter
    """The catheter, cut for this view."""

    @classmethod
    def build(cls, seed: int, run: Run, background: Background) -> Studio:
        """Cut the tubes, draw catheter and detector, fix the exposure on the first frame."""
        view = run.view
        detector = Detector.sample(stream(seed, "detector"), bits=run.settings.bits)
        field = background.field_mask()
        first = background.attenuation(float(run.motion.phase(0.0)), run.motion.breath_mm(0.0))
        harmonisation = fit_harmonisation(detector, first, field, view.pixel_mm)
        vessels, empty = (
            make_tubes([(s.points, s.radius, s.arc) for s in tree.segments], view)
            for tree in (run.tree, run.other)
        )
        rng = stream(seed, "cues")
        cues = Cues.sample(rng, run.settings.cue, vessels, empty)
        return cls(
            run=run,
            background=background,
            field=field,
            detector=detector,
            harmonisation=harmonisation,
            calibration=calibrate(detector, harmonisation.apply(first), field, view.pixel_mm),
            vessels=vessels,
            empty=empty,
            cues=cues,
            catheter=Catheter.lay(rng, background.heart, run.tree, view),
        )

    def frame(self, seed: int, index: int) -> Frame:
        """Render one frame of the run and its truth."""
        view, injection = self.run.view, self.run.injection
        pose = self._pose(index)
        concentration = injection.concentration(pose.time, self.vessels.arc)
        filled = path_length(self.vessels, pose.vessels, view, concentration)
        wall, lumen = self.catheter.path_length(view, pose.tip)
        jet = max(0.0, float(injection.concentration(pose.time, 0.0)) - self.catheter.filling)
        cloud = self.catheter.cloud_length(view, pose.tip, injection.cloud(pose.time))
        extra = iodine_attenuation(filled + np.float32(jet) * lumen + cloud)
        plain, contrast = expose(
            self.detector,
            self.calibration,
            self._plain(pose) + self.catheter.attenuation(wall, lumen),
            extra if extra.any() else None,
            stream(seed, "noise", index),
        )
        drawn = 2 * self.vessels.radius * concentration >= SEEN_MM
        mask = self._footprint(pose.vessels, drawn)
        return Frame(
            plain=plain,
            contrast=contrast,
            vessel_mask=mask,
            vessel_mm=filled,
            tree_mask=self._footprint(pose.vessels, 2 * self.vessels.radius >= SEEN_MM) | mask,
            centreline=centreline(pose.vessels, view, drawn) & mask,
            catheter_mask=(wall > _CATHETER_EDGE_MM) & self.field,
            heart_mask=self.background.heart_mask(pose.phase),
        )

    def _pose(self, index: int) -> _Pose:
        """Move everything to a frame's moment."""
        motion, heart = self.run.motion, self.background.heart
        time = self.run.settings.time_s(index)
        phase, breath = float(motion.phase(time)), motion.breath_mm(time)
        tip = self.catheter.tip
        return _Pose(
            time=time,
            phase=phase,
            breath=breath,
            vessels=motion.move(heart, self.vessels.points, phase, breath),
            empty=motion.move(heart, self.empty.points, phase, breath),
            tip=motion.move(heart, tip, phase, breath) - tip,
        )

    def _plain(self, pose: _Pose) -> FloatImage:
        """Line integral of the patient without agent and catheter, float32 (H, W)."""
        lumen = path_length(self.vessels, pose.vessels, self.run.view)
        traces = self.cues.attenuation(self.run.view, (lumen, pose.vessels), pose.empty)
        return self.harmonisation.apply(self.background.attenuation(pose.phase, pose.breath)) + traces

    def _footprint(self, points: Array, keep: Mask) -> Mask:
        """Pixels of the vessels made of the points to keep, at their full width."""
        return (
            path_length(self.vessels, points, self.run.view, keep.astype(np.float64)) >= _EDGE_MM
        ) & self.field
