"""Cone-beam line integrals through voxel volumes, plane by plane, of patients that are bent copies of them.

The planes of the voxel axis that lies closest to the beam are crossed one after the other; in each, every
ray reads four neighbours. That is exact for linear interpolation in the plane and needs no sorting of rays.
A bent patient bends the rays instead of the voxels: one ray every 8 mm is followed through the volume
exactly, cut at every 24th plane, and the rays between run straight from cut to cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.geometry import Array, View

FloatImage = npt.NDArray[np.float32]
Warp = Callable[[Array], Array]
"""Points (..., 3) of the patient, mm, to where they are in the volume, mm about the isocentre."""

_NODE_MM = 8.0  # on the detector
_CUT_PLANES = 24
_STEP_MM = 16.0
_REACH_MM = 336.0
_PACKED = {2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxels with one or more values each."""

    values: npt.NDArray[np.generic]
    """(slices, rows, columns, channels), real, contiguous; a voxel is read at once: 2, 4 or 8 bytes."""
    voxel_to_isocentre: Array
    """(4, 4): (column, row, slice, 1) to mm about the isocentre."""
    unit: float
    """What one unit of `values` means, per mm."""
    stride: int
    """Planes from one reading to the next along the beam."""

    @cached_property
    def flat(self) -> npt.NDArray[np.generic]:
        """(voxels,), the channels of each packed into one number."""
        return self.values.reshape(-1).view(_PACKED[self.values.itemsize * self.values.shape[3]])

    @cached_property
    def occupied(self) -> tuple[range, range]:
        """Columns, rows between the first and the last that hold anything."""
        rows = (self.values != 0).any(axis=(0, 2, 3))
        columns = (self.values != 0).any(axis=(0, 1, 3))
        return _extent(columns), _extent(rows)


def straight(points: Array) -> Array:
    """The warp of a patient who is the volume itself."""
    return points


def line_integrals(grid: Grid, view: View, warp: Warp) -> list[FloatImage]:
    """Integrate every channel of a grid along the rays of a view.

    Parameters
    ----------
    grid
        Where outside begins, the outermost voxels are repeated along all axes but the beam's.
    view
        Source, rays and image size.
    warp
        Where the patient's points lie in the grid; smooth over about 16 mm, never folding.

    Returns
    -------
    list of float32 (size, size)
        One per channel; value times mm of the patient.
    """
    apart = max(1, int(_NODE_MM / view.pixel_mm))
    nodes = np.append(np.arange(0, view.size - 1, apart), view.size - 1)
    way = np.arange(-_REACH_MM, _REACH_MM + 1, _STEP_MM) + view.source_isocentre_mm
    points = view.source() + way[:, None, None, None] * view.pixel_rays()[nodes[:, None], nodes]
    from_mm = np.linalg.inv(grid.voxel_to_isocentre)
    voxels = np.moveaxis(warp(points) @ from_mm[:3, :3].T + from_mm[:3, 3], -1, 0)  # (3, steps, n, n)
    main = int(np.argmax(np.abs((voxels[:, -1] - voxels[:, 0]).mean(axis=(1, 2)))[:2]))
    planes = grid.occupied[main]
    sums = np.zeros((grid.values.shape[3], view.size**2), dtype=np.float32)
    if not len(planes):
        return [channel.reshape(view.size, view.size) for channel in sums]
    cuts = np.arange(planes.start, planes.stop + _CUT_PLANES, _CUT_PLANES)
    knots = _knots(voxels, way, main, cuts)
    spread = _spread(nodes, view.size)
    crossing = _Crossing.of(grid, main)
    near = _between_nodes(knots[:, 0], spread)
    for first, knot in zip(cuts[:-1], np.moveaxis(knots[:, 1:], 1, 0), strict=True):
        far = _between_nodes(knot, spread)
        inside = range(int(first), min(int(first) + _CUT_PLANES, planes.stop), grid.stride)
        part = crossing.add(inside, near, (far - near) / np.float32(_CUT_PLANES))
        sums += part * (np.abs(far[2] - near[2]) * np.float32(grid.unit * grid.stride / _CUT_PLANES))
        near = far
    return [channel.reshape(view.size, view.size) for channel in sums]


def _extent(used: npt.NDArray[np.bool_]) -> range:
    """From one before the first to one after the last that is used."""
    found = np.flatnonzero(used)
    if not found.size:
        return range(0)
    return range(max(int(found[0]) - 1, 0), min(int(found[-1]) + 2, used.size))


def _knots(voxels: Array, way: Array, main: int, cuts: npt.NDArray[np.int64]) -> Array:
    """Where the rays cross planes of the main axis: (across, slice, mm from the source), (3, cuts, n, n)."""
    rising = voxels[main, -1].mean() > voxels[main, 0].mean()
    mm = np.broadcast_to(way[:, None, None], voxels[main].shape)
    ordered = np.stack([voxels[main], voxels[1 - main], voxels[2], mm])[:, :: 1 if rising else -1]
    along, columns = ordered[0], ordered[1:]
    found = []
    for plane in cuts:
        low = np.clip((along <= plane).sum(axis=0) - 1, 0, len(way) - 2)[None]
        a, b = np.take_along_axis(along, low, 0)[0], np.take_along_axis(along, low + 1, 0)[0]
        share = np.clip((plane - a) / np.maximum(b - a, 1e-6), 0.0, 1.0)
        start = np.take_along_axis(columns, low[None], 1)[:, 0]
        found.append(start + share * (np.take_along_axis(columns, low[None] + 1, 1)[:, 0] - start))
    return np.stack(found, axis=1)


def _spread(nodes: npt.NDArray[np.int64], size: int) -> FloatImage:
    """Linear interpolation from nodes to pixels as a matrix, (size, nodes)."""
    unit = np.eye(len(nodes))
    return np.stack([np.interp(np.arange(size), nodes, row) for row in unit], axis=1).astype(np.float32)


def _between_nodes(knot: Array, spread: FloatImage) -> FloatImage:
    """Images of one knot at every pixel, float32 (3, pixels)."""
    return np.asarray(spread @ knot.astype(np.float32) @ spread.T).reshape(3, -1)


@dataclass(frozen=True)
class _Crossing:
    """How planes of one voxel axis lie in memory."""

    grid: Grid
    steps: tuple[int, int, int]
    """Distance in `grid.flat` between neighbours along the plane's two axes and along the beam."""
    ends: tuple[int, int]
    """Last index along the plane's two axes."""

    @classmethod
    def of(cls, grid: Grid, main: int) -> _Crossing:
        slices, rows, columns = grid.values.shape[:3]
        strides, counts = (1, columns, rows * columns), (columns, rows, slices)
        across = 1 - main
        return cls(grid, (strides[across], strides[2], strides[main]), (counts[across] - 1, counts[2] - 1))

    def add(self, planes: range, start: FloatImage, slope: FloatImage) -> FloatImage:
        """Sum the values met in some planes, (channels, pixels).

        `start` and `slope`, (3, pixels), are plane coordinates in the first plane and their gain per plane.
        """
        channels, dtype = self.grid.values.shape[3], self.grid.values.dtype
        sums = np.zeros((channels, start.shape[1]), dtype=np.float32)
        a, b, _ = self.steps
        for plane in planes:
            index = np.full(start.shape[1], plane * self.steps[2], dtype=np.intp)
            part = []
            for axis, (end, step) in enumerate(zip(self.ends, self.steps, strict=False)):
                position = start[axis] + np.float32(plane - planes.start) * slope[axis]
                np.clip(position, np.float32(0.0), np.float32(end - 1e-3), out=position)
                whole = position.astype(np.int32)
                index += whole * np.int32(step)
                position -= whole
                part.append(position)
            packed = [self.grid.flat.take(index + offset).view(dtype) for offset in (0, a, b, a + b)]
            for channel in range(channels):
                corners = [corner[channel::channels].astype(np.float32) for corner in packed]
                sums[channel] += _between(corners, part)
        return sums


def _between(corners: list[FloatImage], part: list[FloatImage]) -> FloatImage:
    """Linear interpolation in a plane; uses up the corners."""
    low, along, high, beyond = corners
    along -= low
    along *= part[0]
    low += along
    beyond -= high
    beyond *= part[0]
    high += beyond
    high -= low
    high *= part[1]
    low += high
    return low
