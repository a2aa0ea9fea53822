"""Is a node well? What a monitoring program asks every minute, and a person before going home.

The words and numbers are those of monitoring plugins (Nagios and its heirs): 0 OK, 1 WARNING, 2 CRITICAL,
3 UNKNOWN. Critical is what stops the work: nothing is received, or nothing can be written. A warning is what
waits for a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from casgan_dicom.node.certificates import Expiry
from casgan_dicom.node.settings import Event, PeerSettings
from casgan_dicom.node.state.audit_sent import Sent
from casgan_dicom.node.state.overview import Status

LOW_SPACE = 2
"""Times the free space at which instances are refused: below that, somebody should look."""
RENEW_DAYS = 30
"""Before a certificate expires, somebody should renew it."""


class Level(IntEnum):
    """How bad it is; the exit code of a check."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    level: Level
    """How bad it is."""
    text: str
    """What it is."""
    event: Event
    """What kind of thing it is."""
    about: str = ""
    """Which of its kind, where there may be several: a destination, a key of the settings."""


_JOBS: Mapping[str, Event] = {"failed": "failed", "quarantined": "quarantine", "undelivered": "dead_letter"}
"""States of jobs that wait for a person."""


def findings(found: Status, min_free_bytes: int, certificates: Sequence[Expiry] = ()) -> tuple[Finding, ...]:
    """Everything that is not as it should be; none where all is well.

    `min_free_bytes` is the free space below which the listener refuses instances; `certificates` are those
    that are configured.
    """
    return *_findings(found, min_free_bytes), *_of_certificates(certificates)


def peers_away(peers: Sequence[PeerSettings], contacts: Mapping[str, float], now: float) -> Iterator[Finding]:
    """Peers of whom nothing has come for longer than is expected; `contacts` is when something last did."""
    for title, every in {peer.ae_title: peer.expected_every_seconds for peer in peers}.items():
        last = contacts.get(title)
        if every is not None and last is not None and now - last > every:
            since = f"{datetime.fromtimestamp(last):%Y-%m-%d %H:%M}"
            yield Finding(Level.WARNING, f"nothing from peer {title} since {since}", "peer_away", title)


def worst(found: tuple[Finding, ...]) -> Level:
    """How bad all of it together is."""
    return max((finding.level for finding in found), default=Level.OK)


def _findings(found: Status, min_free_bytes: int) -> Iterator[Finding]:
    if found.phase == "stopped":
        yield Finding(Level.CRITICAL, "the node is stopped", "node")
    if found.phase == "starting":
        yield Finding(Level.WARNING, "the node is starting", "node")
    if found.free_bytes < min_free_bytes:
        yield Finding(Level.CRITICAL, f"{_gib(found.free_bytes)} free, instances are refused", "disk", "free")
    elif found.free_bytes < LOW_SPACE * min_free_bytes:
        yield Finding(Level.WARNING, f"{_gib(found.free_bytes)} free", "disk", "free")
    for state, event in _JOBS.items():
        if count := found.jobs.get(state, 0):
            yield Finding(Level.WARNING, f"{count} jobs {state}", event, "jobs")
    for destination, states in found.deliveries.items():
        if count := states.get("dead", 0):
            yield Finding(Level.WARNING, f"{count} dead letters to {destination}", "dead_letter", destination)
    if found.excess_bytes:
        excess = _gib(found.excess_bytes)
        text = f"{excess} in spool and outbox above high_bytes, and may not be removed"
        yield Finding(Level.WARNING, text, "disk", "excess")
    for paused in found.paused:
        yield Finding(Level.WARNING, f"{paused} are paused", "paused", paused)
    if found.quarantined_instances:
        yield Finding(Level.WARNING, f"{found.quarantined_instances} instances in quarantine", "quarantine")
    yield from _of_audit(found.audit)
    gone = (host.name for host in found.hosts if not host.is_live)
    yield from (Finding(Level.WARNING, f"host {name} is gone", "host", name) for name in gone)


def _of_audit(sent: Sent) -> Iterator[Finding]:
    if sent.failing_since is not None:
        when = f"{datetime.fromtimestamp(sent.failing_since):%Y-%m-%d %H:%M}"
        text = f"the audit trail cannot be sent since {when}: {sent.reason}"
        yield Finding(Level.WARNING, text, "audit", "sending")
    if sent.lost:
        text = f"{sent.lost} audit messages were dropped before they were sent"
        yield Finding(Level.WARNING, text, "audit", "lost")


def _of_certificates(certificates: Sequence[Expiry]) -> Iterator[Finding]:
    for each in certificates:
        named = f"{each.key} {each.path}"
        if each.days_left is None:
            yield Finding(
                Level.WARNING,
                f"{named} cannot be read: nobody knows when it expires",
                "certificate",
                each.key,
            )
        elif each.days_left < 0:
            yield Finding(Level.CRITICAL, f"{named} has expired", "certificate", each.key)
        elif each.days_left < RENEW_DAYS:
            yield Finding(Level.WARNING, f"{named} expires in {each.days_left} days", "certificate", each.key)


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
