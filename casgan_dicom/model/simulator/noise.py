"""The grain of a run: fields of unit variance, one for each frame, white or filtered in time and space.

Raw detectors give a field of their own to every frame. Consoles filter the pictures recursively in time
and smooth them in space, and hold both back where the picture moves, so that it is the grain that lags and
not the patient:

    y_t = sum_j (1 - a) a^j x_(t-j)              x white, a the persistence; lag-1 correlation a

A frame's fields depend on the seed and on the number of the frame alone: any frame can be had by itself.
Quanta are many, so that Poisson's distribution is taken for a Gaussian: then a field never depends on what
is seen, and an error in the last digit of the expected quanta stays one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.run import stream

FloatImage = npt.NDArray[np.float32]

MATRIX = 512
"""Rows of the picture that strength and correlation of the grain are given for."""
_RAW_SHARE = 0.35  # of the runs
_SMALLEST_WEIGHT = 0.04  # of a frame long ago, against the present one
_LONGEST = 12  # frames
_SHARPEST_PX = 0.2  # below this a Gaussian on whole pixels is none


@dataclass(frozen=True)
class Grain:
    """How the noise of one run looks."""

    levels: float = 3.0
    """Standard deviation in 8-bit grey levels in the middle of the grey scale, on a matrix of 512."""
    persistence: float = 0.0
    """Weight a of the past in the recursive filter, in [0, 0.85]; 0 for white noise."""
    correlation_px: float = 0.0
    """Standard deviation in pixels of 512 of the Gaussian that smooths the grain."""
    electronic: float = 0.0
    """Variance of the readout noise over the variance of the quanta in the middle of the grey scale."""

    @classmethod
    def sample(cls, rng: np.random.Generator, contrast: float) -> Grain:
        """Draw raw or filtered noise for a display of the given contrast in (0, 1], which scales noise."""
        scale = 0.5 + 0.5 * contrast
        if rng.random() < _RAW_SHARE:
            levels = max(2.0, scale * float(np.exp(rng.uniform(*np.log((2.2, 5.0))))))
            return cls(levels, 0.0, float(rng.uniform(0.0, 0.4)), float(rng.uniform(0.01, 0.1)))
        return cls(
            levels=max(0.55, scale * float(np.exp(rng.uniform(*np.log((0.65, 1.5)))))),
            persistence=float(rng.uniform(0.5, 0.78)),
            correlation_px=float(rng.uniform(0.7, 1.05)),
            electronic=float(rng.uniform(0.005, 0.04)),
        )

    def levels_at(self, rows: int) -> float:
        """Grey levels on another matrix: a pixel of k times the side averages the grain of k² pixels.

        White noise falls by k; correlated noise by less: variance (1 + 4 pi s²) / (k² + 4 pi s²) at s px.
        """
        spread = 4 * np.pi * self.correlation_px**2
        return self.levels * float(np.sqrt((1 + spread) / ((MATRIX / rows) ** 2 + spread)))


class NoiseFields:
    """The fields of one run; the last ones are kept, so that a run in order draws one a frame."""

    def __init__(self, seed: int, shape: tuple[int, int], grain: Grain) -> None:
        """`shape` is (rows, columns) of the pictures."""
        self._seed, self._shape = seed, shape
        self._kernel = _gaussian(grain.correlation_px * shape[0] / MATRIX)
        self._weights = _weights(grain.persistence)
        self._white: OrderedDict[int, FloatImage] = OrderedDict()

    def field(self, frame: int) -> FloatImage:
        """The grain of a frame, float32 (rows, columns), normal with mean 0 and variance 1."""
        total = np.zeros(self._shape, dtype=np.float32)
        for back in reversed(range(len(self._weights))):  # the oldest is the first that is forgotten
            total += self._weights[back] * self._draw(frame - back)
        if len(self._kernel) == 1:
            return total
        across = ndimage.correlate1d(total, self._kernel, axis=1, mode="wrap")
        return np.asarray(ndimage.correlate1d(across, self._kernel, axis=0, mode="wrap"))

    def _draw(self, frame: int) -> FloatImage:
        """White noise of a frame; the filter also asks for frames before the first."""
        if frame not in self._white:
            rng = stream(self._seed, "noise", frame + _LONGEST)
            self._white[frame] = rng.standard_normal(self._shape, dtype=np.float32)
            if len(self._white) > len(self._weights):
                self._white.popitem(last=False)
        return self._white[frame]


def _weights(persistence: float) -> FloatImage:
    """Weights of this frame and those before it, float32, their squares adding up to 1."""
    steps = np.arange(_LONGEST)
    weights = persistence**steps
    weights = weights[(weights >= _SMALLEST_WEIGHT) | (steps == 0)]
    return np.asarray(weights / np.sqrt(np.sum(weights**2)), dtype=np.float32)


def _gaussian(sigma_px: float) -> FloatImage:
    """One axis of a Gaussian kernel that leaves the variance of white noise as it is, float32."""
    if sigma_px < _SHARPEST_PX:
        return np.ones(1, dtype=np.float32)
    steps = np.arange(-np.ceil(3.5 * sigma_px), np.ceil(3.5 * sigma_px) + 1)
    kernel = np.exp(-0.5 * (steps / sigma_px) ** 2)
    return np.asarray(kernel / np.sqrt(np.sum(kernel**2)), dtype=np.float32)
