"""Where a run has a picture at all: blades and a field stop that are burned into the pixels hold none.

No header tells of them, so every frame is looked at: what is black in all of them and reaches the edge is no
picture, and stays as it is, whatever a generator makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.atlas.border import border_of

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ALL_BLACK = "every pixel of every frame is black or covered: there is no picture to draw in"
"""What is said of a run without any."""


class PictureArea:
    """Finds the picture of a run while a pass over all its frames goes by; keeps one frame."""

    def __init__(self) -> None:
        self._brightest: Float | None = None

    def passing(self, frames: Iterable[Float]) -> Iterator[Float]:
        """Hand on every frame of the run, display values float32 (H, W)."""
        for frame in frames:
            known = self._brightest
            self._brightest = frame.copy() if known is None else np.maximum(known, frame, out=known)
            yield frame

    def mask(self) -> Mask:
        """Where the picture is, bool (H, W); raises ValueError where no frame passed."""
        if self._brightest is None:
            raise ValueError("no frame of the run has passed")
        return ~border_of(self._brightest[None])
