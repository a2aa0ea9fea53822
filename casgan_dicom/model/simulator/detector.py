"""From line integrals to stored pixel values: scatter, blur, photon noise, display curve and window.

    P = exp(-L)                                  primary beam behind the patient (Beer-Lambert)
    S = k · gauss(P)                             scatter that the grid lets through
    λ = N · e(t) · blur(P + S)                   expected quanta per pixel; e(t): the exposure settles
    q = λ + sqrt(λ + sigma_e²) · x(t)            x: the run's grain, noise.py
    s = (q / q0)^c                               LIN; LOG takes c · ln(q / q0); q0 in the middle of the field
    v = window(s)                                stored value, the window fixed for a whole run

The exponent c compresses all contrast of the picture alike: anatomy, catheter and vessels together, as the
display curve of a console does. A run is calibrated once, on one frame (exposure and window). A frame is
exposed with and without contrast at once: both twins have the same grain, each scaled by its own quanta.

Images are (rows, columns); line integrals are dimensionless, lengths are millimetres on the detector.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.exposure import Ramp
from casgan_dicom.model.simulator.noise import MATRIX, Grain
from casgan_dicom.model.simulator.shutter import Shutter, fit_shutter

FloatImage = npt.NDArray[np.float32]
StoredImage = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]

FIELD_STOP = 30.0
"""Line integral that a background gives to pixels behind the field stop."""
BLANK_ABOVE = 20.0  # more than any body and collimator blade: the detector does not read out here
_DARKEST = np.float32(1e-4)  # the logarithm of nothing is avoided; quanta over those in the middle
_IMAGE_SHARE = 0.5  # of the grain's smoothing that the picture's own edges suffer
_LIFTED = 0.05  # a field darker than the window's black is calibrated as if it were this bright


@dataclass(frozen=True)
class Detector:
    """The imaging chain of one run."""

    scatter: float = 0.5
    """Scatter-to-primary ratio k behind the grid."""
    scatter_mm: float = 24.0
    """Standard deviation of the scatter kernel."""
    blur_mm: float = 0.28
    """Standard deviation of the detector's point spread (MTF)."""
    grain: Grain = field(default_factory=Grain)
    """The noise: how much, raw or filtered."""
    ramp: Ramp = field(default_factory=Ramp)
    """How the exposure settles over the first frames."""
    relationship: Literal["LIN", "LOG"] = "LIN"
    """Stored values follow a power of the intensity, or its logarithm."""
    compression: float = 1.0
    """Exponent c of the display curve, in (0, 1]: contrast on the display over that of the intensity."""
    hardness: float = 1.0
    """Steepness of the window, 1 or more: times c it is the contrast of grey values in the middle."""
    window: tuple[float, float] = (0.325, 0.65)
    """Display values in [0, 1] of the 1st and 99th percentile of a plain frame whose range fits."""
    bits: Literal[8, 10, 12] = 8
    """Bits stored."""
    inverted: bool = False
    """Store the complement, to be shown as MONOCHROME1."""
    shutter: Literal["none", "burned", "tagged"] = "burned"
    """What lies outside the field: blades in dark grey; black; black where a header's shutter says so."""
    shutter_margin: float = 0.0
    """How far outside the open field the black begins, as a share of the picture's side."""

    @classmethod
    def sample(cls, rng: np.random.Generator, *, bits: Literal[8, 10, 12] = 8) -> Detector:
        """Draw a plausible imaging chain: its optics, noise, display and shutter."""
        compressed = rng.random() < 0.75
        compression = float(np.exp(rng.uniform(np.log(0.22), 0.0))) if compressed else 1.0
        hardness = float(rng.uniform(1.05, 1.55))
        return cls(
            scatter=float(rng.uniform(0.3, 0.8)),
            scatter_mm=float(rng.uniform(16.0, 31.0)),
            blur_mm=float(rng.uniform(0.2, 0.35)),
            grain=Grain.sample(rng, compression),
            ramp=Ramp.sample(rng),
            relationship="LOG" if rng.random() < 0.4 else "LIN",
            compression=compression,
            hardness=hardness,
            window=_draw_window(rng, compression),
            bits=bits,
            inverted=bool(rng.random() < 0.1),
            shutter=_SHUTTERS[int(rng.choice(3, p=(0.35, 0.25, 0.4)))],
            shutter_margin=float(rng.uniform(0.0, 0.012)),
        )

    @property
    def max_value(self) -> int:
        """The largest stored value."""
        return (1 << self.bits) - 1

    @property
    def stored_relationship(self) -> Literal["LIN", "LOG", "DISP"]:
        """Pixel Intensity Relationship (0028,1040): a power of the intensity is made for the display."""
        return "DISP" if self.relationship == "LIN" and self.compression != 1 else self.relationship


_SHUTTERS: tuple[Literal["none", "burned", "tagged"], ...] = ("none", "burned", "tagged")


@dataclass(frozen=True)
class Calibration:
    """What the exposure control fixed for a run."""

    pixel_mm: float
    """Side of a pixel on the detector in mm."""
    quanta: float
    """Quanta per pixel for an unattenuated, scatter-free beam."""
    electronic: float
    """Standard deviation of the readout noise in quanta."""
    middle: float
    """Quanta in the middle of the field, q0 of the display curve."""
    low: float
    """Value of the display curve that is stored as 0."""
    high: float
    """Value of the display curve that is stored as the largest value."""
    blank: Mask
    """Pixels that are shown black whatever they receive, bool (H, W)."""
    shutter: Shutter | None = None
    """What a header has to say about `blank`; None where it says nothing."""


def calibrate(detector: Detector, attenuation: FloatImage, open_field: Mask, pixel_mm: float) -> Calibration:
    """Set exposure and window of a run on one of its plain frames.

    Parameters
    ----------
    detector
        The imaging chain.
    attenuation
        Line integral without contrast, float32 (H, W); include the catheter.
    open_field
        Where the beam is open, bool (H, W); only these pixels count.
    pixel_mm
        Side of a pixel on the detector in mm.

    Returns
    -------
    Calibration
        To be used for every frame of the run, plain and with contrast.

    Raises
    ------
    ValueError
        Shapes differ, or the field is empty.
    """
    if attenuation.shape != open_field.shape:
        raise ValueError(
            f"attenuation is {attenuation.shape}, open_field {open_field.shape}; they must agree"
        )
    if not open_field.any():
        raise ValueError("open_field is empty: a run needs an open field")
    irradiance = _irradiance(detector, attenuation, pixel_mm)
    middle, low, high = _window(detector, irradiance[open_field])
    grain = detector.grain
    slope = 255 * detector.compression / (high - low)  # grey levels for a change of the quanta by one e-fold
    counted = (1 + grain.electronic) * (slope / grain.levels_at(attenuation.shape[0])) ** 2
    blank, shutter = _blank(detector, attenuation, open_field)
    return Calibration(
        pixel_mm=pixel_mm,
        quanta=counted / middle,
        electronic=float(np.sqrt(grain.electronic * counted)),
        middle=counted,
        low=low,
        high=high,
        blank=blank,
        shutter=shutter,
    )


def shown_range(
    detector: Detector, attenuation: FloatImage, open_field: Mask, pixel_mm: float
) -> tuple[float, float]:
    """The display values of the 1st and the 99th percentile of a frame; the first may lie below black.

    The parameters are those of `calibrate`; no noise.
    """
    irradiance = _irradiance(detector, attenuation, pixel_mm)[open_field]
    middle, low, high = _window(detector, irradiance)
    signal = curve(detector, np.percentile(irradiance, (1.0, 99.0)).astype(np.float32) / np.float32(middle))
    dark, bright = (signal.astype(np.float64) - low) / (high - low)
    return float(dark), float(bright)


def curve(detector: Detector, quanta: FloatImage) -> FloatImage:
    """The display curve of quanta over those in the middle of the field; any shape, float32."""
    logarithm = np.float32(detector.compression) * np.log(np.maximum(quanta, _DARKEST))
    return logarithm if detector.relationship == "LOG" else np.exp(logarithm)


def uncurve(detector: Detector, signal: FloatImage) -> FloatImage:
    """Quanta over those in the middle of the field, from values of the display curve; float32."""
    logarithm = signal if detector.relationship == "LOG" else np.log(np.maximum(signal, _DARKEST))
    return np.asarray(np.exp(logarithm / np.float32(detector.compression)))


def expose(
    detector: Detector,
    calibration: Calibration,
    attenuation: FloatImage,
    extra: FloatImage | None,
    grain: FloatImage,
    exposure: float = 1.0,
) -> tuple[StoredImage, StoredImage]:
    """Expose one frame without and with contrast.

    Parameters
    ----------
    detector, calibration
        The imaging chain and what `calibrate` fixed for this run.
    attenuation
        Line integral of everything but contrast, float32 (H, W); FIELD_STOP where nothing is read out.
    extra
        Line integral of contrast, float32 (H, W), not negative; None for a frame without any.
    grain
        The frame's noise, float32 (H, W), mean 0 and variance 1; both twins share it.
    exposure
        Quanta of this frame over those of a settled one.

    Returns
    -------
    plain, contrast
        uint16 (H, W), 0 to 2**bits - 1; the same array twice when `extra` is None.
    """
    plain = _read(detector, calibration, attenuation, grain, exposure)
    if extra is None:
        return plain, plain
    return plain, _read(detector, calibration, attenuation + extra, grain, exposure)


def _draw_window(rng: np.random.Generator, compression: float) -> tuple[float, float]:
    """Draw black and white: the less the display compresses, the more often the picture's range is wide."""
    if rng.random() >= 0.55 * compression:
        low, high = rng.normal(0.335, 0.03), rng.normal(0.655, 0.04)
    elif rng.random() < 0.5:
        low, high = rng.uniform(0.12, 0.27), rng.uniform(0.8, 0.95)
    else:
        low, high = rng.uniform(0.15, 0.3), rng.uniform(0.65, 0.88)
    return float(np.clip(low, 0.08, 0.4)), float(np.clip(high, 0.55, 0.96))


def _window(detector: Detector, irradiance: FloatImage) -> tuple[float, float, float]:
    """Middle of the irradiance, and the values of the display curve that are stored as 0 and as the largest.

    The floor follows from the hardness; the scale brings the geometric middle of the percentiles to that of
    `Detector.window`, so that a flat picture is grey and not white.
    """
    middle = float(np.median(irradiance))
    ends = np.percentile(irradiance, (1.0, 99.0)).astype(np.float32) / np.float32(middle)
    dark, bright = (float(s) for s in curve(detector, ends))
    low = (0.0 if detector.relationship == "LOG" else 1.0) - 1.0 / detector.hardness
    bright -= low
    dark = max(dark - low, _LIFTED * bright)
    black, white = detector.window
    return middle, low, low + float(np.sqrt(dark * bright / (black * white)))


def _blank(detector: Detector, attenuation: FloatImage, open_field: Mask) -> tuple[Mask, Shutter | None]:
    """What is shown black, and the shutter that describes it."""
    stopped = attenuation > BLANK_ABOVE
    if detector.shutter == "none":
        return stopped, None
    margin = detector.shutter_margin * open_field.shape[0]
    lit = open_field if open_field.all() else ndimage.distance_transform_edt(~open_field) <= margin
    shutter = fit_shutter(lit) if detector.shutter == "tagged" else None
    if shutter is not None:
        lit = shutter.visible((open_field.shape[0], open_field.shape[1]))
    return stopped | ~lit, shutter


def _read(
    detector: Detector,
    calibration: Calibration,
    attenuation: FloatImage,
    grain: FloatImage,
    exposure: float,
) -> StoredImage:
    """Count, curve, window, quantise and, for MONOCHROME1, invert."""
    scale = np.float32(exposure * calibration.quanta / calibration.middle)
    quanta = scale * _irradiance(detector, attenuation, calibration.pixel_mm)  # over those in the middle
    floor = np.float32((calibration.electronic / calibration.middle) ** 2)
    quanta += np.sqrt(quanta / np.float32(calibration.middle) + floor) * grain
    unit = (curve(detector, quanta) - np.float32(calibration.low)) / np.float32(
        calibration.high - calibration.low
    )
    unit[calibration.blank] = 0.0
    stored = np.rint(np.clip(unit, 0.0, 1.0) * detector.max_value).astype(np.uint16)
    return np.asarray(detector.max_value - stored, dtype=np.uint16) if detector.inverted else stored


def _irradiance(detector: Detector, attenuation: FloatImage, pixel_mm: float) -> FloatImage:
    """Primary and scatter behind the point spread, float32 (H, W), 1 for an open scatter-free beam."""
    primary = np.exp(-np.asarray(attenuation, dtype=np.float32))
    total = primary + np.float32(detector.scatter) * _wide_blur(primary, detector.scatter_mm / pixel_mm)
    smoothing = _IMAGE_SHARE * detector.grain.correlation_px * attenuation.shape[0] / MATRIX
    sigma = float(np.hypot(detector.blur_mm / pixel_mm, smoothing))
    return np.asarray(ndimage.gaussian_filter(total, sigma, mode="nearest"))


def _wide_blur(image: FloatImage, sigma_px: float) -> FloatImage:
    """Gaussian blur of a large sigma by two small matrix products per axis, borders replicated."""
    down_rows, up_rows = _wide_kernel(image.shape[0], sigma_px)
    down_columns, up_columns = _wide_kernel(image.shape[1], sigma_px)
    coarse = down_rows @ image @ down_columns.T
    return np.asarray(up_rows @ coarse @ up_columns.T)


@lru_cache(maxsize=32)
def _wide_kernel(size: int, sigma_px: float) -> tuple[FloatImage, FloatImage]:
    """Gaussian sampled on nodes a third of sigma apart, (nodes, size), and linear interpolation back."""
    nodes = np.linspace(0.0, size - 1.0, max(2, int(np.ceil(3.0 * (size - 1) / sigma_px)) + 1))
    pixels = np.arange(size, dtype=np.float64)
    reach = int(np.ceil(4.0 * sigma_px))
    padded = np.arange(-reach, size + reach, dtype=np.float64)
    weights = np.exp(-0.5 * ((padded[None] - nodes[:, None]) / sigma_px) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    down = weights[:, reach : reach + size].copy()
    down[:, 0] += weights[:, :reach].sum(axis=1)
    down[:, -1] += weights[:, reach + size :].sum(axis=1)
    up = np.maximum(0.0, 1.0 - np.abs(pixels[:, None] - nodes[None]) / (nodes[1] - nodes[0]))
    return down.astype(np.float32), up.astype(np.float32)
