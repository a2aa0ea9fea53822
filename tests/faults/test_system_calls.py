"""R2: what a listener tells the disk to do, and when it says that it is done.

Without TLS and with it. Short: 40 instances. Long (--soak): 1,000.
"""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.listener_process import ListenerProcess
from tests.faults.senders import Template
from tests.faults.system_calls import TRACED, Answered, Call, answered, parse, violations
from tests.faults.tls_answers import APPLICATION_DATA, OVERHEAD, NotedWire, Pdu, answered_over_tls
from tests.node.wire import XA, Wire, command, p_data
from tests.support.factories import uid
from tests.support.programs import find_program

SPOOL = "/data/spool"
PLACE = f"{SPOOL}/{uid('series')}/{uid('instance')}-0123456789abcdef.dcm"
_ELEMENTS: dict[int, bytes | int] = {
    0x0100: 0x8001,
    0x0120: 1,
    0x0800: 0x0101,
    0x0900: 0,
    0x1000: uid("instance").encode(),
}
RESPONSE = p_data(1, 3, command(_ELEMENTS))

RIGHT = (
    ("write", f"{SPOOL}/incoming/a.part", b"DICM"),
    ("write", f"{SPOOL}/incoming/a.part", b"data set"),
    ("fsync", f"{SPOOL}/incoming/a.part", b""),
    ("mkdir", f"{SPOOL}/{uid('series')}", b""),
    ("fsync", SPOOL, b""),
    ("rename", f"{SPOOL}/incoming/a.part", PLACE.encode()),
    ("fsync", f"{SPOOL}/{uid('series')}", b""),
    ("pwrite64", "/data/node.sqlite-wal", b"page " + PLACE.encode()),
    ("fdatasync", "/data/node.sqlite-wal", b""),
    ("sendto", "socket:[1]", RESPONSE),
)
"""Name, path and content of the calls for one instance, in the right order."""


Order = Sequence[tuple[str, str, bytes]]
CLIENT = 40001
ACCEPTED, RELEASED, GOODBYE = 200, 10, 2
"""Lengths of A-ASSOCIATE-AC, A-RELEASE-RP and close_notify."""


def trace(calls: Order) -> list[Call]:
    """One call after the other."""
    return [Call(*call, begin=k, end=k) for k, call in enumerate(calls)]


def sealed(length: int, client: int = CLIENT) -> tuple[str, str, bytes]:
    """The call that writes a record whose content nobody can read."""
    inside = length + OVERHEAD - 5
    content = bytes([APPLICATION_DATA, 3, 3]) + inside.to_bytes(2, "big") + bytes(inside)
    return "sendto", f"TCP:[127.0.0.1:11112->127.0.0.1:{client}]", content


def over_tls(calls: Order, client: int = CLIENT) -> list[tuple[str, str, bytes]]:
    """The same by TLS: behind a handshake and A-ASSOCIATE-AC, before A-RELEASE-RP and close_notify."""
    name, path, record = sealed(1000, client)
    handshake = name, path, b"\x16\3\3\0\x04abcd\x14\3\3\0\1\1" + record
    inside = [sealed(len(call[2]), client) if call[0] == "sendto" else call for call in calls]
    return [handshake, sealed(ACCEPTED, client), *inside, sealed(RELEASED, client), sealed(GOODBYE, client)]


@dataclass(frozen=True)
class Form:
    """How answers are sent, and found."""

    told: Answered
    is_secure: bool

    def trace(self, calls: Order) -> list[Call]:
        """One call after the other."""
        return trace(over_tls(calls) if self.is_secure else calls)

    def violations(self, calls: Order) -> list[str]:
        """What is wrong with them."""
        return violations(self.trace(calls), self.told)


ONE = [Pdu(ACCEPTED), Pdu(len(RESPONSE), uid("instance")), Pdu(RELEASED)]
"""What the client reads where there is one instance."""
FORMS = [Form(answered, is_secure=False), Form(answered_over_tls({CLIENT: ONE}), is_secure=True)]
both_forms = pytest.mark.parametrize("form", FORMS, ids=["plain", "TLS"])


@both_forms
def test_right_order_has_no_violation(form: Form) -> None:
    assert [sop_uid for sop_uid, _ in form.told(form.trace(RIGHT))] == [uid("instance")]
    assert form.violations(RIGHT) == []


@both_forms
@pytest.mark.parametrize(
    ("moved", "to", "said"),
    [
        (1, 3, "no fsync of the whole file"),
        (2, 6, "no fsync of the whole file"),
        (6, 4, "no fsync of the folder after the rename"),
        (7, 5, "row before the fsync of the folder"),
        (8, 7, "response before the fsync of the ledger"),
        (9, 8, "response before the fsync of the ledger"),
        (9, 4, "response before the fsync of the ledger"),
        (4, 9, "response before the fsync of the spool"),
        (4, 3, "response before the fsync of the spool"),
    ],
)
def test_every_other_order_is_found(moved: int, to: int, said: str, form: Form) -> None:
    order = list(RIGHT)
    order.insert(to, order.pop(moved))

    (found,) = form.violations(order)

    assert said in found


@both_forms
@pytest.mark.parametrize("left_out", [2, 4, 5, 6, 7, 8])
def test_every_call_that_is_left_out_is_found(left_out: int, form: Form) -> None:
    assert len(form.violations(RIGHT[:left_out] + RIGHT[left_out + 1 :])) == 1


@both_forms
@pytest.mark.parametrize("k", [2, 4, 6, 8])
def test_call_that_has_not_ended_when_the_next_begins_is_found(k: int, form: Form) -> None:
    calls = form.trace(RIGHT)
    at = calls.index(next(each for each in calls if (each.name, each.path, each.content) == RIGHT[k]))
    calls[at] = replace(calls[at], end=100)

    assert len(violations(calls, form.told)) == 1


def test_second_answer_of_a_connection_that_comes_before_its_commit_is_found() -> None:
    old, new = uid("instance"), uid("another instance").ljust(len(uid("instance")), "1")
    later = [
        (name, path.replace("a.part", "b.part"), content.replace(old.encode(), new.encode()))
        for name, path, content in RIGHT
        if name != "mkdir"
    ]
    told = answered_over_tls({CLIENT: [*ONE[:2], Pdu(len(RESPONSE), new), ONE[2]]})
    assert violations(trace(over_tls([*RIGHT, *later])), told) == []
    later.insert(-2, later.pop())

    assert violations(trace(over_tls([*RIGHT, *later])), told) == [
        f"{new}: response before the fsync of the ledger"
    ]


def test_answers_by_tls_are_told_apart_by_connection() -> None:
    sends = [call for call in RIGHT if call[0] == "sendto"]
    mixed = [call for pair in zip(over_tls(sends), over_tls(sends, 40002), strict=True) for call in pair]
    other = [ONE[0], Pdu(len(RESPONSE), uid("other")), ONE[2]]

    found = answered_over_tls({CLIENT: ONE, 40002: other})(trace(mixed))

    assert [(sop_uid, call.begin) for sop_uid, call in found] == [(uid("instance"), 4), (uid("other"), 5)]


@pytest.mark.parametrize("at", [1, 2, -2, -1])
def test_record_that_nobody_read_is_an_error(at: int) -> None:
    order = over_tls(RIGHT)
    order.insert(at, sealed(255))  # as a session ticket is

    with pytest.raises(AssertionError, match="255"):
        violations(trace(order), answered_over_tls({CLIENT: ONE}))


@pytest.mark.parametrize("at", [1, -3, -2])
def test_record_that_is_missing_is_an_error(at: int) -> None:
    order = over_tls(RIGHT)
    del order[at]

    with pytest.raises(AssertionError, match="were read"):
        violations(trace(order), answered_over_tls({CLIENT: ONE}))


def test_trace_is_read_with_calls_of_two_threads_mixed() -> None:
    lines = [
        '10 rename("\\x2f\\x61", "\\x2f\\x62" <unfinished ...>',
        "11 fsync(7</tmp/x>)                  = -1 EIO (Input/output error)",
        "11 fsync(7<\\x2f\\x78>)                  = 0",
        "10 <... rename resumed>)             = 0",
        '12 sendto(9<socket:[77]>, "\\x04\\x00", 2, 0, NULL, 0) = 2',
        '12 sendto(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\\x17", 1, 0, NULL, 0) = 1',
        "12 +++ exited with 0 +++",
    ]

    assert parse(lines) == [
        Call("fsync", "/x", b"", 2, 2),
        Call("rename", "/a", b"/b", 0, 3),
        Call("sendto", "socket:[77]", b"\4\0", 4, 4),
        Call("sendto", "TCP:[127.0.0.1:1->127.0.0.1:2]", b"\x17", 5, 5),
    ]


def test_nothing_is_acknowledged_before_it_is_safe(
    tmp_path: Path, soak: bool, keys: dict[str, Any], context: ssl.SSLContext | None
) -> None:
    instances, output = 1000 if soak else 40, tmp_path / "trace"
    strace = find_program("strace", "strace")
    before = [strace, "-f", "--seccomp-bpf", "-qq", "-yy", "-xx", "-s", "20000", "-e", f"trace={TRACED}"]
    template, read = Template(tmp_path), dict[int, list[Pdu]]()

    with ListenerProcess(tmp_path / "data", before=[*before, "-o", str(output)], keys=keys) as listener:

        def send(numbers: Sequence[int]) -> None:
            made = [template.instance(number // 20, number, 3000) for number in numbers]
            wire = NotedWire.let_in(listener.port, context) if context else Wire.associated(listener.port)
            with wire:
                for sop_uid, content in made:
                    assert wire.store(XA, sop_uid, content).status == 0
                wire.release()
                if isinstance(wire, NotedWire):
                    read[wire.own_port] = wire.pdus([sop_uid for sop_uid, _ in made])

        senders = [threading.Thread(target=send, args=[range(k, instances, 2)]) for k in (0, 1)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert listener.stop() == 0

    with output.open() as lines:
        calls = parse(lines)
    told = answered_over_tls(read) if context else answered
    assert len({sop_uid for sop_uid, _ in told(calls)}) == instances
    assert violations(calls, told) == []
    how = ", with TLS" if context else ""
    sys.stdout.write(
        f"\nR2{how}: {instances} of {instances} responses after fsync, rename, fsync and commit\n"
    )
