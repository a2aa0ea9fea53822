"""What stays on the disk, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from casgan_dicom.node.settings.units import MEBIBYTE


@dataclass(frozen=True)
class RetentionSettings:
    """What is removed when it is not needed any more; as it is, nothing. 0 is for ever, or no limit."""

    delivered_seconds: float = 0.0
    """After the delivery of a series: its instances and what was made of them."""
    outbox_seconds: float = 0.0
    """After a conversion that goes to no destination: what lies in the outbox may be all there is."""
    ended_seconds: float = 0.0
    """After a series was skipped, kept by the rules or cancelled, or held nothing new."""
    quarantine_seconds: float = 0.0
    """After an instance came into quarantine."""
    high_bytes: int = 0
    """With more in spool and outbox, what was delivered goes before its time, the oldest first."""
    low_bytes: int = 0
    """Until no more than this is left there."""
    free_bytes: int = 0
    """With less free space on the disk, it goes too, until so much is free: before instances are refused."""


@dataclass(frozen=True)
class AuditSettings:
    """How much of the audit trail is kept: audit.log in the data folder."""

    max_bytes: int = 16 * MEBIBYTE
    """Length at which a new file is begun."""
    files: int = 20
    """Older files that are kept beside it."""
