"""What the coordinator does for retention, over and over, in a process that tests kill.

    python -m tests.faults.cleaning_process DATA [CALL]

Removes what was delivered longer than a second ago. Ends when there is nothing more to remove, and prints how
many calls, of functions in Python or C, that took; or is killed before the call of that number. What the time
is like, how fast the disk, how busy the machine, changes nothing about where that is.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from time import time
from types import FrameType

from casgan_dicom.node.settings import NodeSettings, RetentionSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.removals import Removals
from casgan_dicom.node.work.cleaner import Cleaner

RULES = RetentionSettings(delivered_seconds=1.0)
REMOVING = (Cleaner._remove.__code__, Cleaner._finish.__code__)
"""Functions inside which calls count: what only decides what to remove breaks nothing."""


def clean_up(data: Path) -> None:
    """Clean up until nothing is left to do."""
    ledger = Ledger(Layout(data).ledger)
    cleaner = Cleaner(NodeSettings(data=data, retention=RULES), ledger)
    while cleaner.plan(time()).removals or Removals(ledger).begun():
        cleaner.round(time())
    ledger.close()


class Calls:
    """Counts calls, and is killed before one of them.

    Parameters
    ----------
    last
        Number of that one, from 1; 0 for none.
    """

    def __init__(self, last: int) -> None:
        self.last, self.count = last, 0
        self._depth = 0

    def note(self, frame: FrameType, event: str, _argument: object) -> None:
        """Called by Python at every call and return."""
        if frame.f_code in REMOVING and event in ("call", "return"):
            self._depth += 1 if event == "call" else -1
        if self._depth and event in ("call", "c_call"):
            self.count += 1
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    calls = Calls(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    sys.setprofile(calls.note)
    clean_up(Path(sys.argv[1]))
    sys.setprofile(None)
    sys.stdout.write(f"{calls.count}\n")
