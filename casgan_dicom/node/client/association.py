"""One association with a peer, which ends: every wait in it is bounded, and no thread outlives it.

pynetdicom 3.0.4 does the protocol. What it lacks, and where it is put right here:

* it says that a connection failed, but not why, and waits without end for a peer that stops reading:
  `_Socket` remembers the first error and keeps its timeout;
* a response comes in small pieces, each held back there (Nagle's algorithm) until we acknowledge the one
  before, and the last piece of our request is held back here in the same way: TCP_NODELAY, and TCP_QUICKACK
  after each piece, because the kernel forgets it;
* it queues a whole file before the first byte has left, which takes memory and starts the clock for the
  response too early: `ShortQueue`;
* it waits for its thread before it closes the socket on which that thread hangs: `Connection._on_aborted`;
* its thread that watches the association may miss that it is to pause, and take the answer that we wait for
  (`Association._run_reactor`, between two lines of it): `AnswerQueue`;
* it takes a peer that rejects and hangs up at once for one that was never there, and its thread dies of a
  rejection with unknown codes: `Connection._on_pdu`;
* it aborts for an answer with something in it that it does not know, and where both ends ask for a release at
  once it waits in vain: ``answers.py``, `Connection.release`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, cast

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import A_ABORT, A_RELEASE, MaximumLengthNotification
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.answers import Asked, Provider
from casgan_dicom.node.client.association_queues import AnswerQueue, HungUpError, ShortQueue
from casgan_dicom.node.client.peer import Peer, not_accepted, rejected, unreachable

if TYPE_CHECKING:
    from ssl import SSLContext

    from _typeshed import ReadableBuffer

_FRAGMENT_BYTES = 128 * 1024
"""Longest piece of a data set that is sent at once, whatever the peer would take."""
_SHORTEST_FRAGMENT_BYTES = 128
"""A peer that takes less at once is not one that files can be sent to."""
_AHEAD_BYTES = 1024 * 1024
"""How much of a file is read ahead of the network."""
_ABORTING, _OURSELVES = ("AA-1", "AA-8"), "Evt15"
"""Actions that send an A-ABORT for what came, and the event that is our own wish, PS3.8 9.2."""
_FAREWELL_SECONDS = 1.0
"""For an A-ABORT to leave, before the socket is shut."""


@dataclass(frozen=True)
class SocketOptions:
    """What our end of the TCP connection does; a benchmark turns it off."""

    no_delay: bool = True
    """TCP_NODELAY: send the last piece of a message at once."""
    quick_ack: bool = True
    """TCP_QUICKACK: acknowledge at once what comes."""


@contextmanager
def connected(
    peer: Peer, contexts: Sequence[PresentationContext], options: SocketOptions
) -> Iterator[Connection]:
    """An association for the body of the `with`: released after it, aborted if it raises.

    Parameters
    ----------
    peer
        Whom to call.
    contexts
        What to propose: at most 128, each with one transfer syntax.
    options
        Of the TCP connection.

    Raises
    ------
    PeerError
        There is no association, and why: host unknown, port closed, no answer, rejected, nothing accepted.
    """
    connection = Connection(peer, options)
    try:
        connection.open(contexts)
    except BaseException:
        connection.abort()
        raise
    with released(connection):
        yield connection


@contextmanager
def released(connection: Connection) -> Iterator[None]:
    """An open association is released after the body of the `with`, and aborted if that raises."""
    try:
        yield
    except BaseException:
        connection.abort()
        raise
    connection.release()


class Connection:
    """An association with a peer; `connected` makes one and ends it."""

    def __init__(self, peer: Peer, options: SocketOptions) -> None:
        self.peer = peer
        self._entity = _Entity(peer, options)
        self._aborted = False
        self._rejection: A_ASSOCIATE_RJ | None = None
        self._answered, self._asked = 0, cast(Asked | None, None)
        self._released = False
        self._is_over = Event()

    def open(self, contexts: Sequence[PresentationContext]) -> None:
        """Connect and propose `contexts`; PeerError where no association comes of it."""
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_PDU_RECV, self._on_pdu),
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_FSM_TRANSITION, self._on_transition),
            (evt.EVT_ACSE_SENT, self._on_leaving),
            (evt.EVT_ABORTED, self._on_aborted),
        ]
        try:
            association = self._entity.associate(
                self.peer.host,
                self.peer.port,
                contexts=list(contexts),
                ae_title=self.peer.ae_title,
                max_pdu=_FRAGMENT_BYTES,
                evt_handlers=handlers,
            )
        except (OSError, UnicodeError) as error:  # host unknown, no socket to be had
            raise unreachable(self.peer, error) from error
        if not association.is_established:
            raise self._refusal(association)
        self._limit_fragments(association)

    def accepts(self, sop_class_uid: str, transfer_syntax: str) -> bool:
        """Whether instances of this class can be sent in this transfer syntax."""
        return any(
            context.as_scu
            and context.abstract_syntax == sop_class_uid
            and context.transfer_syntax == [transfer_syntax]
            for context in self._association.accepted_contexts
        )

    def request(self, asked: Asked, send: Callable[[Association], Dataset]) -> int | None:
        """Status of the response to a request, which `send` sends; None where none came.

        Then `failure` tells why, and the association is of no more use.
        """
        self._answered, self._asked = 0, asked
        if not self._association.is_established:
            return None
        try:
            response = send(self._association)
        except HungUpError:
            return None
        except RuntimeError:  # pynetdicom says so of an association that has ended this moment
            if self._association.is_established:
                raise
            return None
        return int(response.Status) if "Status" in response and self._answered == asked.number else None

    def failure(self, doing: str) -> PeerError:
        """Why no response came; `doing` completes the sentence after "while"."""
        error = self._entity.line.failure if self._entity.line else None
        hint = "its log may say why"
        if self._fault:
            return PeerError(
                f"we aborted the association with {self.peer} while {doing}, because {self._fault}",
                hint="its answer is not what PS3.8 wants: ask who makes it",
            )
        if self._aborted:
            said = "aborted the association"
            hint = f"it may not know our AE title '{self.peer.calling_ae_title}'; {hint}"
        elif self._released:
            said = "released the association"
        elif isinstance(error, TimeoutError):
            said = f"neither took nor sent anything for {self.peer.response_seconds:g} s"
        elif error is not None:
            said = "closed the connection"
        elif self._answered:
            said = "answered with an invalid message"
        else:
            said = f"gave no answer within {self.peer.response_seconds:g} s"
        return PeerError(f"{self.peer} {said} while {doing}", hint=hint)

    def release(self) -> None:
        """Release the association; how the peer takes that does not matter any more."""
        try:
            if self._association.is_established and not self._is_over.is_set():
                self._association.dul.send_pdu(A_RELEASE())
                self._is_over.wait(self.peer.connect_seconds)
        finally:
            self._end()

    def abort(self) -> None:
        """Abort the association, whatever state it is in."""
        association = self._entity.association
        try:
            if association is not None and association.is_established:
                association.abort()
        finally:
            self._end()

    @property
    def _association(self) -> Association:
        if self._entity.association is None:
            raise RuntimeError("open() comes first")
        return self._entity.association

    @property
    def _provider(self) -> Provider:
        return cast(Provider, self._association.dul)

    @property
    def _fault(self) -> str:
        """What of the peer's could not be read, so that we aborted; empty if nothing was."""
        return self._provider.fault

    def _end(self) -> None:
        """Close the socket, and wait for the threads, which that wakes up."""
        association, line = self._entity.association, self._entity.line
        if association is None or line is None:
            return
        while association.dul.is_alive():
            association.dul.kill_dul()
            line.hang_up()
            association.dul.join(0.1)
        association.kill()
        if association.ident is not None:
            association.join()
        line.close()

    def _refusal(self, association: Association) -> PeerError:
        """Why there is no association."""
        error = self._entity.line.failure if self._entity.line else None
        if self._rejection is not None:
            return rejected(self.peer, self._rejection)
        if association.rejected_contexts:
            return not_accepted(self.peer, association.requestor.requested_contexts)
        if error is not None and not self._entity.connected:
            return unreachable(self.peer, error)
        if self._fault or self._aborted or error is not None:
            return self.failure("an association was asked for")
        seconds = f"{self.peer.connect_seconds:g} s"
        return PeerError(
            f"{self.peer} did not answer the request for an association within {seconds}",
            hint="check that a DICOM node listens at this port, and none that wants TLS",
        )

    def _limit_fragments(self, association: Association) -> None:
        """Send pieces of sensible length, also where the peer would take a whole file as one."""
        length = association.acceptor.maximum_length
        if length is None or 0 < length < _SHORTEST_FRAGMENT_BYTES:
            raise PeerError(f"{self.peer} takes PDUs of {length} bytes at most: too short to send files")
        if length == 0 or length > _FRAGMENT_BYTES:
            length = _FRAGMENT_BYTES
            for item in association.acceptor.user_information:
                if isinstance(item, MaximumLengthNotification):
                    item.maximum_length_received = length
        self._entity.queue.room = _AHEAD_BYTES // length

    def _on_pdu(self, event: evt.Event) -> None:
        self._aborted = self._aborted or isinstance(event.pdu, A_ABORT_RQ)
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            self._rejection = copy(event.pdu)
            # What pynetdicom reads: its thread dies of codes that are not in PS3.8 table 9-21.
            event.pdu.result, event.pdu.source, event.pdu.reason_diagnostic = 1, 1, 1

    def _on_message(self, event: evt.Event) -> None:
        asked, answer = self._asked, event.message.command_set
        self._answered = asked.number if asked and asked.is_answered_by(answer) else -1

    def _on_transition(self, event: evt.Event) -> None:
        if event.action in _ABORTING and event.fsm_event != _OURSELVES and not self._fault:
            no_pdu = event.fsm_event == "Evt19"
            self._provider.fault = "what came is no PDU of DICOM" if no_pdu else "a PDU came out of turn"
        # Sta1 and Sta13 (PS3.8 table 9-10): nothing can be sent any more.
        if event.next_state in ("Sta1", "Sta13"):
            self._entity.queue.end()
            self._is_over.set()
        elif event.next_state == "Sta8":  # the peer wants a release: no answer will come any more
            self._released = True
            event.assoc.dimse.msg_queue.put((None, None))

    def _on_leaving(self, event: evt.Event) -> None:
        """From here on a closed connection is our own doing."""
        if isinstance(getattr(event, "primitive", None), A_ABORT | A_RELEASE) and self._entity.line:
            self._entity.line.forget()

    def _on_aborted(self, event: evt.Event) -> None:
        """Shut the socket if pynetdicom's thread hangs on it: pynetdicom waits for that thread next."""
        event.assoc.dul.join(_FAREWELL_SECONDS)
        if self._entity.line:
            self._entity.line.hang_up()


class _Entity(AE):
    """Our application entity, for one association."""

    def __init__(self, peer: Peer, options: SocketOptions) -> None:
        # Both are read when an association is made. The first turns off handlers that only log.
        _config.LOG_HANDLER_LEVEL = "none"
        _config.STORE_SEND_CHUNKED_DATASET = True
        super().__init__(peer.calling_ae_title)
        self.connection_timeout = peer.connect_seconds
        self.acse_timeout = peer.connect_seconds
        self.dimse_timeout = peer.response_seconds
        self.network_timeout = None  # it would count the time in which we have nothing to send
        self.association: Association | None = None
        self.line: _Socket | None = None
        self.queue = ShortQueue()
        self._patience = peer.response_seconds
        self._options = options

    @property
    def connected(self) -> bool:
        """Whether there ever was a TCP connection."""
        return self.line is not None and self.line.connected

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[SSLContext, str] | None
    ) -> AssociationSocket:
        wrapper = super()._create_socket(assoc, address, tls_args)
        if wrapper.socket is not None:
            self.line = wrapper.socket = _Socket(wrapper.socket.detach(), self._patience, self._options)
        assoc.dul.__class__ = Provider
        assoc.dul.to_provider_queue = self.queue
        assoc.dimse.msg_queue = AnswerQueue()
        self.association = assoc
        return wrapper


class _Socket(socket.socket):
    """A TCP socket that remembers the first error, keeps its timeout, and acknowledges at once."""

    def __init__(self, descriptor: int, patience: float, options: SocketOptions) -> None:
        super().__init__(fileno=descriptor)
        self.failure: OSError | None = None
        self.connected = False
        self._forgets = False
        self._patience = patience
        self._quick_ack = options.quick_ack and hasattr(socket, "TCP_QUICKACK")
        if options.no_delay and hasattr(socket, "TCP_NODELAY"):
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def settimeout(self, value: float | None, /) -> None:
        """Set the timeout; where pynetdicom wants none, ours."""
        super().settimeout(self._patience if value is None else value)

    def connect(self, address: tuple[Any, ...] | str | ReadableBuffer, /) -> None:
        """Connect, and be ready for small pieces."""
        with self._remembering():
            super().connect(address)
        self.connected = True
        self._acknowledge_at_once()

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """Send some of `data`."""
        with self._remembering():
            return super().send(data, flags)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive at most `size` bytes, and let the peer go on."""
        with self._remembering():
            data = super().recv(size, flags)
        if data:
            self._acknowledge_at_once()
        else:  # pynetdicom notices by itself
            self._remember(ConnectionResetError("closed by the peer"))
        return data

    def forget(self) -> None:
        """Remember no error that comes from now on."""
        self._forgets = True

    def hang_up(self) -> None:
        """End both directions, which wakes up whoever waits on this socket."""
        self.forget()
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it never was connected, or is closed already

    def _acknowledge_at_once(self) -> None:
        if self._quick_ack:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._remember(error)
            raise

    def _remember(self, error: OSError) -> None:
        if not self._forgets:
            self.failure = self.failure or error
