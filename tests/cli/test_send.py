"""``casgan-dicom send`` and ``echo``: answers on stdout, an exit code that a script can use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydicom.uid import RLELossless, XRayAngiographicImageStorage

from casgan_dicom.cli import cli
from tests.support.factories import uid, write_xa
from tests.support.fake_pacs import LOOPBACK, Behaviour, FakePacs, abort, answer, hang, ignore, reject


def run(*arguments: str | Path | int, **environment: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, [str(each) for each in arguments], env=environment, catch_exceptions=False)


def send(pacs: FakePacs, *arguments: str | Path) -> Result:
    return run("send", *arguments, LOOPBACK, pacs.port, "-aec", pacs.ae_title)


def some_files(folder: Path, names: str) -> list[Path]:
    return [write_xa(folder / name, SOPInstanceUID=uid(name)) for name in names]


def test_files_are_stored_and_each_is_said(tmp_path: Path, pacs: FakePacs) -> None:
    files = some_files(tmp_path, "ab")

    result = send(pacs, *files)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"{path}: stored" for path in files]
    assert f"2 of 2 files stored by FAKEPACS at 127.0.0.1:{pacs.port}" in result.stderr
    assert set(pacs.stored) == {uid("a"), uid("b")}


def test_both_ae_titles_arrive(tmp_path: Path, pacs: FakePacs) -> None:
    (path,) = some_files(tmp_path, "a")

    run("send", path, LOOPBACK, pacs.port, "--called", "THEM", "-aet", "US")

    assert [(each.called_ae_title, each.calling_ae_title) for each in pacs.received] == [("THEM", "US")]


def test_options_come_from_the_environment(tmp_path: Path, pacs: FakePacs) -> None:
    (path,) = some_files(tmp_path, "a")

    result = run(
        "send",
        path,
        LOOPBACK,
        pacs.port,
        CASGAN_SEND_CALLED="THEM",
        CASGAN_SEND_CALLING="US",
        CASGAN_SEND_JSON="1",
    )

    assert json.loads(result.stdout)["calling"] == "US"
    assert [(each.called_ae_title, each.calling_ae_title) for each in pacs.received] == [("THEM", "US")]


def test_a_folder_stands_for_the_instances_below_it_whatever_their_names(
    tmp_path: Path, pacs: FakePacs
) -> None:
    files = some_files(tmp_path / "x" / "deep", "ab") + some_files(tmp_path / "x", "c")
    (tmp_path / "x" / "notes.dcm").write_text("no image")

    result = send(pacs, tmp_path / "x", files[0])

    assert result.exit_code == 0
    assert sorted(result.stdout.splitlines()) == sorted(f"{path}: stored" for path in files)
    assert "hold no DICOM instance: 1" in result.stderr


def test_a_folder_without_instances_is_an_error(tmp_path: Path, pacs: FakePacs) -> None:
    result = send(pacs, tmp_path)

    assert result.exit_code == 3
    assert "no file to send" in result.stderr


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_sent(tmp_path: Path, pacs: FakePacs) -> None:
    files = some_files(tmp_path, "a")
    text = tmp_path / "text"
    text.write_text("no image")

    result = send(pacs, *files, text, tmp_path / "absent")

    assert result.exit_code == 3
    assert result.stdout == ""
    assert f"{text}: no DICOM file" in result.stderr
    assert f"{tmp_path / 'absent'}: cannot be read" in result.stderr
    assert pacs.associations == 0


@pytest.mark.parametrize(
    ("behaviour", "exit_code", "said"),
    [
        (answer(0xB000, times=1), 0, "stored, with a warning: coercion of data elements (0xB000)"),
        (answer(0xC000, times=1), 3, "refused: cannot understand (0xC000)"),
        (answer(0xA700, times=1), 6, "refused for now: refused: out of resources (0xA700)"),
    ],
)
def test_what_the_peer_says_of_one_file_is_said_and_the_rest_is_sent(
    tmp_path: Path, pacs: FakePacs, behaviour: Behaviour, exit_code: int, said: str
) -> None:
    first, second = some_files(tmp_path, "ab")
    pacs.behaviour = behaviour

    result = send(pacs, first, second)

    assert result.exit_code == exit_code
    assert result.stdout.splitlines() == [f"{first}: {said}", f"{second}: stored"]


def test_a_broken_association_says_what_was_not_sent(tmp_path: Path, pacs: FakePacs) -> None:
    first, second, third = some_files(tmp_path, "abc")
    pacs.behaviour = abort()

    result = send(pacs, first, second, third)

    assert result.exit_code == 6
    assert result.stdout.startswith(f"{first}: no answer: ")
    assert f"not sent: {second}\n" in result.stderr
    assert f"not sent: {third}\n" in result.stderr
    assert "0 of 3 files stored" in result.stderr
    assert "aborted the association" in result.stderr


def test_what_the_peer_does_not_accept_is_not_sent_and_named(tmp_path: Path) -> None:
    """What is compressed goes decompressed where it must; what is not is never compressed for a peer."""
    good = write_xa(tmp_path / "a", SOPInstanceUID=uid("a"), syntax=RLELossless)
    other = write_xa(tmp_path / "b", SOPInstanceUID=uid("b"))

    with FakePacs(accepts=[(XRayAngiographicImageStorage, [RLELossless])]) as pacs:
        result = send(pacs, other, good)

    assert result.exit_code == 6
    assert result.stdout == f"{good}: stored\n"
    assert f"not sent: {other}" in result.stderr
    assert "does not accept X-Ray Angiographic Image Storage as Explicit VR Little Endian" in result.stderr


def test_a_closed_port_is_an_error_with_a_way_out(tmp_path: Path, pacs: FakePacs) -> None:
    pacs.close_port()

    result = send(pacs, *some_files(tmp_path, "a"))

    assert result.exit_code == 6
    assert f"port {pacs.port} is closed (connection refused)" in result.stderr
    assert "  try: " in result.stderr


def test_json_tells_everything(tmp_path: Path, pacs: FakePacs) -> None:
    first, second = some_files(tmp_path, "ab")
    pacs.behaviour = answer(0xA701, times=1)

    result = send(pacs, "--json", first, second)

    assert result.exit_code == 6
    assert json.loads(result.stdout) == {
        "host": LOOPBACK,
        "port": pacs.port,
        "called": "FAKEPACS",
        "calling": "CASGAN",
        "files": [
            {
                "path": str(first),
                "sop_instance_uid": uid("a"),
                "status": "0xA701",
                "outcome": "refused-now",
                "reason": "refused: out of resources (0xA701)",
            },
            {
                "path": str(second),
                "sop_instance_uid": uid("b"),
                "status": "0x0000",
                "outcome": "stored",
                "reason": "",
            },
        ],
        "not_sent": [],
        "error": None,
    }


def test_json_is_printed_though_nothing_was_sent(tmp_path: Path, pacs: FakePacs) -> None:
    (path,) = some_files(tmp_path, "a")
    pacs.behaviour = reject(1, 1, 3)

    result = send(pacs, "--json", path)

    told = json.loads(result.stdout)
    assert result.exit_code == 6
    assert (told["files"], told["not_sent"]) == ([], [str(path)])
    assert "calling AE title 'CASGAN' is not allowed there" in told["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", "file", "host", "104"),
        ("send", "host", "104", "-aec", "A"),
        ("send", "file", "host", "0", "-aec", "A"),
        ("send", "file", "host", "104", "-aec", "A" * 17),
        ("echo", "host", "-aec", "A"),
        ("echo", "host", "104", "-aec", "A", "-aet", "B\\C"),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_echo_says_that_it_was_answered(pacs: FakePacs) -> None:
    result = run("echo", LOOPBACK, pacs.port, "-aec", "FAKEPACS")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"FAKEPACS at 127.0.0.1:{pacs.port}: answered in ")
    assert pacs.echoes == 1


def test_echo_as_json(pacs: FakePacs) -> None:
    good = json.loads(run("echo", LOOPBACK, pacs.port, "-aec", "FAKEPACS", "--json").stdout)
    pacs.behaviour = reject(1, 1, 7)
    bad = run("echo", LOOPBACK, pacs.port, "-aec", "FAKEPACS", "--json")

    assert good["seconds"] > 0
    assert good["error"] is None
    assert bad.exit_code == 6
    assert json.loads(bad.stdout)["seconds"] is None
    assert "called AE title 'FAKEPACS' is not known there" in json.loads(bad.stdout)["error"]


def test_echo_names_an_unknown_host() -> None:
    result = run("echo", "no-such-host.invalid", 104, "-aec", "A")

    assert result.exit_code == 6
    assert result.stdout == ""
    assert "host 'no-such-host.invalid' is unknown" in result.stderr


@pytest.mark.parametrize(
    "behaviour", [ignore(), hang()], ids=["before it is accepted", "before it is answered"]
)
def test_a_signal_ends_the_command_while_it_waits(
    tmp_path: Path, pacs: FakePacs, behaviour: Behaviour
) -> None:
    """A thread left behind would hold the process up."""
    (path,) = some_files(tmp_path, "a")
    pacs.behaviour = behaviour
    code = "from casgan_dicom.cli import main; main()"
    arguments = ["send", str(path), LOOPBACK, str(pacs.port), "-aec", "A"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        pacs.wait_for(lambda it: bool(it.received) if behaviour == hang() else it.associations == 1)
        process.terminate()
        _, said = process.communicate(timeout=30)

    assert process.returncode == 128 + signal.SIGTERM
    assert said == ""


@pytest.mark.parametrize("command", ["send", "echo"])
def test_neither_command_imports_torch(tmp_path: Path, pacs: FakePacs, command: str) -> None:
    files = some_files(tmp_path, "a") if command == "send" else []
    arguments = [command, *map(str, files), LOOPBACK, str(pacs.port), "-aec", "A"]
    code = (
        "import sys; from casgan_dicom.cli import cli; "
        "cli(sys.argv[1:], standalone_mode=False); "
        "print({'torch', 'SimpleITK', 'openvino'} & sys.modules.keys())"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )

    assert done.stdout.splitlines()[-1] == "set()"
    assert pacs.associations == 1
