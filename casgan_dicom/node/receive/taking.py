"""What takes instances on this host, among several on one ledger or alone; for every way in."""

from __future__ import annotations

from casgan_dicom.node.receive.reception import Reception
from casgan_dicom.node.receive.spool import Spool
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.share.elsewhere import fetcher_of
from casgan_dicom.node.state.clock import SharedClock
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import Receipts


def reception_of(
    settings: NodeSettings, spool: Spool, ledger: Ledger, recipe: str
) -> tuple[Reception, Receipts]:
    """What becomes of instances, and where it is written down. Raises ConfigError."""
    receipts, fetcher = Receipts(ledger, recipe, settings.host.name), fetcher_of(settings, ledger)
    if fetcher is None:
        return Reception(spool, receipts), receipts
    return Reception(spool, receipts, SharedClock(ledger), fetcher.is_whole), receipts
