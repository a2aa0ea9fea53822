"""What a run was made with."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

import pytest
import torch

import casgan_dicom
from casgan_dicom.errors import WeightsError
from casgan_dicom.model.training import environment
from casgan_dicom.model.training.environment import source_revision, write_environment


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit_all(folder: Path) -> None:
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")


def test_a_run_folder_says_what_it_was_made_with(tmp_path: Path) -> None:
    write_environment(tmp_path, "cpu")
    facts = json.loads((tmp_path / "environment.json").read_text())
    assert facts["python"] == platform.python_version()
    assert facts["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert facts["casgan-dicom"]
    assert (facts["device"], facts["device_name"]) == ("cpu", platform.machine())
    assert facts["threads"] == torch.get_num_threads()


def test_a_resumed_run_says_what_it_was_made_with_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(revision: str, *, resume: bool) -> list[str]:
        monkeypatch.setattr(environment, "source_revision", lambda: revision)
        write_environment(tmp_path, "cpu", resume=resume)
        facts = json.loads((tmp_path / "environment.json").read_text())
        return [facts["source_revision"], *(each["source_revision"] for each in facts["earlier"])]

    assert start("a", resume=False) == ["a"]
    assert start("a", resume=True) == ["a"]
    assert start("b", resume=True) == ["b", "a"]
    assert start("c", resume=True) == ["c", "a", "b"]
    assert start("a", resume=False) == ["a"]


@pytest.mark.parametrize("damaged", ["", "[1]"])
def test_a_damaged_record_of_a_resumed_run_is_an_error_that_names_it(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "environment.json").write_text(damaged)

    with pytest.raises(WeightsError, match=f"run '{tmp_path.name}': environment.json cannot be read"):
        write_environment(tmp_path, "cpu", resume=True)

    assert (tmp_path / "environment.json").read_text() == damaged


def test_the_revision_is_that_of_the_clone_and_says_when_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    source = package / "deep" / "below" / "file.py"
    source.parent.mkdir(parents=True)
    source.write_text("first")
    (package / "__init__.py").touch()
    monkeypatch.setattr(casgan_dicom, "__file__", str(package / "__init__.py"))
    commit_all(tmp_path)

    assert source_revision() == git(tmp_path, "rev-parse", "HEAD")
    source.write_text("second")
    assert source_revision() == git(tmp_path, "rev-parse", "HEAD") + "+changed"


def test_a_clone_of_something_else_around_the_package_is_not_its_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed in an environment that lies in the folder of another project, as most do."""
    (tmp_path / ".gitignore").write_text(".venv")
    commit_all(tmp_path)
    installed = tmp_path / ".venv" / "casgan_dicom" / "__init__.py"
    installed.parent.mkdir(parents=True)
    installed.touch()
    monkeypatch.setattr(casgan_dicom, "__file__", str(installed))

    assert source_revision() is None


def test_there_is_no_revision_outside_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(casgan_dicom, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert source_revision() is None
