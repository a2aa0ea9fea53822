"""The tree of an atlas, corrected by the guided generator: as it trains, and at the size of any frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from casgan_dicom.model.data.normalisation import Levels, to_network
from casgan_dicom.model.data.posed import FINE
from casgan_dicom.model.data.square import from_square, to_square
from casgan_dicom.model.drawing import Frames
from casgan_dicom.model.networks.guided import corrected, enlarged
from casgan_dicom.model.settings import NormalisationSettings


@dataclass(frozen=True)
class Corrected:
    """A corrected guide."""

    off: Tensor
    """d, (B, 2, H/4, W/4), pixels."""
    gain: Tensor
    """g, (B, 1, H/4, W/4)."""
    depth: Tensor
    """T', (B, 1, H, W)."""

    @property
    def attention(self) -> Tensor:
        """A = 1 - exp(-T'), (B, 1, H, W)."""
        return -torch.expm1(-self.depth)


def over(nets: nn.ModuleDict, x: Tensor, depth: Tensor, levels: Tensor) -> Corrected:
    """Correct a guide at the size that the networks see.

    `x` and `depth` are (B, 1, H, W), H and W multiples of 4; `levels` are (B, 2) display values. No gradient
    reaches d through the drawing: of a thin vessel that is beside its place it says nothing but noise.
    """
    off, gain = _correction(nets, x, depth, levels)
    size = (x.shape[2], x.shape[3])
    return Corrected(off, gain, corrected(depth, enlarged(off.detach(), size), enlarged(gain, size)))


@torch.inference_mode()
def correct(
    nets: nn.ModuleDict,
    normalisation: NormalisationSettings,
    frames: Frames,
    depth: Frames,
    levels: Levels,
) -> Frames:
    """Correct optical depths at the size of their frames, by networks that see both in their own square.

    Parameters
    ----------
    nets
        "enc_bg", "enc_guide", "predictor" and "vessel", in evaluation mode, on one device.
    normalisation
        How they see display values.
    frames
        Display values in [0, 1], float32 (T, H, W).
    depth
        Optical depth of the tree in them, the same shape.
    levels
        Of the run.

    Returns
    -------
    float32 (T, H, W)
        T', 0 farther from the tree than the networks may move it.
    """
    shape = (frames.shape[1], frames.shape[2])
    device = next(nets.parameters()).device
    x = to_network(to_square(frames, FINE), levels, normalisation)
    guide = to_square(depth, FINE)
    seen, given = (torch.from_numpy(part)[:, None].to(device) for part in (x, guide))
    told = torch.tensor([[levels.low, levels.high]], device=device).expand(len(frames), 2)
    maps = torch.cat(_correction(nets, seen, given, told), dim=1)  # (T, 3, 64, 64): columns, rows, gain
    planes = enlarged(maps, (FINE, FINE)).cpu().unbind(dim=1)
    full = torch.from_numpy(np.stack([from_square(plane.numpy(), shape) for plane in planes], axis=1))
    off = full[:, :2] * (max(shape) / FINE)
    return corrected(torch.from_numpy(depth)[:, None], off, full[:, 2:])[:, 0].numpy()


def _correction(nets: nn.ModuleDict, x: Tensor, depth: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """d and g, see `GuidedDecoder`."""
    z_guide, found = nets["enc_guide"](x, depth)
    off, gain = nets["vessel"](nets["predictor"](nets["enc_bg"](x) + z_guide), found, levels)
    return off, gain
