"""How a person reaches the supervisor of a data folder: its process id, and its answer to a reload.

The process id stands in the lock file of the folder and counts while somebody holds that. The answer is a
small file, written whole; its number says which answer it is.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass

from casgan_dicom.disk import write_json
from casgan_dicom.node.state.layout import Layout


@dataclass(frozen=True)
class Answer:
    """What a supervisor made of new settings."""

    number: int
    """Counts the answers of this data folder, from 1."""
    reason: str
    """Why it kept the old ones; empty if it took the new."""


def is_held(layout: Layout) -> bool:
    """Whether a supervisor holds the folder: what it wrote there outlives one that was killed."""
    try:
        handle = os.open(layout.lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def supervisor_of(layout: Layout) -> int | None:
    """Process id of the supervisor that holds the folder; None if there is none."""
    if is_held(layout):
        with suppress(OSError, ValueError):
            return int(layout.lock.read_text(encoding="ascii"))
    return None


def last_answer(layout: Layout) -> Answer:
    """The last answer in a folder; number 0 if there is none."""
    try:
        return Answer(**json.loads(layout.reload.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Answer(0, "")


def put_answer(layout: Layout, reason: str) -> None:
    """Write an answer in place of the last. Raises OSError."""
    write_json(layout.reload, asdict(Answer(last_answer(layout).number + 1, reason)))
