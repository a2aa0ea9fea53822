"""What archives answer to a query: as they should, and not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when it is imported
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.query import Held, Wanted, held_by, series_of
from casgan_dicom.node.client.retrieve import Contexts, get

STUDY = "1.2.3"
Answers = Callable[[Dataset], Iterator[tuple[int, Dataset | None]]]


@contextmanager
def archive(find: Answers, *, queries: bool = True) -> Iterator[Peer]:
    """An archive whose answers to a question are those of `find`."""
    ae = AE("ARCHIVE")
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind if queries else Verification)
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelGet)

    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield from find(event.identifier)

    def on_get(_event: evt.Event) -> Iterator[int]:
        yield 0  # no sub-operations

    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_FIND, on_find), (evt.EVT_C_GET, on_get)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    assert server.socket is not None
    try:
        yield Peer("127.0.0.1", server.socket.getsockname()[1], "ARCHIVE", response_seconds=5)
    finally:
        server.shutdown()


def answer(**elements: str) -> tuple[int, Dataset]:
    """A pending response."""
    found = Dataset()
    for keyword, value in elements.items():
        setattr(found, keyword, value)
    return 0xFF00, found


def of_two_series(question: Dataset) -> Iterator[tuple[int, Dataset | None]]:
    """A study of an XA and an SR series; of the XA series two instances."""
    if question.QueryRetrieveLevel == "SERIES":
        yield answer(SeriesInstanceUID="1.2.3.1", Modality="XA")
        yield answer(SeriesInstanceUID="1.2.3.2", Modality="SR")
    elif question.SeriesInstanceUID == "1.2.3.1":
        yield answer(SOPInstanceUID="1.2.3.1.1", SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1")
        yield answer(SOPInstanceUID="1.2.3.1.2")


def test_instances_are_asked_for_level_by_level() -> None:
    with archive(of_two_series) as peer:
        found = held_by(peer, Wanted((STUDY,), modalities=("XA",)))

    assert found == [
        Held(STUDY, "1.2.3.1", "1.2.3.1.1", "1.2.840.10008.5.1.4.1.1.12.1"),
        Held(STUDY, "1.2.3.1", "1.2.3.1.2", ""),
    ]
    assert series_of(found) == [found]


@pytest.mark.parametrize("uid", ["", "../../etc", "1.2.3" + 64 * "4", "1.2.Doe^John"])
def test_an_answer_whose_uid_is_none_is_passed_over(uid: str) -> None:
    def find(question: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        if question.QueryRetrieveLevel == "IMAGE":
            yield answer(SOPInstanceUID=uid)
            yield answer(SOPInstanceUID="1.2.3.1.1")
        else:
            yield answer(SeriesInstanceUID="1.2.3.1", Modality="XA")

    with disable_value_validation(), archive(find) as peer:
        assert [each.sop_uid for each in held_by(peer, Wanted((STUDY,)))] == ["1.2.3.1.1"]


def test_a_study_that_is_named_twice_is_looked_at_once() -> None:
    asked = []

    def find(question: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        if question.QueryRetrieveLevel == "STUDY":
            asked.append((question.StudyDate, question.ModalitiesInStudy))
            yield answer(StudyInstanceUID=STUDY)
        else:
            yield from of_two_series(question)

    with archive(find) as peer:
        found = held_by(peer, Wanted(dates="20261101-20261130", modalities=("XA", "RF")))

    assert asked == [("20261101-20261130", "XA"), ("20261101-20261130", "RF")]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("status", "said"), [(0xA700, "out of resources"), (0xC001, "unable to process"), (0xFE00, "cancelled")]
)
def test_a_failure_is_told_with_its_status(status: int, said: str) -> None:
    def find(_question: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        yield status, None

    with archive(find) as peer, pytest.raises(PeerError, match=f"0x{status:04X}.*{said}"):
        held_by(peer, Wanted((STUDY,)))


def test_an_archive_without_queries_is_named() -> None:
    with archive(of_two_series, queries=False) as peer, pytest.raises(PeerError, match="does not accept"):
        held_by(peer, Wanted((STUDY,)))


def test_an_archive_that_sends_nothing_is_no_error_of_the_request() -> None:
    """Who asked looks at what came."""
    with archive(of_two_series) as peer:
        get(peer, [Held(STUDY, "1.2.3.1", "1.2.3.1.1", "")], Contexts((), ()), lambda _event: 0)
