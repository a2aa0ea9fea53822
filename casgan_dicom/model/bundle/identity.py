"""What the values of the networks of a bundle depend on, so that they may be kept compiled."""

from __future__ import annotations

import hashlib
import json

from casgan_dicom.model.bundle.bundle import Bundle
from casgan_dicom.model.methods.registry import BUILT_IN


def translation_identity(bundle: Bundle, use: str) -> str:
    """Of a network that is made of those that translate; empty where that cannot be told."""
    return _identity(bundle, bundle.info.weights_sha256, use)


def segmentor_identity(bundle: Bundle, use: str) -> str:
    """Of one that is made of the segmentor; empty where that cannot be told."""
    return _identity(bundle, bundle.info.segmentor_sha256, use)


def _identity(bundle: Bundle, weights_sha256: str, use: str) -> str:
    """Weights and their use, by their digests; a method of another package may change and keep its name."""
    if bundle.method not in BUILT_IN or not weights_sha256:
        return ""
    told = json.dumps([use, bundle.table], sort_keys=True)
    return f"{weights_sha256} {hashlib.sha256(told.encode()).hexdigest()}"
