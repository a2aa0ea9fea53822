"""What tests of faults share: certificates for both ends of TLS, and whether it is talked."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from tests.node.conftest import authority, modality, node
from tests.node.secure import Authority, Pair, client, listener_keys

__all__ = ["authority", "context", "keys", "modality", "node"]


@pytest.fixture(params=["plain", "TLS"])
def keys(request: pytest.FixtureRequest, authority: Authority, node: Pair) -> dict[str, Any]:
    """Settings of the listener, without TLS and with it."""
    return listener_keys(authority, node) if request.param == "TLS" else {}


@pytest.fixture
def context(keys: dict[str, Any], authority: Authority, modality: Pair) -> ssl.SSLContext | None:
    """How to come in."""
    return client(authority, modality) if keys else None
