"""Programs that tests run beside Python. Absent ones skip the test; in continuous integration it fails."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path
from typing import NoReturn

import pytest

ELSEWHERE = ("dcmtk",)
"""Packages of the system some of whose programs have namesakes here: pynetdicom has a storescu of its own."""


def find_program(name: str, package: str) -> str:
    """Path of a program: beside this Python, then on PATH; those of `ELSEWHERE` never beside a Python.

    Where it is absent the test is skipped and names the `package` that holds it. With CI set it fails
    instead: there, everything is installed, and a test that silently never runs is worth nothing.
    """
    scripts = sysconfig.get_path("scripts")
    beside = Path(scripts) / name
    if package in ELSEWHERE:
        folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
        path = [folder for folder in folders if folder != scripts and not _is_of_python(folder)]
        found = shutil.which(name, path=os.pathsep.join([*path, "/usr/sbin", "/sbin"]))
    else:
        found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        absent(f"{name} is not installed; it comes with {package}")
    return found


def _is_of_python(folder: str) -> bool:
    """Whether programs there are those of a virtual environment, maybe of another one that is active."""
    return (Path(folder).parent / "pyvenv.cfg").is_file()


def absent(what: str) -> NoReturn:
    """Skip the test because something is absent, or fail it with CI set."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(what)
    pytest.skip(what)
