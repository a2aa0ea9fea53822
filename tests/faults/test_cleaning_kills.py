"""R12: kill -9 of a clean-up at random points, each followed by other series that come in and are delivered.

Short: 10 kills. Long (--soak): 100 kills.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import time

from casgan_dicom.node.settings import RetentionSettings
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery
from casgan_dicom.node.state.overview import list_jobs
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.state.removals import Removals
from tests.faults.listener_process import ROOT
from tests.node.work.test_cleaner import Place, place_in
from tests.support.factories import uid

SHORT, LONG = 10, 100
SERIES = 24
"""Series that come in before each kill, one of three delivered."""
STILLS = 3
"""Instances of each."""
KEPT = ("kept", "waiting", "dead", "half", "failed", "skipped", "late", "receiving")
"""What must stay: of none of these has every destination everything, or a job of its series is at work."""


def test_whenever_a_clean_up_is_killed_only_what_was_delivered_goes_and_all_of_it(
    tmp_path: Path, soak: bool
) -> None:
    chance, place = random.Random(12), place_in(tmp_path / "node", RetentionSettings())
    delivered: dict[str, str] = {}
    stays: dict[Path, bytes] = {}
    killed_at, calls = Counter[str](), 0

    for kill in range(1 + (LONG if soak else SHORT)):
        names = [f"s{kill}-{k}" for k in range(SERIES)]
        for k, name in enumerate(names):
            kind = "delivered" if k % 3 == 0 else KEPT[(kill + k) % len(KEPT)]
            job, files = series(place, name, kind)
            if kind == "delivered":
                delivered[name] = job
            else:
                stays |= {path: path.read_bytes() for path in files}
        if not kill:  # it tells how many calls a clean-up takes
            calls = int(cleaning(place).stdout)
            continue
        assert cleaning(place, chance.randint(1, calls)).returncode == -signal.SIGKILL
        killed_at["begun" if Removals(place.ledger).begun() else "between"] += 1
        assert {path: path.read_bytes() for path in stays} == stays

    assert cleaning(place).returncode == 0

    assert {path: path.read_bytes() for path in stays} == stays
    rows = {row.job: row for row in list_jobs(place.ledger, limit=100_000)}
    assert {job for job, row in rows.items() if row.removed_at is not None} == set(delivered.values())
    assert Removals(place.ledger).begun() == []
    assert not [name for name in delivered if (place.layout.spool / uid(name)).exists()]
    assert not [job for job in delivered.values() if (place.layout.outbox / job).exists()]
    told = Counter(place.audited())
    assert told.keys() == set(delivered.values())
    for name in delivered:
        came = place.instance(f"{name} 0", series=name)
        known = Receipts(place.ledger, "w").let_go(came.sop_uid, came.sha256)
        assert known is not None
        assert known.removed
    assert killed_at["begun"], killed_at
    sys.stdout.write(
        f"\nR12: {killed_at.total()} kills, {killed_at['begun']} in the middle of a series: {len(delivered)}"
        f" delivered series removed, {len(stays)} files of others as they were;"
        f" {told.total() - len(told)} told twice\n"
    )
    place.ledger.close()


def series(place: Place, name: str, kind: str) -> tuple[str, list[Path]]:
    """A series in some state for ten seconds; its job, and all of its files."""
    at, destinations = time() - 10, ["one", "two"]
    job, *_ = [place.receive(f"{name} {k}", at, series=name) for k in range(STILLS)]
    files = [place.file(f"{name} {k}", name) for k in range(STILLS)]
    if kind in ("delivered", "kept", "waiting", "dead", "half", "late"):
        files.append(place.made(job, at, *([] if kind == "kept" else destinations)))
    states = {"delivered": "sent", "late": "sent", "dead": "dead", "half": "sent"}
    if kind in states:
        for destination in destinations[: 1 if kind == "half" else 2]:
            attempt = Attempt(states[kind], "")  # type: ignore[arg-type]
            Deliveries(place.ledger).attempted(Delivery(job, destination, 1), attempt, at)
    if kind in ("failed", "skipped"):
        place.state(job, kind, at)
    if kind == "late":  # another revision that has begun
        place.receive(f"{name} late", at, series=name)
        files.append(place.file(f"{name} late", name))
    return job, files


def cleaning(place: Place, call: int = 0) -> subprocess.CompletedProcess[str]:
    """What became of the process that cleans up, killed before the call of that number; 0 for none."""
    command = [sys.executable, "-m", "tests.faults.cleaning_process", str(place.settings.data), str(call)]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=120)
