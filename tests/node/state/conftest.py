"""What the tests of the books share: they run on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from casgan_dicom.node.settings import NodeSettings, StateSettings
from casgan_dicom.node.state.books import ledger_place, workflow_place
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.postgres_place import Place


@pytest.fixture
def place(tmp_path: Path, state_settings: StateSettings) -> Place:
    """Where the ledger of a node in `tmp_path` lies, and nothing is yet."""
    return ledger_place(NodeSettings(data=tmp_path, state=state_settings))


@pytest.fixture
def workflow_database(tmp_path: Path, state_settings: StateSettings) -> Place:
    """Where its workflows lie, likewise."""
    return workflow_place(NodeSettings(data=tmp_path, state=state_settings))


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    """A ledger that holds nothing."""
    opened = Ledger(place)
    yield opened
    opened.close()
