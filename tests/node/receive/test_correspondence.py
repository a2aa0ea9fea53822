"""What a modality is told that asks what we keep, by another implementation and byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path
from time import time

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from casgan_dicom.node.commitment import LONGEST_DATA_SET, MOST_REFERENCES
from tests.node.listening import Listening, wait_for
from tests.node.wire import ASSOCIATE_AC, DATA, EXPLICIT, IMPLICIT, XA, Wire, associate_rq, command, p_data
from tests.support.asking_modality import AskingModality, request_of
from tests.support.factories import uid, write_xa

PUSH_MODEL, WELL_KNOWN = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
CONTEXT = {1: (PUSH_MODEL, [EXPLICIT])}


def action_command(*, instance: str = WELL_KNOWN, action: int = 1, data_set: int = 1) -> bytes:
    """N-ACTION-RQ, PS3.7 10.3.5.1."""
    return command(
        {
            0x0003: PUSH_MODEL.encode(),
            0x0100: 0x0130,
            0x0110: 1,
            0x0800: data_set,
            0x1001: instance.encode(),
            0x1008: action,
        }
    )


def encoded(ds: Dataset) -> bytes:
    content = encode(ds, False, True)
    assert content is not None
    return content


def untouched(running: Listening) -> bool:
    """Whether nothing has come into spool, quarantine or ledger."""
    kept = list(running.layout.quarantine.iterdir()) + running.files()
    return not kept and not running.rows("promises") and not running.rows("promised")


def test_what_is_in_the_spool_is_kept_and_said_so_on_the_same_association(
    running: Listening, folder: Path
) -> None:
    with AskingModality(running.port) as modality:
        kept = [modality.store(write_xa(folder / n, SOPInstanceUID=uid(n))) for n in "ab"]
        assert modality.ask(uid("transaction"), kept) == 0x0000
        (row,) = running.rows("promises")
        assert (row["peer"], row["address"], row["state"]) == ("CATHLAB", "127.0.0.1", "waiting")

        event_type, said = modality.wait_for_report()
        wait_for(lambda: running.rows("promises")[0]["state"] == "told", "the response to be noted")

    assert (event_type, said.TransactionUID) == (1, uid("transaction"))
    assert {each.ReferencedSOPInstanceUID for each in said.ReferencedSOPSequence} == {uid("a"), uid("b")}
    assert "FailedSOPSequence" not in said


def test_what_is_not_in_the_spool_has_failed_and_why(running: Listening, folder: Path) -> None:
    with AskingModality(running.port) as modality:
        kept, gone, cut = (
            modality.store(write_xa(folder / n, SOPInstanceUID=uid(n))) for n in ("a", "gone", "cut")
        )
        for row in running.rows():
            if row["sop_uid"] == gone[1]:
                Path(row["path"]).unlink()
            elif row["sop_uid"] == cut[1]:
                Path(row["path"]).write_bytes(Path(row["path"]).read_bytes()[:-1])
        objects = [kept, gone, cut, (XA, uid("never")), (SC, kept[1])]
        assert modality.ask(uid("transaction"), objects) == 0x0000
        event_type, said = modality.wait_for_report()

    assert event_type == 2
    assert [each.ReferencedSOPInstanceUID for each in said.ReferencedSOPSequence] == [kept[1]]
    failed = {
        (each.ReferencedSOPClassUID, each.ReferencedSOPInstanceUID): each.FailureReason
        for each in said.FailedSOPSequence
    }
    assert failed == {gone: 0x0112, cut: 0x0112, (XA, uid("never")): 0x0112, (SC, kept[1]): 0x0119}


def test_who_leaves_before_the_report_is_to_be_told_elsewhere(running: Listening) -> None:
    with AskingModality(running.port) as modality:
        assert modality.ask(uid("transaction"), [(XA, uid("a"))]) == 0x0000
        asked_at = time()

    wait_for(lambda: running.rows("promises")[0]["next_at"] <= time(), "the report to be due")
    (row,) = running.rows("promises")
    assert row["state"] == "waiting"
    assert row["next_at"] < asked_at + 25  # not the time for which the listener has it


def test_who_does_not_take_the_report_is_to_be_told_elsewhere(running: Listening) -> None:
    with AskingModality(running.port, status=0x0110) as modality:
        assert modality.ask(uid("transaction"), [(XA, uid("a"))]) == 0x0000
        modality.wait_for_report()
        wait_for(lambda: running.rows("promises")[0]["next_at"] <= time(), "the report to be due")

    assert running.rows("promises")[0]["state"] == "waiting"


def test_a_transaction_is_asked_for_again_with_the_same_objects_only(running: Listening) -> None:
    with AskingModality(running.port) as modality:
        assert modality.ask("1.2.3", [(XA, uid("a"))]) == 0x0000
        modality.wait_for_report()
        assert modality.ask("1.2.3", [(XA, uid("a"))]) == 0x0000
        assert modality.wait_for_report()[1].TransactionUID == "1.2.3"
        assert modality.ask("1.2.3", [(XA, uid("b"))]) == 0x0115
    with AskingModality(running.port, title="ANOTHER") as modality:
        assert modality.ask("1.2.3", [(XA, uid("b"))]) == 0x0000
        assert modality.wait_for_report()[0] == 2


@pytest.mark.parametrize(
    ("request_bytes", "content", "status"),
    [
        (action_command(instance="1.2.3"), encoded(request_of("1.2.3", [(XA, "1.2")])), 0x0112),
        (action_command(action=2), encoded(request_of("1.2.3", [(XA, "1.2")])), 0x0123),
        (action_command(), b"\xff" * 99, 0x0115),
        (action_command(), encoded(request_of("1.2.3", [])), 0x0115),
        (action_command(), encoded(request_of("", [(XA, "1.2")])), 0x0115),
        (action_command(), encoded(request_of("1.2.3", [(XA, "")])), 0x0115),
        (
            action_command(),
            encoded(request_of("1.2.3", [])) + b"\xfe\xff\x00\xe0" * (MOST_REFERENCES + 1),
            0x0213,
        ),
    ],
    ids=["instance", "action", "garbage", "no objects", "no transaction", "no instance", "too many"],
)
def test_a_request_that_means_nothing_is_answered_and_leaves_nothing(
    running: Listening, request_bytes: bytes, content: bytes, status: int
) -> None:
    with Wire.associated(running.port, contexts=CONTEXT) as wire:
        wire.send_data_set(request_bytes, content, context=1)
        assert wire.reply().status == status
        wire.send_data_set(request_bytes, content, context=1)  # the association goes on
        assert wire.reply().status == status

    assert untouched(running)


def test_a_request_without_a_data_set_is_refused(running: Listening) -> None:
    with Wire.associated(running.port, contexts=CONTEXT) as wire:
        wire.send(p_data(1, 3, action_command(data_set=0x0101)))
        assert wire.reply().status == 0x0212


def test_a_data_set_without_an_end_is_answered_and_the_association_is_over(running: Listening) -> None:
    with Wire.associated(running.port, contexts=CONTEXT) as wire:
        wire.send(p_data(1, 3, action_command()))
        for _ in range(LONGEST_DATA_SET // 100_000 + 1):
            wire.send(p_data(1, 0, bytes(100_000)))
        assert wire.reply().status == 0x0213
        assert wire.is_over()

    assert untouched(running)


def test_commitment_is_not_asked_for_under_another_class_nor_stored_under_its_own(running: Listening) -> None:
    contexts = {1: (PUSH_MODEL, [IMPLICIT]), 3: (XA, [EXPLICIT])}
    with Wire.associated(running.port, contexts=contexts) as wire:
        wire.send_data_set(action_command(), b"anything", context=3)
        assert wire.reply().status == 0x0122
        assert wire.store(PUSH_MODEL, "1.2.3", b"anything", context=1).status == 0x0211

    assert untouched(running)


@pytest.mark.parametrize("roles", [(0, 1), (1, 1), (1, 0)])
def test_an_archive_is_let_be_what_it_proposes_to_be(running: Listening, roles: tuple[int, int]) -> None:
    """SCP/SCU Role Selection, PS3.7 D.3.3.4: item 54, length of the UID, UID, SCU role, SCP role."""
    item = struct.pack(">H", len(PUSH_MODEL)) + PUSH_MODEL.encode() + bytes(roles)
    item = struct.pack(">BBH", 0x54, 0, len(item)) + item
    request = bytearray(associate_rq(contexts=CONTEXT))
    at = request.rindex(struct.pack(">BBHI", 0x51, 0, 4, 131072)) - 4  # user information
    (length,) = struct.unpack_from(">H", request, at + 2)
    struct.pack_into(">H", request, at + 2, length + len(item))
    request += item
    struct.pack_into(">I", request, 2, len(request) - 6)

    with Wire(running.port) as wire:
        wire.send(bytes(request))
        kind, body = wire.read()

    assert kind == ASSOCIATE_AC
    assert item in body
    assert kind != DATA
