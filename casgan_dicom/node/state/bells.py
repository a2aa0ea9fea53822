"""Bells: how one process of the node tells another that there is something to do.

    bells/coordinator       the ledger has changed: an instance came in, a conversion ended, a person decided
    bells/<queue>           a workflow was put on this queue
    bells/audit             a line was added to the audit trail

A bell is a named pipe in the data folder. Who it belongs to sleeps until a byte comes; anybody may ring. A
ring says that it is worth a look, and nothing else: what there is to do stands in the databases. One that
nobody hears is lost, so who has a bell also looks by himself now and then.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from pathlib import Path
from stat import S_ISFIFO

COORDINATOR = "coordinator"
"""Rung when the ledger holds something that the coordinator decides about."""
AUDIT = "audit"
"""Rung when the audit trail has another line."""
_READ_BYTES = 65536
"""What a pipe holds at most: all rings that there are count as one."""


class Bell:
    """A bell of this process; for one thread at a time.

    Parameters
    ----------
    folder
        Where the bells are; made if it is not there.
    name
        Which of them.

    Raises
    ------
    OSError
        The pipe cannot be made.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / name
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # For both directions: a pipe that nobody holds open for writing is always at its end, and so awake.
        self._handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not S_ISFIFO(os.fstat(self._handle).st_mode):
            os.close(self._handle)
            raise FileExistsError(f"{path} is no pipe")
        self._rung = select.poll()
        self._rung.register(self._handle, select.POLLIN)

    def wait(self, seconds: float | None = None) -> None:
        """Sleep until somebody rings, or has since the last time; not longer than `seconds`."""
        if self._rung.poll(None if seconds is None else max(0.0, seconds) * 1000):
            with suppress(BlockingIOError):
                os.read(self._handle, _READ_BYTES)

    def close(self) -> None:
        """Hear nothing any more."""
        os.close(self._handle)


def ring(folder: Path, name: str) -> None:
    """Ring a bell, from any process; nothing happens if there is none, or if it has rung already."""
    try:
        handle = os.open(folder / name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # nobody has it open, or no process of the node ever had
        return
    try:
        with suppress(OSError):  # full: it has rung
            os.write(handle, b"\0")
    finally:
        os.close(handle)
