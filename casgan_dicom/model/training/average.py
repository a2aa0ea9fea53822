"""The exponential moving average of a network's weights."""

from __future__ import annotations

import torch
from torch import nn


class MovingAverage:
    """average ← decay · average + (1 - decay) · weights, after every step."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Take in the weights of `net` after a step."""
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - self.decay)
            else:
                self.state[name].copy_(value)
