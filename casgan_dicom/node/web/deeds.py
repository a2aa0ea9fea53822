"""What may be done with a job in its state. Pure; the ledger decides once more when it is done."""

from __future__ import annotations

from casgan_dicom.node.state.jobs import BY_NAME
from casgan_dicom.node.state.overview import JobRow
from casgan_dicom.node.web.answers import Deed

WAITING = ("receiving", "queued", "converting")
"""States in which a priority counts."""
_ENDED = ("done", "skipped", "kept", "cancelled")


def deeds_of(row: JobRow) -> tuple[Deed, ...]:
    """What may be done with a job now."""
    given_up = any(each.state in ("dead", "cancelled") for each in row.deliveries)
    found: list[Deed] = []
    if given_up if row.deliveries else row.state in BY_NAME:
        found.append("retry")
    if row.state not in _ENDED:
        found.append("cancel")
    if row.state in WAITING:
        found.append("priority")
    elif row.removed_at is None:
        found.append("convert")
        if row.derived:
            found.append("review")
    return tuple(found)
