"""What package and command line load before they have anything to do: nothing that takes a second."""

from __future__ import annotations

import subprocess
import sys

import pytest

from casgan_dicom.cli import cli
from tests.support.commands import commands

HEAVY = {
    "torch",
    "openvino",
    "SimpleITK",
    "scipy",
    "numpy",
    "pydicom",
    "highdicom",
    "pynetdicom",
    "dbos",
    "rich",
}

_PROBE = """
import sys
from casgan_dicom.cli import main
sys.argv = {argv!r}
try:
    main()
except SystemExit as stop:
    assert (stop.code or 0) == {code}, stop.code
print("LOADED", *sorted({{name.split(".")[0] for name in sys.modules}}))
"""


def loaded_after(*arguments: str, code: int = 0) -> set[str]:
    """Top-level modules that are loaded once casgan-dicom has run with these arguments, to this exit code."""
    probe = _PROBE.format(argv=["casgan-dicom", *arguments], code=code)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("arguments", [["-h"], ["--version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    loaded = loaded_after(*arguments)

    assert "click" in loaded  # the probe sees what is loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("words", list(commands(cli)), ids=" ".join)
def test_help_of_every_command_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    assert not loaded_after(*words, "-h") & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [
        ["konvert"],
        ["convert"],
        ["convert", "a", "--bits", "9"],
        ["train", "--data", "sim:1"],
        ["simulate", "a", "--size", "5000"],
        ["weights", "export", "atlas", "--format", "word"],
        ["node", "jobs", "--state", "lost"],
    ],
)
def test_wrong_usage_loads_nothing_heavy(arguments: list[str]) -> None:
    assert not loaded_after(*arguments, code=2) & HEAVY


@pytest.mark.parametrize("code", ["import casgan_dicom", "from casgan_dicom import CasganError, __version__"])
def test_the_import_alone_loads_nothing_heavy(code: str) -> None:
    probe = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert "casgan_dicom" in done.stdout.split()
    assert not set(done.stdout.split()) & (HEAVY | {"numpy", "click"})


def test_a_generator_that_draws_frame_by_frame_loads_nothing_that_grows_trees() -> None:
    probe = "import sys, casgan_dicom.model.generator; print('scipy.interpolate' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
