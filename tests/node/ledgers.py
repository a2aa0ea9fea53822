"""Ledgers with something in them, for tests."""

from __future__ import annotations

import hashlib
from pathlib import Path

from casgan_dicom.node.state.receipts import Received
from tests.support.factories import uid


def received(name: str, *, series: str = "run", content: str = "", frames: int = 1) -> Received:
    """An instance called `name`; another `content` is another data set under the same UID."""
    digest = hashlib.sha256(f"{name} {content}".encode()).hexdigest()
    return Received(
        sop_uid=uid(name),
        sha256=digest,
        series_uid=uid(series),
        path=Path(f"/spool/{uid(series)}/{uid(name)}-{digest[:16]}.dcm"),
        bytes=1000,
        frames=frames,
        expected=None,
        peer="CATHLAB",
        address="127.0.0.1",
    )
