"""What a process needs to know of files that other hosts have; ``fetching.py`` gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.share.absence import Patience
from casgan_dicom.node.state.clock import SharedClock
from casgan_dicom.node.state.hosts import Hosts
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.promises import Promises

if TYPE_CHECKING:
    from casgan_dicom.node.share.fetching import Fetcher


_PATIENT = Patience()


def fetcher_of(settings: NodeSettings, ledger: Ledger, patience: Patience = _PATIENT) -> Fetcher | None:
    """What gets files from other hosts; None for a node by itself. Raises ConfigError."""
    if not settings.host.name:
        return None
    # Imported here: a node by itself need not wait for what talks HTTP, nor hold it.
    from casgan_dicom.node.share.fetching import Fetcher  # noqa: PLC0415

    return Fetcher(settings, Hosts(ledger), SharedClock(ledger), patience)


def promises_of(settings: NodeSettings, ledger: Ledger) -> Promises:
    """What others asked us to keep, on whatever host it lies. Raises ConfigError."""
    fetcher = fetcher_of(settings, ledger)
    if fetcher is None:
        return Promises(ledger)
    return Promises(ledger, settings.host.name, fetcher.is_whole)
