"""Derived objects for tests, made of frames of one value."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from casgan_dicom.derived.marks import Derivation
from casgan_dicom.derived.picture import SyntheticCine
from casgan_dicom.derived.provenance import ModelIdentity, Provenance
from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.pixels.compress import Compression
from casgan_dicom.pixels.framefile import FrameFile, FrameWriter
from casgan_dicom.pixels.lossy import LossyHistory
from casgan_dicom.pixels.stored import stored_pixels
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from tests.support.factories import write_xa

CREATED = datetime(2026, 3, 1, 23, 30, 15, 250000, tzinfo=UTC)
MODEL = ModelIdentity(
    name="casgan-desk",
    method="casgan",
    version="1.0",
    recipe="unpaired, on simulated cine",
    licence="Apache-2.0",
    weights_sha256="0123456789abcdef" * 4,
    engine="torch-fp32",
    device="cpu",
)
PROVENANCE = Provenance(
    model=MODEL,
    display="full range 0..255",
    banner=True,
)
RAW = Compression()
NOT_LOSSY = LossyHistory(lossy=False, ratios=(), methods=())


def by_another(**change: str) -> Provenance:
    """The same, made by a model that differs in this."""
    return replace(PROVENANCE, model=replace(MODEL, **change))


def cine_of(folder: Path, **overrides: object) -> Cine:
    """A cine of four frames of 64 × 80 with the header asked for."""
    return find_series([write_xa(folder / "source", None, **overrides)]).cines[0]


def derivation_of(
    cine: Cine,
    *,
    provenance: Provenance = PROVENANCE,
    lossy: LossyHistory = NOT_LOSSY,
    created: datetime = CREATED,
    chosen: tuple[int, ...] | None = None,
) -> Derivation:
    """The conversion of a cine, of all its frames unless told otherwise."""
    return Derivation(cine, provenance, lossy, created, chosen or tuple(range(cine.frames)))


def frames_for(derivation: Derivation, value: int = 7, bits: int = 8) -> FrameFile:
    """Frames of one value, as many as were converted, with the banner where the header will claim it."""
    cine = derivation.cine
    writer = FrameWriter(io.BytesIO(), cine.rows, cine.columns, bits)
    frame = np.full((cine.rows, cine.columns), value, np.uint8 if bits == 8 else np.uint16)
    if derivation.provenance.banner:
        banner_for(cine.rows, cine.columns).burn(frame, 2**bits - 1)
    for _ in derivation.chosen:
        writer.write(frame)
    return writer.finish()


def derived(
    cine: Cine,
    *,
    provenance: Provenance = PROVENANCE,
    lossy: LossyHistory = NOT_LOSSY,
    created: datetime = CREATED,
    value: int = 7,
) -> SyntheticCine:
    """The derived object of a cine."""
    derivation = derivation_of(cine, provenance=provenance, lossy=lossy, created=created)
    return SyntheticCine(derivation, stored_pixels(frames_for(derivation, value), RAW, io.BytesIO()))


def written(cine: Cine, path: Path, **options: LossyHistory | Provenance) -> Dataset:
    """The derived object, read back from a file."""
    dcmwrite(path, derived(cine, **options), enforce_file_format=True)  # type: ignore[arg-type]
    return dcmread(path)
