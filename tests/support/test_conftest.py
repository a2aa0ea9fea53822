"""What all tests share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("options", "long"), [((), False), (("--soak",), True)])
def test_the_long_form_is_what_the_option_asks_for(
    tmp_path: Path, options: tuple[str, ...], long: bool
) -> None:
    (tmp_path / "test_form.py").write_text(f"def test_form(soak): assert soak is {long}")
    shared = ("-c", "pyproject.toml", "-p", "tests.conftest", "-p", "no:cacheprovider")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *shared, *options, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
