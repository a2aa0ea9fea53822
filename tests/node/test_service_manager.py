"""What the node tells a service manager: through a real socket, as systemd has one."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from casgan_dicom.node.service_manager import ServiceManager
from casgan_dicom.node.state.figures import figures
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import status
from tests.node.nodes import WAIT_SECONDS, config, program, wait_for
from tests.support.fake_pacs import FakePacs

Told = dict[str, str]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(WAIT_SECONDS)
        yield listening


def hear(manager: socket.socket) -> Told:
    """The next datagram."""
    return dict(line.split("=", 1) for line in manager.recv(4096).decode().split("\n"))


def hear_until(manager: socket.socket, name: str) -> Told:
    """The next datagram that says something."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        if name in (told := hear(manager)):
            return told
    raise AssertionError(f"nothing of {name}")


def test_nothing_is_told_where_nobody_asks() -> None:
    silent = ServiceManager({})

    silent.ready(1.0)
    silent.looked(["sender"], 2.0)
    silent.stopping()


def test_an_abstract_socket_is_told_too(tmp_path: Path) -> None:
    name = f"casgan-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(WAIT_SECONDS)

        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready(1.0)

        assert hear(listening) == {"READY": "1", "STATUS": "every process runs"}


def test_a_manager_that_is_gone_does_not_end_the_node(tmp_path: Path) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "absent")}).ready(1.0)


def test_what_has_not_changed_is_not_told_again(manager: socket.socket, tmp_path: Path) -> None:
    telling = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    telling.ready(1.0)
    telling.looked([], 2.0)
    telling.looked(["sender", "worker.cpu"], 3.0)
    telling.looked(["sender", "worker.cpu"], 4.0)
    telling.looked([], 5.0)
    telling.stopping()

    told = [hear(manager) for _ in range(4)]

    assert told[0] == {"READY": "1", "STATUS": "every process runs"}
    assert told[1] == {"STATUS": "sender, worker.cpu died and is started again"}
    assert told[2] == {"STATUS": "every process runs"}
    assert told[3]["STOPPING"] == "1"


@pytest.mark.parametrize("asked", ["", "0", "-1", "soon"])
def test_without_a_watchdog_nobody_is_told_that_the_node_lives(
    manager: socket.socket, tmp_path: Path, asked: str
) -> None:
    telling = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": asked})
    telling.ready(1.0)
    telling.looked([], 1e9)
    telling.stopping()

    assert "WATCHDOG" not in hear(manager)
    assert "STOPPING" in hear(manager)


def test_a_watchdog_is_told_twice_in_its_time(manager: socket.socket, tmp_path: Path) -> None:
    telling = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "10000000"})
    telling.ready(100.0)
    for tenth in range(1, 101):  # ten seconds of looks
        telling.looked([], 100.0 + tenth / 10)
    telling.stopping()

    told = [hear(manager) for _ in range(4)]

    assert [each.get("WATCHDOG") for each in told] == ["1", "1", "1", None]


def test_a_node_tells_its_whole_life(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    with FakePacs() as pacs, program(config(tmp_path, pacs)):
        ready = hear_until(manager, "READY")
        again = hear_until(manager, "WATCHDOG")
        ledger = Ledger(Layout(tmp_path / "node").ledger)
        found = status(Layout(tmp_path / "node"), ledger)
        supervisor = int((tmp_path / "node" / "node.lock").read_text())

        os.kill(found.processes["sender"], signal.SIGKILL)
        wait_for(lambda: "sender" in hear_until(manager, "STATUS")["STATUS"], "word of the sender")
        wait_for(lambda: hear_until(manager, "STATUS")["STATUS"] == "every process runs", "all to run")
        deaths = figures(ledger).deaths
        ledger.close()

        before = time.monotonic()
        os.kill(supervisor, signal.SIGHUP)
        reloading = hear_until(manager, "RELOADING")
        then = hear_until(manager, "READY")

    stopping = hear_until(manager, "STOPPING")
    assert deaths == {"sender": 1}
    assert ready["WATCHDOG"] == again["WATCHDOG"] == "1"
    assert before * 1e6 <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic() * 1e6
    assert then["READY"] == stopping["STOPPING"] == "1"
