"""Fetches what an archive holds into the spool: each instance once, as if a modality had sent it.

What the node has, the ledger knows: the archive is asked what it holds, and only the rest is fetched, series
by series. So a pull that was ended goes on when it is started again. By C-GET instances come here and go the
way of the listener, flushed and entered before they are answered; by C-MOVE they come to the listener itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import cast

from pynetdicom import _config, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import split_dataset

from casgan_dicom.log import get_logger
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.query import Held, Wanted, held_by, series_of
from casgan_dicom.node.client.retrieve import Contexts, get, move
from casgan_dicom.node.receive.listener import STORAGE_CLASSES
from casgan_dicom.node.receive.reception import NO_ROOM, Reception
from casgan_dicom.node.receive.spool import Opening, Spool
from casgan_dicom.node.settings import ArchiveSettings, NodeSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.pixels.syntaxes import SYNTAXES

ARRIVAL_SECONDS = 10.0
"""How long what an archive says that it has moved may be on its way into the ledger."""
_LOOK_SECONDS = 0.1
_PIECE_BYTES = 1024 * 1024

log = get_logger("pull")


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
        self._archive, self._title = archive, listener.ae_title
        self._spool = Spool(Layout(settings.data), listener.max_instance_bytes, listener.min_free_bytes)
        self._receipts = Receipts(ledger, recipe)
        self._reception = Reception(self._spool, self._receipts)
        self._peer = Peer(
            archive.host,
            archive.port,
            archive.ae_title,
            archive.calling_ae_title or self._title,
            archive.connect_seconds,
            archive.response_seconds,
        )

    def look(self, wanted: Wanted) -> Pulled:
        """Ask what there is, and fetch nothing. Raises PeerError, LedgerError."""
        held = list({each.sop_uid: each for each in held_by(self._peer, wanted)}.values())
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
                if self._archive.retrieve == "move":
                    move(self._peer, series, self._title)
                else:
                    self._get(series)
            finally:
                pulled.fetched += self._arrived(series)
                on_series(pulled)

    def _get(self, series: Sequence[Held]) -> None:
        """Have the instances of a series come in on our own association."""
        classes = {each.sop_class_uid for each in series}
        asked = tuple(map(str, STORAGE_CLASSES)) if "" in classes else tuple(sorted(classes))
        syntaxes = tuple(str(uid) for uid, row in SYNTAXES.items() if not row.decoder.missing)
        with _received_into(self._spool.layout.incoming):
            get(self._peer, series, Contexts(asked, syntaxes), self._take)

    def _take(self, event: evt.Event) -> int:
        """Take an instance out of the file that it was received into."""
        request, came = cast(C_STORE, event.request), event.dataset_path
        uids = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        try:
            intake = self._spool.begin(
                Opening(*uids, str(event.context.transfer_syntax), self._peer.ae_title)
            )
            _, offset = split_dataset(came)
            with Path(came).open("rb") as file:
                file.seek(offset)
                while piece := file.read(_PIECE_BYTES):
                    intake.write(memoryview(piece))
            answer = self._reception.take(intake, str(event.assoc.remote["address"]))
        except OSError as error:
            log.exception("instance cannot be taken", error=error, sop_uid=uids[1])
            return NO_ROOM
        finally:
            with suppress(OSError):
                Path(came).unlink()
        answer.afterwards()
        return answer.status

    def _arrived(self, series: Sequence[Held]) -> int:
        """How many instances are in the ledger; those that were moved may need a moment."""
        uids = [each.sop_uid for each in series]
        deadline = monotonic() + (ARRIVAL_SECONDS if self._archive.retrieve == "move" else 0.0)
        while (there := len(self._receipts.of_node(uids))) < len(uids) and monotonic() < deadline:
            sleep(_LOOK_SECONDS)
        return there


@contextmanager
def _received_into(folder: Path) -> Iterator[None]:
    """Have pynetdicom write data sets to files, in `folder`, which a listener sweeps when it starts.

    Both are settings of the process: a pull is one of its own.
    """
    before = _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir
    _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir = True, str(folder)
    try:
        yield
    finally:
        _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir = before
