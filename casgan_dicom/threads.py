"""How many threads of the processor this process computes with, and work that is shared by all of them.

One number holds for everything: OpenVINO and PyTorch go by ``OMP_NUM_THREADS``, too, and where nobody names a
number, what is given to the process (``taskset``, the cpuset of a container) is never exceeded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def threads() -> int:
    """How many threads compute, 1 or more.

    What PyTorch was told where it is loaded; else the first number of ``OMP_NUM_THREADS``; else as many as
    the process may run on.
    """
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "get_num_threads"):
        return int(torch.get_num_threads())
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if told.isdecimal() and int(told) > 0:
        return int(told)
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(make: Callable[[Item], Made], items: Iterable[Item]) -> list[Made]:
    """What `make` makes of each item, in their order, several at a time.

    Parameters
    ----------
    make
        Called once for each item, by any thread: what it changes may be that of its own item only. NumPy and
        SciPy let other threads run while they compute.
    items
        What it is called with. Where there is one, or one thread, none is begun.

    Raises
    ------
    Exception
        What `make` raises of the first of the items that it fails for.
    """
    given = list(items)
    if (number := min(threads(), len(given))) < 2:
        return [make(item) for item in given]
    with ThreadPoolExecutor(number, thread_name_prefix="compute") as pool:
        return list(pool.map(make, given))
