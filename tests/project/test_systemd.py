"""The units in deploy/systemd/ are what systemd takes, hardened, and let a node work."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from casgan_dicom.cli import cli
from casgan_dicom.model.engines import compiled_cache
from casgan_dicom.node.service import STOP_SECONDS
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.overview import list_jobs
from tests.faults.modality import cine, send
from tests.node.nodes import PROGRAM, bundle_in, program, wait_for
from tests.support.programs import absent, find_program

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNIT = UNITS / "casgan-dicom.service"
SANDBOX = Path(__file__).resolve().parents[1] / "support" / "sandbox.sh"
MOST_EXPOSED = 2.0


def values_of(key: str) -> list[str]:
    """What the unit says under a key, line by line."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze says; no manager needs to run."""
    found = find_program("systemd-analyze", "systemd")
    command = [found, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(
        UNIT.read_text(encoding="utf-8").replace("/opt/casgan-dicom/bin/casgan-dicom", str(PROGRAM))
    )

    done = analyze("verify", copy)

    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_the_unit_exposes_little() -> None:
    done = analyze("security", "--offline=true", "--no-pager", UNIT)

    said = re.search(r"Overall exposure level for \S+: (\d+\.\d) ", done.stdout)
    assert said is not None, done.stdout + done.stderr
    sys.stdout.write(f"{said[0].strip()}\n")
    assert float(said[1]) <= MOST_EXPOSED


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users and gives them folders")
def test_systemd_makes_the_user_and_the_folder_of_its_configuration(tmp_path: Path) -> None:
    """In a root of its own."""
    etc = tmp_path / "etc"
    etc.mkdir()

    for made_by, name in (("sysusers", "casgan-dicom.sysusers"), ("tmpfiles", "casgan-dicom.tmpfiles")):
        command = [find_program(f"systemd-{made_by}", "systemd"), f"--root={tmp_path}", str(UNITS / name)]
        option = ["--create"] if made_by == "tmpfiles" else []
        subprocess.run([*command, *option], check=True, timeout=120)

    (line,) = (etc / "passwd").read_text().splitlines()
    name, _, user, group, _, home, shell = line.split(":")
    assert (name, home, shell) == (values_of("User")[0], "/var/lib/casgan-dicom", "/usr/sbin/nologin")
    made = (etc / "casgan-dicom").stat()
    assert (made.st_mode & 0o777, made.st_uid, made.st_gid) == (0o750, 0, int(group))
    assert int(user) > 0


def test_the_commands_of_the_unit_are_there() -> None:
    (start,), (reload,) = values_of("ExecStart"), values_of("ExecReload")

    for line, path in ((start, ["node"]), (reload, ["node", "reload"])):
        _, *words = line.split()
        assert words == path
        command: click.Command = cli
        for word in words:
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), word)
            assert found is not None
            command = found


def test_the_environment_of_the_unit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = dict(each.split("=", 1) for each in values_of("Environment"))
    node = cli.get_command(click.Context(cli), "node")
    assert node is not None
    (config,) = [each for each in node.params if each.name == "config"]

    assert set(environ) == {config.envvar, "CASGAN_CACHE"}
    monkeypatch.setenv("CASGAN_CACHE", environ["CASGAN_CACHE"])
    assert str(compiled_cache.cache_folder()).startswith(environ["CASGAN_CACHE"])
    assert environ["CASGAN_CACHE"] == f"/var/cache/{values_of('CacheDirectory')[0]}"


def test_the_guide_puts_everything_where_the_unit_looks_for_it() -> None:
    guide = (UNITS.parents[1] / "docs" / "install.md").read_text(encoding="utf-8")
    environ = dict(each.split("=", 1) for each in values_of("Environment"))
    (start,) = values_of("ExecStart")

    assert f'data = "/var/lib/{values_of("StateDirectory")[0]}/node"' in guide
    assert f"> {environ['CASGAN_NODE_CONFIG']}\n" in guide
    assert f"python3 -m venv {Path(start.split()[0]).parents[1]}\n" in guide
    for unit in UNITS.iterdir():
        assert f"deploy/systemd/{unit.name}" in guide
    (most,) = values_of("MemoryMax")
    assert f"`MemoryMax={most}`" in guide


def test_the_service_manager_waits_longer_than_the_supervisor() -> None:
    assert float(values_of("TimeoutStopSec")[0]) > STOP_SECONDS


def allowed_calls() -> set[str]:
    """System calls that the unit lets through, as systemd knows its own sets."""
    first, *others = values_of("SystemCallFilter")
    allowed = _calls(first.split())
    for each in others:
        assert each.startswith("~")
        allowed -= _calls(each[1:].split())
    return allowed


def _calls(names: Sequence[str]) -> set[str]:
    found = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        lines = [line.strip() for line in analyze("syscall-filter", name).stdout.splitlines()[1:]]
        found |= _calls([line for line in lines if line and not line.startswith("#")])
    return found


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter and read: pytest's own may not."""
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_node_works_with_the_folders_and_system_calls_that_the_unit_lets_it_have(open_folder: Path) -> None:
    if os.geteuid() != 0:
        absent("only root can take the disk away from a program")
    data, scratch = open_folder / "node", open_folder / "scratch"
    for folder in (data, scratch):
        folder.mkdir()
    counts = scratch / "counts.txt"
    sandbox = ["unshare", "--mount", "bash", str(SANDBOX), sys.base_prefix, str(data), str(scratch), "--"]
    environ = ["env", f"TMPDIR={scratch}", f"CASGAN_CACHE={scratch}", f"HOME={scratch}"]
    tracing = [find_program("strace", "strace"), "-f", "-qq", "-c", "-o", str(counts)]

    work(open_folder, *sandbox, *environ, *tracing)

    used = {line.split()[-1] for line in counts.read_text().splitlines()[2:-2]}
    assert {"openat", "fsync", "bind", "accept4"} <= used
    assert used - allowed_calls() == set()


def work(folder: Path, *before: str) -> None:
    """Have the program, run by `before`, convert a series, and end it."""
    config = folder / "node.toml"
    config.write_text(
        f'data = "{folder}/node"\n[listener]\nport = 0\n[completion]\nshort_seconds = 0.3\n'
        f'[worker]\nbundle = "{bundle_in(folder)}"\n'
    )
    with program(config, *before) as (port, output):
        assert [each.status for each in send(port, [cine(folder / "made", "one")])] == [0]
        ledger = Ledger(Layout(folder / "node").ledger)
        try:
            wait_for(lambda: [row.state for row in list_jobs(ledger)] == ["done"], output.read_text, 300)
        finally:
            ledger.close()
            os.kill(int((folder / "node" / "node.lock").read_text()), signal.SIGTERM)  # not who runs it
