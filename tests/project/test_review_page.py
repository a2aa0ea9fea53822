"""The pages about verdicts name every reason with its meaning and its code."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.derived.review_reasons import REASONS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", REASONS)
def test_every_reason_is_explained(name: str) -> None:
    term, page = REASONS[name], (DOCS / "operations.md").read_text(encoding="utf-8")

    (row,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    assert term.meaning in row
    assert f"({term.value}, {term.scheme})" in row


@pytest.mark.parametrize("name", REASONS)
def test_every_reason_stands_in_the_conformance_statement(name: str) -> None:
    term, page = REASONS[name], (DOCS / "conformance.md").read_text(encoding="utf-8")

    assert term.value in page
    assert term.scheme != "DCM" or f'({term.value}, DCM, "{term.meaning}")' in page
