"""R4 and R6: peers that send garbage, stop halfway or only take places. Others are served all the while.

Each without TLS and with it. Short: 1,500 mutated associations (300 with TLS), 300 idle connections. Long
(--soak): 10,000 mutated associations of either.
"""

from __future__ import annotations

import random
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.faults.listener_process import EchoWatch, ListenerProcess
from tests.faults.mutations import mutated, play, session
from tests.faults.senders import Template
from tests.node.listening import check_spool, wait_for
from tests.node.secure import Door
from tests.node.wire import DATA, XA, XA_CONTEXT, Wire, associate_rq, p_data, store_command

MEBIBYTE = 2**20
SLACK = 5.0
"""How much longer than wanted an echo may take in the short form: a busy machine is no fault of ours."""


@dataclass(frozen=True)
class Cost:
    """What an attack did to a listener."""

    longest_echo: float
    """Seconds."""
    echoes: int
    """How many were answered meanwhile."""
    growth: int
    """Bytes of resident memory, at most."""
    recovery: float
    """Seconds until threads and files were back where they had been."""

    def __str__(self) -> str:
        return (
            f"{self.echoes} echoes, the longest {self.longest_echo:.2f} s; "
            f"memory {self.growth / MEBIBYTE:+.1f} MiB; threads and files back after {self.recovery:.1f} s"
        )


@contextmanager
def under_attack(listener: ListenerProcess, door: Door) -> Iterator[list[Cost]]:
    """Watch a listener while the block attacks it; the list holds the cost afterwards."""
    costs: list[Cost] = []
    base = listener.threads_and_files()
    memory, peak, over = listener.resident_bytes(), [0], threading.Event()

    def watch_memory() -> None:
        while not over.wait(0.05):
            with suppress(OSError):
                peak[0] = max(peak[0], listener.resident_bytes())

    watcher = threading.Thread(target=watch_memory)
    watcher.start()
    try:
        with EchoWatch(door) as echo:
            yield costs
    finally:
        over.set()
        watcher.join()
    assert listener.is_alive()
    assert echo.failures == 0
    start = monotonic()
    wait_for(lambda: _at_most(listener.threads_and_files(), base), "threads and files of the start", 60)
    costs.append(Cost(echo.longest, echo.count, peak[0] - memory, monotonic() - start))


def _at_most(now: tuple[int, int], then: tuple[int, int]) -> bool:
    return now[0] <= then[0] and now[1] <= then[1]


def warm_up(door: Door, template: Template) -> None:
    """Let a listener do everything once, so that what it grows to anyway is not counted."""
    with ExitStack() as stack:
        wires = [stack.enter_context(door.associated()) for _ in range(20)]
        for number, wire in enumerate(wires):
            assert wire.echo() == 0
            assert wire.store(XA, *template.instance(0, number, 200_000)).status == 0


def test_mutated_associations_do_no_lasting_harm(
    tmp_path: Path, soak: bool, keys: dict[str, Any], context: ssl.SSLContext | None
) -> None:
    associations, attackers, template = 10_000 if soak else 300 if context else 1500, 8, Template(tmp_path)
    with ListenerProcess(tmp_path / "data", keys=keys) as listener:
        door = Door(listener.port, context)
        warm_up(door, template)

        def attack(k: int) -> None:
            for number in range(k, associations, attackers):
                chance = random.Random(number)
                pdus = mutated(session(template, chance), chance)
                play(door, pdus, chance, f"127.0.0.{k + 2}")

        with under_attack(listener, door) as costs:
            threads = [threading.Thread(target=attack, args=[k]) for k in range(attackers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert listener.stop() == 0
    check_spool(listener.layout)
    (cost,) = costs
    sys.stdout.write(f"\nR4: {associations} mutated associations: {cost}\n")
    assert cost.growth <= 30 * MEBIBYTE
    assert cost.recovery <= 15
    assert cost.longest_echo <= (2 if soak else 2 + SLACK)


def half_requests(door: Door, stack: ExitStack) -> None:
    """Parts of requests and of PDUs, from many addresses."""
    for k in range(60):
        wire = stack.enter_context(door.wire(source=f"127.0.2.{k + 1}"))
        wire.send(associate_rq()[: 1 + 3 * k])


def half_pdus(door: Door, stack: ExitStack) -> None:
    """Associations that stop in the middle of a PDU or of an instance."""
    for k in range(40):
        wire = stack.enter_context(door.associated(source=f"127.0.3.{k + 1}"))
        wire.send(p_data(XA_CONTEXT, 3, store_command(XA, "1.2.3")))
        wire.send(p_data(XA_CONTEXT, 0, bytes(50_000))[: 100 + 1000 * k])


def lengths_of_4_gib(door: Door, stack: ExitStack) -> None:
    """PDUs of 4 GiB, before and after the association, that do come."""
    for k in range(20):
        source = f"127.0.4.{k + 1}"
        wire = stack.enter_context(door.associated(source=source) if k % 2 else door.wire(source=source))
        with suppress(OSError):
            wire.send(struct.pack(">BBI", DATA if k % 2 else 1, 0, 2**32 - 1))
            for _ in range(64):
                wire.send(bytes(65536))


def idle_connections(door: Door, stack: ExitStack) -> None:
    """300 connections that say nothing."""
    for k in range(300):
        stack.enter_context(door.wire(source=f"127.0.0.{2 + k % 3}"))


def idle_associations(door: Door, stack: ExitStack) -> None:
    """As many associations as one address may have, that say nothing more."""
    for _ in range(25):
        stack.enter_context(door.associated(source="127.0.0.2"))


def half_handshakes(door: Door, stack: ExitStack) -> None:
    """Connections that do not get as far as TLS: half say nothing, half a part of their first record."""
    for k in range(200):
        wire = stack.enter_context(Wire(door.port, source=f"127.0.5.{k + 1}"))
        if k % 2:
            wire.send((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))[: 1 + 2 * k])


@pytest.mark.parametrize(
    "attack",
    [half_requests, half_pdus, lengths_of_4_gib, idle_connections, idle_associations, half_handshakes],
)
def test_others_are_served_during(
    attack: Callable[[Door, ExitStack], None],
    tmp_path: Path,
    soak: bool,
    keys: dict[str, Any],
    context: ssl.SSLContext | None,
) -> None:
    template = Template(tmp_path)
    with ListenerProcess(tmp_path / "data", keys=keys) as listener:
        door = Door(listener.port, context)
        warm_up(door, template)

        with under_attack(listener, door) as costs, ExitStack() as stack:
            with EchoWatch(door, 0.02) as during:
                attack(door, stack)
                wait_for(lambda: during.count >= 50, "50 echoes during the attack")
            assert during.failures == 0
    (cost,) = costs
    longest = max(cost.longest_echo, during.longest)
    said = f"the longest of {during.count} echoes meanwhile took {during.longest:.2f} s; {cost}"
    sys.stdout.write(f"\nR6: {attack.__name__}: {said}\n")
    assert cost.growth <= 50 * MEBIBYTE
    assert longest <= (1 if soak else 1 + SLACK)
