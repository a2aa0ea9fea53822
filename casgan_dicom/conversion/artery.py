"""The word for a coronary artery, as an option says it; alone, so that a help text loads nothing else."""

from __future__ import annotations

from typing import Literal

Artery = Literal["auto", "left", "right"]
"""Which coronary artery is drawn; ``auto``: the one that the catheter is in, by the picture."""
