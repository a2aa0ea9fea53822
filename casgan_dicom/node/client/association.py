"""One association with a peer, which ends: every wait in it is bounded, and no thread outlives it.

pynetdicom 3.0.4 does the protocol. What it lacks, and where it is put right here:

* it says that a connection failed, but not why, and waits without end for a peer that stops reading:
  `Line` remembers the first error and keeps its timeout;
* a response comes in small pieces, each held back there (Nagle's algorithm) until we acknowledge the one
  before, and the last piece of our request is held back here in the same way: TCP_NODELAY, and TCP_QUICKACK
  after each piece, because the kernel forgets it;
* it queues a whole file before the first byte has left, which takes memory and starts the clock for the
  response too early, and takes long for everything: ``exchange.py``;
* it waits for its thread before it closes the socket on which that thread hangs: `Connection._on_aborted`;
* its thread that watches the association may miss that it is to pause, and take the answer that we wait for
  (`Association._run_reactor`, between two lines of it): `AnswerQueue`;
* it takes a peer that rejects and hangs up at once for one that was never there, and its thread dies of a
  rejection with unknown codes: `Connection._on_pdu`;
* it aborts for an answer with something in it that it does not know, and where both ends ask for a release at
  once it waits in vain: ``answers.py``, `Connection.release`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from queue import Empty
from threading import Event, Lock
from time import monotonic
from typing import cast

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import A_ABORT, A_RELEASE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.answers import Asked, Provider
from casgan_dicom.node.client.association_queues import AnswerQueue, HungUpError, RequestQueue
from casgan_dicom.node.client.exchange import Exchange, StoreRequest
from casgan_dicom.node.client.line import Line, SocketOptions
from casgan_dicom.node.client.peer import Peer, not_accepted, rejected, unreachable
from casgan_dicom.node.client.secure_line import SecureLine, SecureSocket, insecurity
from casgan_dicom.node.client.talk import Talk

Roles = Sequence[SCP_SCU_RoleSelectionNegotiation]
_FRAGMENT_BYTES = 128 * 1024
"""Longest piece of a data set that is sent at once, whatever the peer would take."""
_SHORTEST_FRAGMENT_BYTES = 128
"""A peer that takes less at once is not one that files can be sent to."""
_ABORTING, _OURSELVES = ("AA-1", "AA-8"), "Evt15"
"""Actions that send an A-ABORT for what came, and the event that is our own wish, PS3.8 9.2."""
_READING_SECONDS = 0.1
"""For pynetdicom to read what has come already."""
_FAREWELL_SECONDS = 1.0
"""For an A-ABORT to leave, before the socket is shut."""


@contextmanager
def connected(
    peer: Peer, contexts: Sequence[PresentationContext], options: SocketOptions, roles: Roles = ()
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
    roles
        What to propose to be, where it is not the user of a service.

    Raises
    ------
    PeerError
        There is no association, and why: host unknown, port closed, no answer, rejected, nothing accepted.
    """
    connection = Connection(peer, options)
    try:
        connection.open(contexts, roles)
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
        self._released = self._has_turn = False
        self._is_over = Event()

    def open(self, contexts: Sequence[PresentationContext], roles: Roles = ()) -> None:
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
                ext_neg=list(roles),
                evt_handlers=handlers,
            )
        except (OSError, UnicodeError) as error:  # host unknown, no socket to be had
            raise unreachable(self.peer, error) from error
        if not association.is_established:
            raise self._refusal(association)
        self._limit_fragments(association)

    def context_for(self, sop_class_uid: str, transfer_syntax: str) -> int | None:
        """The presentation context for instances of a class in a transfer syntax; None if there is none."""
        for context in self._association.accepted_contexts:
            named = context.abstract_syntax == sop_class_uid and context.transfer_syntax == [transfer_syntax]
            if context.as_scu and named:
                return context.context_id
        return None

    @property
    def association(self) -> Association:
        """pynetdicom's own, for requests of which several responses come. RuntimeError before `open`."""
        return self._association

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

    def store(self, request: StoreRequest, path: Path) -> int | None:
        """Status of the response to a request to store what a file holds; None where none came.

        Then `failure` tells why, and the association is of no more use. Raises OSError if the file cannot be
        read.
        """
        self._answered, self._asked = 0, request.asked
        if not self._association.is_established or not self._take_over():
            return None
        is_sent = False
        with path.open("rb", buffering=0) as file:
            try:
                is_sent = self._exchange.send(request, file.fileno())
            except TimeoutError:
                self._provider.event_queue.put("Evt17")  # as pynetdicom has it: the connection is gone
        deadline = monotonic() + self.peer.response_seconds
        status = self._exchange.answer(request, deadline) if is_sent else None
        if status is None:
            return self._other_answer(deadline)
        self._answered = request.asked.number
        return status

    def talk(self) -> Talk:
        """Messages of any kind, until the association is released or aborted; PeerError if it is over."""
        if not self._association.is_established or not self._take_over():
            raise self.unanswered("it was to be talked to")
        return self._talk

    def unanswered(self, doing: str) -> PeerError:
        """Why nothing came of what was said in `talk`; `doing` as for `failure`."""
        self._give_back()
        self._is_over.wait(_READING_SECONDS)  # its end may still be unread
        return self.failure(doing)

    def _take_over(self) -> bool:
        """Keep pynetdicom's threads from the socket, until `_give_back`; False if nothing can be sent."""
        if not self._has_turn:
            self._association._reactor_checkpoint.clear()
            self._provider.turn.acquire()
            self._has_turn = True
        return self._provider.state_machine.current_state == "Sta6"

    def _give_back(self) -> None:
        """Let pynetdicom's threads go on."""
        if self._has_turn:
            self._has_turn = False
            self._provider.turn.release()
            self._association._reactor_checkpoint.set()

    def _other_answer(self, deadline: float) -> int | None:
        """Have pynetdicom read what is no plain response; the status, should it be one after all."""
        self._give_back()
        seconds = max(_READING_SECONDS, deadline - monotonic())
        try:
            _, response = self._association.dimse.msg_queue.get(timeout=seconds)
        except Empty:
            return None
        if response is None:
            return None
        status = self._association._check_received_status(response)
        answered = self._asked is not None and self._answered == self._asked.number
        return int(status.Status) if "Status" in status and answered else None

    def failure(self, doing: str) -> PeerError:
        """Why no response came; `doing` completes the sentence after "while"."""
        error = self._entity.line.failure if self._entity.line else None
        hint = "its log may say why"
        if self._fault:
            return PeerError(
                f"we aborted the association with {self.peer} while {doing}, because {self._fault}",
                hint="its answer is not what PS3.8 wants: ask who makes it",
            )
        if (insecure := insecurity(self.peer, self._entity.line)) is not None:
            return insecure
        if self._aborted:
            said = "aborted the association"
            hint = f"it may not know our AE title '{self.peer.calling_ae_title}'; {hint}"
        elif self._released:
            said = "released the association"
        elif isinstance(error, TimeoutError):
            said = f"neither took nor sent anything for {self.peer.response_seconds:g} s"
        elif error is not None:
            said = "closed the connection"
            hint = hint if self.peer.tls or self._answered else f"it may want TLS; {hint}"
        elif self._answered:
            said = "answered with an invalid message"
        else:
            said = f"gave no answer within {self.peer.response_seconds:g} s"
        return PeerError(f"{self.peer} {said} while {doing}", hint=hint)

    def release(self) -> None:
        """Release the association; how the peer takes that does not matter any more."""
        self._give_back()
        try:
            if self._association.is_established and not self._is_over.is_set():
                self._association.dul.send_pdu(A_RELEASE())
                self._is_over.wait(self.peer.connect_seconds)
        finally:
            self._end()

    def abort(self) -> None:
        """Abort the association, whatever state it is in."""
        self._give_back()
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
        if (insecure := insecurity(self.peer, self._entity.line)) is not None:
            return insecure
        if self._fault or self._aborted or error is not None:
            return self.failure("an association was asked for")
        seconds = f"{self.peer.connect_seconds:g} s"
        return PeerError(
            f"{self.peer} did not answer the request for an association within {seconds}",
            hint="check that a DICOM node listens at this port, and none that wants TLS",
            field="port",
        )

    def _limit_fragments(self, association: Association) -> None:
        """Send pieces of sensible length, also where the peer would take a whole file as one."""
        length = association.acceptor.maximum_length
        if length is None or 0 < length < _SHORTEST_FRAGMENT_BYTES:
            raise PeerError(f"{self.peer} takes PDUs of {length} bytes at most: too short to send files")
        if length == 0 or length > _FRAGMENT_BYTES:
            length = _FRAGMENT_BYTES
        assert self._entity.line is not None
        self._exchange = Exchange(self._entity.line, length)
        self._talk = Talk(self._entity.line, length)

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
        # Read when an association is made; turns off handlers that only log.
        _config.LOG_HANDLER_LEVEL = "none"
        super().__init__(peer.calling_ae_title)
        self.connection_timeout = peer.connect_seconds
        self.acse_timeout = peer.connect_seconds
        self.dimse_timeout = peer.response_seconds
        self.network_timeout = None  # it would count the time in which we have nothing to send
        self.association: Association | None = None
        self.line: Line | None = None
        self.queue = RequestQueue()
        self._peer = peer
        self._options = options

    def _line(self, descriptor: int) -> Line:
        patience = self._peer.response_seconds
        if self._peer.tls is None:
            return Line(descriptor, patience, self._options)
        return SecureLine(descriptor, patience, self._options, self._peer.tls)

    @property
    def connected(self) -> bool:
        """Whether there ever was a TCP connection."""
        return self.line is not None and self.line.connected

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[ssl.SSLContext, str] | None
    ) -> AssociationSocket:
        wrapper = super()._create_socket(assoc, address, tls_args)
        if wrapper.socket is not None:
            self.line = wrapper.socket = self._line(wrapper.socket.detach())
            if isinstance(self.line, SecureLine):
                wrapper.__class__ = SecureSocket
        assoc.dul.__class__ = Provider
        cast(Provider, assoc.dul).turn = Lock()
        assoc.dul.to_provider_queue = self.queue
        assoc.dimse.msg_queue = AnswerQueue()
        self.association = assoc
        return wrapper
