"""How many threads of the processor this process computes with, and work that is shared by all of them.

One number holds for everything: OpenVINO and PyTorch go by ``OMP_NUM_THREADS``, too, and where nobody names a
number, what is given to the process (``taskset``, the cpuset of a container) is never exceeded. PyTorch is
not asked: it may not be loaded yet, and what is kept compiled for a number of threads would not be found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

TOLD = "OMP_NUM_THREADS"
"""Variable of the environment that PyTorch and OpenMP go by when they are loaded, and children inherit."""
Item = TypeVar("Item")
Made = TypeVar("Made")


def threads_told() -> int | None:
    """How many threads this process was told to use: the first number of `TOLD`; None where there is none."""
    told = os.environ.get(TOLD, "").partition(",")[0].strip()
    return int(told) if told.isdecimal() and int(told) > 0 else None


def threads() -> int:
    """How many threads compute, 1 or more: as many as was told, else as the process may run on."""
    return threads_told() or processors()


def processors() -> int:
    """On how many processors the process may run."""
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
