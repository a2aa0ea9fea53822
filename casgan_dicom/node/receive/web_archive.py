"""An archive that talks DICOMweb: QIDO-RS says what it holds, WADO-RS gives it (PS3.18 10.6 and 10.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import time

import httpx

from casgan_dicom.errors import PeerError
from casgan_dicom.log import get_logger
from casgan_dicom.node.client.places import web_at
from casgan_dicom.node.client.query import Held, Wanted
from casgan_dicom.node.client.web import FETCHING, refusal
from casgan_dicom.node.client.web_query import held_on_web
from casgan_dicom.node.client.web_session import Session, opened
from casgan_dicom.node.receive.posted_file import PostedFile, Sender
from casgan_dicom.node.receive.reception import NO_ROOM, Reception
from casgan_dicom.node.receive.spool import Spool
from casgan_dicom.node.receive.store_body import StoreBody, UnfitError
from casgan_dicom.node.settings import ArchiveSettings

_AS_IT_LIES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""What WADO-RS is asked for (PS3.18 8.7.3.5.2): an instance in the transfer syntax that it is kept in."""
_GONE = (404, 410)
_AROUND_BYTES = 1024 * 1024
"""How much longer than an instance a response with one may be."""
_LONGEST_TITLE = 16

log = get_logger("pull")


class WebArchive:
    """One archive; see `pull.Archive`.

    Parameters
    ----------
    settings
        Which.
    spool
        Where instances go.
    reception
        Takes them.
    """

    arrival_seconds = 0.0

    def __init__(self, settings: ArchiveSettings, spool: Spool, reception: Reception) -> None:
        self._web = web_at(settings)
        self._name = settings.ae_title or settings.name[:_LONGEST_TITLE]
        self._spool, self._reception = spool, reception

    def held(self, wanted: Wanted) -> list[Held]:
        """Ask what there is."""
        with opened(self._web) as session:
            return list(held_on_web(self._web, session, wanted))

    def fetch(self, series: Sequence[Held]) -> None:
        """Fetch instance by instance, over one connection."""
        with opened(self._web) as session:
            for each in series:
                if not self._fetch(session, each):
                    return

    def _fetch(self, session: Session, held: Held) -> bool:
        """Fetch an instance; whether there is room for another."""
        path = f"/studies/{held.study_uid}/series/{held.series_uid}/instances/{held.sop_uid}"
        with session.fetching(path, _AS_IT_LIES) as response:
            if response.status_code in _GONE:
                log.warning("instance is not there any more", sop_uid=held.sop_uid)
                return True
            if response.status_code != 200:
                raise refusal(self._web, session.refused(response), time(), FETCHING)
            with self._taking(response, held) as body:
                self._read(response, body)
        if body.faults:
            log.warning("instance cannot be taken", sop_uid=held.sop_uid, reasons=body.faults)
        return not any(each.status == NO_ROOM and not each.is_too_long for each in body.outcomes)

    @contextmanager
    def _taking(self, response: httpx.Response, held: Held) -> Iterator[StoreBody]:
        """What takes a response, for the time of a block. Raises PeerError where it holds no instance."""
        sender = Sender(self._name, _address(response), held.study_uid)
        try:
            body = StoreBody(
                response.headers.get("content-type", ""),
                lambda: PostedFile(self._spool, self._reception, sender),
            )
            try:
                yield body
            finally:
                body.discard()
        except UnfitError as error:
            raise PeerError(
                f"{self._web} gives no instance as application/dicom ({error})", hint=FETCHING[406][1]
            ) from error

    def _read(self, response: httpx.Response, body: StoreBody) -> None:
        length, most = 0, self._spool.max_instance_bytes + _AROUND_BYTES
        for piece in response.iter_raw():
            length += len(piece)
            if length > most:
                raise PeerError(
                    f"{self._web} gives more than {most} bytes for one instance",
                    hint="max_instance_bytes of [listener] is how long one may be",
                )
            body.write(piece)
        body.end()


def _address(response: httpx.Response) -> str:
    """IP address that a response comes from; empty if unknown."""
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("server_addr") if stream is not None else None
    return str(found[0]) if isinstance(found, tuple) else ""
