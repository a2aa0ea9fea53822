"""What takes instances on this host, among several on one ledger or alone; for every way in."""

from __future__ import annotations

from casgan_dicom.node.receive.reception import Reception
from casgan_dicom.node.receive.spool import Spool
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.share.fetching import Fetcher, Patience
from casgan_dicom.node.state.clock import SharedClock
from casgan_dicom.node.state.hosts import Hosts
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import Receipts


def reception_of(
    settings: NodeSettings, spool: Spool, ledger: Ledger, recipe: str
) -> tuple[Reception, Receipts]:
    """What becomes of instances, and where it is written down. Raises ConfigError."""
    host = settings.host.name
    receipts = Receipts(ledger, recipe, host)
    if not host:
        return Reception(spool, receipts), receipts
    clock = SharedClock(ledger)
    fetcher = Fetcher(settings, Hosts(ledger), clock, Patience())
    return Reception(spool, receipts, clock, fetcher.is_whole), receipts
