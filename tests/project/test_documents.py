"""The documents say what the code does, and their links lead somewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from casgan_dicom.cli import COMMANDS
from docs.build import CLI_PAGE, ROOT, broken_links
from docs.pictures import pairs_page


def test_the_page_of_commands_is_what_the_commands_print_now() -> None:
    """In a process of its own: click keeps the help option of a command that another test called alone."""
    code = "from docs.build import cli_page; print(cli_page(), end='')"

    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert CLI_PAGE.read_text(encoding="utf-8") == told.stdout, "run make docs"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_commands_has_every_command(command: str) -> None:
    assert f"Usage: casgan-dicom {command} " in CLI_PAGE.read_text(encoding="utf-8")


def test_no_link_between_the_documents_is_broken() -> None:
    assert broken_links(ROOT) == []


@pytest.mark.parametrize("target", ["absent.md", "docs/absent.md", "b.md#no-such-heading", "#nowhere"])
def test_a_broken_link_is_named_with_its_page(tmp_path: Path, target: str) -> None:
    (tmp_path / "a.md").write_text(f"# A\n\n[see]({target})\n")
    (tmp_path / "b.md").write_text("# B\n")

    assert broken_links(tmp_path) == [f"a.md: {target}"]


def test_good_links_and_those_in_code_blocks_pass(tmp_path: Path) -> None:
    page = (
        "# One & two: `three`\n\n[a](#one--two-three) [b](docs/b.md#b) ![c](c.png) [d](https://a.example/b)\n"
    )
    (tmp_path / "a.md").write_text(page + "```text\n[e](absent.md)\n```\n")
    (tmp_path / "c.png").touch()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "b.md").write_text("# B\n\n[a](../a.md)\n")

    assert broken_links(tmp_path) == []


def test_the_picture_has_a_column_for_each_patient_and_darker_vessels_below() -> None:
    page = pairs_page((1, 4), size=64)

    assert page.shape == (132, 132)
    plain, contrast = page[:64, :64].astype(int), page[68:, :64].astype(int)
    assert (plain - contrast).max() > 20
    assert abs(np.median(plain - contrast)) <= 1
