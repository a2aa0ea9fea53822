"""One at a time removes files from a data folder, or keeps the others from it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from casgan_dicom.node.state.layout import Layout


@contextmanager
def removals_to_myself(layout: Layout, *, wait: bool) -> Iterator[bool]:
    """Hold the data folder against others who remove; False if somebody has it, and nobody waits."""
    handle = os.open(layout.data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_alone = True
    except BlockingIOError:
        is_alone = False
    try:
        yield is_alone
    finally:
        os.close(handle)
