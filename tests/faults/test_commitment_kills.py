"""R13: kill -9 of sender, listener and coordinator between storing and the archive's report.

Short: 6 series, 10 kills. Long (--soak): 50 series, 100 kills. The archive says of a third of what it is
asked for that it does not keep it, takes its time, and reports once: a report that meets a dead listener is
lost.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import pytest
from pydicom import dcmread

from casgan_dicom.node.settings import DestinationSettings
from casgan_dicom.node.state.overview import JobRow
from tests.faults.modality import cine, send_until_stored
from tests.node.nodes import Node, node_settings, running_node
from tests.support.committing_pacs import Asked, CommittingPacs, Manner, Said, report_of
from tests.support.orthanc import free_ports


# pynetdicom leaves the socket open of a connection that is refused, as those to a dead listener are.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_after_kills_nothing_was_done_without_a_report_and_nothing_is_lost(
    tmp_path: Path, soak: bool
) -> None:
    series, kills = (50, 100) if soak else (6, 10)
    chance = random.Random(12)
    failed_once: set[str] = set()

    def forgetful(asked: Asked) -> Said:
        """Each object fails at most once: more often would be a dead letter."""
        sleep(chance.uniform(0, 0.5))
        bad = {uid for _, uid in asked.objects if uid not in failed_once and chance.random() < 1 / 3}
        failed_once.update(bad)
        return report_of(asked, failed=tuple(bad))

    (port,) = free_ports(1)
    with CommittingPacs(Manner("new", said=(forgetful,), port=port)) as pacs:
        archive = DestinationSettings(
            "pacs", "127.0.0.1", pacs.port, pacs.ae_title, commitment=True, commitment_seconds=1.0
        )
        settings = node_settings(tmp_path, archive)
        with running_node(replace(settings, listener=replace(settings.listener, port=port))) as node:
            killed: Counter[str] = Counter()
            sent = 0
            while killed.total() < kills or sent < series:
                send_until_stored(node.port, [cine(tmp_path / "sent", f"run {sent}")])
                sent += 1
                role = chance.choices(["sender", "listener", "coordinator"], [0.5, 0.35, 0.15])[0]
                if killed.total() < kills:
                    killed[role] += kill_when_asked(node, pacs, role, chance.uniform(0, 0.3))
                check_done(node.jobs(), pacs)
            rows = node.wait_until_settled(sent, seconds=600)
            check_done(rows, pacs)

    gc.collect()  # here, where the warning about those sockets is not counted
    assert [(row.state, row.deliveries[0].reason) for row in rows] == [("done", "")] * sent
    assert set(pacs.stores) == set(uids(rows))
    sys.stdout.write(
        f"\nR13: {sent} series, kills {dict(killed)}: {len(pacs.asked)} requests to commit, "
        f"{len(failed_once)} objects not kept at first, {pacs.answers.count(None)} reports lost; "
        f"{len(pacs.kept)} objects reported as kept, all jobs done\n"
    )


def uids(rows: Iterable[JobRow]) -> list[str]:
    """SOP Instance UIDs of what jobs have made."""
    return [
        str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for row in rows for path in row.derived
    ]


def check_done(rows: list[JobRow], pacs: CommittingPacs) -> None:
    """Nothing is done that the archive has not reported as kept."""
    done = uids(row for row in rows if row.state == "done")
    assert set(done) <= pacs.kept


def kill_when_asked(node: Node, pacs: CommittingPacs, role: str, after: float) -> int:
    """Kill a process some time after the archive was asked for something; 0 if it is not, for a while."""
    before, deadline = len(pacs.asked), monotonic() + 15
    while len(pacs.asked) == before:
        if monotonic() > deadline:
            return 0
        sleep(0.002)
    sleep(after)
    with suppress(ProcessLookupError):
        os.kill(node.pid(role), signal.SIGKILL)
        return 1
    return 0
