"""A chest from a labelled CT: cone-beam projections that beat, breathe and differ from run to run.

The volume is cleaned once: contrast medium is set back to blood, air around the body to nothing. A run
then takes one projection through a randomly stretched and turned copy of the patient, in two layers: the
body with its lungs filled, which stays, and the air in the lungs, whose border is the heart's and the
diaphragm's outline. Frames bend the air by a smooth field, so that organs move and never come apart.
Slices of 2.5 mm are smoother than an X-ray picture: sharp vessels, texture and clutter are drawn on top.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.background import Background
from casgan_dicom.model.simulator.clutter import pacing_clutter, still_clutter
from casgan_dicom.model.simulator.collimator import Collimator
from casgan_dicom.model.simulator.drr import Grid, line_integrals
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.heart import Heart
from casgan_dicom.model.simulator.layered import LUNG, SOFT_TISSUE, LayeredBackground
from casgan_dicom.model.simulator.lungs import Ellipsoid, draw_lung_vessels
from casgan_dicom.model.simulator.texture import fractal_texture

FloatImage = npt.NDArray[np.float32]
HuVolume = npt.NDArray[np.int16]
LabelVolume = npt.NDArray[np.uint8]

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
    vessels = _members(labels, structures, _VESSELS)
    bones = _members(labels, structures, _BONES)
    near_bone = ndimage.binary_dilation(bones, iterations=3) & ~ndimage.binary_dilation(vessels, iterations=2)
    enhanced = (hu > BLOOD_LIMIT_HU) & ~bones & ~near_bone
    clean = hu.copy()
    clean[enhanced] = np.rint(rng.normal(BLOOD_HU, 10.0, int(enhanced.sum()))).astype(np.int16)
    return clean


def fit_heart(points: Array) -> Heart:
    """Fit the ellipsoid of a solid body.

    Parameters
    ----------
    points
        Points that fill the heart evenly, (N, 3) patient mm; their centre becomes the isocentre.

    Returns
    -------
    Heart
        The long axis is the principal axis nearest to where an apex points (left, front, feet); semi-axes
        have the body's second moments (a solid ellipsoid has variance a²/5 along a).
    """
    covariance = np.cov(points, rowvar=False)
    expected = Heart().axes[2]
    _, vectors = np.linalg.eigh(covariance)
    cosines = expected @ vectors
    nearest = int(np.argmax(np.abs(cosines)))
    apex = vectors[:, nearest] * np.sign(cosines[nearest])
    left = np.cross(apex, [0.0, 0.0, 1.0])
    left /= np.linalg.norm(left)
    axes = np.stack([np.cross(left, apex), left, apex])
    semi = np.sqrt(5.0 * np.einsum("ai,ij,aj->a", axes, covariance, axes))
    return Heart(axes, (float(semi[0]), float(semi[1]), float(semi[2])))


class CtBackgrounds:
    """Makes variants of one CT patient; see `BackgroundSource`.

    Parameters
    ----------
    hu, labels
        Volume and structure numbers, int16 and uint8 (slices, rows, columns).
    voxel_to_patient
        (4, 4), (column, row, slice, 1) to LPS mm.
    structures
        Structure number by name, named as by TotalSegmentator; "heart" is needed.

    Raises
    ------
    ValueError
        The shapes differ, or no voxel is labelled heart.
    """

    def __init__(
        self, hu: HuVolume, labels: LabelVolume, voxel_to_patient: Array, structures: Mapping[str, int]
    ) -> None:
        if hu.shape != labels.shape:
            raise ValueError(f"the CT has shape {hu.shape}, its labels {labels.shape}; they must agree")
        in_heart = np.argwhere(labels == structures.get("heart", -1))[:, ::-1]  # (N, 3): column, row, slice
        if not len(in_heart):
            raise ValueError("no voxel of the CT is labelled heart; coronary arteries need one")
        points = in_heart @ voxel_to_patient[:3, :3].T + voxel_to_patient[:3, 3]
        self._centre = points.mean(axis=0)
        self._heart_points = points[:: max(1, len(points) // 20000)] - self._centre
        to_isocentre = voxel_to_patient.copy()
        to_isocentre[:3, 3] -= self._centre
        self._lungs = _lung_ellipsoids(labels, structures, to_isocentre)
        clean = remove_contrast(hu, labels, structures, np.random.default_rng(0))
        clean[~_body(clean)] = -1024
        self._grid = _grid(clean, labels, structures, to_isocentre)

    def background(self, rng: np.random.Generator, view: View) -> Background:
        """One stretched, turned and retouched patient seen from `view`; every choice comes from `rng`."""
        shape = _random_shape(rng)
        heart = fit_heart(self._heart_points @ shape.T)
        total, air = line_integrals(self._grid, view, shape)
        collimator = Collimator.sample(rng, view.size)
        still = _sharpened(total, view, rng.uniform(0.8, 2.0)) + air + collimator.attenuation
        still += still_clutter(rng, view, -25.0, -110.0) + _padding(rng, view)
        detail = self._lung_detail(rng, view, shape, heart) * np.minimum(air, 1.0)
        detail += pacing_clutter(rng, view, heart)
        air *= np.float32(rng.uniform(0.75, 1.12))  # shallow or deep breath, fluid, emphysema
        return LayeredBackground(heart, view, collimator, still, air, detail)

    def _lung_detail(self, rng: np.random.Generator, view: View, shape: Array, heart: Heart) -> FloatImage:
        """Thin vessels and unresolved structure, line integral above aerated lung."""
        solid = (Ellipsoid(np.zeros(3), np.full(3, 0.9 * min(heart.semi_axes_mm))),)
        chords = np.zeros((view.size, view.size), dtype=np.float32)
        for lung in self._lungs:
            place = Ellipsoid(shape @ lung.centre, np.diag(shape) * lung.semi)
            hilum = place.centre * [0.35, 1.0, 1.0] + rng.normal(0.0, 6.0, 3)
            chords += draw_lung_vessels(rng, view, place, hilum, solid, thickest=2.8)
        field = fractal_texture(rng, view.size, view.pixel_mm, beta=rng.uniform(2.5, 3.0), longest_mm=30.0)
        weight = np.float32((SOFT_TISSUE - LUNG) * rng.uniform(0.5, 1.0))
        return weight * chords + np.float32(rng.uniform(0.02, 0.05)) * field


def _members(
    labels: LabelVolume, structures: Mapping[str, int], words: tuple[str, ...]
) -> npt.NDArray[np.bool_]:
    """Voxels whose structure's name holds one of the words."""
    table = np.zeros(256, dtype=bool)
    table[[number for name, number in structures.items() if any(word in name for word in words)]] = True
    return np.asarray(table[labels])


def _body(hu: HuVolume) -> npt.NDArray[np.bool_]:
    """The patient without table and air around: the largest solid, its holes filled slice by slice."""
    solid = ndimage.binary_opening(hu > -350, np.ones((1, 5, 5), dtype=bool))
    parts, count = ndimage.label(solid)
    if not count:
        return np.ones(hu.shape, dtype=bool)
    sizes = np.bincount(parts.ravel())
    body = parts == 1 + int(np.argmax(sizes[1:]))
    filled = np.stack([ndimage.binary_fill_holes(part) for part in body])
    return np.asarray(ndimage.binary_dilation(filled, np.ones((1, 5, 5), dtype=bool)))


def _lung_ellipsoids(
    labels: LabelVolume, structures: Mapping[str, int], to_isocentre: Array
) -> tuple[Ellipsoid, ...]:
    """An upright ellipsoid for each lung that is labelled."""
    found = []
    for side in ("right", "left"):
        lobes = {name: n for name, n in structures.items() if "lung" in name and name.endswith(side)}
        voxels = np.argwhere(_members(labels, lobes, _LUNGS))[::50, ::-1]
        if len(voxels) > 10:
            points = voxels @ to_isocentre[:3, :3].T + to_isocentre[:3, 3]
            found.append(Ellipsoid(points.mean(axis=0), np.sqrt(5.0) * points.std(axis=0)))
    return tuple(found)


def _grid(hu: HuVolume, labels: LabelVolume, structures: Mapping[str, int], to_isocentre: Array) -> Grid:
    """Two channels: attenuation, and what the air in the lungs takes off soft tissue."""
    attenuation = attenuation_per_mm(hu)
    lungs = ndimage.binary_dilation(_members(labels, structures, _LUNGS), np.ones((1, 5, 5), dtype=bool))
    air = np.where(lungs, np.maximum(np.float32(SOFT_TISSUE) - attenuation, np.float32(0.0)), np.float32(0.0))
    return Grid((np.stack([attenuation, air]) * 1e5).astype(np.uint16), to_isocentre, 1e-5, 2)


def _random_shape(rng: np.random.Generator) -> Array:
    """Another build and posture: stretching along the axes, then a small turn, (3, 3)."""
    stretch = np.diag(rng.uniform(0.9, 1.12) * rng.uniform(0.94, 1.06, 3))
    turn = np.eye(3)
    for axis, sigma in zip(range(3), np.deg2rad([3.0, 3.0, 5.0]), strict=True):
        a, (i, j) = rng.normal(0.0, sigma), [k for k in range(3) if k != axis]
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(a)
        step[i, j], step[j, i] = -np.sin(a), np.sin(a)
        turn = step @ turn
    return np.asarray(turn @ stretch)


def _sharpened(total: FloatImage, view: View, amount: float) -> FloatImage:
    """Give back some of the edges that the slices smoothed away, mostly along the patient's axis."""
    sigma = 1.6 * view.magnification / view.pixel_mm
    smooth = ndimage.gaussian_filter(total, (sigma, 0.5 * sigma), mode="nearest")
    return np.asarray(total + np.float32(amount) * (total - smooth))


def _padding(rng: np.random.Generator, view: View) -> FloatImage:
    """Muscle, fat and clothing that the CT patient does not have: broad and fine random thickness."""
    broad = fractal_texture(rng, view.size, view.pixel_mm, beta=4.0, longest_mm=250.0)
    fine = fractal_texture(rng, view.size, view.pixel_mm, beta=rng.uniform(2.5, 3.0), longest_mm=40.0)
    return np.asarray(
        np.float32(rng.uniform(0.03, 0.15)) * broad + np.float32(rng.uniform(0.015, 0.04)) * fine
    )
