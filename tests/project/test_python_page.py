"""The Python of README.md, every example of docs/python.md and docs/a_first_look.py are run word for word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import casgan_dicom
from tests.support.toy_method import installed_toy

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
SCRIPT = (ROOT / "docs" / "a_first_look.py").read_text(encoding="utf-8")

README = (ROOT / "README.md").read_text(encoding="utf-8")

_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"^## (\d+)\. .+?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def ran(code: str, folder: Path) -> str:
    """What Python code prints, in a folder that holds the sample series, with the toy method installed."""
    (folder / "sample_series").symlink_to(ROOT / "sample_series")
    (folder / "elsewhere").mkdir()
    environment = installed_toy(folder / "elsewhere") | {"MPLBACKEND": "agg"}
    (folder / "code.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "code.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def shown(path: Path) -> tuple[int, int]:
    """Size of a picture that is not of one colour."""
    with Image.open(path) as picture:
        assert np.asarray(picture.convert("L")).std() > 10
        return picture.size


def test_the_page_has_ten_examples_and_runs_all_its_code() -> None:
    numbers = [int(number) for number, _ in _EXAMPLE.findall(PAGE)]

    assert numbers == list(range(1, 11))
    assert PAGE.count("```python") == len(_PYTHON.findall(PAGE)) == 10
    assert README.count("```python") == len(_PYTHON.findall(README)) == 1
    assert max(code.count("\n") for _, code in _EXAMPLE.findall(PAGE)) <= 20


def test_the_line_that_registers_a_method_is_that_of_the_package_that_the_page_names() -> None:
    (line,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

    assert line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.e2e
def test_the_examples_do_what_the_pages_say(tmp_path: Path) -> None:
    printed = ran("\n".join([*_PYTHON.findall(README), *_PYTHON.findall(PAGE)]), tmp_path)

    assert list((tmp_path / "synthetic").rglob("*.dcm"))
    (report,) = (tmp_path / "derived").glob("report.json")
    written = sorted(report.parent.rglob("*.dcm"))
    assert len(written) == 2
    assert all(f"{path.name} ok" in printed for path in written)
    assert casgan_dicom.Generator.load(tmp_path / "run" / "bundle").info.name == "run"
    assert "toy-run/bundle toy" in printed
    assert "no-such-study: no such file or folder\ntry: check the spelling" in printed
    assert "WeightsError 5 bundle 'casgan-moon'" in printed
    assert shown(tmp_path / "panels.png") == (1350, 517)


@pytest.mark.e2e
def test_the_script_leaves_its_pictures_and_says_what_they_are(tmp_path: Path) -> None:
    printed = ran(SCRIPT, tmp_path)

    assert all("NOT FOR DIAGNOSIS" in line for line in printed.splitlines())
    dice = [float(value) for value in re.findall(r"Dice of .* is (\d\.\d+)$", printed, re.MULTILINE)]
    assert len(dice) == 3
    assert dice[0] > 0.5 > dice[1]  # the arteries of the simulator are found, the network's are elsewhere
    assert shown(tmp_path / "first_look.png") == (1440, 414)
    assert shown(tmp_path / "first_look_in_time.png") == (720, 384)


def test_the_script_is_short_and_goes_cell_by_cell() -> None:
    assert len(SCRIPT.splitlines()) <= 80
    assert len(re.findall(r"^# %% .", SCRIPT, re.MULTILINE)) >= 5
