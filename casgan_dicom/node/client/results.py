"""What a destination answers for one object, whatever kind of destination it is.

Failures are told by the same numbers everywhere: the status of a C-STORE response, Failure Reason (0008,1197)
of a store over the web (PS3.18 10.5.3) is one of these as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from casgan_dicom.errors import PeerError

Outcome = Literal["stored", "warning", "refused-now", "refused", "no-answer"]

DUPLICATE = 0x0111
"""Status: an object of this UID is there."""


@dataclass(frozen=True)
class StoreResult:
    """What the peer answered for one file."""

    path: Path
    """The file."""
    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""
    status: int | None
    """Status (0000,0900); None where no response came."""
    outcome: Outcome
    """What that means."""
    reason: str
    """In words; empty where it was stored without a word."""

    @property
    def is_stored(self) -> bool:
        """Whether the object is there now, with a warning or without."""
        return self.outcome in ("stored", "warning")


class BusyError(PeerError):
    """The other side wants to be left alone for a while.

    Parameters
    ----------
    message, hint
        As of every error.
    seconds
        How long, as it says.
    """

    def __init__(self, message: str, *, hint: str = "", seconds: float) -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


def classify(status: int) -> Outcome:
    """What the status of a C-STORE response means for the object (PS3.4 B.2.3, PS3.7 annex C).

    ``warning`` is stored as well. ``refused-now`` may be stored when it is sent again later: out of resources
    (0xA7xx), resource limitation (0x0213) and processing failure (0x0110), which says nothing of the object.
    A duplicate (0x0111) is there already, by an answer that was lost for instance: it counts as stored, and
    is said. Everything else is ``refused``, a status that the standard does not know included.
    """
    if status == 0x0000:
        return "stored"
    if status in (0x0001, 0x0107, DUPLICATE, 0x0116) or 0xB000 <= status <= 0xBFFF:
        return "warning"
    if status in (0x0110, 0x0213) or 0xA700 <= status <= 0xA7FF:
        return "refused-now"
    return "refused"


def in_words(status: int) -> str:
    """The status in the words of the standard; empty for success."""
    if status == 0:
        return ""
    if status == DUPLICATE:
        return f"an object of this UID was there already (0x{status:04X})"
    _, words = STORAGE_SERVICE_CLASS_STATUS.get(status, ("", ""))
    return f"{words.lower() or 'a status that the standard does not know'} (0x{status:04X})"
