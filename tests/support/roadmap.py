"""Pairs of runs whose roadmap a test knows: a dark line beats over a background that stays where it is.

Both show the same background. In the reference a line appears in `FIRST_FILLED` and goes up and down with
the heart; the target has none. A segmentor that takes everything dark for a vessel stands in for a network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.data.normalisation import Levels
from tests.support.factories import Frames, uid, write_xa
from tests.support.painter import DiscPainter

ROWS, COLUMNS = 96, 128
BEAT = 13
"""Frames from R wave to R wave."""
FIRST_FILLED = 9
"""First frame of the reference in which the line is seen, from 0."""
REFERENCE_FRAMES, TARGET_FRAMES = 48, 20
DARK, BRIGHT = 40, 120
"""The line, and the darkest background."""


def background(seed: int = 1) -> npt.NDArray[np.float64]:
    """A smooth texture, (ROWS, COLUMNS), from BRIGHT to 220."""
    noise = np.random.default_rng(seed).normal(size=(ROWS, COLUMNS))
    smooth = ndimage.gaussian_filter(noise, 4)
    low, high = smooth.min(), smooth.max()
    return np.asarray(BRIGHT + (smooth - low) / (high - low) * (220 - BRIGHT))


def line(phase: float) -> npt.NDArray[np.bool_]:
    """Where the vessel is at a phase of the heart from 0 to 1, (ROWS, COLUMNS): a band 5 pixels wide."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    middle = ROWS / 2 + 8 * np.sin(x / 18) + 6 * np.sin(2 * np.pi * phase)
    return np.asarray((np.abs(y - middle) <= 2) & (x > 14) & (x < COLUMNS - 14))


def reference_frames(filled: bool = True) -> Frames:
    """The reference, uint8 (REFERENCE_FRAMES, ROWS, COLUMNS); R waves at every BEAT from frame 0."""
    run = np.repeat(background()[None], REFERENCE_FRAMES, axis=0)
    for k in range(FIRST_FILLED, REFERENCE_FRAMES if filled else 0):
        run[k][line(k % BEAT / BEAT)] = DARK
    return run.astype(np.uint8)


def target_frames(seed: int = 1, strange: slice = slice(0, 0)) -> Frames:
    """The target, uint8; the frames of `strange` show another background, as after a pan of the table."""
    run = np.repeat(background(seed)[None], TARGET_FRAMES, axis=0)
    run[strange] = background(99)
    return run.astype(np.uint8)


WAVES = [1 + BEAT * k for k in range(REFERENCE_FRAMES // BEAT + 1) if 1 + BEAT * k <= REFERENCE_FRAMES]
"""R Wave Pointer (0028,6040) of the reference, frames from 1; those of the target are the first of them."""
VIEW: dict[str, Any] = {
    "AcquisitionDate": "20240102",
    "PositionerPrimaryAngle": -30,
    "PositionerSecondaryAngle": 20,
    "DistanceSourceToDetector": 1100,
    "DistanceSourceToPatient": 760,
    "ImagerPixelSpacing": [1.4, 1.4],
    "LossyImageCompression": "00",
    "BurnedInAnnotation": "NO",
}
"""What both runs say of how they were taken."""


def write_reference(path: Path, frames: Frames | None = None, **header: object) -> Path:
    """The reference as one object, taken at 10:42."""
    own = VIEW | {
        "SOPInstanceUID": uid("reference"),
        "SeriesInstanceUID": uid("reference series"),
        "SeriesNumber": 2,
        "AcquisitionTime": "104200",
        "RWavePointer": WAVES,
        "ContrastBolusAgent": "Iohexol",
    }
    return write_xa(path, reference_frames() if frames is None else frames, **(own | header))


def write_target(path: Path, frames: Frames | None = None, **header: object) -> Path:
    """The target as one object, taken eight minutes later."""
    own = VIEW | {"AcquisitionTime": "105000", "RWavePointer": [1, 14]}
    return write_xa(path, target_frames() if frames is None else frames, **(own | header))


class DarkIsVessel(DiscPainter):
    """A segmentor that takes what is darker than any background for a vessel; nobody may ask it to draw."""

    evidence: float | None = None
    """What it says of the catheter; nothing, as a bundle that cannot tell."""

    def sampled(self, frames: int) -> tuple[int, ...]:
        """A generator that is not asked plans nothing."""
        raise AssertionError(f"a generator was asked to plan {frames} frames")

    def __call__(self, frames: npt.NDArray[np.float32], levels: Levels | None = None) -> Any:  # noqa: ANN401
        """A generator that is not asked draws nothing."""
        raise AssertionError(f"a generator was asked to draw into {len(frames)} frames, {levels}")

    def vessels(
        self,
        frames: npt.NDArray[np.float32],
        levels: Levels | None = None,
        *,
        twice: bool = False,
    ) -> npt.NDArray[np.float32]:
        """0.95 in the dark, else 0.02."""
        dark = frames < (DARK + BRIGHT) / 2 / 255
        return np.where(dark, np.float32(0.95), np.float32(0.02))

    def engaged(self, frames: npt.NDArray[np.float32], trees: npt.NDArray[np.bool_]) -> float | None:
        """Its evidence, for frames that have a tree each."""
        assert frames.shape == trees.shape
        assert trees.any(axis=(1, 2)).all()
        return self.evidence
