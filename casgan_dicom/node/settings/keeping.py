"""What stays on the disk, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    """The audit trail, audit.log in the data folder: how much of it is kept, and where it is sent."""

    max_bytes: int = 16 * MEBIBYTE
    """Length at which a new file is begun."""
    files: int = 20
    """Older files that are kept beside it."""
    patients: bool = False
    """Whether it names patients, by Patient ID (0010,0020); else it says that they are withheld."""
    key_file: Path | None = None
    """File with a key of 16 bytes or more, as `openssl rand -hex 32` makes one: digests of the chain are then
    HMACs. Without it, whoever can write the files can make the chain anew."""
    host: str = ""
    """Name or address of a syslog server that gets every line, too; empty for none."""
    port: int = 6514
    """Its port: usually 6514 for tls, 601 for tcp, 514 for udp."""
    transport: str = "tls"
    """tls (RFC 5425); tcp: anybody on the way can read it; udp (RFC 5426): and lines may be lost."""
    tls_authorities: str = ""
    """PEM file: the authorities that its certificate may come from. Empty: those of this system."""
    tls_certificate: str = ""
    """PEM file: the certificate that we show there. Empty: that of `listener`, if there is one."""
    tls_key: str = ""
    """PEM file: the private key of it."""
    tls_name: str = ""
    """Name that its certificate must hold; empty for `host`."""
    response_seconds: float = 30.0
    """For the connection, for any pause in sending, and for the server to end it when it has everything."""
    longest_seconds: float = 60.0
    """At most, between two attempts while it is away."""
