"""A labelled CT made ready for projection: contrast medium and table removed, noise smoothed, tissues apart.

Slices of 2.5 mm turn the noise of a CT into streaks along the patient's axis and its domes into terraces;
soft tissue and air are therefore smoothed and kept on a coarse grid. Bone alone stays as fine as the CT.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.drr import Grid
from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.layered import SOFT_TISSUE

FloatImage = npt.NDArray[np.float32]
HuVolume = npt.NDArray[np.int16]
LabelVolume = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

BLOOD_LIMIT_HU = 90
"""Soft tissue above this is contrast medium."""
BLOOD_HU = 45.0
"""What it is set back to, with a standard deviation of 10."""

_VESSELS = (
    "heart",
    "aorta",
    "pulmonary_vein",
    "atrial_appendage",
    "vena_cava",
    "trunk",
    "artery",
    "vein",
    "carotid",
)
_BONES = ("rib", "vertebra", "sternum", "costal", "clavicula", "scapula", "humerus", "sacrum", "hip", "skull")
_LUNGS = ("lung",)
_GAS_HU = -250
_COARSE = 2  # voxels of the CT per voxel of the soft tissue, across the patient
_SMOOTH_SOFT = (0.5, 1.8, 1.8)  # standard deviations in slices, rows, columns
_SMOOTH_AIR = (0.6, 1.4, 1.4)
_SMOOTH_BONE = (0.45, 1.1, 1.1)
_UNIT = 1e-5


def attenuation_per_mm(hu: npt.NDArray[np.number]) -> FloatImage:
    """Attenuation per mm; bone rises faster than its HU, which a harder beam measured."""
    values = np.asarray(hu, dtype=np.float32)
    relative = np.maximum(1.0 + values / 1000.0, 0.0) + 0.6 * np.maximum(values - 100.0, 0.0) / 1000.0
    return np.asarray(np.float32(SOFT_TISSUE / 1.04) * relative, dtype=np.float32)


def remove_contrast(
    hu: HuVolume, labels: LabelVolume, structures: Mapping[str, int], rng: np.random.Generator
) -> HuVolume:
    """Set contrast medium back to unenhanced blood.

    Parameters
    ----------
    hu, labels
        (slices, rows, columns).
    structures
        Structure number by name.
    rng
        Draws the blood's noise.

    Returns
    -------
    int16, the shape of `hu`
        Every voxel above 90 HU is 45 ± 10 HU, except in bone and within about 2 mm of it; what is
        labelled heart or vessel is reset there too. Bones keep their values.
    """
    vessels = members(labels, structures, _VESSELS)
    bones = members(labels, structures, _BONES)
    near_bone = ndimage.binary_dilation(bones, iterations=3) & ~ndimage.binary_dilation(vessels, iterations=2)
    enhanced = (hu > BLOOD_LIMIT_HU) & ~bones & ~near_bone
    clean = hu.copy()
    clean[enhanced] = np.rint(rng.normal(BLOOD_HU, 10.0, int(enhanced.sum()))).astype(np.int16)
    return clean


def members(labels: LabelVolume, structures: Mapping[str, int], words: tuple[str, ...]) -> Mask:
    """Voxels whose structure's name holds one of the words."""
    table = np.zeros(256, dtype=bool)
    table[[number for name, number in structures.items() if any(word in name for word in words)]] = True
    return np.asarray(table[labels])


def tissue_grids(
    hu: HuVolume, labels: LabelVolume, structures: Mapping[str, int], to_isocentre: Array
) -> tuple[Grid, Grid]:
    """Take the tissues of a CT apart.

    Parameters
    ----------
    hu, labels, structures
        As for `remove_contrast`, which must have cleaned `hu`.
    to_isocentre
        (4, 4), (column, row, slice, 1) to mm about the isocentre.

    Returns
    -------
    coarse
        Two channels: the body without its bones, all its air filled; what that air takes off.
    bone
        One channel: what bone adds to soft tissue.
    """
    body = _body(hu)
    rows, columns = (_extent(np.asarray(body.any(axis=other))) for other in ((0, 2), (0, 1)))
    part = np.s_[:, rows, columns]
    soft, air, bone = _tissues(hu[part], members(labels[part], structures, _LUNGS), body[part])
    bone[~_grown(members(labels[part], structures, _BONES), 3)] = 0.0
    soft -= bone
    soft, air, bone = _smooth(soft, _SMOOTH_SOFT), _smooth(air, _SMOOTH_AIR), _smooth(bone, _SMOOTH_BONE)
    coarse = np.stack([layer[:, ::_COARSE, ::_COARSE] for layer in (soft, air)], axis=-1)
    fine_to_isocentre = to_isocentre.copy()
    fine_to_isocentre[:3, 3] += to_isocentre[:3, :2] @ [columns.start, rows.start]
    coarse_to_isocentre = fine_to_isocentre @ np.diag([_COARSE, _COARSE, 1.0, 1.0])
    return (
        Grid(_counts(coarse), coarse_to_isocentre, _UNIT, 1),
        Grid(_counts(bone[..., None]), fine_to_isocentre, _UNIT, 2),
    )


def _tissues(hu: HuVolume, lungs: Mask, body: Mask) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Attenuation of the body with its air filled, what the air takes off, and what is above soft tissue."""
    gas = ndimage.binary_erosion(body, np.ones((1, 9, 9), dtype=bool)) & (hu < _GAS_HU)
    airy = _grown(lungs, 5) | gas
    found = attenuation_per_mm(hu)
    found[~_grown(body, 3)] = 0.0
    above = found - np.float32(SOFT_TISSUE)
    air = np.where(airy, np.maximum(-above, np.float32(0.0)), np.float32(0.0))
    return found + air, air, np.maximum(above, np.float32(0.0))


def _extent(used: Mask) -> slice:
    """From two before the first to two after the last that is used."""
    found = np.flatnonzero(used)
    return slice(max(int(found[0]) - 2, 0), int(found[-1]) + 3)


def _grown(mask: Mask, width: int) -> Mask:
    """A mask grown within its slices by a square of `width` voxels."""
    return np.asarray(ndimage.binary_dilation(mask, np.ones((1, width, width), dtype=bool)))


def _smooth(per_mm: FloatImage, sigma: tuple[float, float, float]) -> FloatImage:
    return np.asarray(ndimage.gaussian_filter(per_mm, sigma, mode="nearest", truncate=2.5))


def _counts(per_mm: FloatImage) -> npt.NDArray[np.uint16]:
    return np.ascontiguousarray(np.rint(per_mm / np.float32(_UNIT)).astype(np.uint16))


def _body(hu: HuVolume) -> Mask:
    """The patient without table and air around: the largest solid, its holes filled slice by slice."""
    solid = ndimage.binary_opening(hu > -350, np.ones((1, 5, 5), dtype=bool))
    parts, count = ndimage.label(solid)
    if not count:
        return np.ones(hu.shape, dtype=bool)
    sizes = np.bincount(parts.ravel())
    body = parts == 1 + int(np.argmax(sizes[1:]))
    return np.stack([ndimage.binary_fill_holes(part) for part in body])
