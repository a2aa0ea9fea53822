"""The paper's own numbers and the order of its rows (Huang et al., SSCI 2025, Tables I and II).

They were measured on XCAD with an extractor and a kernel that are not published: no figure of ours can be
compared with them, only the order of the rows among themselves.
"""

from __future__ import annotations

Bits = tuple[bool, bool, bool]
"""DRL, VSGG, VSGL."""

TABLE_1: dict[str, tuple[float, float]] = {
    "cyclegan": (6.54, 0.28),
    "unit": (9.99, 0.22),
    "munit": (8.87, 0.33),
    "cut": (7.09, 0.26),
    "attentiongan": (6.34, 0.31),
    "qs-attn": (7.20, 0.24),
    "stegogan": (10.80, 2.26),
    "casgan": (5.87, 0.16),
}
"""Method → FID and ten times MMD."""

TABLE_2: dict[Bits, float] = {
    (False, False, False): 7.14,
    (False, False, True): 8.59,
    (False, True, False): 6.57,
    (False, True, True): 5.98,
    (True, False, False): 6.87,
    (True, False, True): 6.70,
    (True, True, False): 5.93,
    (True, True, True): 5.87,
}
"""DRL, VSGG, VSGL → FID."""
