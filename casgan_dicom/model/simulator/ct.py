"""A chest from a labelled CT: cone-beam projections that beat, breathe and differ from run to run.

The volume is cleaned once (ct_volume.py). A run then takes one projection of another body bent out of it
(habitus.py), in three tissues that each tube voltage shows differently: soft tissue and bone, which stay,
and the air in lungs and bowel, whose border is the heart's and the diaphragm's outline. Frames bend the air
by a smooth field, so that organs move and never come apart. Slices of 2.5 mm are smoother than an X-ray
picture: bones are sharpened, fine vessels, breasts and clutter drawn on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.background import Background
from casgan_dicom.model.simulator.clutter import pacing_clutter, still_clutter, surface_folds
from casgan_dicom.model.simulator.collimator import Collimator
from casgan_dicom.model.simulator.ct_volume import (
    HuVolume,
    LabelVolume,
    members,
    remove_contrast,
    tissue_grids,
)
from casgan_dicom.model.simulator.drr import line_integrals
from casgan_dicom.model.simulator.geometry import Array, View
from casgan_dicom.model.simulator.habitus import Habitus
from casgan_dicom.model.simulator.heart import Heart, axes_to
from casgan_dicom.model.simulator.layered import LUNG, SOFT_TISSUE, LayeredBackground
from casgan_dicom.model.simulator.lungs import Ellipsoid, draw_lung_vessels
from casgan_dicom.model.simulator.solids import Rays
from casgan_dicom.model.simulator.texture import fractal_texture
from casgan_dicom.model.simulator.wall import draw_breasts

FloatImage = npt.NDArray[np.float32]

_HEART_POINTS = 4000
_MIDLINE_MM, _FRONT_MM = -25.0, -110.0


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
    axes = axes_to(vectors[:, nearest] * np.sign(cosines[nearest]))
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
        centre = points.mean(axis=0)
        self._heart_points = points[:: max(1, len(points) // _HEART_POINTS)] - centre
        to_isocentre = voxel_to_patient.copy()
        to_isocentre[:3, 3] -= centre
        self._lungs = _lung_ellipsoids(labels, structures, to_isocentre)
        clean = remove_contrast(hu, labels, structures, np.random.default_rng(0))
        self._coarse, self._bone = tissue_grids(clean, labels, structures, to_isocentre)

    def background(self, rng: np.random.Generator, view: View) -> Background:
        """One reshaped and retouched patient seen from `view`; every choice comes from `rng`."""
        habitus = Habitus.sample(rng).centred(self._heart_points)
        heart = fit_heart(habitus.to_patient(self._heart_points))
        collimator, wide = Collimator.sample(rng, view.size), view.widened()
        soft, air = (
            _doubled(layer, wide.size) for layer in line_integrals(self._coarse, _halved(wide), habitus.to_ct)
        )
        (bone,) = line_integrals(self._bone, wide, habitus.to_ct)
        kv_bone, kv_soft = np.float32(rng.uniform(0.7, 1.3)), np.float32(rng.uniform(0.94, 1.06))
        still = kv_soft * soft
        still += kv_bone * _sharpened(bone, view, rng.uniform(1.0, 2.5))
        still += draw_breasts(rng, Rays.of(wide), _MIDLINE_MM, _FRONT_MM, 0.7 / view.pixel_mm)
        still += _padding(rng, wide) + surface_folds(rng, wide)
        vessels = self._lung_vessels(rng, wide, habitus, heart) * np.minimum(air, 1.0)
        aeration = np.float32(rng.uniform(0.75, 1.12))  # shallow or deep breath, fluid, emphysema
        air = _sharpened(air, view, rng.uniform(0.2, 0.8)) * aeration
        return LayeredBackground(
            heart,
            view,
            collimator,
            still=still,
            air=air - vessels,
            clutter=still_clutter(rng, wide, _MIDLINE_MM, _FRONT_MM),
            implants=pacing_clutter(rng, wide, heart),
        )

    def _lung_vessels(
        self, rng: np.random.Generator, view: View, habitus: Habitus, heart: Heart
    ) -> FloatImage:
        """Vessels too thin for the CT, line integral above aerated lung."""
        solid = (Ellipsoid(np.zeros(3), np.full(3, 0.9 * min(heart.semi_axes_mm))),)
        chords = np.zeros((view.size, view.size), dtype=np.float32)
        for lung in self._lungs:
            poles = habitus.to_patient(lung.centre + np.vstack([np.diag(lung.semi), -np.diag(lung.semi)]))
            place = Ellipsoid(poles.mean(axis=0), np.diag(poles[:3] - poles[3:]) / 2)
            hilum = place.centre * [0.35, 1.0, 1.0] + rng.normal(0.0, 6.0, 3)
            chords += draw_lung_vessels(rng, view, place, hilum, solid)
        return np.float32((SOFT_TISSUE - LUNG) * rng.uniform(0.6, 1.2)) * chords


def _lung_ellipsoids(
    labels: LabelVolume, structures: Mapping[str, int], to_isocentre: Array
) -> tuple[Ellipsoid, ...]:
    """An upright ellipsoid for each lung that is labelled."""
    found = []
    for side in ("right", "left"):
        lobes = {name: n for name, n in structures.items() if "lung" in name and name.endswith(side)}
        voxels = np.argwhere(members(labels, lobes, ("lung",)))[::50, ::-1]
        if len(voxels) > 10:
            points = voxels @ to_isocentre[:3, :3].T + to_isocentre[:3, 3]
            found.append(Ellipsoid(points.mean(axis=0), np.sqrt(5.0) * points.std(axis=0)))
    return tuple(found)


def _halved(view: View) -> View:
    """The view with half as many pixels, for what has no fine structure."""
    return replace(view, size=view.size // 2)


def _doubled(image: FloatImage, size: int) -> FloatImage:
    """A picture of the same field with `size` pixels, linear between the pixels' centres."""
    at = (np.arange(size) + 0.5) * image.shape[0] / size - 0.5
    spread = np.stack([np.interp(at, np.arange(len(image)), row) for row in np.eye(len(image))], axis=1)
    spread = spread.astype(np.float32)
    return np.asarray(spread @ image @ spread.T)


def _sharpened(layer: FloatImage, view: View, amount: float) -> FloatImage:
    """Give back some of the edges that the slices smoothed away, mostly along the patient's axis."""
    sigma = 1.6 * view.magnification / view.pixel_mm
    smooth = ndimage.gaussian_filter(layer, (sigma, 0.5 * sigma), mode="nearest", truncate=3.0)
    return np.asarray(np.maximum(layer + np.float32(amount) * (layer - smooth), np.float32(0.0)))


def _padding(rng: np.random.Generator, view: View) -> FloatImage:
    """Muscle, fat and clothing that the CT patient does not have: broad and fine random thickness."""
    broad = fractal_texture(rng, view.size, view.pixel_mm, beta=4.0, longest_mm=250.0)
    fine = fractal_texture(rng, view.size, view.pixel_mm, beta=rng.uniform(2.8, 3.2), longest_mm=30.0)
    return np.asarray(
        np.float32(rng.uniform(0.03, 0.12)) * broad + np.float32(rng.uniform(0.003, 0.01)) * fine
    )
