"""How well drawn vessels agree with the true ones, for one frame.

A whole-image score is dominated by the background, and a distance between image sets does not see that
vessels lie in the wrong place; these figures look at the vessels only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import skeletonize

Mask = npt.NDArray[np.bool_]
Image = npt.NDArray[np.float32]

TOLERANCE_PX = 2
"""How far a centreline may lie from the true one, in pixels of a 256 px frame."""
MARGIN_PX = 3
"""Width of the band around true vessels that counts as neither vessel nor background."""


@dataclass(frozen=True)
class VesselScores:
    """Scores of one frame, or their mean over frames."""

    dice: float
    """2·overlap / (drawn + true), of masks."""
    recall: float
    """Share of the true centreline within the tolerance of the drawn one."""
    precision: float
    """Share of the drawn centreline within the tolerance of the true one."""
    cover: float
    """Share of the frame that is drawn vessel."""
    on_heart: float
    """Share of the drawn vessel inside the heart's projection; NaN when nothing is drawn."""
    background_psnr: float
    """PSNR in dB between the image and the non-contrast input away from vessels; infinite when equal."""
    attention_inside: float = float("nan")
    """Mean attention on true vessels; NaN for an image without attention."""
    attention_outside: float = float("nan")
    """Mean attention elsewhere."""


@dataclass(frozen=True)
class Truth:
    """What is known about one simulated frame, all (H, W)."""

    plain: Image
    """The frame without contrast, display values."""
    vessel: Mask
    """Vessel that holds contrast."""
    centreline: Mask
    """Its centreline."""
    heart: Mask
    """The heart's projection."""


def score_frame(image: Image, drawn: Mask, attention: Image | None, truth: Truth) -> VesselScores:
    """Score one image.

    Parameters
    ----------
    image
        float32 (H, W), display values.
    drawn
        Vessels found in `image`, bool (H, W).
    attention
        float32 (H, W) in [0, 1], or None.
    truth
        Of the same frame.
    """
    line: Mask = skeletonize(drawn) > 0  # type: ignore[no-untyped-call]
    away = ~ndimage.binary_dilation(truth.vessel, iterations=MARGIN_PX)
    return VesselScores(
        dice=dice(drawn, truth.vessel),
        recall=share_near(truth.centreline, line),
        precision=share_near(line, truth.centreline),
        cover=float(drawn.mean()),
        on_heart=float(truth.heart[drawn].mean()) if drawn.any() else float("nan"),
        background_psnr=psnr(image[away], truth.plain[away]),
        attention_inside=_mean(attention, truth.vessel),
        attention_outside=_mean(attention, ~truth.vessel),
    )


def dice(a: Mask, b: Mask) -> float:
    """2·overlap / (a + b); 1 when both are empty."""
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def share_near(line: Mask, other: Mask, tolerance: float = TOLERANCE_PX) -> float:
    """Share of `line`'s pixels within `tolerance` pixels of `other`; 0 if one is empty, 1 if both are."""
    if not line.any() or not other.any():
        return float(line.any() == other.any())
    distance = ndimage.distance_transform_edt(~other)
    return float((distance[line] <= tolerance).mean())


def psnr(a: Image, b: Image) -> float:
    """Peak signal-to-noise ratio in dB, peak 1; infinite for equal images."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def _mean(attention: Image | None, where: Mask) -> float:
    return float("nan") if attention is None or not where.any() else float(attention[where].mean())
