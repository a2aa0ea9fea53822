"""What the tests of the listener share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from casgan_dicom.node.settings import StateSettings
from tests.node.listening import Listening, listening
from tests.node.secure import Authority, Pair, listener_keys
from tests.support.postgres import Postgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def state_settings(request: pytest.FixtureRequest) -> StateSettings:
    """Where a node keeps its books: a test that asks for it runs with each."""
    if request.param == "sqlite":
        return StateSettings()
    server: Postgres = request.getfixturevalue("postgres")
    return server.settings()


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


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom both ends of TLS believe."""
    return Authority.make(tmp_path_factory.mktemp("ca"), "ca")


@pytest.fixture(scope="session")
def node(authority: Authority) -> Pair:
    """What the node shows."""
    return authority.issue("node")


@pytest.fixture(scope="session")
def modality(authority: Authority) -> Pair:
    """What a sender shows."""
    return authority.issue("ct1", names=["ct1.example"], uris=["urn:ct:1"])


@pytest.fixture
def secure(tmp_path: Path, authority: Authority, node: Pair) -> Iterator[Listening]:
    """A listener with TLS."""
    with listening(tmp_path / "data", **listener_keys(authority, node)) as running:
        yield running
