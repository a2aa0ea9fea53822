"""``casgan-dicom node audit-trail``: looking, choosing and checking."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.node.settings import AuditSettings
from casgan_dicom.node.state.audit import Audit, Deleted
from casgan_dicom.node.state.layout import Layout
from tests.support.factories import uid


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A trail of a start, a rejection, a deletion and a stop."""
    monkeypatch.setenv("CASGAN_NODE_DATA", str(tmp_path))
    audit = Audit(Layout(tmp_path), AuditSettings(), "CASGAN")
    audit.started()
    audit.rejected("STRANGER", "CASGAN", "10.1.2.3", "caller is not among the peers")
    audit.deleted(Deleted("ab12", [uid("study")], 5, "delivered 3 days ago", {"Series": uid("series")}))
    audit.stopped()
    return Layout(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["node", "audit-trail", *arguments])


def test_the_last_messages_are_told_in_words(layout: Layout) -> None:
    lines = run().stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]
    assert "Security Alert  Node Authentication  minor failure" in lines[1]
    assert "STRANGER at 10.1.2.3" in lines[1]
    assert "caller is not among the peers" in lines[1]
    assert uid("study") in lines[2]
    assert f"Series: {uid('series')}" in lines[2]
    assert run("--limit", "1").stdout.splitlines() == lines[-1:]


def test_messages_are_chosen_by_kind_and_time(layout: Layout) -> None:
    alerts = json.loads(run("--event", "security alert", "--json").stdout)

    assert [(each["seq"], each["kind"]) for each in alerts] == [(2, "Node Authentication")]
    assert json.loads(run("--since", "2030-01-01", "--json").stdout) == []
    assert len(json.loads(run("--since", "2020-01-01", "--json").stdout)) == 4


def test_a_whole_chain_is_told_with_its_last_line(layout: Layout) -> None:
    checked = run("--check")
    told = json.loads(run("--check", "--json").stdout)

    assert checked.exit_code == 0
    assert "whole: 4 lines, 1 to 4" in checked.stdout
    assert f"last line: 4:{told['head']['digest']}" in checked.stdout
    assert (told["whole"], told["breaks"]) == (True, [])


def test_a_broken_chain_is_told_with_its_first_line_that_does_not_fit(layout: Layout) -> None:
    layout.audit.write_bytes(layout.audit.read_bytes().replace(b"STRANGER", b"FRIEND99"))

    checked = run("--check")

    assert checked.exit_code == 3
    assert checked.stdout.startswith("audit.log:2: was changed\n")


def test_a_line_that_was_noted_is_missed_when_the_end_is_cut_off(layout: Layout) -> None:
    head = json.loads(run("--check", "--json").stdout)["head"]
    noted = f"{head['seq']}:{head['digest']}"
    assert run("--check", "--noted", noted).exit_code == 0
    layout.audit.write_bytes(b"".join(layout.audit.read_bytes().splitlines(keepends=True)[:-1]))

    assert run("--check").exit_code == 0
    assert run("--check", "--noted", noted).exit_code == 3
    assert run("--check", "--noted", "4:abc").exit_code == 2


def test_a_copy_is_checked_by_the_names_of_its_files(layout: Layout, tmp_path: Path) -> None:
    copy = tmp_path / "copy.log"
    copy.write_bytes(layout.audit.read_bytes())
    layout.audit.unlink()

    assert run("--check", str(copy)).exit_code == 0
    assert run("--check", str(tmp_path / "absent")).exit_code == 5


def test_where_there_is_no_trail_nothing_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASGAN_NODE_DATA", str(tmp_path))

    assert run("--check").exit_code == 3
    assert run().stdout == ""


def test_a_chain_with_a_key_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789abcdef" * 2)
    monkeypatch.setenv("CASGAN_NODE_DATA", str(tmp_path))
    Audit(Layout(tmp_path), AuditSettings(key_file=key), "CASGAN").started()

    assert run("--check").exit_code == 3
    monkeypatch.setenv("CASGAN_NODE_AUDIT_KEY_FILE", str(key))
    assert run("--check").exit_code == 0
    assert "1 of them with the key" in run("--check").stdout
