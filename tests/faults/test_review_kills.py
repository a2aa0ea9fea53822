"""R18: kill -9 of coordinator and sender between a verdict and the delivery of its object.

Short: 6 verdicts, and a kill behind each. Long (--soak): 60.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import sleep, time

from pydicom import dcmread
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
)

from casgan_dicom.node.settings import ReviewSettings
from casgan_dicom.node.state.bells import COORDINATOR, ring
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.reviews import Reviews, Verdict
from tests.faults.modality import cine, send
from tests.node.nodes import Node, destination, node_settings, running_node, wait_for
from tests.support.fake_pacs import FakePacs


def test_after_kills_every_verdict_has_been_sent_and_none_twice(tmp_path: Path, soak: bool) -> None:
    verdicts = 60 if soak else 6
    chance = random.Random(14)
    classes = (MultiFrameGrayscaleByteSecondaryCaptureImageStorage, ComprehensiveSRStorage)

    with FakePacs(accepts=[(each, [ExplicitVRLittleEndian]) for each in classes]) as pacs:
        settings = replace(node_settings(tmp_path, destination("pacs", pacs)), review=ReviewSettings("sr"))
        layout = Layout(settings.data)
        with running_node(settings) as node:
            send(node.port, [cine(tmp_path / "sent", "run")])
            (row,) = node.wait_until_settled(1)
            ledger, killed = Ledger(layout.ledger), Counter[str]()
            for k in range(verdicts):
                verdict = Verdict("accepted", text=f"{k}") if k % 2 else Verdict("rejected", "motion", f"{k}")
                assert Reviews(ledger).decide(row.job, verdict, time())
                ring(layout.bells, COORDINATOR)
                sleep(chance.uniform(0, 0.3))
                role = chance.choice(["coordinator", "sender"])
                killed[role] += kill(node, role)
            ledger.close()
            wait_for(
                lambda: node.jobs()[0].state == "done" and all_made(node),
                lambda: f"the end of every delivery: {node.jobs()}",
                600,
            )
            (row,) = node.jobs()

    records = {review.sop_uid for review in row.reviews}
    assert len(records) == verdicts
    assert records < set(pacs.stored)
    assert max(pacs.requests.values()) <= 1 + killed["sender"]
    on_disk = {path.name for path in (layout.outbox / row.job).glob("review-*")}
    assert on_disk == {f"review-{each}.dcm" for each in records}
    numbers = [dcmread(path).InstanceNumber for path in row.derived if "/review-" in path]
    assert sorted(numbers) == list(range(1, verdicts + 1))
    sys.stdout.write(
        f"\nR18: {verdicts} verdicts, kills {dict(killed)}: {len(records)} objects arrived, "
        f"{sum(pacs.requests.values())} C-STORE requests for {len(pacs.requests)} objects\n"
    )


def kill(node: Node, role: str) -> int:
    with suppress(ProcessLookupError):
        os.kill(node.pid(role), signal.SIGKILL)
        return 1
    return 0


def all_made(node: Node) -> bool:
    return all(review.record == "made" for row in node.jobs() for review in row.reviews)
