"""A few frames of a run, kept while a pass over all of them goes by: what a plan is made from.

Memory does not grow with the run: only the frames asked for are kept, and large ones are reduced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from casgan_dicom.errors import PixelError
from casgan_dicom.model.atlas.context import RunContext

LONGEST_SIDE = 512
"""Rows or columns of a kept frame, at most: twice what any network that plans sees."""

Float = npt.NDArray[np.float32]
Scalar = TypeVar("Scalar", np.float32, np.bool_)


class RunSample:
    """Keeps some of the frames that pass by.

    Parameters
    ----------
    numbers
        Which, from 0 and rising; none keeps nothing.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = tuple(numbers)
        self._kept: dict[int, Float] = {}
        self._step = 1

    def passing(self, frames: Iterable[Float]) -> Iterator[Float]:
        """Hand on every frame of the run, float32 (H, W), and keep those that were asked for."""
        wanted = frozenset(self.numbers)
        for k, frame in enumerate(frames):
            if k in wanted:
                self._step = -(-max(frame.shape) // LONGEST_SIDE)
                self._kept[k] = _block_means(frame, self._step)
            yield frame

    def without(self, shown: Sequence[bool]) -> tuple[Float, tuple[int, ...]]:
        """The kept frames (T, H, W), and their numbers, without those that show contrast already.

        A plan is made for frames without contrast, and reads such frames best. Where all kept ones show it,
        all are given. Raises PixelError where frames did not pass.
        """
        if len(self._kept) != len(self.numbers):
            raise PixelError(f"{len(self._kept)} of {len(self.numbers)} frames that a plan needs passed by")
        bare = tuple(k for k in self.numbers if not shown[k]) or self.numbers
        return np.stack([self._kept[k] for k in bare]), bare

    def scaled(self, context: RunContext) -> RunContext:
        """What is known of the run in full size, for its frames as they are kept."""
        step, visible, pixel = self._step, context.visible, context.pixel_mm
        if step == 1:
            return context
        return replace(
            context,
            visible=None if visible is None else np.asarray(_blocks(visible, step).all(axis=(1, 3))),
            pixel_mm=None if pixel is None else step * pixel,
        )


def _block_means(frame: Float, step: int) -> Float:
    """Means over squares of `step` pixels; rounding may not leave [0, 1]."""
    if step == 1:
        return frame
    means: Float = _blocks(frame, step).mean(axis=(1, 3), dtype=np.float32)
    return np.clip(means, 0, 1)


def _blocks(picture: npt.NDArray[Scalar], step: int) -> npt.NDArray[Scalar]:
    """A picture (H, W) as (H / step, step, W / step, step), continued by its edge to full squares."""
    rows, columns = picture.shape
    full = np.pad(picture, ((0, -rows % step), (0, -columns % step)), mode="edge")
    return full.reshape(full.shape[0] // step, step, full.shape[1] // step, step)
