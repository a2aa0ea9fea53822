"""What is known of a run beside its pixels: the header's view, scale and clock, and the caller's word.

Unknown is None or empty, never a guess. Angles are those of PS3.3 C.8.7.5: primary LAO positive, secondary
cranial positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # who only passes a context on should not wait for scipy
    from casgan_dicom.model.simulator.tree import System


@dataclass(frozen=True)
class RunContext:
    """One run of frames, as its header tells it."""

    angles_deg: tuple[float, float] | None = None
    """Positioner Primary and Secondary Angle in degrees; None where the header does not say."""
    angles_given: bool = False
    """The caller has set the angles: they are taken as they stand, whatever the picture says."""
    artery: System | None = None
    """The artery that the caller asks for; None lets the picture decide."""
    injection_s: tuple[float, float] | None = None
    """When agent leaves the catheter, in s after the first frame, and for how long it flows; None where the
    vessels are to be drawn filled throughout."""
    times_s: tuple[float, ...] = ()
    """Time of every frame of the run in s, the first 0; empty where unknown."""
    r_waves_s: tuple[float, ...] = ()
    """Times of the R waves on the same clock, in s; one may lie before 0. Empty where unknown."""
    source_detector_mm: float | None = None
    """Distance Source to Detector (0018,1110)."""
    source_patient_mm: float | None = None
    """Distance Source to Patient (0018,1111)."""
    pixel_mm: float | None = None
    """Imager Pixel Spacing (0018,1164): side of a pixel in the detector's plane, of the frames at the size in
    which they are planned from."""
    pulse_ms: float | None = None
    """Average Pulse Width (0018,1154): how long X-rays are on for each frame."""
    shape: tuple[int, int] | None = None
    """Rows and columns of a frame; None where unknown."""
    visible: npt.NDArray[np.bool_] | None = None
    """Where no shutter covers the first frame, (H, W) as planned from; None for everywhere."""
    key: str = ""
    """What stands for the series: choices that the picture leaves open fall alike for the same key."""
    frames: int = 0
    """How many frames the run has; 0 where unknown, which means up to the last that was sampled."""
