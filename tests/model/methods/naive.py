"""Made-up batches, and the sums that naive computations of several methods' terms share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from casgan_dicom.model.data.batch import Batch


def unpaired_batch(n: int = 2) -> Batch:
    """Noise of 64 px, always the same."""
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.rand(n, 1, 64, 64, generator=generator) * 2 - 1 for _ in range(2))
    return Batch(x, y)


def paired_batch(n: int = 2) -> Batch:
    """Noise of 64 px with a twin and a mask of a fifth of the pixels, always the same."""
    generator = torch.Generator().manual_seed(1)
    x, y, twin = (torch.rand(n, 1, 64, 64, generator=generator) * 2 - 1 for _ in range(3))
    return Batch(x, y, twin, (torch.rand(n, 1, 64, 64, generator=generator) > 0.8).float())


def l1(a: Tensor, b: Tensor) -> float:
    """Mean absolute difference."""
    return float((a - b).abs().mean())


def fooling(score: Tensor | Sequence[Tensor], gan: str) -> float:
    """What the generator pays for a score that should look real; summed over several scales."""
    if not isinstance(score, Tensor):
        return sum(fooling(scale, gan) for scale in score)
    score = score.detach()
    return float(((score - 1) ** 2).mean() if gan == "lsgan" else -torch.log(torch.sigmoid(score)).mean())


def grads(net: nn.Module) -> float:
    """Sum of the absolute gradients of a network; 0 where none reached it."""
    return sum(float(p.grad.abs().sum()) for p in net.parameters() if p.grad is not None)


class Counting(nn.Module):
    """A network that counts how often it is asked."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.times = net, 0

    def forward(self, *given: Tensor) -> object:
        self.times += 1
        drawn: object = self.net(*given)
        return drawn
