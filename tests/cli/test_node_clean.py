"""``casgan-dicom node clean``, and what ``status`` and ``convert`` say of what is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.cli.node_clean import size
from casgan_dicom.node.settings import RetentionSettings
from casgan_dicom.node.state.receipts import Receipts
from tests.model.bundles import write_bundle
from tests.node.work.test_cleaner import Place, place_in


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A node that has stopped, one series delivered long ago and one just now."""
    made = place_in(tmp_path / "node", RetentionSettings())
    made.delivered("old", 10.0)
    made.delivered("new", time())
    monkeypatch.setenv("CASGAN_NODE_DATA", str(made.settings.data))
    monkeypatch.setenv("CASGAN_NODE_RETENTION_DELIVERED_SECONDS", "3600")
    yield made
    made.ledger.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["node", *arguments])


def test_a_dry_run_says_what_would_go_and_removes_nothing(place: Place) -> None:
    said = run("clean", "--dry-run")
    told = json.loads(run("clean", "--dry-run", "--json").stdout)

    (line,) = said.stdout.splitlines()
    (removal,) = told["removals"]
    assert line == f"{removal['name']}  1.5 KiB  delivered 60 minutes ago or longer (delivered_seconds)"
    assert "next: " in said.stderr
    assert (told["dry_run"], told["bytes"], removal["kind"], removal["since"]) == (
        True,
        1502,
        "delivered",
        10.0,
    )
    assert told["next_at"] == pytest.approx(time() + 3600, abs=600)
    assert place.file("old").exists()
    assert place.audited() == []


def test_it_removes_what_it_said(place: Place) -> None:
    (planned,) = json.loads(run("clean", "--dry-run", "--json").stdout)["removals"]

    told = json.loads(run("clean", "--json").stdout)

    assert (told["dry_run"], told["removals"]) == (False, [planned])
    assert not place.file("old").exists()
    assert place.file("new").exists()
    assert place.audited() == [planned["name"]]
    assert "nothing to remove" in run("clean").stderr
    assert f"{planned['name']}  done removed" in run("jobs").stdout


def test_without_rules_it_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CASGAN_NODE_RETENTION_DELIVERED_SECONDS")

    assert "no key of [retention] is set" in run("clean").stderr
    assert "nothing is removed" in run("status").stdout
    assert place.file("old").exists()


def test_status_tells_what_is_stored_and_what_goes_next(place: Place) -> None:
    (place.layout.quarantine / "q.dcm").write_bytes(bytes(5 * 2**20))

    shown, told = run("status").stdout, json.loads(run("status", "--json").stdout)

    assert "storage      spool 2.0 KiB, outbox 1004 bytes, quarantine 5.0 MiB" in shown
    assert "retention    1 to remove (1.5 KiB), the next at " in shown
    assert (told["spool_bytes"], told["outbox_bytes"], told["quarantine_bytes"]) == (2000, 1004, 5 * 2**20)
    assert told["retention"]["removals"] == 1
    assert told["retention"]["bytes"] == 1502


def test_what_may_not_be_removed_above_the_high_mark_is_a_warning(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in (("HIGH", "1000"), ("LOW", "500")):
        monkeypatch.setenv(f"CASGAN_NODE_RETENTION_{key}_BYTES", value)
    assert "high_bytes" not in run("status", "--check").stdout  # both may go
    place.receive("undelivered", time())

    run("clean")
    above = run("status", "--check").stdout
    monkeypatch.setenv("CASGAN_NODE_RETENTION_HIGH_BYTES", "999")

    assert "high_bytes" not in above  # 1000 bytes are left
    assert "in spool and outbox above high_bytes, and may not be removed" in run("status", "--check").stdout


def test_another_conversion_of_what_was_removed_asks_for_its_instances(place: Place, tmp_path: Path) -> None:
    (removed,) = json.loads(run("clean", "--json").stdout)["removals"]
    bundle, came = write_bundle(tmp_path / "other", attention_bias=-3), place.instance("old")
    receipts = Receipts(place.ledger, "w")
    before = receipts.let_go(came.sop_uid, came.sha256)

    said = run("convert", removed["name"], "--bundle", str(bundle))

    assert said.exit_code == 3
    assert "1 of 1 files are gone from the spool, 1 of them by retention" in said.stderr
    assert before is not None
    assert receipts.let_go(came.sop_uid, came.sha256) is None  # stored, if it is sent again


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (3 * 2**19, "1.5 MiB"), (2**40, "1024.0 GiB")],
)
def test_lengths_are_readable(count: int, text: str) -> None:
    assert size(count) == text


def test_a_file_that_cannot_be_removed_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refused)
        said = run("clean", "--json")

    assert said.exit_code == 3
    assert json.loads(said.stdout)["removals"] == []
    assert "files of 1 jobs could not be removed" in said.stderr
    assert run("clean").exit_code == 0
