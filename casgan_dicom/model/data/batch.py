"""What one step trains on: crops of both domains, or frames with the truth about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


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
    truth: Mapping[str, Tensor] = field(default_factory=dict)
    """What a method with data of its own learns besides, by name, each (B, ...)."""
