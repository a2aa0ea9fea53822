"""How a node is, and what is wrong with it: the same for the command, the page, and who is sent a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from casgan_dicom.node.certificates import Expiry
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.contacts import last_contacts
from casgan_dicom.node.state.health import Finding, findings, peers_away
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import Status, status
from casgan_dicom.node.work.retention import Plan


def status_of(settings: NodeSettings, ledger: Ledger, plan: Plan) -> Status:
    """What there is, on this host among several, beside what retention would remove. Raises LedgerError."""
    found = status(Layout(settings.data), ledger, settings.host.name)
    return replace(found, excess_bytes=plan.excess_bytes)


def wrong_with(
    settings: NodeSettings, ledger: Ledger, found: Status, certificates: Sequence[Expiry], now: float
) -> tuple[Finding, ...]:
    """Everything that is not as it should be; none where all is well. Raises LedgerError."""
    return (
        *findings(found, settings.listener.min_free_bytes, certificates),
        *peers_away(settings.peers, last_contacts(ledger), now),
    )
