"""What becomes of a verdict about a derived series."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReviewSettings:
    """What becomes of a verdict: `casgan-dicom node accept` and `node reject`; a rule may say otherwise."""

    record: str = ""
    """Sent where the series went: sr (structured report) or ko (key object selection; a rejection hides the
    objects in an archive that knows IHE IOCM). Empty: nothing, it stays in the ledger."""
