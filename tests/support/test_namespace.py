"""The script that gives a command a network of its own, and what a test does that is not in one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.namespace import (
    CABLE,
    NOT_PERMITTED,
    OWN,
    PROGRAM_MISSING,
    SCRIPT,
    VARIABLE,
    in_own_namespace,
    need_namespace,
)
from tests.support.namespace import need_permission as need_permission_now
from tests.support.programs import find_program

ROOT = Path(__file__).resolve().parents[2]
INSIDE = ("bash", str(SCRIPT))

LOOK = "from tests.support.namespace import *; print(in_own_namespace(), interfaces_up())"
CONNECT = (
    "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
)
WAIT = "import signal; signal.signal({0}, lambda *_: exit(3)); print('ready', flush=True); signal.pause()"

DENY = (
    "unshare",
    "--map-root-user",
    "bash",
    "-euc",
    'echo 0 >/proc/sys/user/max_net_namespaces; exec "$@"',
    "-",
)
"""Runs a command where the kernel refuses every new network namespace."""


@pytest.fixture
def need_permission() -> None:
    need_permission_now()


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a namespace of ours, even if these tests are."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("CI", raising=False)


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("need_permission", "outside")
def test_inside_only_loopback_is_up_and_it_works() -> None:
    assert run(*python(LOOK)).stdout.startswith("False ")

    assert run(*INSIDE, *python(LOOK)).stdout == "True ['lo']\n"
    assert run(*INSIDE, *python(CONNECT)).returncode == 0


@contextmanager
def waiting_inside(number: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process inside that exits with status 3 when it gets this signal; killed at the end."""
    command = (*INSIDE, *python(WAIT.format(number)))
    with subprocess.Popen(command, stdout=subprocess.PIPE, process_group=0) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.usefixtures("need_permission")
def test_a_namespace_is_another_one_each_time_and_leaves_nothing_behind() -> None:
    named = run("ip", "netns", "list").stdout
    with waiting_inside(signal.SIGTERM) as first:
        its = str(Path(f"/proc/{first.pid}/ns/net").readlink())

        another = run(*INSIDE, "readlink", str(OWN)).stdout.strip()

        assert len({its, another, str(OWN.readlink())}) == 3
    assert its not in in_use()
    assert named == run("ip", "netns", "list").stdout


def in_use() -> set[str]:
    """Network namespaces of all processes."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(str(link.readlink()))
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


@pytest.mark.usefixtures("need_permission")
@pytest.mark.parametrize("status", [0, 1, 5, 125])
def test_the_exit_status_is_that_of_the_command(status: int) -> None:
    assert run(*INSIDE, "sh", "-c", f"exit {status}").returncode == status


@pytest.mark.usefixtures("need_permission")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_command(number: signal.Signals) -> None:
    with waiting_inside(number) as process:
        process.send_signal(number)

        assert process.wait(30) == 3


@pytest.mark.usefixtures("need_permission")
def test_words_reach_the_command_as_they_are() -> None:
    words = ["a b", "", "$HOME", "--if-permitted", "'\"*"]

    shown = run(*INSIDE, *python("import sys; print(sys.argv[1:])"), *words).stdout

    assert shown == f"{words}\n"


def test_where_no_namespace_is_permitted_it_says_so_and_runs_nothing(tmp_path: Path) -> None:
    refused = run(*denied(), *INSIDE, "touch", str(tmp_path / "ran"))

    assert refused.returncode == NOT_PERMITTED
    assert re.fullmatch(r"no network namespace: unshare: .+\n", refused.stderr)
    assert not (tmp_path / "ran").exists()


def test_where_no_namespace_is_permitted_the_command_may_run_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(OWN.readlink()))

    ran = run(*denied(), *INSIDE, "--if-permitted", "sh", "-c", f'echo "<${VARIABLE}>"; exit 7')

    assert ran.returncode == 7
    assert ran.stdout == "<>\n"
    assert ran.stderr.startswith("no network namespace: ")


def denied() -> tuple[str, ...]:
    if run("unshare", "--map-root-user", "true").returncode:
        pytest.skip("no user namespace is permitted, in which to forbid network namespaces")
    return DENY


def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    """On a PATH with nothing but the shell; the script itself adds the folders of root's programs."""
    if shutil.which("unshare", path="/usr/sbin:/sbin"):
        pytest.skip("unshare is among the programs of root here")
    (tmp_path / "bash").symlink_to(find_program("bash", "bash"))

    missing = subprocess.run(
        [*INSIDE, "true"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert missing.returncode == PROGRAM_MISSING
    assert "unshare is not installed; it comes with util-linux" in missing.stderr


@pytest.mark.usefixtures("need_permission", "outside")
def test_outside_a_test_skips_and_says_how_to_run_it() -> None:
    with pytest.raises(pytest.skip.Exception, match="run `make test`"):
        need_namespace()


@pytest.mark.usefixtures("need_permission", "outside")
def test_outside_a_test_fails_in_continuous_integration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="run `make test`"):
        need_namespace()


@pytest.mark.usefixtures("outside")
def test_where_none_is_permitted_a_test_skips_even_in_continuous_integration() -> None:
    code = "import os; os.environ['CI'] = 'true'; from tests.support.namespace import *; need_namespace()"

    told = run(*denied(), *python(code)).stderr

    assert "Skipped: needs a network namespace of its own, which this machine does not permit: " in told


@pytest.mark.usefixtures("need_permission", "outside")
def test_an_inherited_variable_is_not_believed() -> None:
    others = f"import os; os.environ['{VARIABLE}'] = 'net:[1]'; {LOOK}"

    assert run(*INSIDE, *python(others)).stdout == "False ['lo']\n"


@pytest.mark.usefixtures("need_permission", "outside")
@pytest.mark.parametrize(("state", "told"), [("up", "False ['lo', 'br0']"), ("down", "True ['lo']")])
def test_another_interface_that_is_up_is_one_too_many(state: str, told: str) -> None:
    added = f"ip link add br0 type bridge; ip link set br0 {state}"

    shown = run(*INSIDE, "bash", "-euc", f'{added}; exec "$@"', "-", *python(LOOK))

    if "Unknown device type" in shown.stderr:
        pytest.skip("this kernel has no bridges")
    assert shown.stdout == f"{told}\n"


@pytest.mark.usefixtures("need_permission", "outside")
def test_plain_pytest_skips_every_test_that_is_marked() -> None:
    told = run(
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-m",
        "orthanc",
        "tests/support/test_orthanc.py",
    )

    assert told.returncode == 0
    assert re.search(
        r"SKIPPED \[\d+\] .*: needs a network namespace of its own: run `make test`", told.stdout
    )
    assert re.search(r"^=+ \d+ skipped", told.stdout.splitlines()[-1])


@pytest.mark.orthanc
def test_what_is_marked_runs_in_a_namespace_of_its_own() -> None:
    assert in_own_namespace()


@pytest.mark.orthanc
def test_machines_of_another_test_make_it_no_other_namespace() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may lay cables")
    ip, ends = find_program("ip", "iproute2"), (f"{CABLE}8", f"{CABLE}9")
    subprocess.run([ip, "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]], check=True)
    try:
        for end in ends:
            subprocess.run([ip, "link", "set", end, "up"], check=True)
        assert in_own_namespace()
    finally:
        subprocess.run([ip, "link", "del", ends[0]], check=True)
