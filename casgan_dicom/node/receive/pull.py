"""Fetches what an archive holds into the spool: each instance once, as if a modality had sent it.

What the node has, the ledger knows: the archive is asked what it holds, and only the rest is fetched, series
by series. So a pull that was ended goes on when it is started again. By C-GET and over the web instances come
here and go the way of the listener, flushed and entered; by C-MOVE they come to the listener itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Protocol

from casgan_dicom.node.client.places import peer_at, tls_at
from casgan_dicom.node.client.query import Held, Wanted, series_of
from casgan_dicom.node.credentials import files_of_archives
from casgan_dicom.node.receive.dicom_archive import GettingArchive, MovingArchive
from casgan_dicom.node.receive.listener import STORAGE_CLASSES
from casgan_dicom.node.receive.reception import Reception
from casgan_dicom.node.receive.spool import Spool
from casgan_dicom.node.receive.taking import reception_of
from casgan_dicom.node.receive.web_archive import WebArchive
from casgan_dicom.node.settings import ArchiveSettings, NodeSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger

_LOOK_SECONDS = 0.1


class Archive(Protocol):
    """Somewhere that instances are fetched from, whatever it talks."""

    @property
    def arrival_seconds(self) -> float:
        """How long what it says that it has given may be on its way into the ledger."""
        ...

    def held(self, wanted: Wanted) -> list[Held]:
        """Which instances it holds of what is wanted. Raises PeerError."""
        ...

    def fetch(self, series: Sequence[Held]) -> None:
        """Have instances of one series come in; who asked looks at what came. Raises PeerError."""
        ...


@dataclass
class Pulled:
    """What became of a pull."""

    held: int = 0
    """Instances that the archive holds of what is wanted."""
    known: int = 0
    """Those of them that were here before, or were made here."""
    foreign: int = 0
    """Those of a SOP class that a node does not take: they are left there."""
    missing: list[Held] = field(default_factory=list)
    """Those that are to be fetched."""
    fetched: int = 0
    """Those that have come."""

    @property
    def left(self) -> int:
        """Those that have not."""
        return len(self.missing) - self.fetched


class Pull:
    """One pull from one archive.

    Parameters
    ----------
    settings
        Of the node.
    archive
        Where from.
    ledger
        Of the node, which may run or not.
    recipe
        See `receipts.job_id`.
    """

    def __init__(self, settings: NodeSettings, archive: ArchiveSettings, ledger: Ledger, recipe: str) -> None:
        listener = settings.listener
        self._spool = Spool(Layout(settings.data), listener.max_instance_bytes, listener.min_free_bytes)
        reception, self._receipts = reception_of(settings, self._spool, ledger, recipe)
        self._archive = _archive(settings, archive, self._spool, reception)

    def look(self, wanted: Wanted) -> Pulled:
        """Ask what there is, and fetch nothing. Raises PeerError, LedgerError."""
        held = list({each.sop_uid: each for each in self._archive.held(wanted)}.values())
        taken = [each for each in held if not each.sop_class_uid or each.sop_class_uid in STORAGE_CLASSES]
        known = self._receipts.of_node([each.sop_uid for each in taken])
        missing = [each for each in taken if each.sop_uid not in known]
        return Pulled(len(held), len(known), len(held) - len(taken), missing)

    def fetch(self, pulled: Pulled, on_series: Callable[[Pulled], None]) -> None:
        """Fetch what is missing, series by series; `on_series` is called after each.

        Raises
        ------
        PeerError
            The archive does not answer, or refuses; what has come by then stays.
        LedgerError
            The ledger cannot be read.
        OSError
            The folders of the spool cannot be made.
        """
        self._spool.make()
        for series in series_of(pulled.missing):
            try:
                self._archive.fetch(series)
            finally:
                pulled.fetched += self._arrived(series)
                on_series(pulled)

    def _arrived(self, series: Sequence[Held]) -> int:
        """How many instances are in the ledger; those that were moved may need a moment."""
        uids = [each.sop_uid for each in series]
        deadline = monotonic() + self._archive.arrival_seconds
        while (there := len(self._receipts.of_node(uids))) < len(uids) and monotonic() < deadline:
            sleep(_LOOK_SECONDS)
        return there


def _archive(settings: NodeSettings, archive: ArchiveSettings, spool: Spool, reception: Reception) -> Archive:
    """The archive that the settings describe. Raises ConfigError where files of TLS are no good."""
    if archive.kind == "dicomweb":
        return WebArchive(archive, spool, reception)
    title = settings.listener.ae_title
    peer = peer_at(archive, title, tls_at(archive, files_of_archives(settings)))
    return (
        MovingArchive(peer, title) if archive.retrieve == "move" else GettingArchive(peer, spool, reception)
    )
