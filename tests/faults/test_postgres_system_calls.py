"""R2 with the ledger in PostgreSQL: an instance is acknowledged when the server has said that it is there.

Short: 40 instances. Long (--soak): 1,000.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.listener_process import ListenerProcess
from tests.faults.senders import Template
from tests.faults.system_calls import TRACED, answered, in_postgres, parse, violations
from tests.faults.test_system_calls import RIGHT, trace
from tests.node.wire import XA, Wire
from tests.support.postgres import running_postgres
from tests.support.programs import find_program

PORT = 15432
_THERE = f"TCP:[127.0.0.1:40009->127.0.0.1:{PORT}]"
_ROW, _COMMIT = 7, 8
ORDER = [
    ("sendto", _THERE, RIGHT[_ROW][2])
    if number == _ROW
    else ("recvfrom", _THERE, b"C\0\0\0\x0bCOMMIT\0Z\0\0\0\5I")
    if number == _COMMIT
    else call
    for number, call in enumerate(RIGHT)
]
"""As in SQLite, but for the row and the end of its commit."""


def test_the_right_order_has_no_violation() -> None:
    assert violations(trace(ORDER), answered, in_postgres(PORT)) == []


@pytest.mark.parametrize(
    ("moved", "to", "said"),
    [
        (_ROW, 5, "row before the fsync of the folder"),
        (_COMMIT, _ROW, "response before"),
        (9, _COMMIT, "response before"),
        (9, 4, "response before"),
    ],
)
def test_another_order_is_found(moved: int, to: int, said: str) -> None:
    order = list(ORDER)
    order.insert(to, order.pop(moved))

    (found,) = violations(trace(order), answered, in_postgres(PORT))

    assert said in found


@pytest.mark.parametrize("left_out", [_ROW, _COMMIT])
def test_what_is_left_out_is_found(left_out: int) -> None:
    calls = trace(ORDER[:left_out] + ORDER[left_out + 1 :])

    assert len(violations(calls, answered, in_postgres(PORT))) == 1


def test_nothing_is_acknowledged_before_the_server_has_committed_it(tmp_path: Path, soak: bool) -> None:
    instances, output = 1000 if soak else 40, tmp_path / "trace"
    strace, calls = find_program("strace", "strace"), f"trace={TRACED},recvfrom"
    before = [strace, "-f", "--seccomp-bpf", "-qq", "-yy", "-xx", "-s", "20000", "-e", calls]
    template = Template(tmp_path)

    with (
        running_postgres() as server,
        ListenerProcess(
            tmp_path / "data", before=[*before, "-o", str(output)], state=server.settings()
        ) as listener,
    ):

        def send(numbers: Sequence[int]) -> None:
            with Wire.associated(listener.port) as wire:
                for number in numbers:
                    sop_uid, content = template.instance(number // 20, number, 3000)
                    assert wire.store(XA, sop_uid, content).status == 0
                wire.release()

        senders = [threading.Thread(target=send, args=[range(k, instances, 2)]) for k in (0, 1)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert listener.stop() == 0

    with output.open() as lines:
        made = parse(lines)
    assert len({sop_uid for sop_uid, _ in answered(made)}) == instances
    assert violations(made, answered, in_postgres(server.port)) == []
    sys.stdout.write(
        f"\nR2, PostgreSQL: {instances} of {instances} responses after fsync, rename, fsync and commit\n"
    )
