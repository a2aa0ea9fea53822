"""What a reference shows before any contrast: catheter, wires, leads. None of it is a vessel.

Two things tell. Where the segmentor marks a vessel in half of these frames, it is mistaken. And a wire that
it marks only once a filled vessel lies beside it was as dark before: contrast that is no deeper than what was
there already is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from casgan_dicom.model.roadmap.extraction import grow, logarithm, size_unit
from casgan_dicom.model.roadmap.run import FloatImage, Mask, Scale

LEAST_FRAMES = 2
"""As many frames before the injection tell."""
_LASTING = 0.5
"""Share of these frames in which a mark is taken for the catheter."""
_CATHETER_PX = 2.0
_SMOOTH_PX, _WIDEST_PX, _MOVED_PX = 1.0, 9.0, 5.0
"""Grain that does not count, the widest device, and how far it may have moved; pixels of a 256 px frame."""
_LEAST_DEPTH = 0.04
"""Depth of a line, -ln, from which it is a device and no grain."""
_DEEPER = 1.5
"""How many times deeper contrast is than what was there before."""


@dataclass
class LeadIn:
    """Collects the frames before the injection."""

    frames: int = 0
    """How many they are."""
    marked: FloatImage | None = None
    """In how many of them each pixel is marked as vessel, float32 (H, W)."""
    lines: FloatImage | None = None
    """Depth of the deepest dark line at each pixel, float32 (H, W)."""

    def add(self, frame: FloatImage, mask: Mask, scale: Scale) -> None:
        """Take a frame without contrast and what the segmentor marks in it."""
        lines = dark_lines(logarithm(frame, scale))
        self.frames += 1
        self.marked = mask.astype(np.float32) if self.marked is None else self.marked + mask
        self.lines = lines if self.lines is None else np.maximum(self.lines, lines)

    def vessel(self, mask: Mask, depth: FloatImage) -> Mask:
        """What of a filled frame's mask, with its contrast `depth`, was not there before; bool (H, W)."""
        if self.marked is None or self.lines is None or self.frames < LEAST_FRAMES:
            return mask
        unit = size_unit((mask.shape[0], mask.shape[1]))
        lasting: Mask = self.marked >= _LASTING * self.frames
        reach = 2 * round(_MOVED_PX * unit) + 1
        before = ndimage.maximum_filter(self.lines, reach)
        device = (before > _LEAST_DEPTH) & (depth < _DEEPER * before)
        return np.asarray(mask & ~grow(lasting, _CATHETER_PX * unit) & ~device)


def dark_lines(value: FloatImage) -> FloatImage:
    """How much darker each pixel is than what lies within the width of a device, float32, 0 and more."""
    unit = size_unit((value.shape[0], value.shape[1]))
    smooth = ndimage.gaussian_filter(value, _SMOOTH_PX * unit)
    side = 2 * round(_WIDEST_PX * unit / 2) + 1
    return np.asarray(smooth - ndimage.grey_opening(smooth, (side, side)), dtype=np.float32)
