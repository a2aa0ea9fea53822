"""What a later revision supersedes is withdrawn where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    XRayAngiographicImageStorage,
)

from casgan_dicom.node.settings import DestinationSettings, NodeSettings
from casgan_dicom.node.state.deliveries import Deliveries, Derived
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.work.sender import Sender
from tests.node.ledgers import received
from tests.support.factories import uid, write_xa
from tests.support.fake_pacs import FakePacs, answer
from tests.support.web_server import WebServer


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "node")
    made.outbox.mkdir(parents=True)
    return made


@pytest.fixture
def ledger(layout: Layout) -> Iterator[Ledger]:
    opened = Ledger(layout.ledger)
    yield opened
    opened.close()


def revision(ledger: Ledger, layout: Layout, source: str, *made_of: str, content: str = "") -> str:
    """A job that `source` makes complete, with one object made of `made_of`, for a destination called out."""
    instance = received(source, content=content)
    job = Receipts(ledger, "w").enter(instance, 1.0).job
    (opened,) = JobList(ledger).receiving(1000.0)
    assert JobList(ledger).close(job, opened.series, 2.0)
    name = f"made at {source}{content}"
    path = layout.outbox / job / "object.dcm"
    write_xa(path, SOPInstanceUID=uid(name), SeriesInstanceUID=uid(f"series of {name}"))
    sources = tuple(map(uid, made_of))
    derived = Derived(
        uid(name), uid(f"series of {name}"), path, "ab", 4, XRayAngiographicImageStorage, sources
    )
    Deliveries(ledger).put(job, [derived], ["out"], 3.0)
    return job


def sends_to(ledger: Ledger, layout: Layout, out: DestinationSettings) -> Sender:
    return Sender(NodeSettings(data=layout.data, destinations=(out,)), ledger)


@pytest.fixture
def archive() -> Iterator[FakePacs]:
    """One that takes notes."""
    classes = (XRayAngiographicImageStorage, KeyObjectSelectionDocumentStorage)
    with FakePacs(accepts=[(each, [ExplicitVRLittleEndian]) for each in classes]) as running:
        yield running


def to(pacs: FakePacs, *, withdraw: bool = True) -> DestinationSettings:
    return DestinationSettings("out", "127.0.0.1", pacs.port, pacs.ae_title, withdraw=withdraw)


def notes_in(layout: Layout, job: str) -> dict[str, list[str]]:
    """The notes of a job: what each withdraws, by its SOP Instance UID."""
    found = map(dcmread, (layout.outbox / job).glob("withdrawal-*.dcm"))
    return {
        str(ds.SOPInstanceUID): sorted(
            str(each.ReferencedSOPInstanceUID)
            for series in ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
            for each in series.ReferencedSOPSequence
        )
        for ds in found
    }


def test_what_is_superseded_is_withdrawn_behind_what_stands_in_for_it(
    ledger: Ledger, layout: Layout, archive: FakePacs
) -> None:
    first = revision(ledger, layout, "a", "a")
    second = revision(ledger, layout, "b", "a", "b")
    third = revision(ledger, layout, "c", "a", "b", "c")
    sending = sends_to(ledger, layout, to(archive))

    states = [sending.attempt(job, "out", 1)["state"] for job in (first, second, third, third)]

    assert states == ["sent"] * 4
    assert notes_in(layout, first) == {}
    ((note_of_second, withdrawn),) = notes_in(layout, second).items()
    assert withdrawn == [uid("made at a")]
    ((note_of_third, withdrawn),) = notes_in(layout, third).items()
    assert withdrawn == [uid("made at b")]
    assert [each.sop_instance_uid for each in archive.received] == [
        uid("made at a"),
        uid("made at b"),
        note_of_second,
        uid("made at c"),
        note_of_third,
    ]


def test_nothing_is_withdrawn_unless_that_is_wanted(
    ledger: Ledger, layout: Layout, archive: FakePacs
) -> None:
    jobs = [revision(ledger, layout, "a", "a"), revision(ledger, layout, "b", "a", "b")]
    sending = sends_to(ledger, layout, to(archive, withdraw=False))
    for job in jobs:
        assert sending.attempt(job, "out", 1)["state"] == "sent"
    assert len(archive.received) == 2
    assert not list(layout.outbox.rglob("withdrawal-*"))


def test_what_an_archive_does_not_hold_is_not_withdrawn(
    ledger: Ledger, layout: Layout, archive: FakePacs
) -> None:
    revision(ledger, layout, "a", "a")
    second = revision(ledger, layout, "b", "a", "b")

    assert sends_to(ledger, layout, to(archive)).attempt(second, "out", 1)["state"] == "sent"

    assert list(archive.stored) == [uid("made at b")]


def test_another_cine_of_the_series_is_not_withdrawn(
    ledger: Ledger, layout: Layout, archive: FakePacs
) -> None:
    jobs = [revision(ledger, layout, "a", "a"), revision(ledger, layout, "b", "b")]
    sending = sends_to(ledger, layout, to(archive))
    for job in jobs:
        sending.attempt(job, "out", 1)
    assert sorted(archive.stored) == sorted([uid("made at a"), uid("made at b")])


def test_what_is_overtaken_by_its_successor_is_withdrawn_when_it_arrives(
    ledger: Ledger, layout: Layout, archive: FakePacs
) -> None:
    first, second = revision(ledger, layout, "a", "a"), revision(ledger, layout, "b", "a", "b")
    sending = sends_to(ledger, layout, to(archive))

    for job in (second, first):
        assert sending.attempt(job, "out", 1)["state"] == "sent"

    ((note, withdrawn),) = notes_in(layout, second).items()
    assert withdrawn == [uid("made at a")]
    assert [each.sop_instance_uid for each in archive.received][-1] == note


def test_a_note_that_was_refused_for_now_is_sent_again_as_it_was(
    ledger: Ledger, layout: Layout, archive: FakePacs
) -> None:
    first, second = revision(ledger, layout, "a", "a"), revision(ledger, layout, "b", "a", "b")
    sending = sends_to(ledger, layout, to(archive))
    sending.attempt(first, "out", 1)
    deliveries = Deliveries(ledger)
    deliveries.answered(uid("made at b"), "out", 0, stored_at=5.0)

    archive.behaviour = answer(0xA700, times=1)
    assert sending.attempt(second, "out", 1)["state"] == "waiting"
    ((note, _),) = notes_in(layout, second).items()
    before = (layout.outbox / second / f"withdrawal-{note}.dcm").read_bytes()
    assert sending.attempt(second, "out", 1)["state"] == "sent"

    assert archive.requests == {uid("made at a"): 1, note: 2}
    assert (layout.outbox / second / f"withdrawal-{note}.dcm").read_bytes() == before


def test_an_archive_that_takes_no_notes_is_told_of(ledger: Ledger, layout: Layout, pacs: FakePacs) -> None:
    first, second = revision(ledger, layout, "a", "a"), revision(ledger, layout, "b", "a", "b")
    sending = sends_to(ledger, layout, to(pacs))
    sending.attempt(first, "out", 1)

    attempt = sending.attempt(second, "out", 1)

    assert attempt["state"] == "waiting"
    assert "Key Object Selection Document" in attempt["reason"]
    assert sorted(pacs.stored) == sorted([uid("made at a"), uid("made at b")])


def test_a_note_goes_over_the_web_too(ledger: Ledger, layout: Layout) -> None:
    first, second = revision(ledger, layout, "a", "a"), revision(ledger, layout, "b", "a", "b")
    with WebServer() as server:
        web = DestinationSettings("out", kind="stow", url=server.url, withdraw=True, withdraw_title="113038")
        for job in (first, second):
            assert sends_to(ledger, layout, web).attempt(job, "out", 1)["state"] == "sent"
        ((note, _),) = notes_in(layout, second).items()
        assert server.stored() == [uid("made at a"), uid("made at b"), note]
    ds = dcmread(layout.outbox / second / f"withdrawal-{note}.dcm")
    assert ds.ConceptNameCodeSequence[0].CodeValue == "113038"
