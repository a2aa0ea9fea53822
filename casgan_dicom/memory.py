"""What becomes of memory that is not needed any more: given back, not kept for later.

Frames are large arrays that come and go by the hundred. glibc learns from the first ones that it frees to
take such arrays out of its heap, where a small one behind them keeps all of them (mallopt(3),
M_MMAP_THRESHOLD).
"""

from __future__ import annotations

import ctypes
import sys

MAPPED_FROM = 4 * 2**20
"""Bytes from which an array has pages of its own, and of unused heap from which it is given back."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h."""


def give_back_memory() -> bool:
    """Let this process give back what it frees; whether its C library can be told (glibc can)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    told = [mallopt(which, MAPPED_FROM) for which in (_TRIM_THRESHOLD, _MMAP_THRESHOLD)]
    return all(told)
