"""How dark a vessel is in the grey scale of one run: the catheter tells.

What a display does to contrast (its window, its curve, the compression of a whole run) it does to catheter
and vessel alike. So the catheter's depth on the display, -ln of its grey value over its surroundings', says
how deep a filled vessel would be there, as far as catheters are alike: over simulated runs the logarithms go
together by a correlation of 0.76, and the spread of what is left is 0.39 where it was 0.61.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from casgan_dicom.model.simulator.geometry import Array

_DARKEST_SEEN = 0.03
"""Display value below which the logarithm says nothing more."""
_WIDER_PX = 9
"""Side of the square that a shaft does not fill, pixels of GRID."""
_SURE = 0.7
"""Probability from which a pixel counts as shaft."""
_LEAST_PX = 20
"""Pixels of shaft that a frame needs to tell its depth."""
_USUAL_DEPTH, _POWER = 0.077, 0.78
"""Depth of a catheter behind which vessels are as dark as usual, and how vessels follow it: a least squares
fit of logarithms over simulated runs."""
_RANGE = (0.4, 1.2)
"""No run is taken to be flatter or harder than that."""


def shaft_depths(frames: npt.NDArray[np.float32], shaft: npt.NDArray[np.float32]) -> Array:
    """How dark the catheter is in each frame.

    Parameters
    ----------
    frames
        Display values in [0, 1], (T, GRID, GRID).
    shaft
        Probability of a catheter's shaft, the same shape.

    Returns
    -------
    float64 (T,)
        Median of -ln(catheter / surroundings) along the shaft; NaN where too little of one is seen.
    """
    logs = np.log(np.clip(frames, _DARKEST_SEEN, 1))
    depth = ndimage.grey_closing(logs, (1, _WIDER_PX, _WIDER_PX)) - logs
    seen = shaft >= _SURE
    return np.array(
        [float(np.median(d[s])) if s.sum() >= _LEAST_PX else np.nan for d, s in zip(depth, seen, strict=True)]
    )


def darkness_by(depths: Array) -> float | None:
    """Vessels' optical depth in a run over the usual one, 0.4 to 1.2, by `shaft_depths`; None without any."""
    known = depths[np.isfinite(depths) & (depths > 0)]
    if not known.size:
        return None
    return float(np.clip((np.median(known) / _USUAL_DEPTH) ** _POWER, *_RANGE))
