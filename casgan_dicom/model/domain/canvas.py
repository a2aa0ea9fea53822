"""Simple solids on a square picture, as X-rays see them: chords in, transmitted light out.

For pictures that only have to be unlike a heart; the simulator has the physics. A canvas is 1 wide and high,
(0, 0) its upper left corner; depths are in widths of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Picture = npt.NDArray[np.float64]
Place = tuple[float, float]
"""Column and row, in [0, 1] inside the picture."""


@dataclass(frozen=True)
class Canvas:
    """A square of so many pixels."""

    size: int
    """Rows and columns."""

    @property
    def places(self) -> tuple[Picture, Picture]:
        """Column and row of every pixel."""
        at = (np.arange(self.size) + 0.5) / self.size
        column, row = np.meshgrid(at, at)
        return column, row

    def ellipsoid(self, centre: Place, axes: Place, turn_deg: float = 0.0) -> Picture:
        """Chord through an ellipsoid with these half axes, 1 at its middle."""
        column, row = self.places
        turn = np.deg2rad(turn_deg)
        across, down = column - centre[0], row - centre[1]
        u = (np.cos(turn) * across + np.sin(turn) * down) / axes[0]
        v = (-np.sin(turn) * across + np.cos(turn) * down) / axes[1]
        return np.asarray(np.sqrt(np.maximum(0.0, 1 - u**2 - v**2)))

    def away_from(self, way: Sequence[Place]) -> Picture:
        """Distance of every pixel from a line through `way`, in widths of the picture."""
        points = np.asarray(way, dtype=np.float64)
        steps = np.linspace(0, len(points) - 1, max(2, 3 * self.size))
        line = np.stack([np.interp(steps, np.arange(len(points)), axis) for axis in points.T])
        pixels = np.floor(line * self.size).astype(int)
        pixels = pixels[:, ((pixels >= 0) & (pixels < self.size)).all(axis=0)]
        free = np.ones((self.size, self.size), dtype=bool)
        free[pixels[1], pixels[0]] = False
        if free.all():
            return np.full(free.shape, 2.0)
        return np.asarray(ndimage.distance_transform_edt(free)) / self.size

    def tube(self, way: Sequence[Place], radius: float) -> Picture:
        """Chord through a tube along `way`, 1 at its middle."""
        return np.asarray(np.sqrt(np.maximum(0.0, 1 - (self.away_from(way) / radius) ** 2)))

    def bone(self, way: Sequence[Place], radius: float) -> Picture:
        """Chord through a tube with a dense wall."""
        return 1.3 * self.tube(way, radius) - 0.6 * self.tube(way, 0.7 * radius)


def grown(
    rng: np.random.Generator, start: Place, heading_deg: float, length: float, bend_deg: float
) -> list[Place]:
    """A line that wanders: 12 steps, each turned by a normal angle."""
    places, heading = [start], np.deg2rad(heading_deg)
    for _ in range(12):
        heading += np.deg2rad(rng.normal(0, bend_deg))
        column, row = places[-1]
        places.append(
            (column + length / 12 * float(np.cos(heading)), row + length / 12 * float(np.sin(heading)))
        )
    return places


def cloud(rng: np.random.Generator, size: int, exponent: float) -> Picture:
    """Noise with a spectrum that falls with so high a power of the frequency; mean 0, deviation 1."""
    fy, fx = np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")
    fall = np.maximum(np.hypot(fy, fx), 1 / size) ** (-exponent / 2)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(size, size))) * fall, s=(size, size))
    return np.asarray((noise - noise.mean()) / noise.std())


def stretched(picture: Picture, low: float = 0.5, high: float = 99.5) -> Picture:
    """`picture` with two of its percentiles at 0 and 1, cut there; a constant one becomes grey."""
    a, b = np.percentile(picture, (low, high))
    return np.clip((picture - a) / (b - a), 0, 1) if b > a else np.full(picture.shape, 0.5)
