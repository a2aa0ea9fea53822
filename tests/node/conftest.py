"""What the tests of the listener share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.listening import Listening, listening


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Listening]:
    """A listener on a free port."""
    with listening(tmp_path / "data") as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test makes instances."""
    made = tmp_path / "made"
    made.mkdir()
    return made
