"""An archive that talks DICOM: C-FIND, with C-GET or C-MOVE."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from pynetdicom import _config, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import split_dataset

from casgan_dicom.log import get_logger
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.query import Held, Wanted, held_by
from casgan_dicom.node.client.retrieve import Contexts, get, move
from casgan_dicom.node.receive.listener import STORAGE_CLASSES
from casgan_dicom.node.receive.reception import NO_ROOM, Reception
from casgan_dicom.node.receive.spool import Opening, Spool
from casgan_dicom.pixels.syntaxes import SYNTAXES

ARRIVAL_SECONDS = 10.0
"""How long what an archive says that it has moved may be on its way into the ledger."""

log = get_logger("pull")


class GettingArchive:
    """An archive whose instances come on our own association (C-GET); see `pull.Archive`.

    Parameters
    ----------
    peer
        Which.
    spool
        Where instances go.
    reception
        Takes them.
    """

    arrival_seconds = 0.0

    def __init__(self, peer: Peer, spool: Spool, reception: Reception) -> None:
        self._peer, self._spool, self._reception = peer, spool, reception

    def held(self, wanted: Wanted) -> list[Held]:
        """Ask what there is."""
        return held_by(self._peer, wanted)

    def fetch(self, series: Sequence[Held]) -> None:
        """Have the instances of a series come in."""
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
                intake.fill(file)
            answer = self._reception.take(intake, str(event.assoc.remote["address"]))
        except OSError as error:
            log.exception("instance cannot be taken", error=error, sop_uid=uids[1])
            return NO_ROOM
        finally:
            with suppress(OSError):
                Path(came).unlink()
        answer.afterwards()
        return answer.status


class MovingArchive:
    """An archive that sends to our listener (C-MOVE); see `pull.Archive`.

    Parameters
    ----------
    peer
        Which.
    ae_title
        How it calls our listener.
    """

    arrival_seconds = ARRIVAL_SECONDS

    def __init__(self, peer: Peer, ae_title: str) -> None:
        self._peer, self._ae_title = peer, ae_title

    def held(self, wanted: Wanted) -> list[Held]:
        """Ask what there is."""
        return held_by(self._peer, wanted)

    def fetch(self, series: Sequence[Held]) -> None:
        """Have the instances of a series sent."""
        move(self._peer, series, self._ae_title)


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
