"""Every block of commands in the documents is run here, or says why it is not."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "docs/convert.md",
    "docs/input.md",
    "docs/package.md",
    "docs/simulator.md",
    "docs/training.md",
)
"""Pages some of whose commands are run here."""
OTHERS = ("docs/operations.md", "docs/reliability.md")
"""Pages whose commands need more than a shell: their own tests run them."""

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```bash\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def blocks(page: str) -> list[tuple[str, str]]:
    """Mark and code of the blocks of commands on a page; the mark is empty where there is none."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [(match["mark"] or "", match["code"]) for match in _BLOCK.finditer(text)]


@pytest.mark.parametrize("page", [*PAGES, *OTHERS])
def test_every_block_of_commands_is_run_or_says_why_not(page: str) -> None:
    marks = [mark for mark, _ in blocks(page)]

    assert len(marks) == (ROOT / page).read_text(encoding="utf-8").count("```bash")
    assert ("run" in marks) == (page in PAGES)
    assert [mark for mark in marks if mark != "run" and not mark.startswith("not run by the tests: ")] == []


@pytest.mark.e2e
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_do_what_it_says(page: str, tmp_path: Path) -> None:
    (tmp_path / "sample_series").symlink_to(ROOT / "sample_series")
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    settings = {name: value for name, value in os.environ.items() if not name.startswith("CASGAN_CONVERT")}

    for code in (code for mark, code in blocks(page) if mark == "run"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=tmp_path,
            env=settings | {"PATH": path, "CASGAN_DATA": str(tmp_path / "data")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stderr[-2000:]}"


def test_the_exit_codes_of_the_documents_are_those_of_the_command() -> None:
    codes, in_help = r"^\| ([0-6]) \| (\w+)", r"^ +([0-6])  (\w+)"
    of_convert = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    of_convert = of_convert.partition("## casgan-dicom convert")[2].partition("\n## ")[0]
    said = dict(re.findall(in_help, of_convert, re.MULTILINE))

    assert len(said) == 5
    for page in ("README.md", "docs/convert.md"):
        table = re.findall(codes, (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert dict(table) == said
