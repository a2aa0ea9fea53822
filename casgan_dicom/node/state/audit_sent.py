"""How much of an audit trail was sent elsewhere: a small file beside it, written whole and flushed."""

from __future__ import annotations

import json
from dataclasses import dataclass

from casgan_dicom.disk import write_json
from casgan_dicom.node.state.audit_chain import START, Link
from casgan_dicom.node.state.layout import Layout


@dataclass(frozen=True)
class Sent:
    """Where the sending of a trail stands."""

    link: Link = START
    """The last line that arrived."""
    lost: int = 0
    """Lines that were gone before they could be sent, since the file was made."""
    failing_since: float | None = None
    """Since when it cannot be sent, seconds since 1970; None while it can."""
    reason: str = ""
    """Why not; empty while it can."""


def read_sent(layout: Layout) -> Sent:
    """What was written last; nothing was sent where that is missing or unreadable."""
    try:
        found = json.loads(layout.audit_sent.read_text(encoding="utf-8"))
        link = Link(int(found["seq"]), str(found["digest"]))
        return Sent(link, int(found["lost"]), found["failing_since"], str(found["reason"]))
    except (OSError, ValueError, TypeError, KeyError):
        return Sent()


def write_sent(layout: Layout, sent: Sent) -> None:
    """Write it in place of the last. Raises OSError."""
    table = {
        "seq": sent.link.seq,
        "digest": sent.link.digest,
        "lost": sent.lost,
        "failing_since": sent.failing_since,
        "reason": sent.reason,
    }
    write_json(layout.audit_sent, table)
