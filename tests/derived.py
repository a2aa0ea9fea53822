"""Derived objects for tests, made of frames of one value."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from casgan_dicom.decode import LossyHistory
from casgan_dicom.derive import FramePixels, SyntheticCine
from casgan_dicom.provenance import Provenance
from casgan_dicom.series import Cine, find_series
from tests.factories import write_xa

CREATED = datetime(2026, 3, 1, 23, 30, 15, 250000, tzinfo=UTC)
PROVENANCE = Provenance(
    model="casgan-desk",
    method="casgan",
    version="1.0",
    weights_sha256="0123456789abcdef" * 4,
    recipe="unpaired, on simulated cine",
    display="full range 0..255",
    engine="torch-fp32",
    banner=True,
)
NOT_LOSSY = LossyHistory(lossy=False, ratios=(), methods=())


def cine_of(folder: Path, **overrides: object) -> Cine:
    """A cine of four frames of 64 × 80 with the header asked for."""
    return find_series([write_xa(folder / "source", None, **overrides)]).cines[0]


def pixels_for(cine: Cine, value: int = 7) -> FramePixels:
    """Frames of one value."""
    content = np.full((cine.frames, cine.rows, cine.columns), value, dtype=np.uint8).tobytes()
    digest = hashlib.sha256(content).hexdigest()
    padded = io.BytesIO(content + b"\0" * (len(content) % 2))
    return FramePixels(padded, cine.frames, cine.rows, cine.columns, digest)


def derived(
    cine: Cine,
    *,
    provenance: Provenance = PROVENANCE,
    lossy: LossyHistory = NOT_LOSSY,
    created: datetime = CREATED,
    value: int = 7,
) -> SyntheticCine:
    """The derived object of a cine."""
    return SyntheticCine(cine, pixels_for(cine, value), provenance, lossy, created)


def written(cine: Cine, path: Path, **options: LossyHistory | Provenance) -> Dataset:
    """The derived object, read back from a file."""
    dcmwrite(path, derived(cine, **options), enforce_file_format=True)  # type: ignore[arg-type]
    return dcmread(path)
