"""Asking archives to commit, on real associations, and what comes of every manner of reporting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when it is imported
    StorageCommitmentPushModel,
)

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.commitment import Asking, ask, report
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.commitment import Reference, Report, Request
from tests.support.committing_pacs import Asked, CommittingPacs, Manner, Said, report_of
from tests.support.factories import uid
from tests.support.fake_pacs import FakePacs

CLASS = str(SecondaryCaptureImageStorage)
OBJECTS = tuple(Reference(CLASS, uid(name)) for name in "abc")


REQUEST = Request(uid("transaction"), OBJECTS)


class Heard:
    """Whoever asks, and notes what he is told."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.reports: list[Report] = []

    def asking(self) -> Asking:
        return Asking(self.statuses.append, self._reported, lambda: not self.reports)

    def _reported(self, report: Report) -> int:
        if report.transaction_uid != REQUEST.transaction_uid:
            return 0x0110
        self.reports.append(report)
        return 0x0000


def without(said: Said, keyword: str) -> Said:
    assert isinstance(said[1], Dataset)
    del said[1][keyword]
    return said


@pytest.mark.parametrize("where", ["same", "before"])
def test_a_report_on_the_same_association_is_heard_behind_the_response_and_before_it(where: str) -> None:
    heard = Heard()

    with CommittingPacs(Manner(where)) as pacs:  # type: ignore[arg-type]
        ask(pacs.peer(), REQUEST, heard.asking(), linger_seconds=120)

    assert heard.statuses == [0]
    assert pacs.asked == [Asked(uid("transaction"), tuple((CLASS, each.sop_uid) for each in OBJECTS))]
    assert [set(each.kept) for each in heard.reports] == [set(OBJECTS)]
    assert pacs.answers == [0]


def test_what_has_failed_comes_with_its_reason() -> None:
    heard = Heard()
    manner = Manner(said=(lambda asked: report_of(asked, failed=(uid("b"),), reason=0x0119),))

    with CommittingPacs(manner) as pacs:
        ask(pacs.peer(), REQUEST, heard.asking(), linger_seconds=120)

    (said,) = heard.reports
    assert said.failed == ((OBJECTS[1], 0x0119),)
    assert set(said.kept) == {OBJECTS[0], OBJECTS[2]}


def _no_objects(asked: Asked) -> Said:
    ds = Dataset()
    ds.TransactionUID = asked.transaction_uid
    ds.ReferencedSOPSequence = []
    return 1, ds


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (lambda _: (1, b"\xff" * 99), 0x0115),
        (lambda _: (1, b""), 0x0115),
        (_no_objects, 0x0115),
        (lambda asked: (3, report_of(asked)[1]), 0x0113),
        (lambda asked: without(report_of(asked), "TransactionUID"), 0x0115),
        (lambda asked: report_of(replace(asked, transaction_uid="1.2.3")), 0x0110),
        (lambda asked: report_of(replace(asked, objects=((CLASS, ""),))), 0x0115),
    ],
    ids=["garbage", "no data set", "no objects", "event type 3", "no transaction", "unknown", "no UIDs"],
)
def test_an_odd_report_is_answered_with_what_is_wrong_and_the_next_one_is_heard(
    said: object, status: int
) -> None:
    heard = Heard()

    with CommittingPacs(Manner("before", said=(said, report_of))) as pacs:  # type: ignore[arg-type]
        ask(pacs.peer(), REQUEST, heard.asking(), linger_seconds=120)

    assert pacs.answers == [status, 0]
    assert heard.reports[-1].transaction_uid == uid("transaction")


def test_a_report_of_thousands_of_objects_is_heard_whole() -> None:
    many = tuple(Reference(CLASS, uid(f"object {k}")) for k in range(1500))
    heard = Heard()

    with CommittingPacs() as pacs:
        ask(pacs.peer(), replace(REQUEST, references=many), heard.asking(), linger_seconds=120)

    assert set(heard.reports[0].kept) == set(many)


def test_without_a_report_it_listens_for_a_moment_and_goes() -> None:
    heard = Heard()

    with CommittingPacs(Manner("never")) as pacs:
        ask(pacs.peer(), REQUEST, heard.asking(), linger_seconds=0.1)

    assert heard.statuses == [0]
    assert heard.reports == []


def test_a_refusal_is_told_with_its_status() -> None:
    heard = Heard()

    with CommittingPacs(Manner("never", status=0x0124)) as pacs:
        ask(pacs.peer(), REQUEST, heard.asking(), linger_seconds=0.1)

    assert heard.statuses == [0x0124]


def test_an_archive_that_does_not_know_the_service_is_named() -> None:
    with FakePacs() as pacs, pytest.raises(PeerError, match="Storage Commitment Push Model"):
        ask(pacs.peer(), REQUEST, Heard().asking())


@contextmanager
def serving(handler: evt.EventHandlerType, *, roles: bool | None = None) -> Iterator[int]:
    """Another implementation that knows nothing but storage commitment; its port."""
    ae = AE("OTHER")
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=roles, scp_role=roles)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[handler])
    assert server is not None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()


def test_an_archive_that_aborts_in_place_of_a_response_is_an_error() -> None:
    def abort(event: evt.Event) -> tuple[int, None]:
        event.assoc.abort()
        return 0, None

    heard = Heard()
    with serving((evt.EVT_N_ACTION, abort)) as port, pytest.raises(PeerError, match="aborted the assoc"):
        ask(Peer("127.0.0.1", port, "OTHER"), REQUEST, heard.asking())

    assert heard.statuses == []


@pytest.mark.parametrize("roles", [True, None], ids=["role selection", "no role selection"])
def test_a_report_of_ours_is_understood_by_another_implementation(roles: bool | None) -> None:
    told: list[tuple[int | None, Dataset]] = []

    def on_report(event: evt.Event) -> tuple[int, None]:
        told.append((event.event_type, event.event_information))
        return 0, None

    said = Report(uid("transaction"), OBJECTS[:2], ((OBJECTS[2], 0x0112),))
    with serving((evt.EVT_N_EVENT_REPORT, on_report), roles=roles) as port:
        status = report(Peer("127.0.0.1", port, "OTHER"), said)

    ((event_type, ds),) = told
    assert (status, event_type, ds.TransactionUID) == (0, 2, uid("transaction"))
    assert [each.ReferencedSOPInstanceUID for each in ds.ReferencedSOPSequence] == [uid("a"), uid("b")]
    (failed,) = ds.FailedSOPSequence
    assert (failed.ReferencedSOPClassUID, failed.FailureReason) == (CLASS, 0x0112)
