"""A catheter, wire or lead that hangs in the heart: its way, its attenuation, how the beat moves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.motion import Motion
from casgan_dicom.model.simulator.render import FloatImage, Tubes, make_tubes, path_length


@dataclass(frozen=True)
class Course:
    """A strand's way and motion before it is cut for a view."""

    points: Array
    """float64 (N, 3), patient mm at end-diastole, from the tip backwards."""
    share: Array
    """float64 (N,), share of the heart's motion that each point makes: 1 in the artery, 0 far away."""
    swing: Array
    """float64 (N, 3), how far each point swings by itself, mm."""
    beat: float = 0.0
    """Cardiac phase in which the swing passes the middle."""

    def along(self) -> Array:
        """Distance from the tip of each point, float64 (N,), mm."""
        return np.concatenate(
            [[0.0], np.cumsum(np.linalg.norm(np.diff(self.points, axis=0), axis=1))],
        )


@dataclass(frozen=True)
class Strand:
    """One strand, cut for its view."""

    tubes: Tubes
    """Its outside; `arc` is the distance from the tip in mm."""
    density: Array
    """float64 (N,), attenuation per mm, or a factor on it, at each point."""
    share: Array
    """float64 (N,), see `Course`."""
    swing: Array
    """float64 (N, 3), see `Course`."""
    beat: float
    """See `Course`."""

    @classmethod
    def cut(cls, course: Course, radius: Array, density: Array, view: View) -> Strand:
        """Cut a course; `radius` in mm and `density` are given at the course's points, (N,) each."""
        along = course.along()
        tubes = make_tubes([(course.points, radius, along)], view)
        swing = np.stack([np.interp(tubes.arc, along, course.swing[:, k]) for k in range(3)], axis=1)
        return cls(
            tubes=tubes,
            density=np.interp(tubes.arc, along, density),
            share=np.interp(tubes.arc, along, course.share),
            swing=swing,
            beat=course.beat,
        )

    def moved(self, motion: Motion, heart: Heart, phase: float, breath_mm: float) -> Array:
        """Where its points are at a moment, float64 (N, 3), patient mm."""
        rest = self.tubes.points
        carried = motion.move(heart, rest, phase, breath_mm) - rest
        return np.asarray(
            rest + self.share[:, None] * carried + np.sin(2 * np.pi * (phase - self.beat)) * self.swing
        )

    def attenuation(self, points: Array, view: View) -> FloatImage:
        """Line integral with the points where they are now, float32 (H, W)."""
        return path_length(self.tubes, points, view, self.density)
