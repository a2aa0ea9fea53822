"""A generator whose work a test can redo by hand: it darkens a disc in the middle of every frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.model.domain.judge import Likeness
from casgan_dicom.model.generator import Generator, Synthesis

Frames = npt.NDArray[np.float32]

SHA256 = "5f" * 32


@dataclass(frozen=True)
class PainterInfo:
    """What a bundle says about itself."""

    name: str = "painter"
    method: str = "disc"
    version: str = "1.2.3"
    recipe: str = "not trained: darkens a disc by a known amount"
    licence: str = "Apache-2.0"
    weights_sha256: str = SHA256
    data: str = "none"
    size: int = 64


class DiscPainter:
    """Attention 0.5 within a quarter of the shorter side, 1/1024 elsewhere; it draws black.

    The faint attention outside is there to be ignored: it is below what may touch a pixel, but the frames
    returned are darkened by it all the same.
    """

    def __init__(
        self, *, batch: int = 3, with_attention: bool = True, info: PainterInfo | None = None
    ) -> None:
        self.info = info or PainterInfo()
        self.engine = "numpy-fp32"
        self.device = "cpu"
        self.batch = batch
        self.with_attention = with_attention
        self.score: float | None = None
        self.calls: list[int] = []
        self.measured = 0
        self.levels: list[Levels | None] = []

    def measure(self, frames: Iterable[Frames]) -> Levels:
        """Smallest and largest value of the run."""
        low, high = 1.0, 0.0
        for frame in frames:
            low, high = min(low, float(frame.min())), max(high, float(frame.max()))
            self.measured += 1
        return Levels(low, max(high, low + 0.01))

    def sampled(self, frames: int) -> tuple[int, ...]:
        """No frame is needed before another."""
        return ()

    def __call__(self, frames: Frames, levels: Levels | None = None) -> Synthesis:
        """Darken the disc."""
        self.calls.append(len(frames))
        self.levels.append(levels)
        attention = np.broadcast_to(disc_attention(frames.shape[1], frames.shape[2]), frames.shape).copy()
        return Synthesis(frames * (1 - attention), attention if self.with_attention else None)

    def vessels(self, frames: Frames, levels: Levels | None = None) -> Frames:
        """0.9 in the disc of those frames in which it is darker than two thirds of the rest, else 0.1."""
        disc = disc_attention(frames.shape[1], frames.shape[2]) == 0.5
        darker = frames[:, disc].mean(axis=1) < 2 / 3 * frames[:, ~disc].mean(axis=1)
        return np.where(darker[:, None, None] & disc, 0.9, 0.1).astype(np.float32)

    def judge(self, frames: Sequence[Frames]) -> Likeness | None:
        """What the test says that frames are like; None: this painter does not judge."""
        if self.score is None:
            return None
        return Likeness((self.score,) * len(frames), ("",) * len(frames))

    def as_generator(self) -> Generator:
        """The same object, under the type that the pipeline asks for."""
        return cast(Generator, self)


def disc_attention(rows: int, columns: int) -> Frames:
    """Attention of the painter, float32 (rows, columns)."""
    y, x = np.mgrid[:rows, :columns]
    inside = np.hypot(y - rows / 2, x - columns / 2) < min(rows, columns) / 4
    return np.where(inside, 0.5, 1 / 1024).astype(np.float32)
