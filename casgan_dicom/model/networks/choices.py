"""Words by which settings choose among networks, for who reads settings and builds none."""

from __future__ import annotations

from typing import Literal

InitKind = Literal["normal", "xavier", "kaiming"]
"""How first weights are drawn (``init.py``)."""
Upsampling = Literal["transpose", "resize"]
"""How a decoder enlarges (``resnet.py``)."""
