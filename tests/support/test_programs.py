"""What a test does where a program that it wants is not installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.programs import find_program


def test_a_program_of_this_environment_is_found_and_runs() -> None:
    done = subprocess.run(
        [find_program("casgan-dicom", "this package"), "--version"], capture_output=True, check=True
    )

    assert done.stdout.startswith(b"casgan-dicom")


def test_an_absent_program_skips_the_test_and_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match=r"no-such-program .* some-package"):
        find_program("no-such-program", "some-package")


def test_an_absent_program_fails_the_test_in_continuous_integration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        find_program("no-such-program", "some-package")


def test_a_program_of_dcmtk_is_never_its_namesake_of_this_environment() -> None:
    version = subprocess.run(
        [find_program("storescu", "dcmtk"), "--version"], capture_output=True, check=True
    )

    assert b"$dcmtk" in version.stdout


def test_a_program_of_dcmtk_is_never_its_namesake_of_another_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namesake = tmp_path / "venv" / "bin" / "storescu"
    namesake.parent.mkdir(parents=True)
    namesake.write_text("#!/bin/sh\n")
    namesake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{namesake.parent}{os.pathsep}{os.environ['PATH']}")
    assert find_program("storescu", "dcmtk") == str(namesake)

    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")

    assert find_program("storescu", "dcmtk") != str(namesake)
