"""R3: kill -9 of worker and sender at random moments of their work, and what the archive holds after that.

Without TLS and with it. Short: 6 series, 10 kills; with TLS 3 series, 3 kills of the sender. Long (--soak):
50 series, 100 kills; with TLS 12 and 25.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.model.generator import Generator
from casgan_dicom.node.state.layout import Layout
from tests.faults.conftest import ToArchive
from tests.faults.modality import cine, send_until_stored
from tests.node.nodes import Node, bundle_in, node_settings, running_node
from tests.support.fake_pacs import FakePacs


@dataclass(frozen=True)
class Extent:
    """How much a test does."""

    series: int
    kills: int
    of_sender: float
    """Share of them, about."""


SHORT, LONG = Extent(6, 10, 0.3), Extent(50, 100, 0.3)
SHORT_TLS, LONG_TLS = Extent(3, 3, 1.0), Extent(12, 25, 0.75)
"""It is the sender that talks TLS."""
FRAMES = 24


def test_after_kills_of_worker_and_sender_the_archive_holds_exactly_what_was_expected(
    tmp_path: Path, soak: bool, to_archive: ToArchive
) -> None:
    long, short = (LONG_TLS, SHORT_TLS) if to_archive.is_secure else (LONG, SHORT)
    extent, chance = long if soak else short, random.Random(3)
    sources = [source(tmp_path, k) for k in range(extent.series)]
    expected, pace = expected_objects(tmp_path, sources)

    with (
        to_archive.pacs() as pacs,
        running_node(node_settings(tmp_path, to_archive.destination("pacs", pacs))) as node,
    ):
        killed: Counter[str] = Counter()
        send_until_stored(node.port, sources)
        while killed.total() < extent.kills:
            role = chance.choices(["worker.cpu", "sender"], [1 - extent.of_sender, extent.of_sender])[0]
            killed[role] += kill_at_work(node, pacs, role, chance.uniform(0, 2 * pace[role]))
            if all(row.state == "done" for row in node.jobs()):  # too fast: give it more to do
                assert len(sources) < 10 * extent.series, f"{killed} kills: the processes are never at work"
                sources.append(source(tmp_path, len(sources)))
                send_until_stored(node.port, sources[-1:])
        sent = len(sources)
        rows = node.wait_until_settled(sent, seconds=600)
        requests, stored = pacs.requests, pacs.stored

    if sent > extent.series:
        expected |= expected_objects(tmp_path, sources[extent.series :])[0]
    quarantined = [row.reasons for row in rows if row.state == "quarantined"]
    assert quarantined == []
    assert [row.state for row in rows] == ["done"] * sent
    assert stored == expected
    assert len(stored) == sent
    assert max(requests.values()) <= 1 + killed["sender"]
    repeated = sum(requests.values()) - len(requests)
    assert repeated <= killed["sender"]
    how = ", with TLS" if to_archive.is_secure else ""
    sys.stdout.write(
        f"\nR3{how}: {sent} series of {FRAMES} frames, {killed['worker.cpu']} kills of the worker and "
        f"{killed['sender']} of the sender: {len(stored)} objects in the archive, all as expected, "
        f"{repeated} C-STORE requests repeated\n"
    )


def source(folder: Path, number: int) -> Path:
    """A series that the node has to convert."""
    return cine(folder / "sent", f"run {number}", frames=FRAMES)


def expected_objects(folder: Path, sources: Sequence[Path]) -> tuple[dict[str, str], dict[str, float]]:
    """What the command makes without any node, and how long a process works on a series.

    Digest of Pixel Data by SOP Instance UID; seconds by role.
    """
    generator = Generator.load(bundle_in(folder), device="cpu", engine="torch")
    started = monotonic()
    report = convert_series(sources, lambda: generator, ConvertOptions(), folder / "expected")
    assert len(report.outputs) == len(sources)
    digests = {output.sop_instance_uid: output.pixel_sha256 for output in report.outputs}
    return digests, {"worker.cpu": (monotonic() - started) / len(sources), "sender": 0.02}


def kill_at_work(node: Node, pacs: FakePacs, role: str, after: float) -> int:
    """Kill a process some time after it has begun something; 0 if it had nothing to do for a while."""
    if not _works(node, pacs, role):
        return 0
    sleep(after)
    with suppress(ProcessLookupError):
        os.kill(node.pid(role), signal.SIGKILL)
        return 1
    return 0


def _works(node: Node, pacs: FakePacs, role: str) -> bool:
    """Wait a moment until a process has begun something."""
    notes, before, deadline = Layout(node.settings.data).work / "cpu", pacs.associations, monotonic() + 15
    while monotonic() < deadline and any(row.state != "done" for row in node.jobs()):
        if role == "sender" and pacs.associations > before:
            return True
        if role != "sender" and notes.is_dir() and any(notes.iterdir()):
            return True
        sleep(0.002)
    return False
