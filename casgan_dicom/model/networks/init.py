"""Initial weights."""

from __future__ import annotations

import torch
from torch import nn


def init_normal(net: nn.Module, gain: float, generator: torch.Generator) -> None:
    """Draw every convolution's weights from N(0, gain²) and clear its bias, in place.

    CycleGAN's initialisation (gain 0.02). `generator` makes it reproducible whatever ran before.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            with torch.no_grad():
                module.weight.normal_(0.0, gain, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
