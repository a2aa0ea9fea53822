"""Ribs and spine, line integrals above soft tissue; everything that does not move within a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.solids import Rays, intersect, length
from casgan_dicom.model.simulator.tubes import draw_tube

FloatImage = npt.NDArray[np.float32]

_MARROW = 0.0085  # above soft tissue, per mm at 60 to 65 keV
_CORTEX = 0.030
_SHELL_MM = 1.0
_RIB_CORTEX = 0.017
_RIB_MARROW = 0.0032
_LEVELS = range(-5, 6)
_CARTILAGE = 0.0022


@dataclass(frozen=True)
class Thorax:
    """Where the bony cage stands, patient mm."""

    midline: float = -22.0
    """x of the spine."""
    spine: float = 72.0
    """y of the vertebral bodies' centres."""
    half_width: float = 135.0
    """Half the inner width of the rib cage."""
    half_depth: float = 92.0
    """Half the inner depth of the rib cage."""
    centre: float = 12.0
    """y of the rib cage's centre."""
    pitch: float = 25.0
    """Distance between vertebrae."""
    phase: float = 0.0
    """z of one disc."""
    density: float = 1.0
    """Bone mineral relative to a healthy adult."""
    lean: float = 0.0
    """Sideways mm of the spine per mm of height."""
    bow: float = 0.0
    """Sideways mm of the spine 100 mm above and below the isocentre."""

    def spine_at(self, z: float) -> tuple[Array, Array]:
        """The spine's centre at a height, (3,), and the unit vector along it."""
        point = np.array(
            [self.midline + self.lean * z + self.bow * (z / 100.0) ** 2, self.spine + 0.0006 * z**2, z]
        )
        along = np.array([self.lean + 0.0002 * self.bow * z, 0.0012 * z, 1.0])
        return point, np.asarray(along / np.linalg.norm(along))


@dataclass(frozen=True)
class _Bone:
    """Adds solids to an image, each only where it can be seen."""

    image: FloatImage
    view: View
    rays: Rays

    def add(self, centre: Array, reach_mm: float, draw: Callable[[Rays], FloatImage]) -> None:
        rows, columns = _around(self.view, centre, reach_mm)
        if rows.start < rows.stop and columns.start < columns.stop:
            self.image[rows, columns] += draw(self.rays.part(rows, columns))

    def shell(self, centre: Array, axes: Array, semi: tuple[float, float, float], weight: float) -> None:
        """An ellipsoid of marrow with a cortical shell."""

        def draw(rays: Rays) -> FloatImage:
            whole = length(rays.ellipsoid(centre, axes, semi))
            marrow = length(rays.ellipsoid(centre, axes, np.asarray(semi) - _SHELL_MM))
            return np.float32(_MARROW * weight) * marrow + np.float32(_CORTEX * weight) * (whole - marrow)

        self.add(centre, max(semi), draw)


def _around(view: View, centre: Array, reach_mm: float) -> tuple[slice, slice]:
    """Rows and columns that see a sphere."""
    pixel, scale = view.project(centre)
    reach = 1.1 * reach_mm * float(scale) + 2.0
    low, high = np.clip([pixel - reach, pixel + reach + 1.0], 0, view.size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def draw_spine(rng: np.random.Generator, view: View, thorax: Thorax, soft_px: float) -> FloatImage:
    """Line integral of eleven vertebrae with their processes, softened by `soft_px`, float32 (size, size)."""
    bone = _Bone(np.zeros((view.size, view.size), dtype=np.float32), view, Rays.of(view))
    size = rng.uniform(15.0, 17.5)
    for level in _LEVELS:
        centre, along = thorax.spine_at(thorax.phase + (level + 0.5) * thorax.pitch)
        along = along + np.append(rng.normal(0.0, 0.03, 2), 0.0)
        _vertebra(rng, bone, centre, along / np.linalg.norm(along), (size + 0.25 * -level, thorax.pitch))
    return np.asarray(
        np.float32(thorax.density) * ndimage.gaussian_filter(bone.image, soft_px, mode="nearest")
    )


def _vertebra(
    rng: np.random.Generator, bone: _Bone, centre: Array, along: Array, size: tuple[float, float]
) -> None:
    """A body with waist and end plates, arch, articular, transverse and spinous processes."""
    width, pitch = size[0] * rng.uniform(0.97, 1.03), size[1]
    half = pitch * rng.uniform(0.385, 0.415)
    left = np.cross([0.0, 1.0, 0.0], along)
    left /= np.linalg.norm(left)
    back = np.cross(along, left)
    axes = np.stack([left, back, along])
    body = (width, half, pitch, _CORTEX * rng.uniform(0.15, 0.4))
    bone.add(centre, 1.6 * width, lambda rays: _body(rays, centre, axes, body))

    def place(x: float, y: float, z: float) -> Array:
        return np.asarray(centre + np.array([x, y, z]) @ axes)

    bone.shell(place(0.0, width + 26.0, -9.0), axes, (2.8, 13.0, 7.0), 0.3)  # spinous process
    for side in (-1.0, 1.0):
        bone.shell(
            place(side * width * 0.68, width + 2.0, half * 0.35), axes, (3.4, 6.0, 5.4), 0.5
        )  # pedicle
        bone.shell(place(side * width * 0.85, width + 13.0, 0.0), axes, (4.5, 4.0, 0.6 * pitch), 0.3)
        bone.shell(place(side * 25.0, width + 13.0, half * 0.3), axes, (13.0, 4.5, 4.5), 0.35)


def _body(rays: Rays, centre: Array, axes: Array, size: tuple[float, float, float, float]) -> FloatImage:
    """A vertebral body: waist, wider rims and dense plates at both ends; `size` is half the width,
    half the height, the distance of vertebrae, all mm, and the plates' attenuation."""
    width, half, pitch, plates = size

    def cylinder(grow: float, offset: float, thickness: float) -> FloatImage:
        semi = (width + grow, 0.85 * width + grow, np.inf)
        slab = rays.slab(centre + offset * axes[2], axes[2], thickness / 2)
        return length(intersect(rays.ellipsoid(centre, axes, semi), slab))

    whole, marrow = cylinder(-1.6, 0.0, 2 * half), cylinder(-1.6 - _SHELL_MM, 0.0, 2 * half)
    image = np.float32(0.3 * _MARROW) * marrow + np.float32(0.3 * _CORTEX) * (whole - marrow)
    image += np.float32(0.7 * _MARROW) * cylinder(-1.0, 0.0, pitch + 1.0)  # discs with calcium and spurs
    for end in (-1.0, 1.0):
        image += np.float32(0.25 * _MARROW) * cylinder(0.0, end * (half - 2.5), 5.0)
        plate, inner = (cylinder(grow, end * (half - 0.8), 1.6) for grow in (1.0, -2.0))
        image += np.float32(plates) * (plate - np.float32(0.6) * inner)
    return np.asarray(image)


def draw_ribs(rng: np.random.Generator, view: View, thorax: Thorax, soft_px: float) -> FloatImage:
    """Line integral of the ribs, float32 (size, size): arcs from the spine, sloping down to the front.

    Their anterior ends go on as cartilage that bends upwards; in some patients it holds calcium.
    """
    image = np.zeros((view.size, view.size), dtype=np.float32)
    slope, calcium = rng.uniform(55.0, 105.0), _CARTILAGE * float(rng.choice([1.0, 1.0, 2.2]))
    weight = thorax.density * rng.uniform(0.45, 1.0)
    cortex, marrow = _RIB_CORTEX * weight, _RIB_MARROW * weight
    for level in range(-5, 9):
        z0 = thorax.phase + level * thorax.pitch + 6.0
        for side in (-1.0, 1.0):
            end = rng.uniform(118.0, 138.0)
            path = _arc(rng, thorax, side, (10.0, end), (z0, slope))
            turn = np.linspace(0.0, 1.0, len(path))
            radius = rng.uniform(3.5, 4.6) * (0.8 + 0.25 * np.sin(np.pi * turn) + 0.2 * turn)
            bone = np.clip((1.0 - turn) / 0.15, 0.0, 1.0) * rng.uniform(0.7, 1.2)
            draw_tube(image, view, path, radius, cortex * bone)
            draw_tube(image, view, path, radius - 0.75, (marrow - cortex) * bone)
            front = path[-1] + np.linspace(0.0, 1.0, 9)[:, None] * (
                np.array([-0.75 * side * 60.0, -8.0, rng.uniform(5.0, 28.0)])
            )
            draw_tube(image, view, front, radius[-1], calcium)
    return np.asarray(ndimage.gaussian_filter(np.maximum(image, np.float32(0.0)), soft_px, mode="nearest"))


def _arc(
    rng: np.random.Generator,
    thorax: Thorax,
    side: float,
    turn_deg: tuple[float, float],
    height: tuple[float, float],
) -> Array:
    """One rib's centre line, (48, 3); `height` is z at the spine and how far the front lies lower."""
    turn = np.deg2rad(np.linspace(*turn_deg, 48))
    wobble = ndimage.gaussian_filter1d(rng.normal(0.0, 6.0, len(turn)), 6.0)
    width = thorax.half_width * (1.0 - 0.0012 * abs(height[0] + 30.0))
    x = thorax.midline + side * width * np.sin(turn)
    y = thorax.centre + thorax.half_depth * np.cos(turn)
    z = height[0] + 9.0 * np.sin(turn) - height[1] * (1.0 - np.cos(turn)) / 2 + wobble
    return np.stack([x, y, z], axis=1)
