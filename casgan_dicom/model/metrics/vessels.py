"""How well drawn vessels agree with the true ones, for one frame.

A whole-image score is dominated by the background, and a distance between image sets does not see that
vessels lie in the wrong place; these figures look at the vessels, and at the background for what must not
change there.

x     the frame without contrast     y*    its twin with contrast
y_g   the image that is scored       m     the true vessel that holds contrast

Everything is (H, W); images are display values in [0, 1], lengths are pixels of a 256 px frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from casgan_dicom.model.metrics.centreline import (
    cl_dice,
    distance_to,
    recall_by_radius,
    share_near,
    skeleton,
)
from casgan_dicom.model.metrics.similarity import psnr, ssim

Mask = npt.NDArray[np.bool_]
Image = npt.NDArray[np.float32]

MARGIN_PX = 3.0
"""Reach of the vessel region around true vessels; background, and hallucination, lies farther away."""
LEAST_CONTRAST = 1 / 255
"""Mean darkening of the true twin, as a display value, below which a share of it means nothing."""


@dataclass(frozen=True)
class VesselScores:
    """Scores of one frame, or their mean over frames."""

    dice: float
    """2·overlap / (drawn + true), of masks; 1 when both are empty."""
    cldice: float
    """Dice of centrelines against masks (Shit et al., CVPR 2021); 0 if one mask is empty, 1 if both are."""
    recall: float
    """Share of the true centreline within the tolerance of the drawn one; one is empty: 0, both are: 1."""
    precision: float
    """Share of the drawn centreline within the tolerance of the true one; one is empty: 0, both are: 1."""
    recall_thin: float
    """Recall of thin branches (centreline.MIDDLE_FROM_PX); NaN for a frame without any."""
    recall_middle: float
    """Recall of branches of middle width; NaN for a frame without any."""
    recall_thick: float
    """Recall of thick branches (centreline.THICK_FROM_PX); NaN for a frame without any."""
    hallucination: float
    """Share of the drawn vessel farther than MARGIN_PX from any true vessel; NaN when nothing is drawn."""
    contrast_ratio: float
    """Contrast drawn in the true vessels over the true contrast there, mean(y_g - x) / mean(y* - x) in m:
    1 is right, 0 nothing drawn. The ratio of means, because the mean of ratios breaks where y* is near x;
    errors of both signs cancel. NaN without a true vessel, or where its mean contrast is below
    LEAST_CONTRAST."""
    vessel_psnr: float
    """PSNR in dB between y_g and y* within MARGIN_PX of m; infinite when equal, NaN without a true vessel."""
    vessel_ssim: float
    """SSIM between y_g and y*, mean over the same region; NaN without a true vessel."""
    background_psnr: float
    """PSNR in dB between y_g and x farther than MARGIN_PX from m; infinite when equal, NaN without such a
    pixel."""
    background_ssim: float
    """SSIM between y_g and x, mean over windows that lie wholly in the background; NaN if there is none."""
    cover: float
    """Share of the frame that is drawn vessel."""
    on_heart: float
    """Share of the drawn vessel inside the heart's projection; NaN when nothing is drawn."""
    attention_inside: float = float("nan")
    """Mean attention on true vessels; NaN for an image without attention or a frame without vessels."""
    attention_outside: float = float("nan")
    """Mean attention elsewhere; NaN for an image without attention."""


@dataclass(frozen=True)
class Truth:
    """What is known about one simulated frame, all (H, W)."""

    plain: Image
    """x, the frame without contrast, display values."""
    contrast: Image
    """y*, the same frame with contrast, display values."""
    vessel: Mask
    """m, vessel that holds contrast."""
    centreline: Mask
    """Its centreline."""
    heart: Mask
    """The heart's projection."""


def score_frame(image: Image, drawn: Mask, attention: Image | None, truth: Truth) -> VesselScores:
    """Score one image.

    Parameters
    ----------
    image
        y_g, float32 (H, W), display values.
    drawn
        Vessels found in `image`, bool (H, W).
    attention
        float32 (H, W) in [0, 1], or None.
    truth
        Of the same frame.
    """
    line = skeleton(drawn)
    distance = distance_to(truth.vessel)
    near = distance <= MARGIN_PX
    by_radius = recall_by_radius(truth.centreline, truth.vessel, line)
    return VesselScores(
        dice=dice(drawn, truth.vessel),
        cldice=cl_dice(drawn, truth.vessel),
        recall=share_near(truth.centreline, line),
        precision=share_near(line, truth.centreline),
        recall_thin=by_radius.thin,
        recall_middle=by_radius.middle,
        recall_thick=by_radius.thick,
        hallucination=_mean(distance > MARGIN_PX, drawn),
        contrast_ratio=contrast_ratio(image, truth),
        vessel_psnr=psnr(image, truth.contrast, near),
        vessel_ssim=ssim(image, truth.contrast, near),
        background_psnr=psnr(image, truth.plain, ~near),
        background_ssim=ssim(image, truth.plain, ~near, closed=True),
        cover=float(drawn.mean()),
        on_heart=_mean(truth.heart, drawn),
        attention_inside=_mean(attention, truth.vessel),
        attention_outside=_mean(attention, ~truth.vessel),
    )


def dice(a: Mask, b: Mask) -> float:
    """2·overlap / (a + b); 1 when both are empty."""
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def contrast_ratio(image: Image, truth: Truth) -> float:
    """mean(y_g - x) / mean(y* - x) in the true vessels; see VesselScores.contrast_ratio."""
    true = _mean(truth.contrast.astype(np.float64) - truth.plain, truth.vessel)
    drawn = _mean(image.astype(np.float64) - truth.plain, truth.vessel)
    if not abs(true) >= LEAST_CONTRAST:  # NaN without a true vessel
        return float("nan")
    return drawn / true + 0.0  # nothing drawn is 0, not -0


def _mean(values: Image | Mask | npt.NDArray[np.float64] | None, where: Mask) -> float:
    """Mean in a region; NaN for no values or an empty region."""
    return float("nan") if values is None or not where.any() else float(values[where].mean())
