"""One run set up for rendering, and one frame of it: the physics of simulator/ put together.

L = L_background + L_cues + L_catheter            the plain frame
L + L_iodine(vessels + catheter + reflux + perfusion)   the frame with contrast
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.aorta import Aorta
from casgan_dicom.model.simulator.background import Background
from casgan_dicom.model.simulator.catheter import Catheter
from casgan_dicom.model.simulator.contrast import iodine_attenuation
from casgan_dicom.model.simulator.cues import Cues
from casgan_dicom.model.simulator.detector import Calibration, Detector, calibrate, expose
from casgan_dicom.model.simulator.devices import Devices, carrier
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.harmonise import Harmonisation, fit_harmonisation
from casgan_dicom.model.simulator.lumen import LAYER_RADIUS, layer_below
from casgan_dicom.model.simulator.noise import NoiseFields
from casgan_dicom.model.simulator.perfusion import Perfusion
from casgan_dicom.model.simulator.reflux import Reflux
from casgan_dicom.model.simulator.render import (
    FloatImage,
    Tubes,
    centreline,
    make_tubes,
    path_length,
    path_lengths,
)
from casgan_dicom.model.simulator.run import Run, stream

Mask = npt.NDArray[np.bool_]
StoredImage = npt.NDArray[np.uint16]

SEEN_MM = 0.7
"""Diameter times relative concentration from which a reader would draw a vessel: the masks hold these."""
_EDGE_MM = 0.3
"""Chord at which a vessel's footprint ends."""
_SHOWS_EMPTY_MM = 0.45
"""Radius below which the empty artery on the other side leaves no trace worth rendering."""
_CATHETER_EDGE_MM = 0.05
_DEVICE_EDGE = 0.02
"""Line integral at which a wire's or lead's footprint ends."""


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
    clutter_mask: Mask
    """Wires, leads, clips, electrodes, valves, a second catheter: what is neither vessel nor catheter."""
    tip: Array
    """float64 (2,), column and row of the catheter's tip in pixels, in or out of the picture; else NaN."""
    heart_mask: Mask
    """The heart's projection."""


@dataclass(frozen=True)
class _Pose:
    """Where everything is at one moment."""

    time: float
    view: View
    """The C-arm as the patient on the shifted table sees it."""
    pan: Array | None
    """How far the patient's picture has moved, (column, row) in pixels; None before the table moves."""
    phase: float
    breath: float
    vessels: Array
    empty: Array
    catheter: Array
    """Where the catheter's points are, (K, 3)."""
    devices: FloatImage
    """Line integral of wires, leads and second catheters, (H, W)."""


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
    noise: NoiseFields
    """The grain of each frame."""
    vessels: Tubes
    """The injected tree."""
    layer: Tubes | None
    """Where agent runs along the lower wall; None when it fills the vessels evenly."""
    empty: Tubes
    """The other tree."""
    cues: Cues
    """What the empty vessels leave."""
    catheter: Catheter
    """The catheter, cut for this view."""
    devices: Devices
    """What else is in the heart, cut for this view."""
    reflux: Reflux
    """Agent in the aortic root."""
    perfusion: Perfusion
    """Agent in muscle and veins."""

    @classmethod
    def build(cls, seed: int, run: Run, background: Background) -> Studio:
        """Cut the tubes, draw catheter and detector, fix the exposure on the first frame."""
        view = run.view
        detector = Detector.sample(stream(seed, "detector"), bits=run.settings.bits)
        field = background.field_mask()
        first = background.attenuation(float(run.motion.phase(0.0)), run.motion.breath_mm(0.0))
        harmonisation = fit_harmonisation(detector, first, field, view.pixel_mm)
        vessels = make_tubes([(s.points, s.radius, s.arc) for s in run.tree.segments], view)
        shown = [s for s in run.other.segments if s.radius[0] > _SHOWS_EMPTY_MM]
        empty = make_tubes([(s.points, s.radius, s.arc) for s in shown], view)
        cues = Cues.sample(stream(seed, "cues"), run.settings.cue, vessels, empty)
        rng, beyond = stream(seed, "catheter"), stream(seed, "perfusion")
        aorta = Aorta.sample(rng, run.tree)
        catheter = Catheter.lay(rng, aorta, run.tree, view)
        if run.settings.catheter is not None:
            catheter = replace(catheter, present=run.settings.catheter)
        return cls(
            run=run,
            background=background,
            field=field,
            detector=detector,
            harmonisation=harmonisation,
            calibration=calibrate(detector, harmonisation.apply(first), field, view.pixel_mm),
            noise=NoiseFields(seed, (view.size, view.size), detector.grain),
            vessels=vessels,
            layer=layer_below(vessels) if run.injection.layering else None,
            empty=empty,
            cues=cues,
            catheter=catheter,
            devices=Devices.lay(rng, (background.heart, aorta, run.tree), catheter, view),
            reflux=Reflux.sample(beyond, run.injection, run.motion, run.tree),
            perfusion=Perfusion.sample(beyond, run.injection, background.heart, run.tree, view),
        )

    def frame(self, index: int) -> Frame:
        """Render one frame of the run and its truth."""
        injection, pose = self.run.injection, self._pose(index)
        view = pose.view
        concentration = injection.concentration(pose.time, self.vessels.arc)
        drawn, seen = (2 * self.vessels.radius * c >= SEEN_MM for c in (concentration, 1.0))
        filled, empty, mask, tree = self._vessels(pose, concentration, (drawn, seen))
        wall, lumen = self.catheter.path_length(view, pose.catheter)
        jet = max(0.0, float(injection.concentration(pose.time, 0.0)) - self.catheter.filling)
        extra = iodine_attenuation(filled + np.float32(jet) * lumen + self._beyond(pose))
        plain, contrast = expose(
            self.detector,
            self.calibration,
            self._plain(pose, empty) + self.catheter.attenuation(wall, lumen) + pose.devices,
            extra if extra.any() else None,
            self.noise.field(index),
            self.detector.ramp.factor(index),
        )
        mask = (mask >= _EDGE_MM) & self.field
        return Frame(
            plain=plain,
            contrast=contrast,
            vessel_mask=mask,
            vessel_mm=filled,
            tree_mask=((tree >= _EDGE_MM) & self.field) | mask,
            centreline=centreline(pose.vessels, view, drawn) & mask,
            catheter_mask=(wall > _CATHETER_EDGE_MM) & self.field,
            clutter_mask=self._clutter_mask(pose),
            tip=self.catheter.tip(view, pose.catheter),
            heart_mask=self.background.heart_mask(pose.phase, pose.pan),
        )

    def _pose(self, index: int) -> _Pose:
        """Move everything to a frame's moment."""
        motion, heart = self.run.motion, self.background.heart
        time = self.run.settings.time_s(index)
        phase, breath = float(motion.phase(time)), motion.breath_mm(time)
        carry, pan = carrier(motion, heart, phase, breath), self.run.pan_px(time)
        return _Pose(
            time=time,
            view=self.run.view_at(time),
            pan=pan if pan.any() else None,
            phase=phase,
            breath=breath,
            vessels=motion.move(heart, self.vessels.points, phase, breath),
            empty=motion.move(heart, self.empty.points, phase, breath),
            catheter=carry(self.catheter.outer),
            devices=self.devices.attenuation(self.run.view_at(time), carry),
        )

    def _clutter_mask(self, pose: _Pose) -> Mask:
        """Pixels of what is neither vessel nor the catheter that injects, but as thin and dark."""
        clutter = self.background.clutter_mask(pose.phase, pose.breath, pose.pan)
        return (clutter | (pose.devices > _DEVICE_EDGE)) & self.field

    def _vessels(self, pose: _Pose, concentration: Array, shown: Sequence[Mask]) -> FloatImage:
        """Path lengths through the injected tree, (2 + M, H, W): times concentration, empty, parts of it."""
        layering = self.run.injection.layering
        rows = np.stack([(1 - layering) * concentration, np.ones(len(concentration)), *shown])
        images = path_lengths(self.vessels, pose.vessels, pose.view, rows)
        if self.layer is not None:
            sunk = self.run.motion.move(self.background.heart, self.layer.points, pose.phase, pose.breath)
            dense = layering / LAYER_RADIUS**2 * concentration
            images[0] += path_length(self.layer, sunk, pose.view, dense)
        return images

    def _beyond(self, pose: _Pose) -> FloatImage:
        """Path length times concentration of the agent outside the arteries, float32 (H, W), mm."""
        motion, heart, ostium = self.run.motion, self.background.heart, self.run.tree.ostium
        way = motion.move(heart, ostium, pose.phase, pose.breath) - ostium
        cloud = self.reflux.path_length(pose.view, pose.time, way)
        return cloud + self.perfusion.path_length(
            pose.view, pose.time, lambda points: motion.move(heart, points, pose.phase, pose.breath)
        )

    def _plain(self, pose: _Pose, lumen: FloatImage) -> FloatImage:
        """Line integral of the patient without agent and catheter, float32 (H, W)."""
        traces = self.cues.attenuation(pose.view, (lumen, pose.vessels), pose.empty)
        patient = self.background.attenuation(pose.phase, pose.breath, pose.pan)
        return self.harmonisation.apply(patient) + traces
