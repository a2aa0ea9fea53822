"""A PACS of our own for tests: real associations on a free loopback port, and every fault on request.

    with FakePacs() as pacs:
        store(pacs.peer(), files, results.append)
        assert [each.status for each in pacs.received] == [0x0000]

        pacs.behaviour = answer(0xA700, times=2)     # then normal again
        pacs.behaviour = hang()                      # never answers a C-STORE or C-ECHO
        pacs.behaviour = reject(1, 1, 7)             # A-ASSOCIATE-RJ: called AE title not recognised
        pacs.close_port()                            # it is gone: connections refused, associations aborted
        pacs.open_port()                             # it is back, on the same port

    with FakePacs(tls=server(authority, pair)):  # it talks TLS, by tests/node/secure.py, and nothing else

A behaviour can be changed at any time, from any thread. With `times`, it applies to the first n requests
(associations, for `reject` and `ignore`; connections, for `mute`) and everything after them is normal.
Whoever hangs is set free when the behaviour changes or the `with` ends, by an abort. What is recorded
survives `close_port`:

* `received`, one `Received` for each C-STORE request that arrived whole, whatever came of it: UIDs, AE
  titles, the status that was answered (None for none), the SHA-256 of the value of Pixel Data (7FE0,0010) as
  it was on the wire, and the number of the association, from 1;
* `requests`, how many of them there were for each SOP Instance UID; `stored`, those that were answered with
  success or a warning; `echoes` and `associations`, how many there were.

`wait_for(condition)` waits until something of that is so, and fails after a deadline.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from socketserver import BaseServer
from types import TracebackType
from typing import Literal, cast

from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
)
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from casgan_dicom.node.client.peer import Peer
from tests.support.pacs_server import PacsServer

LOOPBACK = "127.0.0.1"
DEADLINE = 20.0
"""Seconds after which `wait_for` gives up."""
SOP_CLASSES = (
    XRayAngiographicImageStorage,
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)
"""What it accepts unless told otherwise, in every transfer syntax: more would slow down each association."""
_VERIFICATION = "1.2.840.10008.1.1"
_P_DATA_TF = 0x04


@dataclass(frozen=True)
class Behaviour:
    """What the PACS does; made by the functions below."""

    kind: Literal[
        "answer", "hang", "deaf", "abort", "reset request", "reset response", "reject", "ignore", "mute"
    ]
    """Of the functions below."""
    codes: tuple[int, ...] = (0,)
    """Status of an answer; result, source and reason of a rejection."""
    times: int | None = None
    """How often, before everything is normal again; None for always."""


NORMAL = Behaviour("answer")
"""Stores everything."""


def answer(status: int, times: int | None = None) -> Behaviour:
    """Answer C-STORE with this status."""
    return Behaviour("answer", (status,), times)


def hang(times: int | None = None) -> Behaviour:
    """Accept the association and the whole request, and never answer."""
    return Behaviour("hang", times=times)


def deaf() -> Behaviour:
    """Accept the association, and stop to read with the first data set: the TCP window fills up."""
    return Behaviour("deaf")


def abort(times: int | None = None) -> Behaviour:
    """Abort the association (A-ABORT) instead of an answer to C-STORE."""
    return Behaviour("abort", times=times)


def reset(where: Literal["request", "response"], times: int | None = None) -> Behaviour:
    """Reset the TCP connection, in the middle of the data set or of the response.

    "request" needs a data set of more than 16 KiB: it is reset after the first piece, and not recorded.
    """
    return Behaviour("reset request" if where == "request" else "reset response", times=times)


def reject(result: int, source: int, reason: int, times: int | None = None) -> Behaviour:
    """Reject associations with these codes of PS3.8 table 9-21.

    1, 1, 7: called AE title not recognised; 1, 1, 3: calling AE title; 2, 3, 2: local limit exceeded.
    """
    return Behaviour("reject", (result, source, reason), times)


def ignore(times: int | None = None) -> Behaviour:
    """Accept the TCP connection, and never answer the request for an association."""
    return Behaviour("ignore", times=times)


def mute(times: int | None = None) -> Behaviour:
    """Accept the TCP connection, and never answer the handshake of TLS; who comes next waits, too."""
    return Behaviour("mute", times=times)


@dataclass(frozen=True)
class Received:
    """One C-STORE request."""

    sop_instance_uid: str
    """Affected SOP Instance UID (0000,1000)."""
    sop_class_uid: str
    """Affected SOP Class UID (0000,0002)."""
    transfer_syntax: str
    """Of the presentation context."""
    pixel_sha256: str
    """Hex digest of Pixel Data (7FE0,0010), encapsulation included; of no bytes where it is absent."""
    status: int | None
    """What was answered; None for nothing."""
    called_ae_title: str
    """What the peer called us."""
    calling_ae_title: str
    """What it called itself."""
    association: int
    """Number of the association, from 1."""


class FakePacs:
    """The PACS; it listens inside its `with`.

    Parameters
    ----------
    behaviour
        At first.
    ae_title
        Its own; it answers to any.
    accepts
        SOP classes and their transfer syntaxes; None for `SOP_CLASSES` in every transfer syntax. C-ECHO is
        always accepted.
    tls
        How it talks TLS; None for not at all.
    """

    def __init__(
        self,
        behaviour: Behaviour = NORMAL,
        *,
        ae_title: str = "FAKEPACS",
        accepts: Sequence[tuple[str, Sequence[str]]] | None = None,
        most_associations: int = 100,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.ae_title = ae_title
        self._entity = _entity(ae_title, accepts)
        self._entity.maximum_associations = most_associations
        self._tls = tls
        self._condition, self._switch = threading.Condition(), threading.Lock()
        self._behaviour, self._left = behaviour, behaviour.times
        self._changed = threading.Event()
        self._received: list[Received] = []
        self._numbers: dict[Association, int] = {}
        self._echoes = 0
        self._server: PacsServer | None = None
        self._thread = threading.Thread()
        self._reservation: socket.socket | None = None

    def __enter__(self) -> FakePacs:
        # Bound but not listening: the port stays ours while it is closed, and connections to it are refused.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind((LOOPBACK, 0))
        self.open_port()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_port()
        if self._reservation is not None:
            self._reservation.close()

    @property
    def port(self) -> int:
        """The port, the same for all of the `with`."""
        assert self._reservation is not None, "FakePacs is used in a with"
        return int(self._reservation.getsockname()[1])

    def peer(self, *, connect_seconds: float = 10.0, response_seconds: float = 20.0) -> Peer:
        """How to reach it."""
        return Peer(
            LOOPBACK,
            self.port,
            self.ae_title,
            connect_seconds=connect_seconds,
            response_seconds=response_seconds,
        )

    @property
    def behaviour(self) -> Behaviour:
        """What it does next."""
        with self._condition:
            return NORMAL if self._left == 0 else self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        with self._condition:
            self._behaviour, self._left = behaviour, behaviour.times
            self._set_free()

    @property
    def received(self) -> list[Received]:
        """Every C-STORE request that arrived whole."""
        with self._condition:
            return list(self._received)

    @property
    def requests(self) -> Counter[str]:
        """Number of C-STORE requests for each SOP Instance UID."""
        return Counter(each.sop_instance_uid for each in self.received)

    @property
    def stored(self) -> dict[str, str]:
        """SHA-256 of Pixel Data for each SOP Instance UID that was answered with success or a warning."""
        good = (each for each in self.received if each.status is not None and each.status >> 12 in (0x0, 0xB))
        return {each.sop_instance_uid: each.pixel_sha256 for each in good}

    @property
    def echoes(self) -> int:
        """Number of C-ECHO requests."""
        with self._condition:
            return self._echoes

    @property
    def associations(self) -> int:
        """Number of requests for an association."""
        with self._condition:
            return len(self._numbers)

    def wait_for(self, condition: Callable[[FakePacs], bool], seconds: float = DEADLINE) -> None:
        """Wait until `condition(self)` holds; AssertionError after `seconds`."""
        with self._condition:
            assert self._condition.wait_for(lambda: condition(self), seconds), f"in vain for {seconds:g} s"

    def open_port(self) -> None:
        """Listen; no effect if it does."""
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_REQUESTED, self._on_association),
            (evt.EVT_DATA_RECV, self._on_data),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_C_ECHO, self._on_echo),
        ]
        with self._switch:
            if self._server is None:
                made = self._entity.make_server(
                    (LOOPBACK, self.port),
                    evt_handlers=handlers,
                    ssl_context=self._tls,
                    server_class=PacsServer,
                )
                self._server = server = cast(PacsServer, made)
                server.before_handshake = self._before_handshake
                # pynetdicom's own start_server looks only every 0.5 s whether to stop.
                self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
                self._thread.start()

    def close_port(self) -> None:
        """Stop to listen and abort live associations; no effect if it does not listen."""
        with self._switch:
            server, self._server = self._server, None
            if server is None:
                return
            with self._condition:
                self._set_free()
            BaseServer.shutdown(server)  # pynetdicom's own wants a server that start_server made
            server.server_close()
            self._thread.join()
            live = server.active_associations
            for association in live:
                if association.is_established:
                    association.abort()
                else:  # pynetdicom fails on an abort before the request for an association
                    _reset(association)
                for thread in (association, association.dul):
                    thread.join(DEADLINE)
                    assert not thread.is_alive()

    def _set_free(self) -> None:
        """Let everybody who hangs go on, and whoever hangs from now on wait for the next change."""
        self._changed.set()
        self._changed = threading.Event()
        self._condition.notify_all()

    def _take(self, *kinds: str) -> tuple[Behaviour, threading.Event]:
        """The behaviour, counted as used, if it is one of these, else normal; and what tells its change."""
        with self._condition:
            if self._behaviour.kind not in kinds or self._left == 0 or self._server is None:
                return NORMAL, self._changed
            if self._left is not None:
                self._left -= 1
            return self._behaviour, self._changed

    def _before_handshake(self) -> None:
        behaviour, changed = self._take("mute")
        if behaviour.kind == "mute":
            changed.wait()
            raise ConnectionAbortedError

    def _on_association(self, event: evt.Event) -> None:
        with self._condition:
            self._numbers[event.assoc] = len(self._numbers) + 1
            self._condition.notify_all()
        behaviour, changed = self._take("reject", "ignore")
        if behaviour.kind == "ignore":
            _hang(event.assoc, changed)
        elif behaviour.kind == "reject":
            event.assoc.acse.send_reject(*behaviour.codes)
            event.assoc.kill()  # as pynetdicom does: waits until the rejection is out

    def _on_data(self, event: evt.Event) -> None:
        # The message control header is the sixth byte of the first item; its lowest bit says command.
        if event.data[0] != _P_DATA_TF or event.data[11] & 1 or event.assoc.is_aborted:
            return
        behaviour, changed = self._take("deaf", "reset request")
        if behaviour.kind == "deaf":
            _hang(event.assoc, changed)
        elif behaviour.kind == "reset request":
            _reset(event.assoc)

    def _on_store(self, event: evt.Event) -> int:
        behaviour, changed = self._take("answer", "hang", "abort", "reset response")
        status = behaviour.codes[0] if behaviour.kind == "answer" else None
        self._record(event, status)
        if behaviour.kind == "hang":
            _hang(event.assoc, changed)
        elif behaviour.kind == "abort":
            event.assoc.abort()
        elif behaviour.kind == "reset response":
            # The head of a P-DATA-TF of 100 bytes, and one byte of them.
            _reset(event.assoc, struct.pack(">BBLB", _P_DATA_TF, 0, 100, 0))
        return 0xC000 if status is None else status  # after an abort or a reset it goes nowhere

    def _on_echo(self, event: evt.Event) -> int:
        with self._condition:
            self._echoes += 1
            self._condition.notify_all()
        behaviour, changed = self._take("hang")
        if behaviour.kind == "hang":
            _hang(event.assoc, changed)
        return 0x0000

    def _record(self, event: evt.Event, status: int | None) -> None:
        association, request = event.assoc.requestor.primitive, event.request
        assert association is not None
        assert isinstance(request, C_STORE)
        pixels = event.dataset.get("PixelData", b"")
        with self._condition:
            self._received.append(
                Received(
                    sop_instance_uid=str(request.AffectedSOPInstanceUID),
                    sop_class_uid=str(request.AffectedSOPClassUID),
                    transfer_syntax=str(event.context.transfer_syntax),
                    pixel_sha256=hashlib.sha256(pixels).hexdigest(),
                    status=status,
                    called_ae_title=association.called_ae_title,
                    calling_ae_title=association.calling_ae_title,
                    association=self._numbers[event.assoc],
                )
            )
            self._condition.notify_all()


def _entity(ae_title: str, accepts: Sequence[tuple[str, Sequence[str]]] | None) -> AE:
    entity = AE(ae_title)
    entity.acse_timeout = 3  # how long it waits for a request that does not come
    if accepts is None:
        accepts = [(sop_class, ALL_TRANSFER_SYNTAXES) for sop_class in SOP_CLASSES]
    for sop_class, syntaxes in accepts:
        entity.add_supported_context(sop_class, list(syntaxes))
    entity.add_supported_context(_VERIFICATION)
    return entity


def _hang(association: Association, changed: threading.Event) -> None:
    """Wait for the next change of behaviour, then abort."""
    changed.wait()
    association.abort()


def _reset(association: Association, last: bytes = b"") -> None:
    """Send `last`, then end the TCP connection with RST: nothing is said, nothing that waits is sent."""
    wrapper = association.dul.socket
    line = wrapper.socket if wrapper is not None else None
    if line is not None:
        with line, suppress(OSError):  # the peer may have been faster
            line.sendall(last)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
