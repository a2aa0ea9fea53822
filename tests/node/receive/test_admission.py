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
        ((PeerSettings("A"),), "A", "CASGAN", "10.0.0.1", UNKNOWN_CALLER),
        ((PeerSettings("A"),), "A", "CASGAN", "127.0.0.1", 0),
        ((PeerSettings("A"),), "A", "CASGAN", "::1", 0),
        ((PeerSettings("A", "10.0.0.0/24"),), "A", "CASGAN", "10.0.0.77", 0),
        ((PeerSettings("A", "10.0.0.0/24"),), "A", "CASGAN", "::ffff:10.0.0.77", 0),
        ((PeerSettings("A", "10.0.0.0/24"),), "A", "CASGAN", "10.0.1.77", UNKNOWN_CALLER),
        ((PeerSettings("A", "10.0.0.0/24"),), "A", "CASGAN", "127.0.0.1", UNKNOWN_CALLER),
        ((PeerSettings("A", "fd00::/8"),), "A", "CASGAN", "fd12::1", 0),
        ((PeerSettings("A", "fd00::/8"),), "A", "CASGAN", "10.0.0.1", UNKNOWN_CALLER),
        ((PeerSettings("A", addresses=("10.0.0.1", "10.2.0.0/16")),), "A", "CASGAN", "10.2.9.9", 0),
        ((PeerSettings("A", addresses=("10.0.0.1", "10.2.0.0/16")),), "A", "CASGAN", "10.0.0.1", 0),
        ((PeerSettings("A", "10.9.9.9", ("10.0.0.1",)),), "A", "CASGAN", "10.9.9.9", 0),
        ((PeerSettings("A", "10.9.9.9", ("10.0.0.1",)),), "A", "CASGAN", "10.9.9.8", UNKNOWN_CALLER),
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
