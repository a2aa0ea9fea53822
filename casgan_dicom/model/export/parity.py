"""How far an exported graph is from torch in float32, measured with the runtime that will read it.

Network values span 2, from -1 to 1. One 8-bit display step is at least 0.8 / 255 = 0.003 of them with the
usual normalisation, so a deviation below 0.001 is a third of a step: it cannot be seen. Float32 graphs
stay far below; an operation that was converted wrongly does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from casgan_dicom.errors import WeightsError

TOLERANCE = 1e-3
"""Largest absolute deviation of any value of any output, in network values."""
SEED = 20
FRAMES = 3

Maps = npt.NDArray[np.float32]
Net = Callable[[Tensor], Sequence[Tensor]]
Run = Callable[[Maps], Sequence[Maps]]
"""x (B, 1, S, S) to the outputs of the graph, in order."""


@dataclass(frozen=True)
class Deviation:
    """One output of a graph against the same output of torch."""

    maximum: float
    """Largest absolute difference, network values."""
    mean: float
    """Mean absolute difference, network values."""


def parity_frames(size: int) -> Maps:
    """Make the frames that parity is measured on: float32 (3, 1, size, size) in [-1, 1], the same each time.

    White noise; soft shapes; and soft shapes within a flat black border, as of a collimator, in which
    careless sums of a normalisation go wrong.
    """
    random = torch.Generator().manual_seed(SEED)
    noise = torch.rand(1, 1, size, size, generator=random) * 2 - 1
    soft = torch.rand(2, 1, 8, 8, generator=random) * 2 - 1
    soft = F.interpolate(soft, size=(size, size), mode="bicubic", align_corners=False).clamp(-1, 1)
    edge = size // 8
    framed = torch.full_like(soft[1:], -1)
    inner = slice(edge, size - edge)
    framed[:, :, inner, inner] = soft[1:, :, inner, inner]
    return np.asarray(torch.cat([noise, soft[:1], framed]).numpy())


def measure_parity(net: Net, run: Run, names: Sequence[str], size: int) -> dict[str, Deviation]:
    """Measure each output of a graph against torch.

    Parameters
    ----------
    net
        x to the outputs, by torch in float32.
    run
        The exported graph.
    names
        Of the outputs.
    size
        Rows and columns.

    Raises
    ------
    WeightsError
        The outputs are of another number or shape, are not finite, or deviate by more than TOLERANCE.
    """
    x = parity_frames(size)
    with torch.no_grad():
        wanted = [y.numpy() for y in net(torch.from_numpy(x))]
    found = run(x)
    shapes = [y.shape for y in found]
    if shapes != [y.shape for y in wanted]:
        raise WeightsError(f"the exported graph gives shapes {shapes}, torch {[y.shape for y in wanted]}")
    result = {}
    for name, ours, theirs in zip(names, wanted, found, strict=True):
        difference = np.abs(ours.astype(np.float64) - theirs)
        result[name] = Deviation(float(difference.max()), float(difference.mean()))
        if not result[name].maximum <= TOLERANCE:  # written so that NaN is refused too
            raise WeightsError(
                f"output '{name}' of the exported graph is {result[name].maximum:.2g} from torch, "
                f"want at most {TOLERANCE:g}",
                hint="nothing was written; please report the bundle's method and settings",
            )
    return result
