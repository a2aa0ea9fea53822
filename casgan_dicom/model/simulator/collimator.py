"""What limits the beam: collimator blades, the soft wedge filter and the field stop of the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.detector import FIELD_STOP

FloatImage = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Collimator:
    """The beam limits of one run, as images."""

    attenuation: FloatImage
    """Line integral of blades, wedge and stop, float32 (size, size)."""
    field: npt.NDArray[np.bool_]
    """True where neither blade nor stop covers the pixel, bool (size, size)."""

    @classmethod
    def sample(cls, rng: np.random.Generator, size: int) -> Collimator:
        """Draw a field: square, circle, flattened circle or octagon; blades at some sides."""
        axis = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
        x, y = axis[None, :], axis[:, None]
        shape = rng.choice(["square", "circle", "flattened", "octagon"], p=[0.5, 0.15, 0.2, 0.15])
        inside = _stop(shape, x, y, rng)
        blades = np.full((size, size), -1.0, dtype=np.float32)  # distance under the nearest blade
        covered = rng.random(4) < 0.4
        insets = rng.uniform(0.01, 0.09, 4)
        turn = np.deg2rad(rng.normal(0.0, 0.7))
        for side in np.flatnonzero(covered):
            angle = side * np.pi / 2 + turn
            blades = np.maximum(blades, np.cos(angle) * x + np.sin(angle) * y - (0.5 - insets[side]))
        penumbra = rng.uniform(0.002, 0.006)
        attenuation = rng.uniform(3.5, 6.0) / (1.0 + np.exp(np.clip(-blades / penumbra * 2.0, -40.0, 40.0)))
        attenuation += _wedge(x, y, rng)
        attenuation[~inside] = FIELD_STOP
        return cls(attenuation.astype(np.float32), inside & (blades < -penumbra))


def _stop(shape: str, x: FloatImage, y: FloatImage, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Where the detector sees anything at all."""
    radius = rng.uniform(0.49, 0.53)
    everywhere = np.ones(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    if shape == "square":
        return everywhere
    if shape == "circle":
        return np.asarray(x**2 + y**2 < radius**2)
    if shape == "flattened":
        edge = rng.uniform(0.44, 0.48)
        return np.asarray((x**2 + y**2 < (radius + 0.03) ** 2) & (np.abs(x) < edge) & (np.abs(y) < edge))
    corner = rng.uniform(0.76, 0.9)
    return np.asarray(everywhere & (np.abs(x) + np.abs(y) < corner))


def _wedge(x: FloatImage, y: FloatImage, rng: np.random.Generator) -> FloatImage:
    """A semitransparent filter with a soft edge in one corner of some runs."""
    if rng.random() > 0.15:
        return np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    angle, edge = rng.uniform(0.0, 2 * np.pi), rng.uniform(0.2, 0.4)
    distance = np.cos(angle) * x + np.sin(angle) * y - edge
    return np.asarray(rng.uniform(0.4, 0.9) / (1.0 + np.exp(-distance / 0.01)), dtype=np.float32)
