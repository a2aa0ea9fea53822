"""What options of the laboratory's commands may say; alone, so that a help text loads nothing else."""

from __future__ import annotations

from typing import Literal

Bits = Literal[8, 10, 12]
"""Bits stored of a simulated cine."""

SMALLEST, LARGEST = 64, 1024
"""Rows and columns of a simulated cine."""

WANTED = "want sim:SEED[,cache=no][,ct=PATH], xcad:PATH or X_FOLDER,Y_FOLDER"
"""What names training data."""

CHESTS, STEPS = 600, 6000
"""How many chests are rendered to learn where a catheter lies, and how long is trained."""
FEWEST_CHESTS = 10
"""One in ten sets the limit: of fewer, it would be most of what there is."""
