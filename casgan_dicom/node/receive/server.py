"""pynetdicom's acceptor, hardened: with ``peer_socket.py`` and ``messages.py`` all that is changed of it.

What is wrong with it (3.0.4) at a port that strangers can reach, and what is done here:

* When a peer makes the reactor of the upper layer raise, its thread ends without a word, and leaves the
  socket and the association's thread behind: `_Provider` and `_Association` end all that belongs to them.
* Both threads of a connection look for work a thousand times a second: ``sleeping.py``.
* TLS is agreed on where connections are accepted, so that one peer that says nothing stops all of it: here
  each connection's own thread does that, `_Provider._secure`.
* A peer is known by its AE title alone, and may be anybody: ``negotiation.py`` asks the house.
* Anybody may open connections until threads run out: `HardenedServer` asks `Connections` first.
* What a peer says is quoted in logs: nothing that does is bound.

Messages are taken and answered by the thread of the upper layer, which also owns the socket. What is left to
the association's thread is how an association begins and ends.

Nothing global is patched or set. What this relies on is private in places:
``tests/node/receive/test_server.py`` fails when the source of it is no longer the one that was read when this
was written.
"""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any, cast

from pynetdicom import AE, evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import A_P_ABORT
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationServer, RequestHandler

from casgan_dicom import __version__
from casgan_dicom.log import get_logger
from casgan_dicom.node.commitment import LONGEST_DATA_SET, RESOURCES
from casgan_dicom.node.dimse import P_DATA_TF, CommandError, MalformedError, command_pdus, data_pdus
from casgan_dicom.node.door.complaints import Outcome
from casgan_dicom.node.door.refusals import Refusal
from casgan_dicom.node.pdu_items import ItemError
from casgan_dicom.node.receive.admission import Rejection
from casgan_dicom.node.receive.association_request import AssociationRequest, read_request
from casgan_dicom.node.receive.commands import OF_COMMITMENT, Answer, Request, encode_response
from casgan_dicom.node.receive.doorman import Doorman
from casgan_dicom.node.receive.house import House
from casgan_dicom.node.receive.letter import Letter
from casgan_dicom.node.receive.messages import Messages
from casgan_dicom.node.receive.negotiation import Negotiation
from casgan_dicom.node.receive.owed import Owed
from casgan_dicom.node.receive.pace import Pace
from casgan_dicom.node.receive.peer_socket import PeerSocket
from casgan_dicom.node.receive.sleeping import SLEEP_SECONDS, NoMessages, RingingQueue
from casgan_dicom.node.receive.spool import Intake, Opening
from casgan_dicom.node.settings import PeerSettings
from casgan_dicom.node.tls import reason_of
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID

LINGER_SECONDS = 0.1
"""How long the peer may be silent before we close a connection that is over."""
ASSOCIATE_RQ = 1
"""Type of the PDU that asks for an association."""
_REFUSALS_TOLD_EVERY = 10.0
_OF_AN_ASSOCIATION = (P_DATA_TF, 5, 7)
"""PDUs that a peer may send in an association: data, A-RELEASE-RQ, A-ABORT."""

log = get_logger("listener")


class _Provider(DULServiceProvider):
    """The upper layer of one association, and its messages."""

    def __init__(self, assoc: _Association) -> None:
        super().__init__(assoc)
        self.daemon = True
        self._house = assoc.house
        self._address = assoc.address
        self._is_busy = False
        self._has_given_up = False
        self.asked: AssociationRequest | None = None
        self._peer: PeerSettings | None = None
        self._pace: Pace | None = None
        self.messages = Messages(self)
        self.owed = Owed(assoc.house.correspondence)
        self.bell = threading.Event()
        self.to_user_queue = RingingQueue(self.bell)

    @property
    def line(self) -> PeerSocket:
        """The socket."""
        return cast(PeerSocket, self.socket)

    def run_reactor(self) -> None:
        """Run until the connection ends."""
        try:
            super().run_reactor()
        except InvalidEventError:
            log.debug("association ended by a PDU out of turn")
        except Exception as error:  # whatever a peer makes the state machine raise ends one association only
            log.exception("association ended by an error", error=error)
        finally:
            self.to_user_queue.put(A_P_ABORT())  # the association's thread need not wait any longer

    def send_pdu(self, primitive: Any) -> None:  # noqa: ANN401  # a private union
        """Have something sent, from any thread."""
        super().send_pdu(primitive)
        self.line.wake()

    def idle_timer_expired(self) -> bool:
        """Whether the peer is silent; it is not while it waits for us."""
        expired = not self._is_busy and super().idle_timer_expired()
        if expired:
            self._abort_is_told(f"nothing came for {self._house.limits.idle:g} seconds")
        return expired

    def let_in(self, peer: PeerSettings) -> None:
        """Note who it is, and what it may do."""
        self._peer, self._pace = peer, self._house.paces.get(peer)

    def context(self, number: int) -> tuple[str, str]:
        """Abstract and transfer syntax of an accepted presentation context. Raises KeyError."""
        context = self.assoc._accepted_cx[number]
        return str(context.abstract_syntax), str(context.transfer_syntax[0])

    def begin(self, request: Request, transfer_syntax: str) -> Intake | Letter:
        """Make a place for the data set of a request: a file, or memory where it is no instance."""
        if request.field in OF_COMMITMENT:
            return Letter(request, transfer_syntax)
        most = 0 if self._peer is None else self._peer.max_instance_bytes
        return self._house.begin(
            Opening(request.sop_class_uid, request.sop_uid, transfer_syntax, *self._titles(), most_bytes=most)
        )

    def answer(self, request: Request, intake: Intake | Letter | None, context_id: int) -> None:
        """Answer a request."""
        self._is_busy = True
        answer = self._answer_to(intake)
        self._idle_timer.restart()
        self._is_busy = False
        self._respond(request, answer, context_id)
        if intake is not None and intake.too_long:
            self.assoc.abort(block=False)
        if answer.promised is not None:
            self.owed.owe(answer.promised, context_id, self.context(context_id)[1], monotonic())
        answer.afterwards()

    def _answer_to(self, intake: Intake | Letter | None) -> Answer:
        if intake is None:
            return Answer(0x0000)
        if isinstance(intake, Intake):
            return self._house.take(intake, self._address)
        if intake.too_long:
            return Answer(RESOURCES, f"data set is longer than {LONGEST_DATA_SET} bytes")
        return self._house.correspondence.take(intake, self.assoc.requestor.ae_title, self._address)

    def refuse(self, request: Request, context_id: int) -> None:
        """Answer a request that is refused; what answers or cancels nothing of ours is passed over."""
        if self.owed.answered(request):
            return
        self.complain("message refused", request.fault, status=request.refusal)
        if request.wants_answer:
            self._respond(request, Answer(request.refusal, request.fault[:64]), context_id)

    def _respond(self, request: Request, answer: Answer, context_id: int) -> None:
        response = encode_response(request, answer.status, answer.comment)
        for pdu in command_pdus(response, context_id, self.assoc.requestor.maximum_length or 0):
            self.line.send(pdu)

    def complain(self, outcome: Outcome, reason: str, **facts: str | int) -> None:
        """Tell what was wrong, who did it, and what came of it."""
        calling, _ = self._titles()
        self._house.complaints.say(outcome, address=self._address, ae_title=calling, reason=reason, **facts)

    def reject(self, rejection: Rejection) -> None:
        """Count and tell why there is to be no association."""
        self._house.refusals.note(Refusal(rejection.kind, rejection.said, self._address, *self._titles()))

    def _titles(self) -> tuple[str, str]:
        """What the peer calls itself and us; empty where it has not said so."""
        return ("", "") if self.asked is None else (self.asked.calling, self.asked.called)

    def _process_recv_primitive(self) -> bool:
        """Look for something to send, after a sleep if there is nothing at all to do."""
        if self.state_machine.current_state == "Sta6" and (telling := self.owed.next(monotonic())):
            longest = self.assoc.requestor.maximum_length or 0
            for pdu in command_pdus(telling.command, telling.context_id, longest):
                self.line.send(pdu)
            for pdu in data_pdus(telling.data_set, telling.context_id, longest):
                self.line.send(pdu)
        if self._has_nothing_to_do() and self.line.socket is not None:
            is_over = self.state_machine.current_state == "Sta13"
            self.line.wait(LINGER_SECONDS if is_over else SLEEP_SECONDS)
        return super()._process_recv_primitive()

    def _has_nothing_to_do(self) -> bool:
        return self.event_queue.empty() and self.to_provider_queue.empty() and not self._kill_thread

    def _read_pdu_data(self) -> None:
        """Read PDUs: take data, and tell the state machine of anything else."""
        state, limits = self.state_machine.current_state, self._house.limits
        try:
            if state == "Sta13":  # the association is over, and we may no longer know where a PDU begins
                self.line.drain()
            elif state in ("Sta1", "Sta2"):
                if self._house.tls is not None and not self.line.is_secure:
                    self._secure(self._house.tls())
                    return
                self._read_request(self.line.read_pdu(limits.request_bytes, limits.request))
            else:
                self._read_data(self.line.read_pdu(limits.pdu_bytes + 6, limits.pdu), state)
        except TimeoutError:
            self._abort_is_told("a PDU began and did not end in time")
            self.event_queue.put("Evt17")
        except ssl.SSLError as error:
            self._abort_is_told(reason_of(error))
            self.event_queue.put("Evt17")
        except OSError:
            self.event_queue.put("Evt17")  # the connection is gone
        except Exception as error:  # a decoder fed with garbage raises anything, and may quote it
            self._give_up(error)
            self.event_queue.put("Evt19")  # no PDU, or no message

    def _secure(self, context: ssl.SSLContext) -> None:
        """Agree on TLS, and know by it who the peer is."""
        try:
            self.line.secure(context, self._house.limits.request)
        except OSError as error:
            if not (isinstance(error, ConnectionError) and self.line.is_unheard):
                self._house.refusals.note(Refusal("TLS", reason_of(error), self._address), "no TLS")
            self.event_queue.put("Evt17")

    def _give_up(self, error: Exception) -> None:
        """Take no more of a peer whose bytes are no PDU or no message, and tell why, once."""
        known = isinstance(error, MalformedError | CommandError | ItemError)
        self._abort_is_told(str(error) if known else type(error).__name__)
        self.messages.end()

    def _abort_is_told(self, reason: str) -> None:
        """Tell why an association ends before its time, once."""
        if not self._has_given_up:
            self.complain("association aborted", reason)
        self._has_given_up = True

    def _read_request(self, content: memoryview) -> None:
        """Read a request for an association first, so that it can be answered whatever else it holds."""
        if content[0] == ASSOCIATE_RQ:
            self.asked = read_request(bytes(content))
            content = memoryview(self.asked.content)
        self._tell(content)

    def _read_data(self, content: memoryview, state: str) -> None:
        """Take data, which leave the state as it is, and read on as long as more come."""
        limits = self._house.limits
        while content[0] == P_DATA_TF and state == "Sta6":
            self.messages.receive(content)
            self._keep_pace(len(content))
            self._idle_timer.restart()
            if not self._has_nothing_to_do():
                return
            self.line.wait(SLEEP_SECONDS)
            if not self.line.ready:
                return
            content = self.line.read_pdu(limits.pdu_bytes + 6, limits.pdu)
        if state == "Sta6" and content[0] not in _OF_AN_ASSOCIATION:
            self._abort_is_told(f"PDU of type {content[0]:02X} is out of turn")
        self._tell(content)

    def _keep_pace(self, count: int) -> None:
        """Read on no sooner than the peer may send; meanwhile it is not idle."""
        if self._pace is None or not (seconds := self._pace.came(count)):
            return
        self._is_busy = True
        self.line.pause(seconds)
        self._is_busy = False

    def _tell(self, content: memoryview) -> None:
        """Tell the state machine of a PDU."""
        pdu, event = self._decode_pdu(bytearray(content))
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)


class _Association(Association):
    """One connection, from its first byte to its last thread."""

    def __init__(self, ae: AE, house: House, address: str) -> None:
        self.house = house
        self.address = address
        super().__init__(ae, MODE_ACCEPTOR)
        self.acse = Negotiation(self)
        self.dul = self.provider = _Provider(self)
        self.dimse = NoMessages(self, self.provider.bell)
        # Setting them sets the timers of the new provider.
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout

    def _bind_defaults(self) -> None:
        """Bind what answers, not what logs."""
        for event in evt._INTERVENTION_EVENTS:
            self.bind(event, evt.get_default_handler(event))

    def run_reactor(self) -> None:
        """Run until the association ends."""
        try:
            super().run_reactor()
        except Exception as error:  # whatever a peer makes the negotiation raise
            log.exception("association ended by an error", error=error)
        finally:
            self.end()

    def end(self) -> None:
        """Leave nothing behind: no thread, no file number, no part of a file."""
        self.provider.line.hang_up()
        if self.provider.ident is not None:
            self.provider.kill_dul()
            self.provider.line.wake()
            self.provider.join()
        self.provider.line.release()
        self.provider.messages.end()
        self.provider.owed.end()
        self.house.connections.remove(self)


class _Handler(RequestHandler):
    """Starts an association on an accepted connection, without waiting for anything."""

    server: HardenedServer

    def handle(self) -> None:
        """Start."""
        house = self.server.house
        assoc = self._create_association()
        house.connections.add(assoc, assoc.address, assoc.provider.line.hang_up)
        try:
            assoc.start()
        except RuntimeError:  # no more threads
            assoc.end()
            raise

    def _create_association(self) -> _Association:
        server, ae, address = self.server, self.server.ae, self.client_address[0]
        assoc = _Association(ae, server.house, address)
        assoc.name = f"association with {address}"
        assoc.set_socket(PeerSocket(assoc, cast(Any, self.request), server.house.limits))
        assoc.requestor.address_info = self.remote
        acceptor = assoc.acceptor
        acceptor.address_info = self.local
        acceptor.ae_title = server.ae_title
        acceptor.maximum_length = ae.maximum_pdu_size
        acceptor.implementation_class_uid = ae.implementation_class_uid
        acceptor.implementation_version_name = ae.implementation_version_name
        acceptor.supported_contexts = server.contexts  # only read, so not copied for each connection
        return assoc


class HardenedServer(AssociationServer):
    """Accepts connections and never waits for one of them; `open_server` makes one."""

    request_queue_size = 128
    house: House
    doorman: Doorman
    _refused, _told_at = 0, 0.0

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as the base
        """Start an association if there is room for one more; if not, tell the peer so."""
        if self.house.connections.admit(client_address[0]):
            super().process_request(request, client_address)
            return
        self._refused += 1
        self.house.refusals.count("no room")
        if not self.doorman.refuse(request):
            self.shutdown_request(request)

    def service_actions(self) -> None:
        """Tell of connections that were refused, but not each time.

        The base collects garbage here, which lets everybody wait; Python does so itself when it is worth it.
        """
        if self._refused and monotonic() - self._told_at > _REFUSALS_TOLD_EVERY:
            log.warning("connections refused, too many are open", count=self._refused)
            self._refused, self._told_at = 0, monotonic()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  # as the base
        """Tell what the base would print."""
        error = sys.exception()
        assert error is not None  # the base calls this while it handles one
        log.exception("connection cannot be served", error=error, address=client_address[0])

    def shutdown(self) -> None:
        """Accept no more connections; those that are there stay."""
        super(AssociationServer, self).shutdown()
        self.server_close()


def open_server(
    house: House, address: tuple[str, int], ae_title: str, contexts: Sequence[PresentationContext]
) -> HardenedServer:
    """Listen; peers wait until `serve_forever` runs. Raises OSError if the address cannot be had."""
    limits = house.limits
    ae = AE(ae_title)
    ae.maximum_pdu_size = limits.pdu_bytes
    ae.acse_timeout, ae.network_timeout = limits.request, limits.idle
    ae.maximum_associations = 1_000_000  # `Connections` counts them
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = f"CASGAN_{__version__}"[:16]
    server = ae.make_server(
        address, contexts=list(contexts), server_class=HardenedServer, request_handler=_Handler
    )
    assert isinstance(server, HardenedServer)
    server.house, server.doorman = house, Doorman(house.tls)
    return server
