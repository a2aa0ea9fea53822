"""The targets that the documents promise, and the script of continuous integration."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.support.programs import find_program

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("setup", "demo", "test", "lint", "bench", "soak", "docs")
NEED_PROGRAMS = ("test", "bench", "soak")


def make(*arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    """Run make, with `path` as PATH; called by make itself, the tests inherit its flags, so not those."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = [find_program("make", "make"), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=settings | {"PATH": path}, capture_output=True, text=True, check=False
    )


def planned(target: str) -> str:
    """The commands that make would run."""
    plan = make("-n", "--always-make", target)
    assert plan.returncode == 0, plan.stderr
    return plan.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_sets_up_the_environment_first(target: str) -> None:
    plan = planned(target)

    assert "-m venv .venv" in plan
    assert plan.index("-c constraints.txt torch") < plan.index("-e '.[dev,")


def test_what_is_installed_where_continuous_integration_runs_is_checked_by_its_digest() -> None:
    checked = planned("setup").partition("else \\")[0]
    installs = [line for line in checked.splitlines() if " -m pip install" in line]

    assert [("--require-hashes" in line, "--no-deps" in line) for line in installs] == [
        (True, True),
        (False, True),  # torch: a CPU build, another file under the same version
        (False, True),  # this project itself
    ]
    assert "-r hashes.txt" in installs[0]
    assert installs[1].rstrip("; \\").endswith(" torch")
    assert "-m pip check" in checked


def test_demo_converts_the_sample_series_with_a_picture() -> None:
    assert planned("demo").rstrip().endswith("convert sample_series -o demo --preview")


def test_help_names_every_target() -> None:
    shown = make("help").stdout

    assert set(TARGETS) <= set(re.findall(r"make (\w+)", shown))


@pytest.mark.parametrize("target", NEED_PROGRAMS)
def test_what_may_need_orthanc_brings_the_programs_and_runs_in_a_namespace(target: str) -> None:
    plan = planned(target)

    assert "Orthanc:orthanc" in plan
    inside = r"bash tests/support/in_namespace\.sh --if-permitted (env .*)?"
    assert re.search(rf"{inside}\S+python -m (pytest|tests\.bench)", plan)


def test_the_tests_bring_a_viewer_an_archive_that_serves_it_and_a_browser() -> None:
    plan = planned("test")

    assert plan.index("-m tests.viewer.ohif") < plan.index("-m pytest")
    for wanted in ("chromium:chromium", "libOrthancDicomWeb.so:orthanc-dicomweb"):
        assert wanted in plan


def test_programs_that_are_there_are_left_alone(tmp_path: Path) -> None:
    done = make(
        "programs",
        f"PROGRAMS=ls:coreutils bash:bash {ROOT / 'README.md'}:some-files",
        path=with_debian(tmp_path, user=0),
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_root_installs_what_is_absent_and_no_service_of_it(tmp_path: Path) -> None:
    wanted = "PROGRAMS=ls:coreutils no-such-program:some no-such-other:other"

    done = make("programs", wanted, path=with_debian(tmp_path, user=0))

    updated, installed = done.stdout.splitlines()
    assert updated.startswith("update")
    assert installed.startswith("install")
    assert installed.endswith(" some other")
    for kept_out in ("/etc/init.d/orthanc", "*/orthanc.service"):
        assert f"-o Dpkg::Options::=--path-exclude={kept_out} " in installed


def test_debian_is_told_to_make_no_database_before_it_installs_postgresql(tmp_path: Path) -> None:
    told = tmp_path / "etc" / "none.conf"
    wanted = ("PROGRAMS=no-such-program:postgresql", f"NO_CLUSTER={told}")
    path = with_debian(tmp_path, user=0)
    (tmp_path / "apt-get").write_text(f"#!/bin/sh\ncat {told}\n")

    done = make("programs", *wanted, path=path)

    assert done.stdout.splitlines() == ["create_main_cluster = false"] * 2  # there at the update already


def test_without_root_what_is_absent_is_said(tmp_path: Path) -> None:
    done = make("programs", "PROGRAMS=no-such-program:some", path=with_debian(tmp_path, user=1000))

    assert (done.returncode, done.stdout) == (0, "")
    assert "not installed: some; the tests that need them skip" in done.stderr


def with_debian(folder: Path, user: int) -> str:
    """PATH of a machine where apt-get only repeats its words, and of which we are this user."""
    for name, line in (("apt-get", 'echo "$@"'), ("id", f"echo {user}")):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("plain", "marked", "passes"),
    [
        (True, True, True),
        (False, True, False),
        (True, False, False),
        (None, True, True),
        (True, None, True),
        (None, None, False),
    ],
)
def test_make_test_runs_both_kinds_and_fails_with_either(
    tmp_path: Path, plain: bool | None, marked: bool | None, passes: bool
) -> None:
    """None: there is no such test. At least one has to be among those that ARGS names."""
    page = ["import pytest"]
    page += [] if plain is None else [f"def test_plain(): assert {plain}"]
    page += [] if marked is None else [f"@pytest.mark.orthanc\ndef test_marked(): assert {marked}"]
    (tmp_path / "test_both.py").write_text("\n".join(page))

    done = make_test(f"ARGS=-c pyproject.toml -p no:cacheprovider -p no:hypothesispytest -v {tmp_path}")

    assert (done.returncode == 0) is passes
    for name, verdict in (("plain", plain), ("marked", marked)):
        shown = re.findall(rf"(?m)^\[gw\d\].* (PASSED|FAILED) \S*::test_{name} *$", done.stdout)
        assert shown == ([] if verdict is None else ["PASSED" if verdict else "FAILED"])


def make_test(*settings: str) -> subprocess.CompletedProcess[str]:
    """`make test` in this environment, which is not made again, without the viewer."""
    here = (f"BIN={sysconfig.get_path('scripts')}", "PROGRAMS=ls:coreutils")
    return make(*here, "-o", ".venv/.ready", "-o", "viewer", "test", *settings)


def test_the_script_of_continuous_integration_is_executable_and_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
