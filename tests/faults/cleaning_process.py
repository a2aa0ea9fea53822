"""What the coordinator does for retention, over and over, in a process that tests kill.

    python -m tests.faults.cleaning_process DATA

Removes what was delivered longer than a second ago. Ends when there is nothing more to remove.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import time

from casgan_dicom.node.settings import NodeSettings, RetentionSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.removals import Removals
from casgan_dicom.node.work.cleaner import Cleaner

RULES = RetentionSettings(delivered_seconds=1.0)


def clean_up(data: Path) -> None:
    """Clean up until nothing is left to do."""
    ledger = Ledger(Layout(data).ledger)
    cleaner = Cleaner(NodeSettings(data=data, retention=RULES), ledger)
    while cleaner.plan(time()).removals or Removals(ledger).begun():
        cleaner.round(time())
    ledger.close()


if __name__ == "__main__":
    clean_up(Path(sys.argv[1]))
