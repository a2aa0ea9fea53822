"""The steps of docs/walkthrough.md, as they stand there, in one shell, with Orthanc and DCMTK."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.node.nodes import wait_for
from tests.node.shell import PATIENCE, Shell
from tests.project.test_readme import ROOT, blocks
from tests.support.orthanc import DICOMWEB, Orthanc, free_ports
from tests.support.programs import absent, find_program

pytestmark = [pytest.mark.orthanc, pytest.mark.e2e]

PAGE = "docs/walkthrough.md"
PORTS = ("2762", "4243", "4244", "8043", "8044")
"""Those of the page; others are free when the test runs."""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in a folder with the samples."""
    find_program("storescu", "dcmtk")
    find_program("Orthanc", "orthanc")
    if not DICOMWEB.is_file():
        absent(f"{DICOMWEB} is not there; it comes with orthanc-dicomweb")
    shutil.copytree(ROOT / "sample_series", tmp_path / "sample_series")
    started = Shell(tmp_path)
    yield started
    started.close()


@pytest.fixture
def page() -> list[str]:
    """The blocks of the page, with other ports."""
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    return [re.sub("|".join(PORTS), lambda match: ports[match[0]], code) for _, code in blocks(PAGE)]


def done(shell: Shell, count: int) -> Callable[[], bool]:
    """Whether so many jobs are done."""

    def asked() -> bool:
        told = shell.ask("casgan-dicom node jobs --state done --json")
        return bool(told) and len(json.loads(told)) == count

    return asked


def holds(folder: Path, name: str) -> int:
    """Derived objects that an archive of the page holds."""
    made = {path.stem for path in (folder / "node-data" / "outbox").rglob("*.dcm")}
    pacs = Orthanc(folder / f"{name}.json")
    series = json.loads(pacs.request("GET", "/series?expand"))
    uids = [each["MainDicomTags"]["SeriesInstanceUID"] for each in series]
    return len(made & {sop_uid for uid in uids for sop_uid in pacs.instances(uid)})


def test_the_steps_lead_from_certificates_to_a_clean_up(
    tmp_path: Path, shell: Shell, page: list[str]
) -> None:
    steps = iter(page)

    def run() -> str:
        return shell.run(next(steps))

    assert "tls/cathlab2.key" in run()
    run()  # the archives
    run()  # the configuration
    said = run()
    assert re.findall(r"goes to +(.+)", said) == ["outbox, pacs", "outbox, research"]
    run()
    listening = '"event": "listening"'
    wait_for(lambda: listening in (tmp_path / "node.log").read_text(), "the node to listen", PATIENCE)
    echoes = next(steps)
    wait_for(lambda: bool(shell.ask(f"set -e\n{echoes}")), "all to answer", PATIENCE)
    assert shell.run(echoes).count(": answered in") == 3
    run()  # what is sent
    wait_for(done(shell, 2), lambda: f"two jobs, of {shell.ask('casgan-dicom node jobs')}", PATIENCE)
    said = run()
    assert "pacs: sent" in said
    assert "research: sent" in said
    assert "CASGAN OK" in said
    assert [holds(tmp_path, name) for name in ("pacs", "research")] == [1, 1]
    assert "\n1 to fetch" in run()
    assert "the node has taken its settings" in run()
    assert "1 fetched, 0 did not come" in run()
    wait_for(done(shell, 3), lambda: f"three jobs, of {shell.ask('casgan-dicom node jobs')}", PATIENCE)
    assert holds(tmp_path, "research") == 2
    assert "delivered 1 s ago or longer" in run()
    assert "nothing to remove" in run()
    run()
    assert next(steps, None) is None
    assert "Application Stop" in (tmp_path / "node-data" / "audit.log").read_text(encoding="utf-8")
