"""What tests of faults share: certificates for both ends of TLS, and whether it is talked."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from typing import Any

import pytest

from casgan_dicom.node.certificates import NamedFile, TlsFiles
from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.settings import DestinationSettings
from casgan_dicom.node.tls import client_context
from tests.node.conftest import authority, modality, node
from tests.node.nodes import destination
from tests.node.secure import Authority, Pair, client, destination_keys, listener_keys, server
from tests.support.fake_pacs import FakePacs

__all__ = ["authority", "context", "keys", "modality", "node"]


@pytest.fixture(params=["plain", "TLS"])
def keys(request: pytest.FixtureRequest, authority: Authority, node: Pair) -> dict[str, Any]:
    """Settings of the listener, without TLS and with it."""
    return listener_keys(authority, node) if request.param == "TLS" else {}


@pytest.fixture
def context(keys: dict[str, Any], authority: Authority, modality: Pair) -> ssl.SSLContext | None:
    """How to come in."""
    return client(authority, modality) if keys else None


@pytest.fixture
def sender_tls(keys: dict[str, Any], authority: Authority, modality: Pair) -> PeerTls | None:
    """How senders talk to the listener."""
    if not keys:
        return None
    shown = {"--cert": modality.certificate, "--key": modality.key, "--ca": authority.certificate}
    files = TlsFiles(*(NamedFile(name, path) for name, path in shown.items()))
    return PeerTls(lambda: client_context(files), files, "127.0.0.1")


@dataclass(frozen=True)
class ToArchive:
    """How a node and an archive talk."""

    authority: Authority
    archive: Pair
    node: Pair
    is_secure: bool

    def pacs(self) -> FakePacs:
        """An archive; with TLS it wants a certificate."""
        return FakePacs(tls=server(self.authority, self.archive) if self.is_secure else None)

    def destination(self, name: str, pacs: FakePacs) -> DestinationSettings:
        """That archive as a destination."""
        keys = destination_keys(self.authority, self.node) if self.is_secure else {}
        return replace(destination(name, pacs), **keys)


@pytest.fixture(params=["plain", "TLS"])
def to_archive(request: pytest.FixtureRequest, authority: Authority, node: Pair) -> ToArchive:
    """Without TLS and with it."""
    return ToArchive(authority, authority.issue("archive"), node, request.param == "TLS")
