"""R1: kill -9 of the listener at random moments, while real senders send.

Without TLS and with it. Short: 8 kills, 4 with TLS. Long (--soak): 200 kills and at least 10,000 acknowledged
instances, 50 and 2,500 with TLS.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from casgan_dicom.node.client.peer_tls import PeerTls
from tests.faults.listener_process import ListenerProcess, stored
from tests.faults.senders import DcmtkSender, NodeSender, Sender, Template, WireSender
from tests.node.listening import check_spool, wait_for
from tests.node.secure import Door
from tests.support.programs import find_program


@dataclass(frozen=True)
class Extent:
    """How much a test does."""

    kills: int
    acknowledged: int
    longest_seconds: float
    """From one start to the next kill."""


SHORT, LONG = Extent(8, 100, 0.5), Extent(200, 10_000, 1.5)
SHORT_TLS, LONG_TLS = Extent(4, 50, 0.5), Extent(50, 2_500, 1.5)


@dataclass
class Seen:
    """What was found on the way."""

    left_behind: int = 0
    """Temporary files and files without a row that kills left, which the next start had to delete."""


def test_what_was_acknowledged_survives_every_kill_and_nothing_else_stays(
    tmp_path: Path, soak: bool, keys: dict[str, Any], sender_tls: PeerTls | None
) -> None:
    extent = (LONG_TLS if keys else LONG) if soak else (SHORT_TLS if keys else SHORT)
    chance, seen, start = random.Random(1), Seen(), monotonic()
    with (
        ListenerProcess(tmp_path / "data", keys=keys) as listener,
        sending(listener.port, sender_tls, tmp_path) as senders,
    ):
        kills = 0
        while kills < extent.kills or acknowledged(senders) < extent.acknowledged:
            before = acknowledged(senders)
            allow(senders)
            wait_for(lambda before=before: acknowledged(senders) > before, "an instance")  # type: ignore[misc]
            sleep(chance.uniform(0, extent.longest_seconds))
            listener.kill()
            kills += 1
            forbid(senders)
            seen.left_behind += leftovers(listener)
            listener.start()
            check(listener, senders)
        assert listener.stop() == 0
    check(listener, senders)
    stored_count = check_spool(listener.layout, listener.place)
    assert sum(len(sender.unexpected) for sender in senders) == 0
    assert all(sender.acknowledged for sender in senders)
    how, seconds = ", with TLS" if keys else "", monotonic() - start
    sys.stdout.write(
        f"\nR1{how}: {kills} kills of the listener in {seconds:.0f} s, {acknowledged(senders)} "
        f"instances acknowledged, {stored_count} stored: 0 lost, 0 corrupt, 0 orphans after the restart; "
        f"kills left {seen.left_behind} unfinished files, which the next start deleted\n"
    )


@contextmanager
def sending(port: int, tls: PeerTls | None, folder: Path) -> Iterator[list[Sender]]:
    """Four senders of three kinds."""
    template, door = Template(folder), Door(port, None if tls is None else tls.context())
    senders: list[Sender] = [
        WireSender(door, template, 1),
        WireSender(door, template, 2),
        node := NodeSender(door, template, 3, folder / "node"),
        dcmtk := DcmtkSender(door, template, 4, folder / "dcmtk"),
    ]
    dcmtk.program = find_program("storescu", "dcmtk")
    node.tls = tls
    if tls is not None:
        shown = {each.key: str(each.path) for each in tls.files.all()}
        dcmtk.options = ["+tls", shown["--key"], shown["--cert"], "+cf", shown["--ca"]]
    for sender in senders:
        sender.start()
    try:
        yield senders
    finally:
        for sender in senders:
            sender.stop()


def acknowledged(senders: Sequence[Sender]) -> int:
    """How many instances were answered 0000."""
    return sum(len(sender.acknowledged) for sender in senders)


def allow(senders: Sequence[Sender]) -> None:
    """Let them send."""
    for sender in senders:
        sender.allowed.set()


def forbid(senders: Sequence[Sender]) -> None:
    """Let them wait, so that nothing comes in while the disk is looked at."""
    for sender in senders:
        sender.forbid()


def leftovers(listener: ListenerProcess) -> int:
    """Files that no row speaks of."""
    known = set(stored(listener.place).values())
    return sum(path.is_file() and path not in known for path in listener.layout.spool.rglob("*"))


def check(listener: ListenerProcess, senders: Sequence[Sender]) -> None:
    """Assert that everything acknowledged is there and nothing unfinished is."""
    rows = stored(listener.place)
    promised = {instance for sender in senders for instance in list(sender.acknowledged)}
    lost = promised - rows.keys()
    assert not lost, f"{len(lost)} acknowledged instances are not in the ledger"
    gone = [path for path in rows.values() if not path.is_file()]
    assert not gone, f"{len(gone)} files of {len(rows)} rows are gone"
    assert leftovers(listener) == 0
