"""What the trainer asks of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """One training step's crops, all float32 (B, 1, H, W), images in network values."""

    x: Tensor
    """Non-contrast frames."""
    y: Tensor
    """Angiograms of other patients."""
    twin: Tensor | None = None
    """`x` with contrast, known on simulated data only; None when no term asks for it."""
    mask: Tensor | None = None
    """Vessels in `twin`, 0 or 1."""


class Method(nn.Module, ABC):
    """Networks and losses of one paper; the trainer owns optimisers, pools, weights and the loop."""

    generators: nn.ModuleDict
    """Networks on the generator's side, by name."""
    discriminators: nn.ModuleDict
    """Networks on the discriminator's side, by name."""
    deployed: ClassVar[tuple[str, ...]]
    """Names in `generators` that `translate` needs; a bundle holds these only."""
    terms: ClassVar[tuple[str, ...]]
    """Names of all loss terms of the generator, for checking weights."""

    @abstractmethod
    def generator_losses(self, batch: Batch, weights: Mapping[str, float]) -> Losses:
        """Return the unweighted scalar of every term whose weight is not 0, and keep the fakes."""

    @abstractmethod
    def discriminator_samples(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Name of each discriminator → (real, fake) of the last `generator_losses` call, detached."""

    @abstractmethod
    def translate(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map x (B, 1, H, W) to (y_g, attention or None), H and W multiples of 4."""

    def diagnostics(self) -> dict[str, float]:
        """Figures to log beside the losses, of the last `generator_losses` call."""
        return {}
