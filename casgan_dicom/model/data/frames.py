"""Frames for training, held by domain.

A `FrameSet` holds display values as uint16 (× 65535) and the levels of each frame's series; crops
become network values only when `sampler` draws them. Files are read in `image_folder` and `xcad`; what is
kept for evaluation is chosen in `split`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.normalisation import measure_levels
from casgan_dicom.model.data.square import masks_to_square, to_square
from casgan_dicom.model.settings import NormalisationSettings

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]

FULL = 65535
"""Stored value of display value 1."""


def patient_key(name: str) -> str:
    """Stand-in for what names a patient, a Patient ID or a folder: the same for the same, and no name."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Series:
    """Frames of one patient that share a brightness scale."""

    frames: Frames
    """Display values in [0, 1], (T, H, W)."""
    key: str
    """Names the series, alike in every domain that holds a part of it."""
    patient: str
    """Names the patient, alike in every domain: `patient_key`, or a number that says nothing."""
    masks: Masks | None = None
    """Vessels in `frames`, where a person has marked them, (T, H, W)."""


@dataclass(frozen=True)
class FrameSet:
    """The frames of one domain."""

    frames: npt.NDArray[np.uint16]
    """Display values × 65535, (N, H, W)."""
    levels: npt.NDArray[np.float32]
    """Low and high level of each frame's series, display values, (N, 2)."""
    twins: npt.NDArray[np.uint16] | None = None
    """The same frames with contrast, simulated data only."""
    masks: npt.NDArray[np.bool_] | None = None
    """Vessels with contrast in `twins` (or in `frames`, for angiograms)."""
    series: int = 0
    """How many series they are of, where they were read from files; 0 where that is not counted."""

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Domains:
    """All that a run trains on, or is evaluated on."""

    x: FrameSet
    """Frames without contrast."""
    y: FrameSet
    """Angiograms."""
    labelled: FrameSet | None = None
    """Angiograms whose vessels a person has marked; None where those of `y` are known, or none are."""


def join_frames(parts: Sequence[FrameSet]) -> FrameSet:
    """Several sets of frames of one size as one; all of them have twins and masks, or none has."""
    first = parts[0]
    return FrameSet(
        np.concatenate([part.frames for part in parts]),
        np.concatenate([part.levels for part in parts]),
        None if first.twins is None else np.concatenate([part.twins for part in parts]),
        None if first.masks is None else np.concatenate([part.masks for part in parts]),
        sum(part.series for part in parts),
    )


def frame_set(
    series: Iterable[Series], normalisation: NormalisationSettings, size: int, crop: int = 1
) -> FrameSet:
    """Stack the series of one domain; squares of `size` unless that is 0.

    Raises ConfigError when there is no frame, when the longer side of one is below `crop`, or when sizes
    differ and `size` is 0.
    """
    frames: list[npt.NDArray[np.uint16]] = []
    levels: list[npt.NDArray[np.float32]] = []
    masks: list[Masks] = []
    count = 0
    for one in series:
        count += 1
        if max(one.frames.shape[1:]) < crop:
            raise ConfigError(f"data.crop is {crop}, but there are frames of {one.frames.shape[1:]} px")
        fitted = one.frames if size == 0 else to_square(one.frames, size)
        if frames and frames[0].shape[1:] != fitted.shape[1:]:
            raise ConfigError(
                f"frames of {fitted.shape[1:]} beside frames of {frames[0].shape[1:]}",
                hint="set data.frame_size to bring all frames to one size",
            )
        level = measure_levels(one.frames, normalisation)  # as in use: before it is resized or continued
        frames.append(np.rint(np.clip(fitted, 0, 1) * FULL).astype(np.uint16))
        levels.append(np.tile(np.array([level.low, level.high], np.float32), (len(fitted), 1)))
        if one.masks is not None:
            masks.append(one.masks if size == 0 else masks_to_square(one.masks, size))
    if not frames:
        raise ConfigError("no frames to train on", hint="a domain needs at least one file of frames")
    known = np.concatenate(masks) if len(masks) == len(frames) else None
    return FrameSet(np.concatenate(frames), np.concatenate(levels), None, known, count)
