"""The contrast of one filled frame, kept small: only the pixels that it darkens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.roadmap.run import FloatImage, Mask

_HALF = 0.5


@dataclass(frozen=True, eq=False)
class ContrastLayer:
    """What contrast does to P pixels of a frame, and which of them are vessel."""

    shape: tuple[int, int]
    """Rows H and columns W of the frame."""
    pixels: npt.NDArray[np.int32]
    """(P,) places in the flattened frame."""
    depth: npt.NDArray[np.float16]
    """(P,) T: -ln of the share of light that contrast lets through, or what it takes off a logarithm."""
    vessel: Mask
    """(P,) whether the pixel belongs to the mask of the vessels."""

    @classmethod
    def of(cls, depth: FloatImage, vessel: Mask) -> ContrastLayer:
        """Keep a layer T ≥ 0 and a mask, both (H, W)."""
        pixels = np.flatnonzero((depth > 0) | vessel).astype(np.int32)
        rows, columns = depth.shape
        return cls((rows, columns), pixels, depth.ravel()[pixels].astype(np.float16), vessel.ravel()[pixels])

    def depth_at(self, shift: tuple[float, float]) -> FloatImage:
        """T shifted by (down, right) pixels, bilinear, float32 (H, W); what leaves the frame is lost."""
        return self._moved(self.depth.astype(np.float32), shift)

    def mask_at(self, shift: tuple[float, float]) -> Mask:
        """The mask shifted likewise, bool (H, W)."""
        return np.asarray(self._moved(self.vessel.astype(np.float32), shift) > _HALF)

    def _moved(self, values: FloatImage, shift: tuple[float, float]) -> FloatImage:
        dense = np.zeros(self.shape, dtype=np.float32)
        dense.ravel()[self.pixels] = values
        if not any(shift):
            return dense
        moved = ndimage.shift(dense, shift, order=1, mode="constant", cval=0.0, prefilter=False)
        return np.asarray(moved, dtype=np.float32)
