"""The commands of docs/operations.md that try TLS, as they stand there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.node.nodes import wait_for
from tests.node.shell import PATIENCE, Shell
from tests.project.test_readme import ROOT, blocks
from tests.support.orthanc import free_ports
from tests.support.programs import find_program

pytestmark = pytest.mark.e2e


def test_the_commands_bring_a_cine_in_by_tls(tmp_path: Path) -> None:
    find_program("storescu", "dcmtk")
    shutil.copytree(ROOT / "sample_series", tmp_path / "sample_series")
    (port,) = free_ports(1)
    (code,) = (code for _, code in blocks("docs/operations.md") if "node certificates" in code)
    first, start, rest = code.replace("2762", str(port)).partition("casgan-dicom node --config tls.toml &\n")
    assert start
    (echo, _) = rest.splitlines()

    shell = Shell(tmp_path)
    try:
        assert "for tests only" in shell.run(first + start)
        wait_for(lambda: bool(shell.ask(echo)), "an answer by TLS", PATIENCE)
        assert "answered in" in shell.run(rest)
        assert len(list((tmp_path / "tls-data" / "spool").rglob("*.dcm"))) == 1
        shell.run("kill %1 && wait %1")
    finally:
        shell.close()
