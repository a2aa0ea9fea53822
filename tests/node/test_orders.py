"""What a person decides about the jobs of a node that runs: the real processes, and the real command."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread

from casgan_dicom.cli import cli
from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.model.generator import Generator
from casgan_dicom.node.settings import DestinationSettings, NodeSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.overview import JobRow
from casgan_dicom.verification.verify import verify_file
from tests.faults.modality import cine, send, stills
from tests.model.bundles import write_bundle
from tests.node.nodes import Node, bundle_in, destination, node_settings, running_node, wait_for
from tests.support.factories import uid
from tests.support.fake_pacs import FakePacs, answer

Order = Callable[..., Result]
LONG, SHORT = 40, 20
"""Frames of a series that is batch, and of one that is not."""


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    """The command, told of the node."""
    monkeypatch.setenv("CASGAN_NODE_DATA", str(tmp_path / "node"))
    return lambda *arguments: CliRunner().invoke(cli, ["node", *arguments])


def settings_of(folder: Path, *destinations: DestinationSettings) -> NodeSettings:
    """A node to which a long series is one that a test can wait for."""
    settings = node_settings(folder, *destinations)
    return replace(settings, worker=replace(settings.worker, batch_frames=SHORT))


def row_of(node: Node, name: str) -> JobRow | None:
    """The latest job of the series of a cine."""
    rows = [row for row in node.jobs() if row.series_uid == uid(f"series {name}")]
    return max(rows, key=lambda row: row.revision, default=None)


def wait_for_state(node: Node, name: str, *states: str) -> JobRow:
    def there() -> bool:
        row = row_of(node, name)
        return row is not None and row.state in states

    wait_for(there, lambda: f"{name} to be {states}; it is {row_of(node, name)}")
    row = row_of(node, name)
    assert row is not None
    return row


def wait_until_it_converts(node: Node, name: str) -> JobRow:
    wait_for(lambda: bool((row := row_of(node, name)) and row.progress), f"{name} to be under way")
    row = row_of(node, name)
    assert row is not None
    return row


def expected(folder: Path, *sources: Path) -> dict[str, str]:
    """Digest of Pixel Data by SOP Instance UID, as the command makes them alone."""
    generator = Generator.load(bundle_in(folder), device="cpu", engine="torch")
    report = convert_series(sources, lambda: generator, ConvertOptions(), folder / "expected")
    return {output.sop_instance_uid: output.pixel_sha256 for output in report.outputs}


def test_a_long_series_holds_up_no_short_one_and_is_what_it_would_be_alone(tmp_path: Path) -> None:
    long = cine(tmp_path / "sent", "long", frames=LONG)
    short = [cine(tmp_path / "sent", f"short {k}", frames=4) for k in range(2)]

    with FakePacs() as pacs, running_node(settings_of(tmp_path, destination("pacs", pacs))) as node:
        send(node.port, [long])
        assert wait_until_it_converts(node, "long").priority == "batch"
        send(node.port, short)
        for k in range(2):
            assert wait_for_state(node, f"short {k}", "done").priority == "routine"
        at_that_time = row_of(node, "long")
        rows = node.wait_until_settled(3)
        stored, requests = pacs.stored, pacs.requests

    assert at_that_time is not None
    assert at_that_time.state == "converting"  # where it was, not begun anew or ended
    assert [row.state for row in rows] == ["done"] * 3
    assert stored == expected(tmp_path, long, *short)
    assert set(requests.values()) == {1}


def test_a_worker_that_dies_takes_up_both_the_paused_and_the_urgent_series(
    tmp_path: Path, order: Order
) -> None:
    """A paused conversion is not what kills the worker: it is not counted against it."""
    settings = settings_of(tmp_path)
    settings = replace(settings, worker=replace(settings.worker, deaths=1))
    long, short = (cine(tmp_path / "sent", name, frames=n) for name, n in (("long", LONG), ("short", SHORT)))

    with running_node(settings) as node:
        send(node.port, [long])
        job = wait_until_it_converts(node, "long").job
        send(node.port, [short])
        wait_until_it_converts(node, "short")
        note = Layout(settings.data).work / "cpu" / job
        assert note.read_text().startswith("paused ")
        assert row_of(node, "long").progress.startswith("paused ")  # type: ignore[union-attr]
        os.kill(node.pid("worker.cpu"), signal.SIGKILL)
        assert wait_for_state(node, "long", "done", "quarantined").state == "done"


def test_a_job_that_is_cancelled_ends_at_the_next_frames_and_leaves_nothing(
    tmp_path: Path, order: Order
) -> None:
    source = cine(tmp_path / "sent", "run", frames=LONG)

    with FakePacs() as pacs, running_node(settings_of(tmp_path, destination("pacs", pacs))) as node:
        send(node.port, [source])
        job = wait_until_it_converts(node, "run").job
        outbox = Layout(node.settings.data).outbox / job
        done = json.loads(order("cancel", "--json", job).stdout)
        assert done == {"cancelled": [job], "not_cancelled": {}}
        other = cine(tmp_path / "sent", "other")  # whose turn comes only when the first has ended
        send(node.port, [other])
        wait_for_state(node, "other", "done")
        assert wait_for_state(node, "run", "cancelled").derived == ()
        assert not outbox.exists()
        assert list((Layout(node.settings.data).work / "cpu").iterdir()) == []
        assert len(pacs.stored) == 1
        assert send(node.port, [source])[0].is_stored  # it was there already: nothing comes of it
        again = order("cancel", job)
        assert (again.exit_code, again.stdout) == (0, "")
        assert f"{job} is cancelled: nothing to cancel" in again.stderr

        assert order("retry").stdout == ""
        assert order("retry", job).stdout == f"{job}  convert\n"
        wait_for_state(node, "run", "done")
        stored = pacs.stored

    assert stored == expected(tmp_path, source, other)


def test_a_delivery_that_is_cancelled_is_not_made_and_goes_on_when_it_is_named(
    tmp_path: Path, order: Order
) -> None:
    source = cine(tmp_path / "sent", "run")

    with FakePacs() as pacs, running_node(settings_of(tmp_path, destination("pacs", pacs))) as node:
        pacs.behaviour = answer(0xA700)
        send(node.port, [source])
        node.wait_for_attempts(1)
        (job,) = (row.job for row in node.jobs())
        assert order("cancel", job).stdout == f"{job}  cancelled\n"
        pacs.behaviour = answer(0x0000)
        second = cine(tmp_path / "sent", "second")
        send(node.port, [second])
        wait_for_state(node, "second", "done")
        row = wait_for_state(node, "run", "cancelled")
        assert [each.state for each in row.deliveries] == ["cancelled"]
        assert "CASGAN OK" in order("status", "--check").stdout
        assert set(pacs.stored) == set(expected(tmp_path, second))

        assert order("retry", job).stdout == f"{job}  send to pacs\n"
        wait_for_state(node, "run", "done")
        stored = pacs.stored

    assert stored == expected(tmp_path, source, second)


def test_a_series_that_is_cancelled_while_it_comes_in_is_not_converted_and_later_frames_are_a_revision(
    tmp_path: Path, order: Order
) -> None:
    files = stills(tmp_path / "sent", "run", 4)
    settings = settings_of(tmp_path)
    slow = replace(settings, completion=replace(settings.completion, quiet_seconds=30.0))

    with running_node(slow) as node:
        send(node.port, files[:2])
        (first,) = node.jobs()
        assert order("cancel", first.job).exit_code == 0
        send(node.port, files[2:])
        rows = {row.revision: row for row in node.jobs()}

    assert (rows[1].state, rows[1].instances) == ("cancelled", 2)
    assert (rows[2].state, rows[2].instances) == ("receiving", 2)


def test_a_kept_job_is_converted_once_more_with_another_bundle(tmp_path: Path, order: Order) -> None:
    source = cine(tmp_path / "sent", "run")
    other = write_bundle(tmp_path / "other", attention_bias=-2)

    with FakePacs() as pacs, running_node(settings_of(tmp_path, destination("pacs", pacs))) as node:
        send(node.port, [source])
        first = wait_for_state(node, "run", "done")
        same = order("convert", first.job, "--bundle", str(bundle_in(tmp_path)))
        (made,) = json.loads(order("convert", first.job, "--bundle", str(other), "--json").stdout)
        wait_for(lambda: row_of(node, "run").job == made["job"], "the job")  # type: ignore[union-attr]
        second = wait_for_state(node, "run", "done")
        twice = order("convert", made["job"], "--bundle", str(other))
        shown = order("jobs").stdout
        stored = pacs.stored

    assert (same.exit_code, twice.exit_code) == (3, 3)
    assert f"job {first.job} makes the same of it" in same.stderr
    assert f"job {second.job} makes the same of it" in twice.stderr
    assert (second.repeats, second.bundle, second.priority) == (first.job, str(other), "batch")
    assert (second.revision, second.instances, second.frames) == (2, first.instances, first.frames)
    assert f"{first.job} once more with {other}" in shown
    assert len(stored) == 2
    one, two = (dcmread(row.derived[0]) for row in (first, second))
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert "upersede" not in two.DerivationDescription
    assert verify_file(Path(second.derived[0])) == []


def test_what_cannot_be_converted_once_more_is_said_and_nothing_is_queued(
    tmp_path: Path, order: Order
) -> None:
    other = write_bundle(tmp_path / "other", attention_bias=-2)
    with running_node(settings_of(tmp_path)) as node:
        send(node.port, [cine(tmp_path / "sent", name) for name in ("kept", "gone")])
        kept, gone = (wait_for_state(node, name, "done").job for name in ("kept", "gone"))
        for path in (Layout(node.settings.data).spool / uid("series gone")).iterdir():
            path.unlink()

        lost = order("convert", kept, gone, "--bundle", str(other))
        nobody = order("convert", kept, "0123", "--bundle", str(other))
        nothing = order("convert", kept, "--bundle", str(tmp_path / "nowhere"))
        unsaid = order("convert", kept)
        jobs = len(node.jobs())

    assert (lost.exit_code, nobody.exit_code, nothing.exit_code, unsaid.exit_code) == (3, 5, 5, 2)
    assert f"job {gone}: 1 of 1 files are gone from the spool" in lost.stderr
    assert "no job 0123" in nobody.stderr
    assert "bundle 'nowhere'" in nothing.stderr
    assert jobs == 2


def test_an_order_of_priority_is_kept_and_counts_for_what_waits(tmp_path: Path, order: Order) -> None:
    first, second, third = (
        cine(tmp_path / "sent", name, frames=n) for name, n in (("a", LONG), ("b", LONG - 1), ("c", LONG - 2))
    )
    with running_node(settings_of(tmp_path)) as node:
        send(node.port, [first])
        wait_until_it_converts(node, "a")
        send(node.port, [second, third])
        b, c = (wait_for_state(node, name, "queued").job for name in "bc")
        told = json.loads(order("priority", c, "urgent", "--json").stdout)
        assert wait_for_state(node, "c", "done").priority == "urgent"
        states = [row.state for name in "ab" if (row := row_of(node, name))]
        ended = order("priority", c, b, "routine")

    assert told == {"priority": "urgent", "jobs": [c]}
    assert states == ["converting", "queued"]
    assert ended.stdout == f"{b}  routine\n"
    assert f"{c} is done: it is not converted any more" in ended.stderr
    assert order("priority", c, "soon").exit_code == 2
