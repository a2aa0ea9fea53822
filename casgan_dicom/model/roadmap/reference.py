"""The reference as a target is compared with it: backgrounds in the Fourier domain, beats, table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.roadmap.background import Spectrum, grid_factor, structure
from casgan_dicom.model.roadmap.filled_frames import FilledFrame
from casgan_dicom.model.roadmap.phase import beats_of
from casgan_dicom.model.roadmap.run import Array, FloatImage, ReferenceRun, Scale

_AROUND_PX = 6.0
"""Reach of the region around the vessels whose background counts, sigma in pixels of the grid."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What is kept of a filled run."""

    frames: tuple[FilledFrame, ...]
    """Its well filled frames, in the order of time."""
    around: FloatImage
    """Weight of the background by its nearness to the vessels, 0 to 1, float32 (h, w) of the grid."""
    beats_s: Array | None
    """(B, 2) begin and end of each beat; None without an ECG."""
    table_px: Array | None
    """(F, 2) shift of the patient's picture by the table in each of `frames`, pixels; None where unknown."""
    shape: tuple[int, int]
    """Rows and columns of a frame."""
    pixel_mm: float | None
    """Side of a pixel on the detector."""
    scale: Scale
    """Of the display values."""

    @classmethod
    def of(cls, run: ReferenceRun, frames: tuple[FilledFrame, ...]) -> Reference:
        """Prepare the frames that were kept of a run."""
        shape = frames[0].layer.shape
        common = np.mean([frame.vessel > 0.3 for frame in frames], axis=0) > 0.1
        near = ndimage.gaussian_filter(common.astype(np.float32), _AROUND_PX)
        around = np.clip(near / max(float(np.quantile(near, 0.97)), 1e-6), 0, 1)
        waves = run.r_waves_s
        beats = None if waves is None or len(waves) < 2 else beats_of(waves, frames[-1].time_s)
        places = table_shifts_px(run.table_mm, run.pixel_mm, len(run.times_s))
        table = None if places is None else places[[frame.number for frame in frames]]
        return cls(frames, np.float32(1) * around, beats, table, shape, run.pixel_mm, run.scale)

    @property
    def factor(self) -> int:
        """Pixels of a frame along a side of one pixel of the grid."""
        return grid_factor(self.shape)

    @cached_property
    def times_s(self) -> Array:
        """(F,) when the frames were taken."""
        return np.array([frame.time_s for frame in self.frames])

    @cached_property
    def spectra(self) -> tuple[Spectrum, ...]:
        """The background of each frame around the vessels."""
        return tuple(
            Spectrum.of(structure(frame.value, frame.free), frame.free * self.around) for frame in self.frames
        )


def table_shifts_px(
    table_mm: npt.ArrayLike | None, pixel_mm: float | None, frames: int | Sequence[float]
) -> Array | None:
    """The table's shift in every frame, (N, 2) pixels (down, right); None where table or scale is unknown."""
    if table_mm is None or pixel_mm is None:
        return None
    count = frames if isinstance(frames, int) else len(frames)
    places = np.asarray(table_mm, dtype=np.float64)
    if places.shape not in ((2,), (count, 2)):
        raise ValueError(f"table_mm has shape {places.shape}, want (2,) or ({count}, 2)")
    return np.broadcast_to(places, (count, 2)) / pixel_mm
