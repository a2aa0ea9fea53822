"""The audit trail on its way to a syslog server: nothing lost, in order, and twice only the same line."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from casgan_dicom.errors import PeerError
from casgan_dicom.node.settings import AuditSettings, NodeSettings
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.audit_check import check, lines_of
from casgan_dicom.node.state.audit_file import contents
from casgan_dicom.node.state.audit_sent import read_sent
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.work import audit_sender
from casgan_dicom.node.work.audit_sender import AuditSender
from tests.node.nodes import node_settings, running_node, wait_for
from tests.support.syslog_server import SyslogServer

SEQ = re.compile(rb'\[chain@32473 seq="(\d+)"')


def rejections(settings: NodeSettings, count: int, name: str = "N") -> None:
    audit = Audit(Layout(settings.data), settings.audit, "CASGAN")
    for number in range(count):
        audit.rejected(f"{name}{number}", "CASGAN", "10.1.2.3", "caller is not among the peers")


def lines_in(layout: Layout) -> list[bytes]:
    return [line for _, content in contents(layout.audit) for line in content.splitlines()]


def numbers(messages: Sequence[bytes]) -> list[int]:
    return [int(found[1]) for line in messages if (found := SEQ.search(line))]


def without_repeats(messages: Sequence[bytes]) -> list[bytes]:
    """Each line once, where it came first; a number that came twice has to be the same line."""
    first = dict[int, bytes]()
    for number, line in zip(numbers(messages), messages, strict=True):
        assert first.setdefault(number, line) == line
    return list(first.values())


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    return NodeSettings(
        data=tmp_path, audit=AuditSettings(host="127.0.0.1", transport="tcp", response_seconds=2.0)
    )


class Taking:
    """A server that takes lines, or does not."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.is_away = False

    def __call__(self, lines: Sequence[bytes]) -> None:
        if self.is_away:
            raise PeerError("away")
        self.messages += lines


def send_all(sender: AuditSender) -> None:
    while sender.round(1000.0):
        pass


def test_what_is_in_the_file_is_sent_as_it_is_and_once(settings: NodeSettings) -> None:
    layout, taking = Layout(settings.data), Taking()
    rejections(settings, 5)
    sender = AuditSender(layout, taking)
    send_all(sender)
    rejections(settings, 3)
    send_all(sender)
    send_all(AuditSender(layout, taking))

    assert taking.messages == lines_in(layout)
    assert numbers(taking.messages) == list(range(1, 9))


def test_long_trails_go_in_batches(settings: NodeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_sender, "BATCH_BYTES", 3000)
    calls: list[int] = []
    rejections(settings, 10)

    send_all(AuditSender(Layout(settings.data), lambda lines: calls.append(len(lines))))

    assert sum(calls) == 10
    assert len(calls) > 3


def test_a_server_that_was_away_gets_what_it_missed_and_the_state_tells(settings: NodeSettings) -> None:
    layout, taking = Layout(settings.data), Taking()
    sender = AuditSender(layout, taking)
    rejections(settings, 2)
    send_all(sender)
    taking.is_away = True
    rejections(settings, 2)
    for now in (2000.0, 3000.0):
        with pytest.raises(PeerError):
            sender.round(now)
    assert (read_sent(layout).failing_since, read_sent(layout).reason, read_sent(layout).link.seq) == (
        2000.0,
        "away",
        2,
    )

    taking.is_away = False
    send_all(AuditSender(layout, taking))

    assert taking.messages == lines_in(layout)
    assert (read_sent(layout).failing_since, read_sent(layout).reason, read_sent(layout).link.seq) == (
        None,
        "",
        4,
    )


def small(settings: NodeSettings, files: int) -> NodeSettings:
    audit = AuditSettings(max_bytes=2500, files=files, host="127.0.0.1", transport="tcp")
    return NodeSettings(data=settings.data, audit=audit)


def test_files_are_kept_beyond_their_number_until_they_are_sent(settings: NodeSettings) -> None:
    layout, taking, few = Layout(settings.data), Taking(), small(settings, 3)
    sender = AuditSender(layout, taking)
    rejections(few, 1)
    send_all(sender)
    rejections(few, 6)
    assert numbers(lines_in(layout))[0] <= 2
    assert layout.data.joinpath("audit.log.5").exists()

    send_all(sender)
    rejections(few, 4)

    assert numbers(taking.messages) == list(range(1, 8))
    assert not layout.data.joinpath("audit.log.4").exists()


def test_lines_of_files_that_had_to_go_are_counted(settings: NodeSettings) -> None:
    layout, taking, few = Layout(settings.data), Taking(), small(settings, 1)
    sender = AuditSender(layout, taking)
    rejections(few, 1)
    send_all(sender)
    rejections(few, 20)

    send_all(sender)

    sent = numbers(taking.messages)
    assert sent[-1] == 21
    assert sent == sorted(sent)
    assert read_sent(layout).lost == 21 - len(sent) > 0


def test_lines_that_were_gone_before_the_first_look_are_not_lost(settings: NodeSettings) -> None:
    layout, taking = Layout(settings.data), Taking()
    unsent = NodeSettings(data=settings.data, audit=AuditSettings(max_bytes=2500, files=1))
    rejections(unsent, 12)

    send_all(AuditSender(layout, taking))

    assert taking.messages == lines_in(layout)
    assert read_sent(layout).lost == 0


def test_another_trail_in_the_place_of_the_one_that_was_sent_is_sent_from_its_beginning(
    settings: NodeSettings,
) -> None:
    layout, taking = Layout(settings.data), Taking()
    rejections(settings, 5)
    send_all(AuditSender(layout, taking))
    layout.audit.unlink()
    rejections(settings, 3, "OTHER")

    send_all(AuditSender(layout, taking))

    assert taking.messages[5:] == lines_in(layout)


def test_a_piece_of_a_line_is_not_sent(settings: NodeSettings) -> None:
    layout, taking = Layout(settings.data), Taking()
    rejections(settings, 2)
    whole = layout.audit.read_bytes()
    layout.audit.write_bytes(whole + whole.splitlines()[-1][:400])
    sender = AuditSender(layout, taking)
    send_all(sender)
    assert numbers(taking.messages) == [1, 2]

    rejections(settings, 1)
    send_all(sender)

    assert numbers(taking.messages) == [1, 2, 3]


def test_lines_of_an_older_version_are_not_sent_and_hold_up_nothing(settings: NodeSettings) -> None:
    layout, taking = Layout(settings.data), Taking()
    layout.audit.write_text("<85>1 2026-11-01T10:15:30.1Z h a 7 DICOM+RFC3881 - <AuditMessage/>\n" * 2000)
    rejections(settings, 2)

    send_all(AuditSender(layout, taking))

    assert numbers(taking.messages) == [1, 2]


def test_an_empty_folder_has_nothing_to_send(settings: NodeSettings) -> None:
    taking = Taking()
    send_all(AuditSender(Layout(settings.data), taking))
    assert taking.messages == []


COURIER = """
import sys, threading
from pathlib import Path
from casgan_dicom.node.settings import AuditSettings, NodeSettings
from casgan_dicom.node.work.courier import run_courier

audit = AuditSettings(
    host="127.0.0.1", port=int(sys.argv[2]), transport="tcp", response_seconds=0.5, longest_seconds=0.2,
    max_bytes=20_000, files=500,
)
run_courier(NodeSettings(data=Path(sys.argv[1]), audit=audit), lambda: None, threading.Event())
"""


@contextmanager
def courier(settings: NodeSettings, port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", COURIER, str(settings.data), str(port)], stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_nothing_is_lost_while_sender_and_server_fail_at_random(settings: NodeSettings) -> None:
    """Six times: lines are written, the server ends connections as it likes, and the sender is killed."""
    layout, chance = Layout(settings.data), random.Random(21)
    audit = AuditSettings(max_bytes=20_000, files=500, host="127.0.0.1", transport="tcp")
    writing = NodeSettings(data=settings.data, audit=audit)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.wait(0.004):
            rejections(writing, 1, f"N{number}.")
            number += 1

    writer = threading.Thread(target=write)
    with SyslogServer() as server:
        writer.start()
        try:
            for _ in range(6):
                seen, met = len(server.messages), server.connections
                server.turns = chance.choices(["read", "reset", "reset unread", "hang", "deaf"], k=3)
                with courier(writing, server.port):
                    wait_for(lambda: len(server.messages) > seen and server.connections > met + 2, "lines")  # noqa: B023
        finally:
            stop.set()
            writer.join()
        server.turns = []
        with courier(writing, server.port):
            last = numbers(lines_in(layout))[-1]
            wait_for(lambda: last in numbers(server.messages), "the last line")
        messages = list(server.messages)

    assert without_repeats(messages) == lines_in(layout)
    assert check(lines_of("received", b"\n".join(without_repeats(messages)) + b"\n")).breaks == ()


def test_a_node_sends_its_trail_also_that_of_the_time_when_it_was_killed(tmp_path: Path) -> None:
    with SyslogServer() as server:
        settings = node_settings(tmp_path)
        audit = AuditSettings(host="127.0.0.1", port=server.port, transport="tcp", longest_seconds=0.2)
        settings = NodeSettings(**{**vars(settings), "audit": audit})
        with running_node(settings) as node:
            wait_for(lambda: len(server.messages) == 1, "the start")
            assert "courier" in node.status().processes
        assert b"Application Stop" in lines_in(Layout(settings.data))[-1]
        server.turns = ["hang", "reset"]
        with running_node(settings):
            wait_for(lambda: len(without_repeats(server.messages)) == 3, "stop and start")

    assert without_repeats(server.messages)[:3] == lines_in(Layout(settings.data))[:3]
