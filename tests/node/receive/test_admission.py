"""Who may come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.node.receive.admission import UNKNOWN_CALLED, UNKNOWN_CALLER, admission
from casgan_dicom.node.settings import PeerSettings
from tests.node.listening import settings_for


@pytest.mark.parametrize(
    ("peers", "calling", "called", "address", "wanted"),
    [
        ((), "ANY", "CASGAN", "127.0.0.1", 0),
        ((), "ANY", "CASGAN", "::1", 0),
        ((), "ANY", "CASGAN", "::ffff:127.0.0.1", 0),
        ((), "ANY", "CASGAN", "10.0.0.1", UNKNOWN_CALLER),
        ((), "ANY", "casgan", "127.0.0.1", UNKNOWN_CALLED),
        ((PeerSettings("A"),), "A", "CASGAN", "10.0.0.1", 0),
        ((PeerSettings("A"),), "B", "CASGAN", "127.0.0.1", UNKNOWN_CALLER),
        ((PeerSettings("A", "10.0.0.1"),), "A", "CASGAN", "10.0.0.1", 0),
        ((PeerSettings("A", "10.0.0.1"),), "A", "CASGAN", "::ffff:10.0.0.1", 0),
        ((PeerSettings("A", "10.0.0.1"),), "A", "CASGAN", "10.0.0.2", UNKNOWN_CALLER),
        ((PeerSettings("A", "10.0.0.1"), PeerSettings("A", "10.0.0.2")), "A", "CASGAN", "10.0.0.2", 0),
    ],
)
def test_who_may_come_in(
    tmp_path: Path, peers: tuple[PeerSettings, ...], calling: str, called: str, address: str, wanted: int
) -> None:
    assert admission(settings_for(tmp_path, peers), calling, called, address) == wanted
