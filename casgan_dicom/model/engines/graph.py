"""What runs a network, whichever engine: arrays in, arrays out.

Whoever wants one says how it is built (`MakeNet`), of what shape an item of each input is, and what its
values depend on (its identity). An engine that has it compiled already never builds it: then nobody needs
torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import nn

Arrays = tuple[npt.NDArray[np.float32], ...]
Shapes = tuple[tuple[int, ...], ...]
"""Of one item of each input, without the batch's own axis."""
Maps = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
"""drawn and attention (or None), both float32 (B, 1, S, S)."""
Precision = Literal["auto", "f32", "bf16"]
"""auto: bf16 where the processor multiplies it, else float32."""

MakeNet = Callable[[], "nn.Module"]
"""Builds a network, in evaluation mode."""


class Graph(Protocol):
    """A network that runs."""

    name: str
    """What runs it, and in which precision: "torch-fp32", "openvino-bf16" …"""
    device: str
    """Where it runs: "cpu", "cuda:0" …"""

    def __call__(self, *inputs: npt.NDArray[np.float32]) -> Arrays:
        """What it says of inputs (B, …), any B: outputs (B, …), float32."""


class MakeGraph(Protocol):
    """Puts a network on an engine."""

    def __call__(self, make_net: MakeNet, shapes: Shapes, identity: str) -> Graph:
        """Of inputs of these shapes, in float32; what the identity says it may be kept compiled by."""


def one_frame(size: int) -> Shapes:
    """The shapes of a network that sees a frame of one channel, `size` rows and columns."""
    return ((1, size, size),)
