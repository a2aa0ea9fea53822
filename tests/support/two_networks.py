"""Two machines as two network namespaces, beside that of the test: cables between each two of the three.

    with two_networks() as (first, second):
        subprocess.Popen([*first.before, "program"])     # runs on the first, at first.address

Nothing has a name that could be left behind: a namespace lives as long as the process that holds it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.namespace import CABLE
from tests.support.programs import find_program
from tests.support.waiting import wait_for

NETWORK = "10.93.0.0/16"
"""All addresses here."""


@dataclass(frozen=True)
class Network:
    """One of the machines."""

    before: tuple[str, ...]
    """What to put before a command that is to run there."""
    address: str
    """Its address, as the test and the other one call it."""
    hub: str
    """The address of the test, as it calls it."""


@contextmanager
def two_networks() -> Iterator[tuple[Network, Network]]:
    """Both, for the time of a block; needs to be root in a namespace of the test's own."""
    with _holder() as first, _holder() as second:
        names = [_cable(f"{CABLE}1", first, "10.93.1"), _cable(f"{CABLE}2", second, "10.93.2")]
        _ip("link", "add", f"{CABLE}3", "type", "veth", "peer", "name", f"{CABLE}4")
        for name, holder, own, other in (
            (f"{CABLE}3", first, "10.93.1.2", "10.93.2.2"),
            (f"{CABLE}4", second, "10.93.2.2", "10.93.1.2"),
        ):
            _ip("link", "set", name, "netns", str(holder))
            _ip("link", "set", name, "up", at=holder)
            _ip("route", "add", other, "dev", name, "src", own, at=holder)
        try:
            yield (
                Network(_at(first), "10.93.1.2", "10.93.1.1"),
                Network(_at(second), "10.93.2.2", "10.93.2.1"),
            )
        finally:
            for name in names:
                _ip("link", "del", name)


def _cable(name: str, holder: int, prefix: str) -> str:
    """A cable from here to a namespace; its name here."""
    _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(holder))
    _ip("addr", "add", f"{prefix}.1/24", "dev", name)
    _ip("link", "set", name, "up")
    _ip("link", "set", "lo", "up", at=holder)
    _ip("addr", "add", f"{prefix}.2/24", "dev", "eth0", at=holder)
    _ip("link", "set", "eth0", "up", at=holder)
    return name


@contextmanager
def _holder() -> Iterator[int]:
    """A process that holds a network namespace of its own; its process id."""
    process = subprocess.Popen(
        [
            "unshare",
            "--net",
            find_program("setpriv", "util-linux"),
            "--pdeathsig",
            "KILL",
            "sleep",
            "infinity",
        ]
    )
    try:
        wait_for(lambda: _is_apart(process.pid), "a network namespace", 60)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _is_apart(holder: int) -> bool:
    return Path(f"/proc/{holder}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def _at(holder: int) -> tuple[str, ...]:
    return ("nsenter", f"--net=/proc/{holder}/ns/net", "--")


def _ip(*arguments: str, at: int | None = None) -> None:
    before = _at(at) if at is not None else ()
    subprocess.run([*before, find_program("ip", "iproute2"), *arguments], check=True)
