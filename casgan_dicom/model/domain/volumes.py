"""Pictures of a CT volume that are no coronary angiogram: slices, a whole chest, its upper corner, its side.

Lines of sight are parallel: enough for a picture that only has to be unlike a heart seen by a C-arm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.domain.canvas import Picture, stretched
from casgan_dicom.model.domain.patterns import Rng
from casgan_dicom.model.simulator.ct_volume import attenuation_per_mm

COARSE_MM = 2.5
"""Side of a voxel that pictures of the whole chest are made from."""
_WINDOWS_HU = ((40, 400), (-600, 1500), (400, 1800), (50, 150))
"""Centre and width: soft tissue, lung, bone, narrow."""


@dataclass(frozen=True)
class Volume:
    """A CT, in voxels of one size."""

    hu: npt.NDArray[np.float32]
    """(slices, rows, columns) from foot to head, front to back, the patient's right to left."""
    per_mm: npt.NDArray[np.float32]
    """Attenuation of every voxel."""

    @classmethod
    def of(cls, hu: npt.NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> Volume:
        """Bring a volume (slices, rows, columns) with such spacings to voxels of `COARSE_MM`."""
        zoom = [spacing / COARSE_MM for spacing in spacing_mm]
        coarse = ndimage.zoom(np.clip(hu, -1024, 2000).astype(np.float32), zoom, order=1)
        return cls(coarse, attenuation_per_mm(coarse))

    def slices(self, rng: Rng, size: int) -> Picture:
        """A slice across one of the axes in a usual window, zoomed somewhat."""
        axis = int(rng.choice(3, p=(0.6, 0.2, 0.2)))
        count = self.hu.shape[axis]
        picture = np.take(self.hu, int(rng.integers(count // 6, count - count // 6)), axis=axis)
        if axis:
            picture = picture[::-1]
        centre, width = _WINDOWS_HU[int(rng.integers(len(_WINDOWS_HU)))]
        shown = np.clip((picture - centre) / width + 0.5, 0, 1)
        return _squared(shown, size, float(rng.uniform(0.75, 1.1)), rng, fill=0.0)

    def whole(self, rng: Rng, size: int) -> Picture:
        """The whole chest from the front or the side, as a radiograph shows it."""
        light = self._light(rng, 1 if rng.random() < 0.7 else 2)
        return _squared(_shown(light, rng), size, float(rng.uniform(0.9, 1.1)), rng)

    def corner(self, rng: Rng, size: int) -> Picture:
        """One of the upper corners from the front: shoulder, collar bone, tip of a lung, air."""
        light = self._light(rng, 1)
        rows, columns = light.shape
        side = int(rng.uniform(0.35, 0.45) * columns)
        cut = light[: int(rng.uniform(0.4, 0.6) * rows), :side]
        if rng.random() < 0.5:
            cut = light[: cut.shape[0], -side:]
        return _squared(_shown(cut, rng), size, 1.0, rng)

    def _light(self, rng: Rng, axis: int) -> Picture:
        """Light behind the volume, head up, turned a little about the patient's axis."""
        turned = self.per_mm
        if rng.random() < 0.5:
            turn = float(rng.normal(0, 10))
            turned = ndimage.rotate(turned, turn, axes=(1, 2), reshape=False, order=1, mode="constant")
        depth = turned.sum(axis=axis) * COARSE_MM
        return np.asarray(np.exp(-depth)[::-1], dtype=np.float64)


def _shown(light: Picture, rng: Rng) -> Picture:
    """On a display: linear, or by its logarithm, as detectors for radiographs have it."""
    values = light if rng.random() < 0.4 else np.log(light + np.exp(-float(rng.uniform(4, 7))))
    return stretched(values, float(rng.uniform(0, 2)), float(rng.uniform(97, 100)))


def _squared(
    picture: npt.NDArray[np.floating], size: int, zoom: float, rng: Rng, fill: float | None = None
) -> Picture:
    """Cut or filled up to a square about the middle, and brought to a size."""
    side = int(max(picture.shape) / zoom)
    pads = [max(0, side - n) for n in picture.shape]
    mode = {"mode": "edge"} if fill is None else {"mode": "constant", "constant_values": fill}
    whole = np.pad(picture, [(p // 2, p - p // 2) for p in pads], **mode)
    off = [int(rng.integers(0, n - side + 1)) for n in whole.shape]
    cut = whole[off[0] : off[0] + side, off[1] : off[1] + side]
    return np.asarray(np.clip(ndimage.zoom(cut, size / side, order=1, grid_mode=True, mode="nearest"), 0, 1))
