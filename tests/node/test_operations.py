"""The five commands of docs/operations.md, as they stand there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from casgan_dicom.errors import PeerError
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.scu import echo
from tests.node.nodes import wait_for
from tests.project.test_readme import blocks
from tests.support.orthanc import Orthanc
from tests.support.programs import find_program

pytestmark = [pytest.mark.orthanc, pytest.mark.e2e]

ROOT = Path(__file__).resolve().parents[2]


def answers(port: int, title: str) -> Callable[[], bool]:
    """Whether somebody of this AE title answers an echo."""

    def asked() -> bool:
        with suppress(PeerError):
            return echo(Peer("127.0.0.1", port, title, "CASGAN", 2, 2)) >= 0
        return False

    return asked


def test_the_five_commands_bring_a_cine_from_the_modality_into_orthanc(tmp_path: Path) -> None:
    find_program("storescu", "dcmtk")
    for folder in ("deploy", "sample_series"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    commands = blocks("docs/operations.md")[0][1].splitlines()
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"
    environment = os.environ | {"PATH": path, "CASGAN_DATA": str(tmp_path / "data")}
    assert len(commands) == 5

    with ExitStack() as stack:
        for command, port, title in zip(commands, (4242, 11112), ("ORTHANC", "CASGAN"), strict=False):
            assert command.endswith(" &")
            stack.enter_context(in_background(command.removesuffix(" &"), tmp_path, environment))
            wait_for(answers(port, title), f"an answer of {title}")
        for command in commands[2:4]:
            subprocess.run(command, shell=True, cwd=tmp_path, env=environment, check=True)
        wait_for(lambda: "done" in said(commands[4], tmp_path, environment), "the job to be done")
        pacs = Orthanc(tmp_path / "deploy" / "orthanc.json")
        (derived,) = (tmp_path / "data" / "node" / "outbox").rglob("*.dcm")
        assert set(pacs.instances(derived.parent.name)) == {derived.stem}


class in_background:  # noqa: N801  # used like a function
    """A command in the background, ended as Ctrl-C or a service manager does."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=folder, env=environment)

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0


def said(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a command printed."""
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout
