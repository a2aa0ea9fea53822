"""Frames for training, cropped and normalised on the fly.

A `FrameSet` holds display values as uint16 (× 65535) and the levels of each frame's series; crops
become network values only when drawn. Which crop comes when depends on the given generator alone.
Files are read in `image_folder` and `xcad`; what is kept for evaluation is chosen in `split`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.methods.base import Batch
from casgan_dicom.model.normalisation import Levels, measure_levels, to_network
from casgan_dicom.model.settings import DataSettings, NormalisationSettings
from casgan_dicom.model.square import masks_to_square, to_square

Frames = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]

FULL = 65535
"""Stored value of display value 1."""
CROP_STEP = 16
"""Crops are multiples of this many pixels: the U-Net halves them four times."""


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
    for one in series:
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
    return FrameSet(np.concatenate(frames), np.concatenate(levels), None, known)


class CropSampler:
    """Draws unpaired batches: x and y independently, with replacement.

    `labelled` are other angiograms, with vessel masks, for the segmentor; y where None.

    Raises ConfigError for a crop that is larger than the frames, or that the networks cannot halve often
    enough.
    """

    def __init__(
        self,
        x: FrameSet,
        y: FrameSet,
        data: DataSettings,
        normalisation: NormalisationSettings,
        labelled: FrameSet | None = None,
    ) -> None:
        if data.crop < CROP_STEP or data.crop % CROP_STEP:
            raise ConfigError(f"data.crop is {data.crop}, want a multiple of {CROP_STEP}")
        wanted = {"domain x": x, "domain y": y} | ({} if labelled is None else {"the labelled set": labelled})
        for name, domain in wanted.items():
            side = min(domain.frames.shape[1:])
            if side < data.crop:
                raise ConfigError(f"data.crop is {data.crop}, but frames of {name} are {side} px")
        self.x, self.y, self.data, self.normalisation = x, y, data, normalisation
        self.angiograms = y if labelled is None else labelled

    def batch(self, size: int, generator: torch.Generator, *, whole: bool = False) -> Batch:
        """`size` crops (or whole frames) of each domain; with twin and mask where the x domain has them."""
        x, twin, mask = self._crops(self.x, size, generator, whole=whole)
        y, _, _ = self._crops(self.y, size, generator, whole=whole)
        return Batch(x, y, twin, mask)

    def labelled(
        self, size: int, generator: torch.Generator, *, whole: bool = False
    ) -> tuple[Tensor, Tensor]:
        """`size` crops (or whole frames) of angiograms with their vessel masks, for a segmentor."""
        y, _, mask = self._crops(self.angiograms, size, generator, whole=whole)
        if mask is None:
            raise ConfigError(
                "angiograms have no vessel masks",
                hint="give segmentor.path, or use sim:SEED or xcad:PATH",
            )
        return y, mask

    def _crops(
        self, domain: FrameSet, size: int, generator: torch.Generator, *, whole: bool = False
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        images: list[Frames] = []
        twins: list[Frames] = []
        masks: list[Frames] = []
        for _ in range(size):
            index, window, flip = self._draw(domain, generator, whole=whole)
            levels = Levels(*map(float, domain.levels[index]))
            step = -1 if flip else 1
            images.append(self._values(domain.frames[index][window], levels)[:, ::step])
            if domain.twins is not None:
                twins.append(self._values(domain.twins[index][window], levels)[:, ::step])
            if domain.masks is not None:
                masks.append(domain.masks[index][window].astype(np.float32)[:, ::step])
        return _stack(images), _stack(twins) if twins else None, _stack(masks) if masks else None

    def _draw(
        self, domain: FrameSet, generator: torch.Generator, *, whole: bool
    ) -> tuple[int, tuple[slice, slice], bool]:
        crop = min(domain.frames.shape[1:]) if whole else self.data.crop
        index = int(torch.randint(len(domain), (), generator=generator))
        top, left = (
            int(torch.randint(side - crop + 1, (), generator=generator)) for side in domain.frames.shape[1:]
        )
        flip = self.data.flip and bool(torch.rand((), generator=generator) < 0.5)
        return index, (slice(top, top + crop), slice(left, left + crop)), flip

    def _values(self, stored: npt.NDArray[np.uint16], levels: Levels) -> Frames:
        return to_network(stored.astype(np.float32) / np.float32(FULL), levels, self.normalisation)


def _stack(images: Sequence[Frames]) -> Tensor:
    return torch.from_numpy(np.stack(images)[:, None].copy())
