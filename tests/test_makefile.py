"""The targets that the documents promise, and the script of continuous integration."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.programs import find_program

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("setup", "demo", "test", "lint", "bench", "docs")


def planned(target: str) -> str:
    """The commands that make would run."""
    # Called by make itself, the tests inherit its flags.
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = [find_program("make", "make"), "-n", "--always-make", target]
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_sets_up_the_environment_first(target: str) -> None:
    plan = planned(target)

    assert "-m venv .venv" in plan
    assert plan.index("-c constraints.txt torch") < plan.index("-e '.[openvino,metrics,dev]'")


def test_demo_converts_the_sample_series_with_a_picture() -> None:
    assert planned("demo").rstrip().endswith("convert sample_series -o demo --preview")


def test_help_names_every_target() -> None:
    program = find_program("make", "make")

    shown = subprocess.run([program, "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert set(TARGETS) <= set(re.findall(r"make (\w+)", shown))


def test_the_script_of_continuous_integration_is_executable_and_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
