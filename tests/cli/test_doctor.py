"""``casgan-dicom doctor``: lines, JSON, exit codes, and that nothing stays behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.node.doctor import disk
from tests.faults.test_full_disk import mount_namespace
from tests.node.nodes import PROGRAM, bundle_in
from tests.support.fake_pacs import FakePacs, reject
from tests.support.orthanc import free_ports


@pytest.fixture(autouse=True)
def _any_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run in a container, in memory, or on a slow disk."""
    monkeypatch.setattr(disk, "kind_of", lambda _: "ext4")
    monkeypatch.setattr(disk, "_SLOW_SECONDS", 1e6)


def written(folder: Path, pacs: FakePacs, *, port: int, more: str = "") -> Path:
    """A configuration with a destination."""
    path = folder / "node.toml"
    path.write_text(
        f'data = "{folder}/node"\n[listener]\nport = {port}\nmin_free_bytes = 0\n'
        f'[worker]\nbundle = "{bundle_in(folder)}"\nengine = "torch"\ndevices = ["cpu"]\n'
        f'[[destinations]]\nname = "pacs"\nhost = "127.0.0.1"\nport = {pacs.port}\n'
        f'ae_title = "{pacs.ae_title}"\n{more}'
    )
    return path


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", "--config", str(config), *arguments])


def test_a_node_that_could_start_is_told_line_by_line_and_nothing_stays(
    tmp_path: Path, pacs: FakePacs
) -> None:
    config = written(tmp_path, pacs, port=free_ports(1)[0])

    done = run(config)

    assert {line.split()[0] for line in done.stdout.splitlines()} <= {"OK", "WARN"}  # NTP, memory
    assert done.exit_code == max(line.startswith("WARN") for line in done.stdout.splitlines())
    about = {line.split()[1] for line in done.stdout.splitlines()}
    assert about >= {"configuration:", "listener.port:", "worker.bundle:", "data:", "worker", "memory:"}
    assert "destinations#1:" in about
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "node.toml"]
    assert pacs.received == []


def test_every_mistake_of_the_configuration_is_a_line_of_its_own(tmp_path: Path, pacs: FakePacs) -> None:
    config = written(tmp_path, pacs, port=70000, more='colour = "red"\n[[peers]]\nae_title = ""\n')

    done = run(config)

    assert done.exit_code == 2
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("FAIL  configuration: ") for line in lines)
    assert all(any(key in line for line in lines) for key in ("listener.port", "colour", "peers#1.ae_title"))
    assert pacs.associations == 0


def test_json_says_the_same_and_the_exit_code_is_the_worst(tmp_path: Path, pacs: FakePacs) -> None:
    pacs.behaviour = reject(1, 1, 7)
    config = written(tmp_path, pacs, port=0)

    done = run(config, "--json", "--no-engine")

    told = json.loads(done.stdout)
    found = {each["about"]: each["verdict"] for each in told["findings"] if each["verdict"] == "FAIL"}
    assert found == {"destinations#1.ae_title": "FAIL"}
    assert (told["verdict"], done.exit_code) == ("FAIL", 2)
    assert "worker cpu" not in {each["about"] for each in told["findings"]}


def test_a_warning_alone_is_exit_code_1(tmp_path: Path, pacs: FakePacs) -> None:
    assert run(written(tmp_path, pacs, port=0), "--no-engine").exit_code == 1


def test_a_file_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path / "node.toml")

    assert done.exit_code == 2
    assert done.stdout.startswith("FAIL  configuration: ")


_DISKS = (
    'mount -t tmpfs -o size=256k none "$0/full" && { head -c 1M /dev/zero > "$0/full/ballast"; true; }'
    ' && mount -t tmpfs -o ro none "$0/closed" && exec "$@"'
)


def test_folders_on_a_full_disk_and_on_a_closed_one_are_told(tmp_path: Path, pacs: FakePacs) -> None:
    """In a mount namespace of its own, where root, too, may not write to them."""
    more = ""
    for name in ("full", "closed"):
        (tmp_path / name).mkdir()
        more += f'[[destinations]]\nname = "{name}"\nkind = "folder"\nfolder = "{tmp_path}/{name}"\n'
    config = written(tmp_path, pacs, port=0, more=more)
    config.write_text(config.read_text().replace(f"{tmp_path}/node", f"{tmp_path}/full/node"))
    command = [str(PROGRAM), "doctor", "--config", str(config), "--no-engine", "--json"]

    done = subprocess.run(
        [*mount_namespace(), "sh", "-c", _DISKS, str(tmp_path), *command], capture_output=True, check=False
    )

    failed = [
        (each["about"], each["text"])
        for each in json.loads(done.stdout)["findings"]
        if each["verdict"] == "FAIL"
    ]
    assert done.returncode == 2
    assert ("destinations#2.folder", f"{tmp_path}/full is full") in failed
    assert ("destinations#3.folder", f"{tmp_path}/closed is mounted read-only") in failed
    assert [text for about, text in failed if about == "data" and "nothing can be written" in text]


def test_torch_stays_out_of_the_process_that_looks(tmp_path: Path, pacs: FakePacs) -> None:
    config = written(tmp_path, pacs, port=0)
    code = (
        "import sys; from click.testing import CliRunner; from casgan_dicom.cli import cli\n"
        f"CliRunner().invoke(cli, ['doctor', '--config', {str(config)!r}])\n"
        "sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
