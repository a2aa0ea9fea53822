"""Settings of the audit trail that make no sense together, or by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.checks import problems
from casgan_dicom.node.credentials import check_files, expiries, files_of_audit
from casgan_dicom.node.settings import AuditSettings, ListenerSettings, NodeSettings
from casgan_dicom.node.state.audit_key import chain_key
from tests.node.secure import Authority


def of(**changes: Any) -> tuple[str, ...]:  # noqa: ANN401  # fields of any type
    return problems(NodeSettings(audit=AuditSettings(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "syslog.example"},
        {"host": "10.1.2.3", "port": 514, "transport": "udp"},
        {"host": "::1", "port": 601, "transport": "tcp", "key_file": Path("/etc/key")},
        {"host": "syslog", "tls_authorities": "ca", "tls_certificate": "c", "tls_key": "k", "tls_name": "x"},
    ],
)
def test_these_make_sense(changes: dict[str, Any]) -> None:
    assert of(**changes) == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"host": "a b"}, "audit.host is 'a b', want an address or a name"),
        ({"port": 0}, "audit.port is 0, want 1 to 65535"),
        ({"transport": "ssl"}, "audit.transport is 'ssl', want one of tls, tcp, udp"),
        ({"key_file": Path("key")}, "audit.key_file is 'key', want a path that begins with /"),
        ({"tls_authorities": "ca"}, "audit.tls_authorities is set, want audit.host with it"),
        (
            {"host": "x", "transport": "udp", "patients": True},
            "audit.patients is true and audit.transport is 'udp', want tls: anybody could read it",
        ),
        (
            {"host": "x", "transport": "tcp", "tls_name": "x"},
            "audit.tls_name is set, want audit.transport = \"tls\" with it, not 'tcp'",
        ),
        (
            {"host": "x", "tls_certificate": "c"},
            "audit.tls_key is '', want a file: audit.tls_certificate is set",
        ),
    ],
)
def test_what_makes_no_sense_is_told(changes: dict[str, Any], problem: str) -> None:
    assert of(**changes) == (problem,)


@pytest.mark.parametrize("content", [None, b"short", b"x" * 5000])
def test_a_key_that_is_none_is_told_without_what_it_holds(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        chain_key(AuditSettings(key_file=path))

    assert "audit.key_file" in caught.value.message
    assert "short" not in caught.value.message


def test_files_for_the_server_are_checked_at_the_start_and_for_their_end(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path, "ca")
    gone = authority.issue("gone", days=-3)
    settings = NodeSettings(
        audit=AuditSettings(
            host="x",
            tls_authorities=str(authority.certificate),
            tls_certificate=str(gone.certificate),
            tls_key=str(gone.key),
        )
    )

    with pytest.raises(ConfigError, match=r"audit\.tls_certificate .* expired"):
        check_files(settings, gone.certificate.stat().st_mtime)
    found = {each.key: each.days_left for each in expiries(settings, gone.certificate.stat().st_mtime)}
    assert found["audit.tls_certificate"] is not None
    assert found["audit.tls_certificate"] < 0
    assert found["audit.tls_authorities"] is not None
    assert found["audit.tls_authorities"] > 300


def test_without_a_certificate_of_its_own_that_of_the_listener_is_shown() -> None:
    listener = ListenerSettings(tls_certificate="/ours.pem", tls_key="/ours.key")
    files = files_of_audit(NodeSettings(listener=listener, audit=AuditSettings(host="x")))

    assert files is not None
    assert files.certificate is not None
    assert files.certificate.path == Path("/ours.pem")
    assert (
        files_of_audit(NodeSettings(listener=listener, audit=AuditSettings(host="x", transport="tcp")))
        is None
    )
    assert files_of_audit(NodeSettings(listener=listener)) is None
