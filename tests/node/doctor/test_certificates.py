"""Certificates of the node: each kind of fault by the key that names the file."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from casgan_dicom.node.doctor.certificates import look_at_certificates
from casgan_dicom.node.doctor.finding import Verdict
from casgan_dicom.node.settings import DestinationSettings, ListenerSettings, NodeSettings, WebSettings
from tests.node.doctor.looking import bad
from tests.node.secure import Authority, Pair, destination_keys, listener_keys


def of_listener(authority: Authority, pair: Pair, **other: str) -> NodeSettings:
    """A node with TLS on its port."""
    return NodeSettings(listener=ListenerSettings(**listener_keys(authority, pair) | other))


def test_a_node_without_tls_has_nothing_to_look_at() -> None:
    assert list(look_at_certificates(NodeSettings())) == []


def test_a_good_certificate_is_well(authority: Authority, node: Pair) -> None:
    found = list(look_at_certificates(of_listener(authority, node)))

    assert bad(found) == {}
    assert {"listener.tls_certificate", "listener.tls_authorities"} == {each.about for each in found}


@pytest.mark.parametrize(("days", "verdict"), [(-1, Verdict.FAIL), (10, Verdict.WARN)])
def test_what_expires_soon_is_a_warning_and_what_has_expired_a_failure(
    authority: Authority, days: float, verdict: Verdict
) -> None:
    pair = authority.issue("aged", days=days, file=f"aged{days}")

    assert bad(look_at_certificates(of_listener(authority, pair))) == {"listener.tls_certificate": verdict}


def test_the_key_of_another_certificate_is_the_fault_of_the_key(authority: Authority, node: Pair) -> None:
    other = authority.issue("other", own_key=True)

    found = bad(look_at_certificates(of_listener(authority, node, tls_key=str(other.key))))

    assert found == {"listener.tls_key": Verdict.FAIL}


def test_a_file_that_is_not_there_is_told_by_its_key(authority: Authority, node: Pair) -> None:
    settings = of_listener(authority, node, tls_authorities="/nowhere/ca.pem")

    assert bad(look_at_certificates(settings)) == {"listener.tls_authorities": Verdict.FAIL}


def test_an_authority_that_is_not_the_issuer_is_a_warning(
    authority: Authority, node: Pair, tmp_path: Path
) -> None:
    stranger = Authority.make(tmp_path, "stranger")

    assert bad(look_at_certificates(of_listener(stranger, node))) == {
        "listener.tls_certificate": Verdict.WARN
    }


def test_a_chain_in_the_wrong_order_is_a_failure(
    authority: Authority, node: Pair, modality: Pair, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(node.certificate.read_bytes() + modality.certificate.read_bytes())

    found = bad(look_at_certificates(of_listener(authority, node, tls_certificate=str(both))))

    assert found == {"listener.tls_certificate": Verdict.FAIL}


def test_a_chain_up_to_its_root_leads_somewhere(authority: Authority, node: Pair, tmp_path: Path) -> None:
    chain, stranger = tmp_path / "chain.pem", Authority.make(tmp_path, "stranger")
    chain.write_bytes(node.certificate.read_bytes() + authority.certificate.read_bytes())

    assert bad(look_at_certificates(of_listener(stranger, node, tls_certificate=str(chain)))) == {}


@pytest.mark.parametrize(
    ("host", "names", "verdicts"),
    [
        ("10.1.2.3", ["10.1.2.3"], {}),
        ("10.1.2.3", ["10.1.2.4", "elsewhere.example"], {"listener.tls_certificate": Verdict.WARN}),
        ("node.example", ["NODE.example"], {}),
        ("0.0.0.0", [socket.gethostname()], {}),
        ("::", ["elsewhere.example"], {"listener.tls_certificate": Verdict.WARN}),
    ],
)
def test_a_certificate_is_for_the_name_that_peers_call(
    authority: Authority, host: str, names: list[str], verdicts: dict[str, Verdict]
) -> None:
    pair = authority.issue("named", names=names)

    assert bad(look_at_certificates(of_listener(authority, pair, host=host))) == verdicts


def test_the_certificates_of_web_and_destinations_are_looked_at_too(authority: Authority) -> None:
    expired = authority.issue("expired", days=-3)
    web = WebSettings(port=8443, **listener_keys(authority, expired))
    place = DestinationSettings("pacs", "pacs.example", 2762, "PACS", **destination_keys(authority, expired))

    found = bad(look_at_certificates(NodeSettings(web=web, destinations=(place,))))

    assert found == {
        "web.tls_certificate": Verdict.FAIL,
        "destinations#1.tls_certificate": Verdict.FAIL,
    }
