"""What tests of faults share: certificates for both ends of TLS."""

from __future__ import annotations

from tests.node.conftest import authority, modality, node

__all__ = ["authority", "modality", "node"]
