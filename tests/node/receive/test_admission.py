"""Who may come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.node.receive.admission import UNKNOWN_CALLED, UNKNOWN_CALLER, Caller, Rejection, admission
from casgan_dicom.node.settings import PeerSettings
from casgan_dicom.node.tls import Identity
from tests.node.listening import settings_for

Codes = tuple[int, int, int] | None
"""Of a rejection; None for none."""


def codes(found: PeerSettings | Rejection) -> Codes:
    return found.codes if isinstance(found, Rejection) else None


@pytest.mark.parametrize(
    ("peers", "calling", "called", "address", "wanted"),
    [
        ((), "ANY", "CASGAN", "127.0.0.1", None),
        ((), "ANY", "CASGAN", "::1", None),
        ((), "ANY", "CASGAN", "::ffff:127.0.0.1", None),
        ((), "ANY", "CASGAN", "10.0.0.1", UNKNOWN_CALLER),
        ((), "ANY", "casgan", "127.0.0.1", UNKNOWN_CALLED),
        ((PeerSettings("A"),), "A", "CASGAN", "10.0.0.1", UNKNOWN_CALLER),
        ((PeerSettings("A"),), "A", "CASGAN", "127.0.0.1", None),
        ((PeerSettings("A"),), "A", "CASGAN", "::1", None),
        ((PeerSettings("A", "10.0.0.0/24"),), "A", "CASGAN", "10.0.0.77", None),
        ((PeerSettings("A", "10.0.0.0/24"),), "A", "CASGAN", "::ffff:10.0.0.77", None),
        ((PeerSettings("A", "10.0.0.0/24"),), "A", "CASGAN", "10.0.1.77", UNKNOWN_CALLER),
        ((PeerSettings("A", "10.0.0.0/24"),), "A", "CASGAN", "127.0.0.1", UNKNOWN_CALLER),
        ((PeerSettings("A", "fd00::/8"),), "A", "CASGAN", "fd12::1", None),
        ((PeerSettings("A", "fd00::/8"),), "A", "CASGAN", "10.0.0.1", UNKNOWN_CALLER),
        ((PeerSettings("A", addresses=("10.0.0.1", "10.2.0.0/16")),), "A", "CASGAN", "10.2.9.9", None),
        ((PeerSettings("A", addresses=("10.0.0.1", "10.2.0.0/16")),), "A", "CASGAN", "10.0.0.1", None),
        ((PeerSettings("A", "10.9.9.9", ("10.0.0.1",)),), "A", "CASGAN", "10.9.9.9", None),
        ((PeerSettings("A", "10.9.9.9", ("10.0.0.1",)),), "A", "CASGAN", "10.9.9.8", UNKNOWN_CALLER),
        ((PeerSettings("A"),), "B", "CASGAN", "127.0.0.1", UNKNOWN_CALLER),
        ((PeerSettings("A", "10.0.0.1"),), "A", "CASGAN", "10.0.0.1", None),
        ((PeerSettings("A", "10.0.0.1"),), "A", "CASGAN", "::ffff:10.0.0.1", None),
        ((PeerSettings("A", "10.0.0.1"),), "A", "CASGAN", "10.0.0.2", UNKNOWN_CALLER),
        ((PeerSettings("A", "10.0.0.1"), PeerSettings("A", "10.0.0.2")), "A", "CASGAN", "10.0.0.2", None),
    ],
)
def test_who_may_come_in(
    tmp_path: Path, peers: tuple[PeerSettings, ...], calling: str, called: str, address: str, wanted: Codes
) -> None:
    assert codes(admission(settings_for(tmp_path, peers), Caller(calling, called, address))) == wanted


@pytest.mark.parametrize(
    ("limited", "called", "wanted"),
    [
        ((), "CASGAN", None),
        ((), "CASGAN2", None),
        ((), "CASGAN3", UNKNOWN_CALLED),
        (("CASGAN2",), "CASGAN2", None),
        (("CASGAN2",), "CASGAN", UNKNOWN_CALLED),
        (("CASGAN", "CASGAN2"), "CASGAN", None),
    ],
)
def test_which_of_our_titles_may_be_called(
    tmp_path: Path, limited: tuple[str, ...], called: str, wanted: Codes
) -> None:
    peers = (PeerSettings("A", called_ae_titles=limited),)
    settings = settings_for(tmp_path, peers, ae_titles=("CASGAN2",))

    assert codes(admission(settings, Caller("A", called, "127.0.0.1"))) == wanted


SHOWN = Identity(
    frozenset({"DNS:ct1.example", "URI:urn:ct:1", "IP:fd00:0:0:0:0:0:0:1", "CN:CT 1"}), "ab" * 32
)


@pytest.mark.parametrize(
    ("name", "sha256", "is_let_in"),
    [
        ("", "", True),
        ("DNS:ct1.example", "", True),
        ("DNS:CT1.Example", "", True),
        ("DNS:ct2.example", "", False),
        ("DNS:example", "", False),
        ("CN:CT 1", "", True),
        ("CN:ct 1", "", False),
        ("DNS:CT 1", "", False),  # a common name is no DNS name
        ("CN:ct1.example", "", False),
        ("URI:urn:ct:1", "", True),
        ("URI:urn:ct:2", "", False),
        ("IP:fd00::1", "", True),
        ("IP:fd00::2", "", False),
        ("", "AB:" * 31 + "AB", True),
        ("", "ab" * 31 + "ac", False),
        ("DNS:ct1.example", "ab" * 32, True),
        ("DNS:ct1.example", "cd" * 32, False),
        ("DNS:ct2.example", "ab" * 32, False),
    ],
)
def test_certificate_of_somebody_else_is_no_proof(
    tmp_path: Path, name: str, sha256: str, is_let_in: bool
) -> None:
    bound = PeerSettings("A", certificate_name=name, certificate_sha256=sha256)
    settings = settings_for(tmp_path, (bound,))

    found = admission(settings, Caller("A", "CASGAN", "127.0.0.1", SHOWN))

    assert codes(found) == (None if is_let_in else UNKNOWN_CALLER)
    assert isinstance(found, PeerSettings) or found.kind == "certificate"


@pytest.mark.parametrize("bound", [{"certificate_name": "CN:CT 1"}, {"certificate_sha256": "ab" * 32}])
def test_who_is_bound_to_a_certificate_and_shows_none_is_not_let_in(
    tmp_path: Path, bound: dict[str, str]
) -> None:
    settings = settings_for(tmp_path, (PeerSettings("A", **bound),))  # type: ignore[arg-type]

    assert codes(admission(settings, Caller("A", "CASGAN", "127.0.0.1"))) == UNKNOWN_CALLER
