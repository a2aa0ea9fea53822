"""What a cine has lost to compression, by what its headers declare and by how it is stored."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from casgan_dicom.pixels.pixel_data import fragments, frame_bytes
from casgan_dicom.pixels.syntaxes import always_loses, lossy_method
from casgan_dicom.source.cine import Cine, Instance
from casgan_dicom.source.elements import numbers, several


@dataclass(frozen=True)
class LossyHistory:
    """What compression the pixels of a cine have lost information to."""

    lossy: bool
    """Whether they ever have."""
    ratios: tuple[float, ...]
    """Compression ratios, oldest first; as many as methods."""
    methods: tuple[str, ...]
    """Defined terms of Lossy Image Compression Method (0028,2114), oldest first."""


def lossy_history(cine: Cine) -> LossyHistory:
    """Say what lossy compression a cine went through, by its headers and by how it is stored.

    Parameters
    ----------
    cine
        The cine; its files are opened if a ratio has to be measured.

    Returns
    -------
    LossyHistory
        What the headers declare (the retired element (0008,2110) included) and, where a transfer syntax is
        lossy but not declared, its method with the measured ratio of allocated to encoded bytes. A method
        that several instances went through is named once, with the ratio of the first.

    Raises
    ------
    PixelError
        A ratio had to be measured and the encoded stream is broken.

    Notes
    -----
    PS3.3 C.7.6.1.1.5: once lossy, always lossy, so one lossy frame makes a lossy cine. JPEG Baseline and
    Extended lose information whatever the header says; JPEG-LS near-lossless and JPEG 2000 are believed if
    they are declared lossless.
    """
    lossy = False
    steps: list[tuple[str, float]] = []
    for instance, ds in zip(cine.instances, cine.headers, strict=True):
        declared = _declared_lossy(ds)
        stored = _lossy_method(instance, declared)
        lossy = lossy or stored is not None or declared == "01"
        known = [method for method, _ in steps]
        methods = [str(method) for method in several(ds.get("LossyImageCompressionMethod"))]
        ratios = _ratios(ds)
        steps += [step for step in zip(methods, ratios, strict=False) if step[0] not in known]
        if stored is not None and stored not in (*known, *methods):
            spare = ratios[len(methods)] if len(ratios) > len(methods) else None
            steps.append((stored, spare or _measured_ratio(cine, instance.transfer_syntax)))
    return LossyHistory(lossy, tuple(ratio for _, ratio in steps), tuple(method for method, _ in steps))


def _ratios(ds: Dataset) -> list[float]:
    """Lossy Image Compression Ratio (0028,2112); none where a value is no number above 0."""
    ratios = numbers(ds, "LossyImageCompressionRatio")
    return ratios if all(ratio > 0 for ratio in ratios) else []


def _declared_lossy(ds: Dataset) -> str:
    """Lossy Image Compression (0028,2110), or the retired element (0008,2110): 00, 01 or nothing."""
    return str(ds.get("LossyImageCompression") or ds.get("LossyImageCompressionRetired") or "")


def _lossy_method(instance: Instance, declared: str) -> str | None:
    """Method by which the file itself lost information; None if it did not."""
    syntax = instance.transfer_syntax
    return lossy_method(syntax) if always_loses(syntax) or declared != "00" else None


def _measured_ratio(cine: Cine, syntax: str) -> float:
    """Allocated bytes over encoded bytes of all instances that are stored in this transfer syntax."""
    stored = [instance for instance in cine.instances if instance.transfer_syntax == syntax]
    encoded = sum(length for instance in stored for length, _ in fragments(instance))
    return round(sum(instance.frames for instance in stored) * frame_bytes(cine) / max(encoded, 1), 4)
