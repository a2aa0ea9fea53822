"""Crops of the frames that a run trains on, drawn and normalised.

Which crop comes when depends on the given generator alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.batch import Batch
from casgan_dicom.model.data.frames import FULL, Frames, FrameSet
from casgan_dicom.model.data.normalisation import Levels, to_network
from casgan_dicom.model.settings import DataSettings, NormalisationSettings

CROP_STEP = 16
"""Crops are multiples of this many pixels: the U-Net halves them four times."""


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
        self, size: int, generator: torch.Generator, *, whole: bool = False, empty: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """`size` crops (or whole frames) of angiograms with their vessel masks, for a segmentor.

        The share `empty` of them, rounded down, is of frames without contrast, with nothing in their masks.
        """
        without = int(size * empty)
        y, _, mask = self._crops(self.angiograms, size - without, generator, whole=whole)
        if mask is None:
            raise ConfigError(
                "angiograms have no vessel masks",
                hint="give segmentor.path, or use sim:SEED or xcad:PATH",
            )
        if not without:
            return y, mask
        x, _, _ = self._crops(self.x, without, generator, whole=whole)
        return torch.cat([y, x]), torch.cat([mask, torch.zeros_like(x)])

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
