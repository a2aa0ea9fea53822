"""Initial weights."""

from __future__ import annotations

import torch
from torch import nn

from casgan_dicom.model.networks.choices import InitKind


def init_weights(net: nn.Module, kind: InitKind, gain: float, generator: torch.Generator) -> None:
    """Draw every convolution's and linear layer's weights and clear its bias, in place.

    "normal": N(0, gain²), CycleGAN's with gain 0.02. "xavier": Glorot and Bengio 2010, normal, times `gain`
    (CUT's, 0.02). "kaiming": He et al. 2015, normal, fan in (UNIT's), `gain` unused. `generator` makes it
    reproducible whatever ran before.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            with torch.no_grad():
                if kind == "normal":
                    module.weight.normal_(0.0, gain, generator=generator)
                elif kind == "xavier":
                    nn.init.xavier_normal_(module.weight, gain, generator=generator)
                else:
                    nn.init.kaiming_normal_(module.weight, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
