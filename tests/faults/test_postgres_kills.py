"""R16: kill -9 of the listener, and crashes of its PostgreSQL, at random moments while real senders send.

And a whole node whose database crashes again and again. Short: 6 kills and crashes of the first kind, 3
crashes of the second. Long (--soak): 200 and 40.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep

from casgan_dicom.node.receive.reception import NO_ROOM
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.overview import list_jobs
from tests.faults.listener_process import ListenerProcess, stored
from tests.faults.modality import cine, send_until_stored
from tests.faults.senders import Template
from tests.faults.test_kills import expected_objects
from tests.faults.test_listener_kills import acknowledged, allow, forbid, leftovers, sending
from tests.node.listening import check_spool, wait_for
from tests.node.nodes import destination, node_settings, running_node
from tests.node.secure import Door
from tests.node.wire import XA
from tests.support.fake_pacs import FakePacs
from tests.support.orthanc import free_ports
from tests.support.postgres import Postgres, running_postgres


@dataclass(frozen=True)
class Extent:
    """How much a test does."""

    kills: int
    acknowledged: int
    crashes: int
    """Of the database of a whole node."""


SHORT, LONG = Extent(6, 60, 3), Extent(200, 10_000, 40)
LONGEST_SECONDS = 0.7
"""From one start to the next kill."""


def test_what_was_acknowledged_survives_kills_of_the_listener_and_crashes_of_the_database(
    tmp_path: Path, soak: bool
) -> None:
    extent, chance, killed, start = LONG if soak else SHORT, random.Random(12), Counter[str](), monotonic()
    with (
        running_postgres() as server,
        ListenerProcess(tmp_path / "data", port=free_ports(1)[0], state=server.settings()) as listener,
        sending(listener.port, None, tmp_path) as senders,
    ):
        while killed.total() < extent.kills or acknowledged(senders) < extent.acknowledged:
            before = acknowledged(senders)
            allow(senders)
            wait_for(lambda before=before: acknowledged(senders) > before, "an instance")  # type: ignore[misc]
            sleep(chance.uniform(0, LONGEST_SECONDS))
            which = chance.choice(["listener", "database", "both"])
            killed[which] += 1
            _kill(which, listener, server, chance.uniform(0, LONGEST_SECONDS))
            forbid(senders)
            rows = stored(listener.place)
            promised = {instance for sender in senders for instance in list(sender.acknowledged)}
            assert promised <= rows.keys()
            assert all(path.is_file() for path in rows.values())
            if which != "database":  # nothing else stays after a start
                assert leftovers(listener) == 0
        assert listener.stop() == 0
        listener.start()
        count = check_spool(listener.layout, listener.place)
        assert listener.stop() == 0

    assert {answer for sender in senders for answer in sender.unexpected} <= {f"{NO_ROOM:04X}", "FFFF"}
    sys.stdout.write(
        f"\nR16: {dict(killed)} killed in {monotonic() - start:.0f} s, {acknowledged(senders)} instances "
        f"acknowledged, {count} stored: 0 lost, 0 corrupt, 0 orphans after the last start\n"
    )


def _kill(which: str, listener: ListenerProcess, server: Postgres, away: float) -> None:
    """Kill one or both of them, and start what was killed; the database is away for a while."""
    if which != "listener":
        server.stop("immediate")
    if which != "database":
        listener.kill()
    sleep(away if which == "database" else 0)
    if which != "listener":
        server.start()
    if which != "database":
        listener.start()


def test_while_the_database_is_away_the_listener_has_no_room_and_keeps_nothing(tmp_path: Path) -> None:
    template = Template(tmp_path)
    with (
        running_postgres() as server,
        ListenerProcess(tmp_path / "data", state=server.settings()) as listener,
    ):
        door = Door(listener.port, None)
        with door.associated() as wire:
            sop_uid, content = template.instance(1, 1, 100)
            assert wire.store(XA, sop_uid, content).status == 0
            server.stop("immediate")
            late_uid, late = template.instance(1, 2, 100)
            statuses = [wire.store(XA, late_uid, late).status for _ in range(3)]
            files = [path for path in listener.layout.spool.rglob("*") if path.is_file()]
            server.start()
            # The same association, and no restart; a connection is not tried again within a second.
            wait_for(lambda: wire.store(XA, late_uid, late).status == 0, "the ledger to be there again", 60)

        assert statuses == [NO_ROOM] * 3
        assert len(files) == 1
        assert check_spool(listener.layout, listener.place) == 2


def test_a_node_whose_database_crashes_again_and_again_delivers_everything_once(
    tmp_path: Path, soak: bool
) -> None:
    crashes, chance = (LONG if soak else SHORT).crashes, random.Random(7)
    sources = [cine(tmp_path / "sent", f"run {k}") for k in range(crashes + 2)]
    expected, _ = expected_objects(tmp_path, sources)
    with running_postgres() as server, FakePacs() as pacs:
        settings = replace(node_settings(tmp_path, destination("pacs", pacs)), state=server.settings())
        with running_node(settings) as node:
            for number in range(crashes):
                send_until_stored(node.port, [sources[number]])
                sleep(chance.uniform(0, 1.5))
                server.stop("immediate")
                sleep(chance.uniform(0, 1.5))
                server.start()
            send_until_stored(node.port, sources)  # those again that are there: nothing new
            rows = node.wait_until_settled(len(sources), seconds=300)

        assert [row.state for row in rows] == ["done"] * len(sources)
        assert pacs.stored == expected
        assert jobs_of(settings) == len(sources)
    sys.stdout.write(
        f"\nR16: {crashes} crashes of the database of a node: {len(pacs.stored)} objects in the archive,"
        f" all as expected, {sum(pacs.requests.values()) - len(pacs.requests)} C-STORE requests repeated\n"
    )


def jobs_of(settings: NodeSettings) -> int:
    """How many jobs a ledger holds."""
    ledger = open_ledger(settings)
    try:
        return len(list_jobs(ledger))
    finally:
        ledger.close()
