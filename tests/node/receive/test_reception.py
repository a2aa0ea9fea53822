"""What becomes of instances that are sent, on the disk and in the ledger, and what the sender is told."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.node.receive.reception import Reception
from casgan_dicom.node.receive.spool import Opening, Spool
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.receipts import Receipt, Receipts, Received
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.syntaxes import SYNTAXES, decoder_of
from casgan_dicom.source.eligible import SOP_CLASSES
from casgan_dicom.source.series import find_series
from tests.node.listening import (
    Listening,
    check_spool,
    data_set,
    data_set_of,
    digest,
    listening,
    wait_for,
)
from tests.node.wire import EXPLICIT, IMPLICIT, XA, XA_CONTEXT, Wire, p_data, store_command
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.programs import find_program


def test_instance_is_stored_as_it_came_and_entered(running: Listening, folder: Path) -> None:
    content = data_set(folder, ImagesInAcquisition="9")

    with Wire.associated(running.port, calling="CATHLAB") as wire:
        reply = wire.store(XA, uid("instance"), content)

    assert reply.status == 0
    (row,) = running.rows()
    path = Path(row["path"])
    assert data_set_of(path) == content
    assert row["sha256"] == digest(EXPLICIT, content)
    assert (row["sop_uid"], row["series_uid"]) == (uid("instance"), uid("series"))
    assert (row["frames"], row["peer"], row["address"]) == (4, "CATHLAB", "127.0.0.1")
    (job,) = running.rows("jobs")
    assert (job["job"], job["expected"], job["instances"]) == (row["job"], 9, 1)
    assert running.files() == [path]
    assert check_spool(running.layout) == 1


@pytest.mark.parametrize("piece", [1, 7, 100, 16378])
def test_data_set_may_come_in_pieces_of_any_size(running: Listening, folder: Path, piece: int) -> None:
    content = data_set_of(write_xa(folder / "made", moving_frames(1, 16, 16)))

    with Wire.associated(running.port) as wire:
        assert wire.store(XA, uid("instance"), content, piece=piece).status == 0

    assert running.rows()[0]["sha256"] == digest(EXPLICIT, content)


def test_command_and_data_set_may_share_a_pdu(running: Listening, folder: Path) -> None:
    content = data_set(folder)
    first = p_data(XA_CONTEXT, 3, store_command(XA, uid("instance")))
    second = p_data(XA_CONTEXT, 2, content)
    both = b"\4\0" + (len(first) + len(second) - 12).to_bytes(4, "big") + first[6:] + second[6:]

    with Wire.associated(running.port) as wire:
        wire.send(both)

        assert wire.reply().status == 0
    assert check_spool(running.layout) == 1


@pytest.mark.parametrize("sop_class", SOP_CLASSES)
def test_every_class_that_is_converted_is_taken(running: Listening, folder: Path, sop_class: UID) -> None:
    content = data_set(folder, SOPClassUID=sop_class)

    with Wire.associated(running.port, contexts={1: (str(sop_class), [EXPLICIT])}) as wire:
        assert wire.store(str(sop_class), uid("instance"), content, context=1).status == 0


@pytest.mark.parametrize(
    "syntax",
    [
        EXPLICIT,
        IMPLICIT,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGBaseline8Bit,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
)
def test_instance_is_read_again_in_its_transfer_syntax(running: Listening, folder: Path, syntax: str) -> None:
    """The pipeline finds the frames of the original in the spool."""
    original = write_xa(folder / "made", moving_frames(2), syntax=syntax)

    with Wire.associated(running.port, contexts={XA_CONTEXT: (XA, [str(syntax)])}) as wire:
        assert wire.store(XA, uid("instance"), data_set_of(original)).status == 0

    (stored,) = find_series([running.layout.spool]).cines
    (sent,) = find_series([original]).cines
    assert stored.instances[0].transfer_syntax == syntax
    for ours, theirs in zip(iter_frames(stored), iter_frames(sent), strict=True):
        assert (ours == theirs).all()


def test_every_transfer_syntax_that_is_offered_can_be_decoded() -> None:
    for syntax in SYNTAXES:
        ours = decoder_of(syntax).way != "pydicom"
        assert ours or get_decoder(syntax).is_available, syntax.name


def test_same_instance_again_is_acknowledged_and_counted(running: Listening, folder: Path) -> None:
    content = data_set(folder)

    with Wire.associated(running.port) as wire:
        statuses = [wire.store(XA, uid("instance"), content).status for _ in range(3)]

    assert statuses == [0, 0, 0]
    (row,) = running.rows()
    assert row["copies"] == 3
    assert check_spool(running.layout) == 1


def test_other_content_under_a_known_uid_is_kept_beside_the_first(running: Listening, folder: Path) -> None:
    first, second = data_set(folder), data_set(folder, InstanceNumber=2)

    with Wire.associated(running.port) as wire:
        assert wire.store(XA, uid("instance"), first).status == 0
        assert wire.store(XA, uid("instance"), second).status == 0

    assert {row["sha256"] for row in running.rows()} == {digest(EXPLICIT, each) for each in (first, second)}
    assert check_spool(running.layout) == 2


def test_instance_after_completion_belongs_to_the_next_revision(running: Listening, folder: Path) -> None:
    with Wire.associated(running.port) as wire:
        wire.store(XA, uid("a"), data_set(folder, SOPInstanceUID=uid("a")))
        with sqlite3.connect(running.layout.ledger) as db:  # what the coordinator does
            db.execute("UPDATE jobs SET state = 'queued'")
        db.close()
        wire.store(XA, uid("b"), data_set(folder, SOPInstanceUID=uid("b")))

    assert [(job["revision"], job["instances"]) for job in running.rows("jobs")] == [(1, 1), (2, 1)]


def test_series_of_two_senders_do_not_mix(running: Listening, folder: Path) -> None:
    with (
        Wire.associated(running.port, calling="ONE") as one,
        Wire.associated(running.port, calling="TWO") as two,
    ):
        for k in range(4):
            for wire, name in ((one, "one"), (two, "two")):
                own = {"SOPInstanceUID": uid(f"{name} {k}"), "SeriesInstanceUID": uid(name)}
                content = data_set(folder, **own)
                wire.send(p_data(XA_CONTEXT, 3, store_command(XA, own["SOPInstanceUID"])))
                wire.send(p_data(XA_CONTEXT, 0, content[:1000]))
                wire.rest = content[1000:]  # type: ignore[attr-defined]
            for wire in (one, two):
                wire.send(p_data(XA_CONTEXT, 2, wire.rest))  # type: ignore[attr-defined]
            assert one.reply().status == two.reply().status == 0

    assert check_spool(running.layout) == 8
    assert {(job["series_uid"], job["instances"], job["peer"]) for job in running.rows("jobs")} == {
        (uid("one"), 4, "ONE"),
        (uid("two"), 4, "TWO"),
    }


def test_one_instance_from_many_senders_at_once_is_stored_once(running: Listening, folder: Path) -> None:
    content, statuses, start = data_set(folder), list[int](), threading.Barrier(8)

    def send() -> None:
        with Wire.associated(running.port) as wire:
            start.wait()
            statuses.append(wire.store(XA, uid("instance"), content).status)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [0] * 8
    assert [row["copies"] for row in running.rows()] == [8]
    assert check_spool(running.layout) == 1


class _FailingOnce(Receipts):
    """A ledger that fails the first instance, after another sender had the time to send the same."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger, "recipe")
        self.entering, self.second_is_done = threading.Event(), threading.Event()

    def enter(self, received: Received, now: float, *, take_over: bool = False) -> Receipt:
        if self.entering.is_set():
            return super().enter(received, now, take_over=take_over)
        self.entering.set()
        self.second_is_done.wait(1.0)
        raise LedgerError("database or disk is full")


def test_sender_whose_row_fails_does_not_take_the_file_of_another(tmp_path: Path, folder: Path) -> None:
    spool = Spool(Layout(tmp_path / "data"), 2**30, 0)
    spool.make()
    ledger = Ledger(spool.layout.ledger)
    receipts = _FailingOnce(ledger)
    reception, content = Reception(spool, receipts), data_set(folder)
    answers = dict[str, int]()

    def send(name: str) -> None:
        intake = spool.begin(Opening(XA, uid("instance"), EXPLICIT, name))
        intake.write(memoryview(content))
        answers[name] = reception.take(intake, "127.0.0.1").status

    first = threading.Thread(target=send, args=["first"])
    first.start()
    assert receipts.entering.wait(60)
    send("second")
    receipts.second_is_done.set()
    first.join()
    ledger.close()

    assert answers == {"first": 0xA700, "second": 0}
    assert check_spool(spool.layout) == 1


@pytest.mark.parametrize(
    ("header", "status", "reason"),
    [
        ({"SOPInstanceUID": None}, 0xC000, "SOPInstanceUID (0008,0018) is absent or empty"),
        ({"SeriesInstanceUID": None}, 0xC000, "SeriesInstanceUID (0020,000E) is absent or empty"),
        ({"StudyInstanceUID": ""}, 0xC000, "StudyInstanceUID (0020,000D) is absent or empty"),
        ({"SOPInstanceUID": uid("other")}, 0xA900, "SOPInstanceUID (0008,0018) is not the one requested"),
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"},
            0xA900,
            "SOPClassUID (0008,0016) is not the one requested",
        ),
    ],
)
def test_instance_that_cannot_be_used_is_put_aside_and_the_association_goes_on(
    running: Listening, folder: Path, header: dict[str, object], status: int, reason: str
) -> None:
    content = data_set(folder, **header)

    with Wire.associated(running.port) as wire:
        reply = wire.store(XA, uid("instance"), content)

        assert (reply.status, reply.comment) == (status, reason[:64])
        assert wire.echo() == 0
    (row,) = running.rows("quarantine")
    assert (row["reason"], row["sop_uid"]) == (reason, uid("instance"))
    path = Path(row["path"])
    assert path.parent == running.layout.quarantine
    assert data_set_of(path) == content
    assert running.files() == []
    assert running.rows() == []


@pytest.mark.parametrize(
    "content", [b"no DICOM at all, sorry", bytes(4000), b"\xff" * 333, b"\x08\0\x18\0UI"]
)
def test_bytes_that_are_no_data_set_are_put_aside_once(running: Listening, content: bytes) -> None:
    with Wire.associated(running.port) as wire:
        statuses = [wire.store(XA, uid("instance"), content).status for _ in range(3)]

    assert statuses == [0xC000] * 3
    assert len(running.rows("quarantine")) == len(list(running.layout.quarantine.iterdir())) == 1


@pytest.mark.parametrize("hostile", ["../../../../tmp/x", "..", "1.2/../3", "/etc/passwd"])
def test_uid_that_is_a_path_goes_nowhere(running: Listening, folder: Path, hostile: str) -> None:
    text = uid("series").encode()
    padded = hostile.encode() + b"\0" * (len(hostile) % 2)
    good = (
        b"\x20\0\x0e\0UI" + (len(text) + len(text) % 2).to_bytes(2, "little") + text + b"\0" * (len(text) % 2)
    )
    bad = b"\x20\0\x0e\0UI" + len(padded).to_bytes(2, "little") + padded
    content = data_set(folder)
    assert content.count(good) == 1
    before = {path for path in running.layout.data.parent.rglob("*") if path.is_file()}

    with Wire.associated(running.port) as wire:
        assert wire.store(XA, uid("instance"), content.replace(good, bad)).status == 0xC000
        assert wire.store(XA, hostile, content).status == 0xA900

    after = {path for path in running.layout.data.parent.rglob("*") if path.is_file()}
    assert {path.parent for path in after - before} == {running.layout.quarantine}
    assert {row["sop_uid"] for row in running.rows("quarantine")} == {uid("instance"), ""}


def test_instance_that_is_aborted_halfway_leaves_nothing(running: Listening, folder: Path) -> None:
    with Wire.associated(running.port) as wire:
        wire.send(p_data(XA_CONTEXT, 3, store_command(XA, uid("instance"))))
        wire.send(p_data(XA_CONTEXT, 0, data_set(folder)[:1000]))
        wait_for(running.files, "the first bytes on the disk")

    wait_for(lambda: not running.files(), "nothing on the disk")
    assert running.rows() == []


def test_no_room_is_said_and_the_association_goes_on(tmp_path: Path, folder: Path) -> None:
    with listening(tmp_path / "data", min_free_bytes=2**60) as running:
        with Wire.associated(running.port) as wire:
            reply = wire.store(XA, uid("instance"), data_set(folder))

            assert (reply.status, reply.comment) == (0xA700, "not enough free space")
            assert wire.echo() == 0
        assert running.files() == []


def test_quarantine_takes_no_room_that_is_not_there(tmp_path: Path) -> None:
    with listening(tmp_path / "data", min_free_bytes=2**60) as running:
        with Wire.associated(running.port) as wire:
            assert wire.store(XA, uid("instance"), b"no data set").status == 0xA700
        assert list(running.layout.quarantine.iterdir()) == []


def test_data_set_without_end_is_refused_before_its_end(tmp_path: Path) -> None:
    with listening(tmp_path / "data", max_instance_bytes=100_000) as running:
        with Wire.associated(running.port) as wire:
            wire.send(p_data(XA_CONTEXT, 3, store_command(XA, uid("instance"))))
            for _ in range(3):
                wire.send(p_data(XA_CONTEXT, 0, bytes(50_000)))

            reply = wire.reply()

            assert (reply.status, reply.comment) == (0xA700, "data set is too long")
            assert wire.is_over()
        wait_for(lambda: not running.files(), "nothing on the disk")


@pytest.mark.parametrize("no_delay", ["0", "1"])
def test_dcmtk_sends_a_series(
    running: Listening, folder: Path, no_delay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storescu = find_program("storescu", "dcmtk")
    monkeypatch.setenv("TCP_NODELAY", no_delay)
    for k in range(3):
        write_xa(folder / str(k), moving_frames(20, 128, 128), SOPInstanceUID=uid(f"dcmtk {k}"))

    done = subprocess.run(
        [storescu, "-aec", "CASGAN", "127.0.0.1", str(running.port), "+sd", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert check_spool(running.layout) == 3
    for row in running.rows():
        sent, kept = dcmread(folder / "0"), dcmread(row["path"])
        assert _without_uid(sent) == _without_uid(kept)


def _without_uid(ds: Dataset) -> str:
    del ds.SOPInstanceUID
    return json.dumps(ds.to_json_dict(), sort_keys=True)
