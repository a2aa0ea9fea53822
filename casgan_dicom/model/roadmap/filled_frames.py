"""The filled frames of a reference: their contrast, their background, and when they were taken.

The run is read once. What is kept of a filled frame is its contrast layer, its mask and its background on the
small grid; frames that turn out to be thinly filled are dropped in the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from casgan_dicom.errors import SeriesError
from casgan_dicom.model.roadmap.background import grid_factor, to_grid
from casgan_dicom.model.roadmap.contrast_layer import ContrastLayer
from casgan_dicom.model.roadmap.extraction import (
    contrast_depth,
    grow,
    logarithm,
    size_unit,
    vessel_mask,
    without_specks,
)
from casgan_dicom.model.roadmap.gaps import close_gaps, without_stray
from casgan_dicom.model.roadmap.lead_in import LeadIn
from casgan_dicom.model.roadmap.run import Array, FloatImage, Mask, ReferenceRun

WELL_FILLED = 0.7
"""Share of the fullest frame's vessel area that a usable frame has; a right coronary covers a quarter less
in systole."""
HALF_SEEN = 0.4
"""The same share between the first and the last of these: such a frame is filled, whatever the segmentor
sees of it."""
_FULLEST = 0.9
"""The quantile that stands for the fullest frame: a single frame of specks does not."""
_BORDER_PX = 4.0
"""Within this distance of a shutter's edge nothing is taken for a vessel; pixels of a 256 px frame."""


@dataclass(frozen=True, eq=False)
class FilledFrame:
    """One usable frame of the reference."""

    number: int
    """Of the reference, from 0."""
    time_s: float
    """When it was taken."""
    layer: ContrastLayer
    """Its contrast."""
    value: FloatImage
    """Its logarithm on the grid, float32 (h, w)."""
    vessel: FloatImage
    """Share of each pixel of the grid that is vessel, float32 (h, w)."""
    free: FloatImage
    """1 where a pixel of the grid is background that may be compared, else 0; float32 (h, w)."""


@dataclass
class _Reader:
    """Goes through the run once."""

    run: ReferenceRun
    lead_in: LeadIn = field(default_factory=LeadIn)
    inner: Mask | None = None
    begun: bool = False

    def _vessel(self, frame: FloatImage, mask: Mask) -> Mask:
        """The mask without catheter and wires, its gaps closed, without specks and what lies astray."""
        depth = contrast_depth(frame, mask, self.run.scale)
        return without_stray(close_gaps(without_specks(self.lead_in.vessel(mask, depth))))

    def filled(self) -> Iterator[tuple[int, FloatImage, Mask]]:
        """(number, frame, mask of its vessels) of each frame that is filled."""
        pairs = zip(self.run.frames, self.run.vessels, strict=True)
        for number, (frame, probability) in enumerate(pairs):
            self._check(number, frame, probability)
            if self.inner is None:
                self.inner = _inner(self.run.visible, frame.shape)
            mask = vessel_mask(probability, self.inner)
            if self.run.filled[number]:
                self.begun = True
                yield number, frame, self._vessel(frame, mask)
            elif not self.begun:
                self.lead_in.add(frame, mask, self.run.scale)
        if number + 1 != len(self.run.filled):
            raise ValueError(f"reference has {number + 1} frames, filled says {len(self.run.filled)}")

    def _check(self, number: int, frame: FloatImage, probability: FloatImage) -> None:
        if frame.ndim != 2 or frame.shape != probability.shape:
            raise ValueError(
                f"frame {number} of the reference has shape {frame.shape}, its vessels {probability.shape}; "
                "want two equal (H, W)"
            )
        if number >= len(self.run.filled) or number >= len(self.run.times_s):
            raise ValueError(
                f"reference has more than {number} frames, filled has {len(self.run.filled)} entries and "
                f"times_s {len(self.run.times_s)}"
            )


def read_filled(run: ReferenceRun) -> tuple[FilledFrame, ...]:
    """Read a reference and keep the frames whose vessels are well filled, in the order of time.

    Raises
    ------
    SeriesError
        No frame is filled, or none shows a vessel.
    ValueError
        The lengths or shapes of what belongs together differ.
    """
    found: list[tuple[int, FilledFrame]] = []
    reader = _Reader(run)
    for number, frame, mask in reader.filled():
        assert reader.inner is not None
        if mask.any():
            found.append((int(mask.sum()), _filled_frame(run, number, frame, (mask, reader.inner))))
    if not found:
        raise SeriesError(
            "the reference shows no filled vessel in any of its frames", hint="choose a run with contrast"
        )
    areas = np.array([area for area, _ in found], dtype=np.float64)
    well = np.flatnonzero(_seen_of_fullest(areas, WELL_FILLED))
    kept = _seen_of_fullest(areas, HALF_SEEN)
    kept[: well[0]] = kept[well[-1] + 1 :] = False
    return tuple(frame for (_, frame), keep in zip(found, kept, strict=True) if keep)


def well_filled(frames: Sequence[FilledFrame]) -> int:
    """How many of these frames are well filled, and not only between frames that are."""
    areas = np.array([frame.layer.vessel.sum() for frame in frames], dtype=np.float64)
    return int(_seen_of_fullest(areas, WELL_FILLED).sum())


def _seen_of_fullest(areas: Array, share: float) -> Mask:
    """Which frames show so much of what the fullest one does, by their vessels' areas (F,)."""
    return np.asarray(areas >= share * np.quantile(areas, _FULLEST))


def _filled_frame(run: ReferenceRun, number: int, frame: FloatImage, masks: tuple[Mask, Mask]) -> FilledFrame:
    vessel, inner = masks
    factor = grid_factor(frame.shape)
    depth = contrast_depth(frame, vessel, run.scale)
    hidden = grow(vessel, 3.0 * size_unit(frame.shape))
    free = to_grid((inner & ~hidden).astype(np.float32), factor) > 0.6
    return FilledFrame(
        number,
        float(run.times_s[number]),
        ContrastLayer.of(depth, vessel),
        logarithm(to_grid(frame, factor), run.scale),
        to_grid(vessel.astype(np.float32), factor),
        free.astype(np.float32),
    )


def _inner(visible: Mask | None, shape: tuple[int, int]) -> Mask:
    """What is visible and not beside a shutter or the frame's edge."""
    border = round(_BORDER_PX * size_unit(shape))
    seen = np.ones(shape, dtype=np.bool_) if visible is None else visible
    if seen.shape != shape:
        raise ValueError(f"visible has shape {seen.shape}, the frames {shape}")
    return np.asarray(ndimage.binary_erosion(seen, iterations=max(border, 1)))
