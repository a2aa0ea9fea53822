"""A modality of pynetdicom's that stores, and asks what is kept of it.

with AskingModality(node.port) as modality:
    modality.store(path)
    status = modality.ask("1.2.3", [(XA, uid)])
    event_type, report = modality.wait_for_report()       # on the association that it holds open

with reporting_port() as (port, told):                    # where it listens for associations of ours
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from types import TracebackType

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when it is imported
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

WAIT_SECONDS = 60.0
Told = tuple[int | None, Dataset]
"""Event Type ID and data set of a report."""


def request_of(transaction_uid: str, objects: Sequence[tuple[str, str]]) -> Dataset:
    """The data set of a request for objects: SOP Class and SOP Instance UID of each."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = []
    for sop_class_uid, sop_uid in objects:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_uid
        ds.ReferencedSOPSequence.append(item)
    return ds


class AskingModality:
    """The modality; its association is open inside its `with`."""

    def __init__(self, port: int, *, title: str = "CATHLAB", status: int = 0x0000) -> None:
        self.told: Queue[Told] = Queue()
        self._status = status
        ae = AE(title)
        contexts = [
            (XRayAngiographicImageStorage, ExplicitVRLittleEndian),
            (StorageCommitmentPushModel, ExplicitVRLittleEndian),
        ]
        for abstract, syntax in contexts:
            ae.add_requested_context(abstract, syntax)
        ae.dimse_timeout = WAIT_SECONDS
        handlers: list[evt.EventHandlerType] = [(evt.EVT_N_EVENT_REPORT, self._on_report)]
        self.assoc = ae.associate("127.0.0.1", port, ae_title="CASGAN", evt_handlers=handlers)
        assert self.assoc.is_established

    def __enter__(self) -> AskingModality:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.assoc.is_established:
            self.assoc.release()

    def store(self, path: Path) -> tuple[str, str]:
        """Store an instance; its SOP Class and SOP Instance UID."""
        ds = dcmread(path)
        assert self.assoc.send_c_store(ds).Status == 0x0000
        return str(ds.SOPClassUID), str(ds.SOPInstanceUID)

    def ask(
        self,
        transaction_uid: str,
        objects: Sequence[tuple[str, str]],
        *,
        action: int = 1,
        instance: str = StorageCommitmentPushModelInstance,
    ) -> int:
        """Ask what is kept; the status of the response."""
        ds = request_of(transaction_uid, objects)
        status, _ = self.assoc.send_n_action(ds, action, StorageCommitmentPushModel, instance)
        return int(status.Status)

    def wait_for_report(self) -> Told:
        """The next report."""
        return self.told.get(timeout=WAIT_SECONDS)

    def _on_report(self, event: evt.Event) -> tuple[int, None]:
        self.told.put((event.event_type, event.event_information))
        return self._status, None


@contextmanager
def reporting_port(port: int = 0) -> Iterator[tuple[int, Queue[Told]]]:
    """Listen for reports on associations of the other side: the port, and what was reported."""
    told: Queue[Told] = Queue()

    def on_report(event: evt.Event) -> tuple[int, None]:
        told.put((event.event_type, event.event_information))
        return 0x0000, None

    ae = AE("CATHLAB")
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    handlers: list[evt.EventHandlerType] = [(evt.EVT_N_EVENT_REPORT, on_report)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield int(server.server_address[1]), told
    finally:
        server.shutdown()
