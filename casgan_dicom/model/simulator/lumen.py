"""The wall of a coronary artery: nowhere quite even, and rough where there is plaque.

Radii vary by a few percent over one to three centimetres in everybody. Atheroma adds shorter narrowings in
patches; thin branches are spared. Agent of a weak injection, heavier than blood, sinks to the wall below.
Everything in mm, radii sampled every 0.5 mm.
"""

from __future__ import annotations

import numpy as np

from casgan_dicom.model.simulator.geometry import Array
from casgan_dicom.model.simulator.growth import SPACING_MM, wander
from casgan_dicom.model.simulator.render import Tubes

_SPARED_MM = 0.45
"""Radius below which a vessel has no plaque."""
LAYER_RADIUS = 0.7
"""Radius of the stream along the lower wall over that of the vessel."""
_BACK = np.array([0.0, 1.0, 0.0])  # patients lie on their back: down


def uneven_walls(rng: np.random.Generator, radii: list[Array], *, plaque: bool) -> list[Array]:
    """Vary the radii of a patient's vessels along their length.

    Parameters
    ----------
    rng
        Source of every choice.
    radii
        float64 (N,) for each vessel, mm, 0.5 mm apart.
    plaque
        Whether atheroma may narrow the larger vessels; how much of it is drawn once per patient.

    Returns
    -------
    list of float64 (N,)
        Within 15 % of the radii given, without plaque within 8 %.
    """
    radius = np.concatenate(radii)
    burden = float(rng.beta(1.2, 2.5)) if plaque else 0.0
    wavelength = np.array([rng.uniform(12.0, 30.0), rng.uniform(5.0, 9.0), rng.uniform(2.5, 4.5), 60.0])
    deviation = np.array([0.035, 0.015 + 0.02 * burden, 1.0, 1.0])
    slow, quick, rough, patches = wander(rng, len(radius), wavelength / SPACING_MM, deviation)
    diseased = np.clip(patches + 2.0 * burden - 1.0, 0.0, 1.0) * np.clip(radius / _SPARED_MM - 1, 0.0, 1.0)
    eaten = burden * diseased * np.clip(0.05 + 0.06 * rough, 0.0, 0.2)
    most = 0.15 if plaque else 0.08  # what varies less is no lesion
    factor = np.clip(1 + slow + quick - eaten, 1 - most, 1 + most)
    return np.split(radius * factor, np.cumsum([len(r) for r in radii])[:-1])


def layer_below(tubes: Tubes) -> Tubes:
    """The streams along the lower walls of vessels (patient mm): thinner, and touching the wall."""
    tangent = np.gradient(tubes.points, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    down = _BACK - (tangent @ _BACK)[:, None] * tangent
    shift = (1 - LAYER_RADIUS) * tubes.radius[:, None] * down
    return Tubes(tubes.points + shift, LAYER_RADIUS * tubes.radius, tubes.step, tubes.arc)
