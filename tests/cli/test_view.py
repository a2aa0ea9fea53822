"""``casgan-dicom view`` as a person starts and ends it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from casgan_dicom.cli import cli
from tests.support.factories import write_xa
from tests.support.waiting import wait_for

_PROGRAM = """
import sys
from casgan_dicom.cli import main
sys.argv = ["casgan-dicom", "view", *sys.argv[1:]]
try:
    main()
finally:
    heavy = {"torch", "openvino", "scipy", "dbos", "pynetdicom"}
    print("HEAVY", *sorted({name.split(".")[0] for name in sys.modules} & heavy))
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_serves_and_ends_without_having_loaded_a_network(
    tmp_path: Path, ending: signal.Signals
) -> None:
    path = write_xa(tmp_path / "a")
    command = [sys.executable, "-c", _PROGRAM, str(path), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            page = httpx.get(address, trust_env=False, timeout=60)
            facts = httpx.get(f"{address}player/items/files", trust_env=False, timeout=60)
        finally:
            process.send_signal(ending)
            out, _ = process.communicate(timeout=60)

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
    assert "AI SYNTHETIC - NOT FOR DIAGNOSIS" in page.text
    assert facts.json()["runs"][0]["frames"] == 4
    assert out.strip() == "HEAVY"
    assert process.returncode == (0 if ending is signal.SIGINT else 128 + signal.SIGTERM)


def test_the_browser_is_opened_at_the_address(tmp_path: Path) -> None:
    """BROWSER names a program: one that writes down what it is asked to open."""
    opened = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    script.chmod(0o755)
    path = write_xa(tmp_path / "a")
    command = [sys.executable, "-m", "casgan_dicom", "view", str(path)]
    environment = {"BROWSER": str(script), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        wait_for(lambda: opened.exists() and opened.read_text(), "the browser", 60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert opened.read_text().strip() == address


def test_files_without_a_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("nothing")

    result = CliRunner().invoke(cli, ["view", str(tmp_path), "--no-browser"])

    assert result.exit_code == 3
    assert "no DICOM files" in result.stderr
