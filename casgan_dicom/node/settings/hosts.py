"""One host among several that share a database."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("listener", "coordinator", "worker", "sender")
"""What a host may do; inbox, puller and web follow from tables of their own."""


@dataclass(frozen=True)
class HostSettings:
    """This host, where several share one PostgreSQL database; nothing here is needed for one alone."""

    name: str = ""
    """Its name among them, different on each and always the same: rows say by it who has a file. Empty: the
    only one."""
    roles: tuple[str, ...] = ROLES
    """What it does: listener, coordinator, worker, sender. Several may coordinate: one does, the others stand
    by."""
    lease_seconds: float = 15.0
    """Silent for so long, it counts as gone, and others take its work."""
    share_host: str = "127.0.0.1"
    """Address or name on which it listens, and others fetch its files."""
    share_port: int = 0
    """TCP port for that; 0 for none: then the others need `shared`."""
    tls_certificate: str = ""
    """PEM file: its certificate for the others, and behind it those that lead to an authority."""
    tls_key: str = ""
    """PEM file: the private key of it."""
    tls_authorities: str = ""
    """PEM file: the authorities whose certificates the hosts take from each other."""
    unencrypted: bool = False
    """Whether to fetch files without TLS elsewhere than on loopback: anybody on the way can read them."""
    secret_file: str = ""
    """File whose first line is the secret that all hosts share, of at least 32 characters."""
    shared: bool = False
    """Whether the data folders of all hosts lie on a file system that each of them has at the same path."""


def place_at(host: str, name: str) -> str:
    """What a queue or a process of a host is called among those of all hosts; plain for the only one."""
    return f"{host}.{name}" if host else name
