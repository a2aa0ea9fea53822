"""An archive of pynetdicom's that stores, and that is asked to commit: by the rules, or against them.

    with CommittingPacs() as pacs:                     # reports behind its response, on the same association
        pacs.manner = Manner("new", port=node.port)    # on an association that it opens to that port
        pacs.manner = Manner("never")
        pacs.manner = Manner("before", said=(all_kept, all_kept))        # twice, before its response
        pacs.manner = Manner("same", said=(failing("1.2.3"),))

What is recorded: `stores`, the number of C-STORE requests for each SOP Instance UID; `asked`, each request
with its Transaction UID and objects; `answers`, the status of each response to a report, None for none;
`kept`, the SOP Instance UIDs that a report named as kept, noted before it was sent.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, Literal

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_ACTION_RSP
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when it is imported
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from casgan_dicom.node.client.peer import Peer
from tests.support import waiting
from tests.support.fake_pacs import SOP_CLASSES

LOOPBACK = "127.0.0.1"
WAIT_SECONDS = 60.0
Said = tuple[int, Dataset | bytes]
"""A report: Event Type ID, and its data set or any bytes in place of one."""


@dataclass(frozen=True)
class Asked:
    """A request to commit."""

    transaction_uid: str
    """Transaction UID (0008,1195)."""
    objects: tuple[tuple[str, str], ...]
    """SOP Class and SOP Instance UID of each."""


def _sequence(objects: tuple[tuple[str, str], ...], reason: int | None = None) -> list[Dataset]:
    items = []
    for sop_class_uid, sop_uid in objects:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_uid
        if reason is not None:
            item.FailureReason = reason
        items.append(item)
    return items


def report_of(asked: Asked, *, failed: tuple[str, ...] = (), reason: int = 0x0112) -> Said:
    """A report by the rules, in which some objects have failed."""
    ds = Dataset()
    ds.TransactionUID = asked.transaction_uid
    bad = tuple(each for each in asked.objects if each[1] in failed)
    good = tuple(each for each in asked.objects if each[1] not in failed)
    if good:
        ds.ReferencedSOPSequence = _sequence(good)
    if bad:
        ds.FailedSOPSequence = _sequence(bad, reason)
    return (2 if bad else 1), ds


@dataclass(frozen=True)
class Manner:
    """How the archive commits."""

    where: Literal["same", "before", "new", "never"] = "same"
    """Behind its response or before it on the same association, on a new one, or not at all."""
    said: tuple[Callable[[Asked], Said], ...] = (report_of,)
    """The reports, in their order."""
    status: int = 0x0000
    """Of the response to the request."""
    port: int = 0
    """Of the node, for a new association."""
    title: str = ""
    """What it calls itself on that; empty for its own title."""


class CommittingPacs:
    """The archive; it listens inside its `with`."""

    ae_title = "ARCHIVE"

    def __init__(self, manner: Manner = Manner()) -> None:
        self.manner = manner
        self.stores: Counter[str] = Counter()
        self.asked: list[Asked] = []
        self.answers: list[int | None] = []
        self.kept: set[str] = set()
        self._due: dict[Association, tuple[Manner, Asked]] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def __enter__(self) -> CommittingPacs:
        ae = AE(self.ae_title)
        for uid in SOP_CLASSES:
            ae.add_supported_context(uid, ALL_TRANSFER_SYNTAXES)
        ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_ACTION, self._on_action),
            (evt.EVT_DIMSE_SENT, self._on_message_sent),
            (evt.EVT_PDU_SENT, self._on_pdu_sent),
        ]
        self._answered: set[Association] = set()
        server = ae.start_server((LOOPBACK, 0), block=False, evt_handlers=handlers)
        assert server is not None
        self._server = server
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def peer(self, *, response_seconds: float = 20.0) -> Peer:
        """How to reach it."""
        return Peer(LOOPBACK, self.port, self.ae_title, response_seconds=response_seconds)

    def wait_for(self, condition: Callable[[CommittingPacs], bool], what: str) -> None:
        """Wait until something is so."""
        waiting.wait_for(lambda: condition(self), what, WAIT_SECONDS)

    def report(self, manner: Manner, asked: Asked) -> None:
        """Report on an association of its own."""
        for event_type, said in (make(asked) for make in manner.said):
            self._note(said)
            self.answers.append(open_and_report(manner.port, event_type, said, manner.title or self.ae_title))

    def _on_store(self, event: evt.Event) -> int:
        with self._lock:
            self.stores[str(event.request.AffectedSOPInstanceUID)] += 1  # type: ignore[union-attr]
        return 0x0000

    def _on_action(self, event: evt.Event) -> tuple[int, None]:
        ds = event.action_information
        objects = tuple(
            (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
            for item in ds.ReferencedSOPSequence
        )
        asked, manner = Asked(str(ds.TransactionUID), objects), self.manner
        with self._lock:
            self.asked.append(asked)
        if manner.where == "before":
            self._report_here(event.assoc, manner, asked)
        elif manner.where in ("same", "new") and manner.status == 0:
            self._due[event.assoc] = manner, asked
        return manner.status, None

    def _on_message_sent(self, event: evt.Event) -> None:
        if isinstance(event.message, N_ACTION_RSP):
            self._answered.add(event.assoc)

    def _on_pdu_sent(self, event: evt.Event) -> None:
        if isinstance(event.pdu, P_DATA_TF) and event.assoc in self._answered:  # the response is out
            self._answered.discard(event.assoc)
            if event.assoc in self._due:
                self._start(event.assoc, *self._due.pop(event.assoc))

    def _start(self, assoc: Association, manner: Manner, asked: Asked) -> None:
        target: Callable[..., None] = self.report
        arguments: list[Any] = [manner, asked]
        if manner.where == "same":
            target, arguments = self._report_here, [assoc, manner, asked]
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _report_here(self, assoc: Association, manner: Manner, asked: Asked) -> None:
        for event_type, said in (make(asked) for make in manner.said):
            self._note(said)
            self.answers.append(send_report(assoc, event_type, said))

    def _note(self, said: Dataset | bytes) -> None:
        if isinstance(said, Dataset):
            with self._lock:
                self.kept |= {
                    str(item.ReferencedSOPInstanceUID) for item in said.get("ReferencedSOPSequence", ())
                }


def send_report(assoc: Association, event_type: int, said: Dataset | bytes) -> int | None:
    """Send an N-EVENT-REPORT request, whatever it says; the status of the response, None if none came."""
    context, *_ = [
        each for each in assoc.accepted_contexts if each.abstract_syntax == StorageCommitmentPushModel
    ]
    syntax = UID(context.transfer_syntax[0])
    content = said if isinstance(said, bytes) else encode(said, syntax.is_implicit_VR, True)
    assert content is not None
    request = N_EVENT_REPORT()
    request.MessageID, request.EventTypeID = 7, event_type
    request.AffectedSOPClassUID = StorageCommitmentPushModel
    request.AffectedSOPInstanceUID = StorageCommitmentPushModelInstance
    if content:
        request.EventInformation = BytesIO(content)
    assert context.context_id is not None
    assoc._reactor_checkpoint.clear()  # or its thread might take the response
    try:
        assoc.dimse.send_msg(request, context.context_id)
        _, response = assoc.dimse.get_msg(block=True)
    finally:
        assoc._reactor_checkpoint.set()
    status = getattr(response, "Status", None)
    return None if status is None else int(status)


def open_and_report(
    port: int, event_type: int, said: Dataset | bytes, title: str, *, source: str = LOOPBACK
) -> int | None:
    """Open an association as the provider of storage commitment and send a report; as `send_report`."""
    ae = AE(title)
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    assoc = ae.associate(LOOPBACK, port, ae_title="CASGAN", ext_neg=[role], bind_address=(source, 0))
    if not assoc.is_established:
        return None
    try:
        return send_report(assoc, event_type, said)
    finally:
        with suppress(RuntimeError):
            assoc.release()
