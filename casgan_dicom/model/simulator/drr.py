"""Cone-beam line integrals through voxel volumes, plane by plane.

The planes of the voxel axis that lies closest to the beam are crossed one after the other; in each, every
ray reads four neighbours. That is exact for linear interpolation in the plane and needs no sorting of rays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array, View

FloatImage = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Voxels with one or more values each."""

    values: npt.NDArray[np.generic]
    """(channels, slices, rows, columns), any real dtype, contiguous."""
    voxel_to_isocentre: Array
    """(4, 4): (column, row, slice, 1) to mm about the isocentre, before the patient is reshaped."""
    unit: float
    """What one unit of `values` means, per mm."""
    stride: int
    """Planes from one reading to the next along the beam."""


def line_integrals(grid: Grid, view: View, shape: Array) -> list[FloatImage]:
    """Integrate every channel of a grid along the rays of a view.

    Parameters
    ----------
    grid
        Where outside begins, the outermost voxels are repeated along all axes but the beam's.
    view
        Source, rays and image size.
    shape
        (3, 3), maps the grid's mm about the isocentre to the patient's mm.

    Returns
    -------
    list of float32 (size, size)
        One per channel; value times mm.
    """
    to_voxel = np.linalg.inv(grid.voxel_to_isocentre[:3, :3]) @ np.linalg.inv(shape)
    origin = np.linalg.inv(grid.voxel_to_isocentre) @ np.append(np.linalg.inv(shape) @ view.source(), 1.0)
    rays = (view.pixel_rays().reshape(-1, 3) @ to_voxel.T).T  # (3, pixels): column, row, slice per mm
    main = int(np.argmax(np.abs(rays.mean(axis=1))[:2]))  # the beam runs along rows or columns, not slices
    along = rays[main]
    counts = grid.values.shape[:0:-1]  # columns, rows, slices
    crossing = _Crossing.of(grid, origin, rays, main)
    sums = np.zeros((len(grid.values), along.size), dtype=np.float32)
    for plane in _occupied(grid, main, counts[main]):
        crossing.add(plane, sums)
    sums *= (grid.unit * grid.stride / np.abs(along)).astype(np.float32)
    return [channel.reshape(view.size, view.size) for channel in sums]


def _occupied(grid: Grid, main: int, count: int) -> range:
    """The planes between the first and the last that hold anything."""
    other = (0, 1, 3) if main == 1 else (0, 1, 2)
    used = np.flatnonzero((grid.values != 0).any(axis=other))
    if not used.size:
        return range(0)
    return range(max(int(used[0]) - 1, 0), min(int(used[-1]) + 2, count), grid.stride)


@dataclass(frozen=True)
class _Crossing:
    """Where all rays cross the planes of one voxel axis."""

    flat: npt.NDArray[np.generic]
    """(channels, voxels)."""
    main: int
    steps: tuple[int, int, int]
    """Distance in `flat` between neighbours along the plane's two axes and along the beam."""
    ends: tuple[int, int]
    """Last index along the plane's two axes."""
    start: tuple[FloatImage, FloatImage]
    """Plane coordinates of each ray where the beam's coordinate is 0."""
    slope: tuple[FloatImage, FloatImage]
    """Plane coordinates gained per plane."""

    @classmethod
    def of(cls, grid: Grid, origin: Array, rays: Array, main: int) -> _Crossing:
        channels, _, rows, columns = grid.values.shape
        strides = (1, columns, rows * columns)  # along column, row, slice
        across, slices = 1 - main, 2
        slope = [rays[axis] / rays[main] for axis in (across, slices)]
        start = [
            origin[axis] - origin[main] * gain for axis, gain in zip((across, slices), slope, strict=True)
        ]
        counts = grid.values.shape[:0:-1]  # columns, rows, slices
        return cls(
            flat=grid.values.reshape(channels, -1),
            main=main,
            steps=(strides[across], strides[slices], strides[main]),
            ends=(counts[across] - 1, counts[slices] - 1),
            start=(start[0].astype(np.float32), start[1].astype(np.float32)),
            slope=(slope[0].astype(np.float32), slope[1].astype(np.float32)),
        )

    def add(self, plane: int, sums: FloatImage) -> None:
        """Add the values met in one plane, (channels, pixels)."""
        index = np.full(sums.shape[1], plane * self.steps[2], dtype=np.intp)
        next_step, part = [], []
        for start, slope, end, step in zip(self.start, self.slope, self.ends, self.steps, strict=False):
            position = np.clip(start + np.float32(plane) * slope, 0.0, np.float32(end) - np.float32(1e-3))
            whole = position.astype(np.int32)
            index += whole * step
            part.append((position - whole).astype(np.float32))
            next_step.append(step)
        u, v = part
        a, b = next_step
        for channel, values in enumerate(self.flat):
            low = _between(values.take(index), values.take(index + a), u)
            high = _between(values.take(index + b), values.take(index + (a + b)), u)
            sums[channel] += low + v * (high - low)


def _between(
    first: npt.NDArray[np.generic], second: npt.NDArray[np.generic], share: FloatImage
) -> FloatImage:
    """Linear interpolation in float32."""
    start = first.astype(np.float32)
    return np.asarray(start + share * (second.astype(np.float32) - start))
