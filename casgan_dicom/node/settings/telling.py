"""Who is told when something is wrong, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Event = Literal[
    "node", "disk", "failed", "quarantine", "dead_letter", "paused", "certificate", "peer_away", "audit",
    "host",
]  # fmt: skip
"""Kinds of things that may be wrong."""
TOLD: tuple[Event, ...] = (
    "dead_letter", "failed", "quarantine", "disk", "certificate", "peer_away", "audit", "paused",
    "host",
)  # fmt: skip
"""Those that a node tells: that it is stopped, it cannot."""
NotificationKind = Literal["webhook", "mail"]


@dataclass(frozen=True)
class NotificationSettings:
    """Somebody who is told what is wrong. Which of the keys there are, its kind says."""

    name: str
    """What logs and `node notify-test` call it: letters, digits, dash and underscore."""
    kind: NotificationKind = "webhook"
    """webhook: JSON is posted to an address; mail: by SMTP."""
    events: tuple[str, ...] = ()
    """Of dead_letter, failed, quarantine, disk, certificate, peer_away, audit, paused, host. Empty: all."""
    repeat_seconds: float = 86400.0
    """What lasts is told again after so long; 0 for never."""
    all_clear: bool = True
    """Whether it is also told when something is over."""
    look_seconds: float = 60.0
    """How often is looked."""
    response_seconds: float = 30.0
    """For the connection, and for each answer."""
    tls_authorities: str = ""
    """PEM file: the authorities that the server's certificate may come from. Empty: those of this system."""
    url: str = ""
    """What is posted to, as https://chat.example/hooks/casgan (kind webhook)."""
    url_file: Path | None = None
    """File whose first line is that address, instead of `url`: with many services it is a secret (kind
    webhook)."""
    token_file: Path | None = None
    """File whose first line is a bearer token; read for each message (kind webhook)."""
    proxy: bool = False
    """Whether HTTPS_PROXY and the like of the environment hold here too (kind webhook)."""
    host: str = ""
    """Name or address of the mail server (kind mail)."""
    port: int = 587
    """Its port: usually 587 for starttls, 465 for tls, 25 for none (kind mail)."""
    encryption: str = "starttls"
    """starttls; tls: from the first byte; none: anybody on the way can read it (kind mail)."""
    user: str | None = None
    """Name to log in with (kind mail)."""
    password_file: Path | None = None
    """File whose first line is the password of `user`; read for each message (kind mail)."""
    sender: str = ""
    """Address that it comes from (kind mail)."""
    to: tuple[str, ...] = ()
    """Addresses that it goes to (kind mail)."""
