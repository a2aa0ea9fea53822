"""``casgan-dicom node init``: by options, and at a terminal by questions."""

from __future__ import annotations

import os
import pty
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.node.checks import load_node_settings
from tests.node.nodes import PROGRAM


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["node", "init", *arguments])


def test_options_alone_write_a_file_and_tell_what_comes_next(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"

    done = run(str(path), "--data", "/srv/a", "--sender", "CT1@10.1.2.3", "--to", "PACS@10.1.2.4:104")

    assert (done.exit_code, done.stdout) == (0, f"{path}\n")
    assert f"casgan-dicom doctor --config {path}" in done.stderr
    assert "certificates" not in done.stderr
    settings = load_node_settings(path, {})
    assert (settings.peers[0].ae_title, settings.destinations[0].ae_title) == ("CT1", "PACS")
    assert (settings.page.host, settings.page.port) == ("127.0.0.1", 8043)


def test_one_answer_leaves_the_page_out(tmp_path: Path) -> None:
    assert run(str(tmp_path / "node.toml"), "--page-port", "0").exit_code == 0

    assert load_node_settings(tmp_path / "node.toml", {}).page.port == 0


def test_tls_has_a_port_of_its_own_and_a_step_more(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"

    done = run(str(path), "--tls", str(tmp_path / "tls"))

    assert load_node_settings(path, {}).listener.port == 2762
    assert f"certificates {tmp_path / 'tls'}" in done.stderr


def test_nothing_is_written_where_an_answer_is_wrong_or_a_file_is_there(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"

    assert run(str(path), "--port", "99999").exit_code == 5
    assert not path.exists()
    assert run(str(path)).exit_code == 0
    before = path.read_text()
    assert run(str(path), "--ae-title", "OTHER").exit_code == 5
    assert path.read_text() == before
    assert run(str(path), "--ae-title", "OTHER", "--force").exit_code == 0
    assert tomllib.loads(path.read_text())["listener"]["ae_title"] == "OTHER"


def test_settings_of_the_environment_that_are_wrong_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASGAN_NODE_LISTENER_PORT", "99999")

    assert run(str(tmp_path / "node.toml")).exit_code == 0


def test_at_a_terminal_what_no_option_says_is_asked_for(tmp_path: Path) -> None:
    path, ours = tmp_path / "node.toml", pty.openpty()
    answers = ["/srv/b", "SYNTH", "n", "104", "CT1@10.1.2.3", "", "/mnt/share", "", "14"]
    command = [str(PROGRAM), "node", "init", str(path)]
    process = subprocess.Popen(command, stdin=ours[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(ours[0], "".join(f"{each}\n" for each in answers).encode())

    _, said = process.communicate(timeout=120)

    os.close(ours[0])
    os.close(ours[1])
    assert process.returncode == 0, said
    found = tomllib.loads(path.read_text())
    assert (found["data"], found["listener"]["ae_title"], found["listener"]["port"]) == (
        "/srv/b",
        "SYNTH",
        104,
    )
    assert found["peers"] == [{"ae_title": "CT1", "address": "10.1.2.3"}]
    assert found["destinations"] == [{"name": "folder", "kind": "folder", "folder": "/mnt/share"}]
    assert found["retention"]["delivered_seconds"] == 14 * 86400
