"""What limits the beam: collimator blades, soft wedge filters and the field stop of the detector.

Lengths and distances are shares of the picture's side, angles radians; x points right, y down, from the
middle of the picture. Blades lie far from the detector: their edges are blurred by the focal spot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.simulator.detector import FIELD_STOP

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_PIXEL = 1 / 512
"""Side of a pixel on the usual matrix."""


@dataclass(frozen=True)
class Collimator:
    """The beam limits of one run, as images."""

    attenuation: FloatImage
    """Line integral of blades, wedges and stop, float32 (size, size)."""
    field: Mask
    """True where neither blade nor stop covers the pixel, bool (size, size)."""

    @classmethod
    def sample(cls, rng: np.random.Generator, size: int) -> Collimator:
        """Draw a field stop, up to four blades, up to two wedge filters and dark columns at the border."""
        axis = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
        x, y = axis[None, :], axis[:, None]
        inside = _stop(rng, x, y) & _border(rng, x, y)
        depth = _blades(rng, x, y)
        penumbra = float(np.exp(rng.uniform(np.log(0.5 * _PIXEL), np.log(7 * _PIXEL))))
        thickness = rng.uniform(3.0, 5.0) if rng.random() < 0.5 else rng.uniform(1.2, 2.5)
        attenuation = np.float32(thickness) * _edge(depth / np.float32(penumbra))
        attenuation += _wedges(rng, x, y)
        attenuation[~inside] = FIELD_STOP
        return cls(attenuation, inside & (depth < -2 * penumbra))


def _stop(rng: np.random.Generator, x: FloatImage, y: FloatImage) -> Mask:
    """Where the detector sees anything at all: a square, circle, flattened circle, octagon or soft square."""
    shape = rng.choice(["square", "circle", "flattened", "octagon", "soft"], p=[0.46, 0.13, 0.18, 0.13, 0.1])
    radius = rng.uniform(0.47, 0.54)
    distance = np.hypot(x, y)
    if shape == "circle":
        return np.asarray(distance < radius)
    if shape == "flattened":
        edge = rng.uniform(0.42, 0.48)
        return np.asarray((distance < radius + 0.03) & (np.abs(x) < edge) & (np.abs(y) < edge))
    if shape == "octagon":
        return np.asarray(np.abs(x) + np.abs(y) < rng.uniform(0.72, 0.92))
    if shape == "soft":
        power = rng.uniform(4.0, 12.0)
        return np.asarray(np.abs(x / 0.5) ** power + np.abs(y / 0.5) ** power < 1.0)
    return np.ones(distance.shape, dtype=np.bool_)


def _border(rng: np.random.Generator, x: FloatImage, y: FloatImage) -> Mask:
    """All but a few columns or rows at the picture's border, which some consoles leave black."""
    widths = np.where(rng.random(4) < 0.15, rng.uniform(1.0, 9.0, 4), 0.0) * _PIXEL
    left, right, top, bottom = widths - 0.5
    return np.asarray((x > left) & (x < -right) & (y > top) & (y < -bottom))


def _blades(rng: np.random.Generator, x: FloatImage, y: FloatImage) -> FloatImage:
    """How far under the nearest blade each pixel lies, negative in the open field.

    Most blades show a narrow rim, some reach far in; a few consoles turn the collimator with the heart, and
    in a few rooms one blade hangs askew.
    """
    turn = rng.uniform(-0.25, 0.25) if rng.random() < 0.12 else rng.normal(0.0, 0.006)
    askew = np.where(rng.random(4) < 0.12, rng.normal(0.0, 0.05, 4), 0.0)
    covered = rng.random(4) < 0.5
    deep = rng.random(4) < 0.3
    insets = np.where(deep, rng.uniform(0.05, 0.16, 4), rng.uniform(0.002, 0.05, 4))
    depth = np.full((y.shape[0], x.shape[1]), -1.0, dtype=np.float32)
    for side in np.flatnonzero(covered):
        angle = side * np.pi / 2 + turn + askew[side]
        along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
        depth = np.maximum(depth, along - np.float32(0.5 - insets[side]))
    if rng.random() < 0.06:  # an iris
        depth = np.maximum(depth, np.hypot(x, y) - np.float32(rng.uniform(0.44, 0.5)))
    return depth


def _wedges(rng: np.random.Generator, x: FloatImage, y: FloatImage) -> FloatImage:
    """Up to two semitransparent filters with a soft, slightly curved edge, as a line integral."""
    total = np.zeros((y.shape[0], x.shape[1]), dtype=np.float32)
    for _ in range(int(rng.choice(3, p=(0.6, 0.3, 0.1)))):
        angle, edge = rng.uniform(0.0, 2 * np.pi), rng.uniform(0.15, 0.4)
        softness, bend = rng.uniform(0.006, 0.04), rng.uniform(-0.25, 0.25)
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        across = sine * x - cosine * y
        distance = cosine * x + sine * y - np.float32(edge) + np.float32(bend) * across**2
        total += np.float32(rng.uniform(0.2, 0.7)) * _edge(
            np.asarray(distance / np.float32(softness), dtype=np.float32)
        )
    return total


def _edge(distance: FloatImage) -> FloatImage:
    """A soft step: 0 far before the edge, 1 far behind it; `distance` in units of its softness."""
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(-2.0 * distance, -40.0, 40.0))), dtype=np.float32)
