"""Which frames of a run are judged, and how small they may be kept until then; no networks here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LOOKED_AT = 12
"""Frames of a run that are judged, at most: spread over it, the first and the last among them."""
_SIDE = 256
"""Longer side of the frame that is looked at; it stays below twice that."""

Frame = npt.NDArray[np.float32]


def looked_at(frames: int) -> tuple[int, ...]:
    """Which frames of a run of so many are judged, from 0 and rising."""
    return tuple(int(k) for k in np.unique(np.rint(np.linspace(0, frames - 1, min(frames, LOOKED_AT)))))


def reduced(frame: Frame) -> Frame:
    """Means of a frame (H, W) over squares, so that its longer side is below twice `_SIDE`; a copy."""
    step = max(1, max(frame.shape) // _SIDE)
    rows, columns = (n // step for n in frame.shape)
    if step == 1 or not min(rows, columns):  # small already, or narrower than a square
        return frame.copy()
    squares = frame[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return np.asarray(squares.mean(axis=(1, 3), dtype=np.float32))
