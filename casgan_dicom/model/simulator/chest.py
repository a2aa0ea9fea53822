"""A made-up chest: where trunk, lungs, mediastinum and diaphragm are, and the air between them.

The air is a small voxel volume (3 mm) made from signed distances to ellipsoids whose surfaces a smooth
random field dents, so that hearts and diaphragms look grown, not turned on a lathe. Patient millimetres
(geometry.py), the isocentre in the heart's centre, breathed out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.drr import Grid
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.layered import LUNG, SOFT_TISSUE
from casgan_dicom.model.simulator.lungs import Ellipsoid
from casgan_dicom.model.simulator.skeleton import Thorax

FloatVolume = npt.NDArray[np.float32]

_VOXEL_MM = 3.0
_LOWER = np.array([-190.0, -115.0, -150.0])  # x, y, z of the first voxel
_SHAPE = (103, 80, 116)  # slices, rows, columns
_EDGE_MM = 0.9
_WALL_MM = 4.0  # between a bubble and the lung
_FAT_MM = 3.0
"""Pericardium and fat around the heart's ellipsoid."""


@dataclass(frozen=True)
class Chest:
    """One patient's organs."""

    thorax: Thorax
    trunk: Ellipsoid
    """An elliptic cylinder: its half length along z is infinite."""
    lungs: tuple[Ellipsoid, Ellipsoid]
    """Right, left."""
    domes: tuple[Ellipsoid, ...]
    """Diaphragm with liver and stomach under it: right, left, then a lower slip behind each."""
    gas: tuple[Ellipsoid, ...]
    """Bubbles in stomach and bowel under the left dome."""
    mediastinum: tuple[Ellipsoid, ...]
    """Great vessels, hila, and what surrounds the spine."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Chest:
        """Draw a body: build, depth of the spine, height of the diaphragm."""
        build = rng.uniform(0.92, 1.1)
        thorax = Thorax(
            midline=rng.normal(-24.0, 5.0),
            spine=rng.uniform(66.0, 82.0) * build,
            half_width=132.0 * build,
            half_depth=93.0 * build,
            centre=rng.normal(12.0, 3.0),
            pitch=rng.uniform(23.0, 28.0),
            phase=rng.uniform(-13.0, 13.0),
            density=rng.uniform(0.7, 1.3),
            lean=rng.normal(0.0, 0.05),
            bow=rng.normal(0.0, 5.0),
        )
        width, depth = (
            thorax.half_width + rng.uniform(12.0, 40.0),
            thorax.half_depth + rng.uniform(9.0, 30.0),
        )
        trunk = Ellipsoid(_at(thorax.midline, thorax.centre + 6.0, 0.0), _at(width, depth, np.inf))
        domes = _domes(rng, thorax)
        return cls(thorax, trunk, _lungs(rng, thorax), domes, _gas(rng, domes[1]), _mediastinum(rng, thorax))

    def hilum(self, side: float) -> Array:
        """Where the vessels enter a lung, (3,); `side` is -1 right, +1 left."""
        return _at(self.thorax.midline + side * 38.0, 18.0, 36.0)

    def air(self, rng: np.random.Generator, heart: Heart) -> Grid:
        """What the air in the lungs takes off soft tissue, one channel."""
        x, y, z = (
            (_LOWER[axis] + _VOXEL_MM * np.arange(_SHAPE[2 - axis], dtype=np.float32)) for axis in range(3)
        )
        x, y, z = x[None, None, :], y[None, :, None], z[:, None, None]
        lungs = np.maximum(*(_inside(lung, x, y, z) for lung in self.lungs))
        organs = _heart_inside(heart, x, y, z)
        for body in (*self.domes, *self.mediastinum):
            organs = np.maximum(organs, _inside(body, x, y, z))
        broad = _dents(rng, 5.0, 1.8)
        organs += broad + _dents(rng, 1.6, 0.35)
        air = _share(np.minimum(lungs - broad, -organs)) * np.clip(1.0 + _dents(rng, 6.0, 0.05), 0.7, 1.3)
        air *= np.float32(SOFT_TISSUE - LUNG)
        for bubble in self.gas:
            depth = np.minimum(_inside(bubble, x, y, z) + broad, organs - np.float32(_WALL_MM))
            air += np.float32(SOFT_TISSUE) * _share(depth)
        to_isocentre = np.diag([_VOXEL_MM, _VOXEL_MM, _VOXEL_MM, 1.0])
        to_isocentre[:3, 3] = _LOWER
        return Grid(np.ascontiguousarray(air[..., None], dtype=np.float32), to_isocentre, 1.0, 1)


def _at(x: float, y: float, z: float) -> Array:
    return np.array([x, y, z])


def _lungs(rng: np.random.Generator, thorax: Thorax) -> tuple[Ellipsoid, Ellipsoid]:
    """Both lungs, broad at the base."""
    half = thorax.half_width - 6.0
    semi = _at(half * 0.54, thorax.half_depth - 6.0, rng.uniform(150.0, 175.0))
    right, left = (
        Ellipsoid(_at(thorax.midline + side * half * 0.5, thorax.centre + 4.0, 15.0), semi)
        for side in (-1, 1)
    )
    return right, left


def _domes(rng: np.random.Generator, thorax: Thorax) -> tuple[Ellipsoid, ...]:
    """The diaphragm's two halves, the right one higher, and behind each a lower slip: a double contour."""
    left_top = rng.uniform(-58.0, -28.0)
    tops = (left_top + rng.uniform(2.0, 16.0), left_top)
    domes, slips = [], []
    for side, top in zip((-1.0, 1.0), tops, strict=True):
        semi = _at(rng.uniform(66.0, 88.0), rng.uniform(75.0, 100.0), 95.0)
        centre = _at(thorax.midline + side * rng.uniform(60.0, 74.0), thorax.centre - 8.0, top - 95.0)
        domes.append(Ellipsoid(centre, semi))
        aside = _at(side * rng.uniform(0.0, 22.0), rng.uniform(18.0, 40.0), -rng.uniform(6.0, 20.0))
        slips.append(Ellipsoid(centre + aside, semi * rng.uniform(0.82, 1.05, 3) * [1.0, 0.75, 1.0]))
    return (*domes, *slips)


def _gas(rng: np.random.Generator, dome: Ellipsoid) -> tuple[Ellipsoid, ...]:
    """The stomach's bubble in six patients of ten, a piece of colon in every second one."""
    top = dome.centre[2] + dome.semi[2]
    bubbles = []
    if rng.random() < 0.6:
        semi = _at(*rng.uniform((16.0, 16.0, 8.0), (38.0, 36.0, 26.0)))
        place = dome.centre[:2] + rng.normal((-8.0, 0.0), 14.0)
        bubbles.append(Ellipsoid(np.append(place, top - rng.uniform(6.0, 16.0) - semi[2]), semi))
    if rng.random() < 0.5:
        start = _at(dome.centre[0] + rng.uniform(-50.0, 30.0), rng.uniform(-60.0, 20.0), top - 40.0)
        for _ in range(int(rng.integers(2, 6))):  # haustra in a row
            bubbles.append(Ellipsoid(start.copy(), rng.uniform(9.0, 18.0, 3)))
            start += _at(rng.uniform(12.0, 22.0), rng.normal(0.0, 5.0), rng.normal(-4.0, 8.0))
    return tuple(bubbles)


def _mediastinum(rng: np.random.Generator, thorax: Thorax) -> tuple[Ellipsoid, ...]:
    """Soft bodies between the lungs, each given by centre and half lengths relative to the midline."""
    mid, spine = thorax.midline, thorax.spine
    table = (
        ((0.0, spine + 2.0, 0.0), (25.0, 30.0, 400.0)),  # spine and its muscles
        ((16.0, spine - 22.0, 0.0), (14.0, 14.0, 190.0)),  # descending aorta
        ((2.0, 20.0, -20.0), (16.0, 45.0, 150.0)),  # oesophagus and fat
        ((-8.0, -12.0, 58.0), (24.0, 26.0, 62.0)),  # ascending aorta and superior caval vein
        ((22.0, 22.0, 78.0), (15.0, 24.0, 17.0)),  # aortic knob
        ((26.0, -4.0, 46.0), (20.0, 24.0, 18.0)),  # pulmonary trunk
        ((-24.0, 10.0, -6.0), (24.0, 34.0, 40.0)),  # right atrium
        ((-34.0, 18.0, 34.0), (13.0, 14.0, 18.0)),  # right hilum
        ((36.0, 20.0, 40.0), (12.0, 14.0, 15.0)),  # left hilum
    )
    bodies = []
    for centre, semi in table:
        place = np.asarray(centre) + _at(mid, 0.0, 0.0) + rng.normal(0.0, 3.0, 3)
        bodies.append(Ellipsoid(place, np.asarray(semi) * rng.uniform(0.88, 1.14)))
    return tuple(bodies)


def _inside(body: Ellipsoid, x: FloatVolume, y: FloatVolume, z: FloatVolume) -> FloatVolume:
    """About how deep each voxel lies in an ellipsoid, mm, negative outside."""
    a, b, c = (np.float32(1.0 / semi) for semi in body.semi)
    u, v, w = (np.float32(centre) for centre in body.centre)
    return _depth(((x - u) * a) ** 2 + ((y - v) * b) ** 2 + ((z - w) * c) ** 2, float(body.semi.min()))


def _heart_inside(heart: Heart, x: FloatVolume, y: FloatVolume, z: FloatVolume) -> FloatVolume:
    """The same for the tilted heart with its fat."""
    radius2 = np.zeros((1, 1, 1), dtype=np.float32)
    for axis, semi in zip(heart.axes, heart.semi_axes_mm, strict=True):
        e = (axis / (semi + _FAT_MM)).astype(np.float32)
        radius2 = radius2 + (x * e[0] + y * e[1] + z * e[2]) ** 2
    return _depth(radius2, min(heart.semi_axes_mm))


def _depth(radius2: FloatVolume, shortest_mm: float) -> FloatVolume:
    """Depth in mm from the squared relative radius."""
    return np.asarray((np.float32(1.0) - np.sqrt(radius2)) * np.float32(shortest_mm))


def _share(depth: FloatVolume) -> FloatVolume:
    """How much of a voxel lies inside, from its depth in mm."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(depth / np.float32(_EDGE_MM), -30.0, 30.0))))


def _dents(rng: np.random.Generator, sigma_voxels: float, height: float) -> FloatVolume:
    """A smooth random field of a given standard deviation."""
    noise = rng.standard_normal(_SHAPE, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, sigma_voxels, mode="wrap", truncate=2.5)
    return np.asarray(noise * np.float32(height / noise.std()))
