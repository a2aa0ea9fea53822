"""Sizes of what the networks of ``reading.py`` see and say, for who uses them and does not build them."""

from __future__ import annotations

FINE = 256
"""Rows and columns of a frame that the tip is looked for in."""
GRID = 128
"""Rows and columns of what the pose is read from, and of every map."""
CELLS = 64
"""Rows and columns of the heat map of the tip."""
LANDMARKS = 10
"""Points of the trunks of each artery."""
TOLD = 7
"""What the pose network is told: view known, four terms of its angles, phase known, contraction."""
SEEN = 5
"""Channels of what the pose is read from."""
POSE_PARTS = (
    *(("right", 1), ("landmarks", 4 * LANDMARKS), ("log_spread", 2 * LANDMARKS), ("phase", 3)),
    *(("isocentre", 2), ("scale", 1), ("semi_axes", 3), ("apex", 3), ("angles", 2)),
)
"""Names and lengths of the parts of the pose, in the order of the network's vector."""
