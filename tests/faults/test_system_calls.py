"""R2: what a listener tells the disk to do, and when it says that it is done.

Short: 40 instances. Long (--soak): 1,000.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.listener_process import ListenerProcess
from tests.faults.senders import Template
from tests.faults.system_calls import TRACED, Call, answered, parse, violations
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


def trace(calls: Sequence[tuple[str, str, bytes]]) -> list[Call]:
    """One call after the other."""
    return [Call(*call, begin=k, end=k) for k, call in enumerate(calls)]


def test_right_order_has_no_violation() -> None:
    calls = trace(RIGHT)

    assert [sop_uid for sop_uid, _ in answered(calls)] == [uid("instance")]
    assert violations(calls) == []


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
def test_every_other_order_is_found(moved: int, to: int, said: str) -> None:
    order = list(RIGHT)
    order.insert(to, order.pop(moved))

    (found,) = violations(trace(order))

    assert said in found


@pytest.mark.parametrize("left_out", [2, 4, 5, 6, 7, 8])
def test_every_call_that_is_left_out_is_found(left_out: int) -> None:
    assert len(violations(trace(RIGHT[:left_out] + RIGHT[left_out + 1 :]))) == 1


@pytest.mark.parametrize("k", [2, 4, 6, 8])
def test_call_that_has_not_ended_when_the_next_begins_is_found(k: int) -> None:
    calls = trace(RIGHT)
    calls[k] = replace(calls[k], end=100)

    assert len(violations(calls)) == 1


def test_trace_is_read_with_calls_of_two_threads_mixed() -> None:
    lines = [
        '10 rename("\\x2f\\x61", "\\x2f\\x62" <unfinished ...>',
        "11 fsync(7</tmp/x>)                  = -1 EIO (Input/output error)",
        "11 fsync(7<\\x2f\\x78>)                  = 0",
        "10 <... rename resumed>)             = 0",
        '12 sendto(9<socket:[77]>, "\\x04\\x00", 2, 0, NULL, 0) = 2',
        "12 +++ exited with 0 +++",
    ]

    assert parse(lines) == [
        Call("fsync", "/x", b"", 2, 2),
        Call("rename", "/a", b"/b", 0, 3),
        Call("sendto", "socket:[77]", b"\4\0", 4, 4),
    ]


def test_nothing_is_acknowledged_before_it_is_safe(tmp_path: Path, soak: bool) -> None:
    instances, output = 1000 if soak else 40, tmp_path / "trace"
    strace = find_program("strace", "strace")
    before = [strace, "-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", "20000", "-e", f"trace={TRACED}"]
    template = Template(tmp_path)

    with ListenerProcess(tmp_path / "data", before=[*before, "-o", str(output)]) as listener:

        def send(numbers: Sequence[int]) -> None:
            with Wire.associated(listener.port) as wire:
                for number in numbers:
                    wire.store(XA, *template.instance(number // 20, number, 3000))

        senders = [threading.Thread(target=send, args=[range(k, instances, 2)]) for k in (0, 1)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert listener.stop() == 0

    with output.open() as lines:
        calls = parse(lines)
    assert len({sop_uid for sop_uid, _ in answered(calls)}) == instances
    assert violations(calls) == []
    sys.stdout.write(f"\nR2: {instances} of {instances} responses after fsync, rename, fsync and commit\n")
