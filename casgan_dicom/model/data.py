"""Frames for training: from folders or from the simulator, cropped and normalised on the fly.

A `FrameSet` holds display values as uint16 (× 65535) and the levels of each frame's series; crops
become network values only when drawn. Which crop comes when depends on the given generator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.methods.base import Batch
from casgan_dicom.model.normalisation import Levels, measure_levels, to_network
from casgan_dicom.model.settings import DataSettings, NormalisationSettings

Frames = npt.NDArray[np.float32]
FolderReader = Callable[[Path], Iterable[Frames]]
"""Reads a folder: one float32 (T, H, W) of display values in [0, 1] per series."""

FULL = 65535
"""Stored value of display value 1."""
CROP_STEP = 16
"""Crops are multiples of this many pixels: the U-Net halves them four times."""


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


def frame_set(series: Iterable[Frames], normalisation: NormalisationSettings, size: int) -> FrameSet:
    """Stack the series of one domain, each (T, H, W) in [0, 1]; resized to `size` unless that is 0.

    Raises ConfigError when there is no frame, or when sizes differ and `size` is 0.
    """
    frames: list[npt.NDArray[np.uint16]] = []
    levels: list[npt.NDArray[np.float32]] = []
    for cine in series:
        resized = cine if size == 0 else resize(cine, size)
        if frames and frames[0].shape[1:] != resized.shape[1:]:
            raise ConfigError(
                f"frames of {resized.shape[1:]} beside frames of {frames[0].shape[1:]}",
                hint="set data.frame_size to bring all frames to one size",
            )
        level = measure_levels(resized, normalisation)
        frames.append(np.rint(np.clip(resized, 0, 1) * FULL).astype(np.uint16))
        levels.append(np.tile(np.array([level.low, level.high], np.float32), (len(resized), 1)))
    if not frames:
        raise ConfigError("no frames to train on", hint="a domain needs at least one file of frames")
    return FrameSet(np.concatenate(frames), np.concatenate(levels))


def resize(cine: Frames, size: int) -> Frames:
    """Resize (T, H, W) to (T, size, size), bicubic and antialiased; clipped to [0, 1]."""
    if cine.shape[1:] == (size, size):
        return cine
    big = torch.from_numpy(np.ascontiguousarray(cine))[:, None]
    small = F.interpolate(big, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
    return np.asarray(small[:, 0].clamp(0, 1).numpy())


def read_images(folder: Path) -> Iterable[Frames]:
    """Read PNG (grey, 8 or 16 bit) and NPY (2-D or 3-D) files of a folder and its sub-folders, each a series.

    PNG stills that lie in one folder count as one series, because they share a brightness scale.
    NPY holds unsigned integers (full range) or floats in [0, 1].
    """
    by_folder: dict[Path, list[Frames]] = {}
    for path in sorted(folder.rglob("*")):
        suffix = path.suffix.lower()
        if suffix == ".png":
            by_folder.setdefault(path.parent, []).append(_read_png(path))
        elif suffix == ".npy":
            yield _read_npy(path)
    for stills in by_folder.values():
        shapes = {still.shape for still in stills}
        yield from ([np.stack(stills)] if len(shapes) == 1 else [still[None] for still in stills])


def _read_png(path: Path) -> Frames:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image if image.mode in ("L", "I;16", "I") else image.convert("L"))
    except (UnidentifiedImageError, OSError) as error:
        raise ConfigError(f"{path.name}: cannot be read as PNG ({error})") from error
    return (pixels / (255 if pixels.dtype == np.uint8 else FULL)).astype(np.float32)


def _read_npy(path: Path) -> Frames:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ConfigError(f"{path.name}: cannot be read as NPY ({error})") from error
    if not isinstance(array, np.ndarray):
        raise ConfigError(f"{path.name}: an archive of arrays, want one array")
    if array.ndim not in (2, 3):
        raise ConfigError(f"{path.name}: {array.ndim} dimensions, want (H, W) or (T, H, W)")
    if array.size == 0:
        raise ConfigError(f"{path.name}: no pixels, shape {array.shape}")
    if np.issubdtype(array.dtype, np.unsignedinteger):
        array = array / np.iinfo(array.dtype).max
    elif not np.issubdtype(array.dtype, np.floating):
        raise ConfigError(f"{path.name}: {array.dtype} values, want unsigned integers or floats in [0, 1]")
    elif not (array.min() >= 0 and array.max() <= 1):  # also refuses NaN
        raise ConfigError(f"{path.name}: values from {array.min()} to {array.max()}, want floats in [0, 1]")
    frames: Frames = array.astype(np.float32).reshape(-1, *array.shape[-2:])
    return frames


class CropSampler:
    """Draws unpaired batches: x and y independently, with replacement.

    Raises ConfigError for a crop that is larger than the frames, or that the networks cannot halve often
    enough.
    """

    def __init__(
        self, x: FrameSet, y: FrameSet, data: DataSettings, normalisation: NormalisationSettings
    ) -> None:
        if data.crop < CROP_STEP or data.crop % CROP_STEP:
            raise ConfigError(f"data.crop is {data.crop}, want a multiple of {CROP_STEP}")
        for name, domain in (("x", x), ("y", y)):
            side = min(domain.frames.shape[1:])
            if side < data.crop:
                raise ConfigError(f"data.crop is {data.crop}, but frames of domain {name} are {side} px")
        self.x, self.y, self.data, self.normalisation = x, y, data, normalisation

    def batch(self, size: int, generator: torch.Generator, *, whole: bool = False) -> Batch:
        """`size` crops (or whole frames) of each domain; with twin and mask where the x domain has them."""
        x, twin, mask = self._crops(self.x, size, generator, whole=whole)
        y, _, _ = self._crops(self.y, size, generator, whole=whole)
        return Batch(x, y, twin, mask)

    def labelled(
        self, size: int, generator: torch.Generator, *, whole: bool = False
    ) -> tuple[Tensor, Tensor]:
        """`size` crops (or whole frames) of the y domain with their vessel masks, for a segmentor."""
        y, _, mask = self._crops(self.y, size, generator, whole=whole)
        if mask is None:
            raise ConfigError(
                "angiograms have no vessel masks", hint="give segmentor.path, or train on sim:SEED"
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
