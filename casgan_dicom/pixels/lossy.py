"""What a cine has lost to compression, by what its headers declare and by what its streams say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pydicom.dataset import Dataset

from casgan_dicom.pixels.codestream import StreamHeader, without_box
from casgan_dicom.pixels.j2k_passes import is_cut_off
from casgan_dicom.pixels.layout import holds_fragments, stream_layout
from casgan_dicom.pixels.pixel_data import content_of, frame_bytes
from casgan_dicom.pixels.syntaxes import always_loses, lossy_method
from casgan_dicom.source.cine import Cine, Instance
from casgan_dicom.source.elements import items_of, numbers, one_text, several
from casgan_dicom.source.transfer_syntaxes import JPEG_XL_OF_JPEG

_FLAGS = ("LossyImageCompression", "LossyImageCompressionRetired")
_CODES, _LOSSY_CODE = "DerivationCodeSequence", ("113040", "DCM")
"""Lossy Compression, PS3.16 CID 7203."""


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
    """Say what lossy compression a cine went through, by its headers and by its streams.

    Parameters
    ----------
    cine
        The cine; its encapsulated streams are walked through, not decoded.

    Returns
    -------
    LossyHistory
        What the headers declare (`declares_loss`) and, where a stream has lost
        information but no header says how, its method with the measured ratio of allocated to encoded bytes.
        A method that several instances went through is named once, with the ratio of the first.

    Raises
    ------
    PixelError
        An encoded stream is broken.

    Notes
    -----
    PS3.3 C.7.6.1.1.5: once lossy, always lossy, so one lossy frame makes a lossy cine. The stream tells,
    whatever its transfer syntax is called and whatever is declared: JPEG by its process and point transform,
    JPEG-LS by NEAR, JPEG 2000 by an irreversible wavelet, or by coding passes that were left out. Where a
    reversible stream does not tell whether any were, and HTJ2K never does, it is believed to be lossless if
    that is declared, or if the transfer syntax allows nothing else.
    """
    lossy = False
    steps: list[tuple[str, float]] = []
    losses = [_losses(instance, ds) for instance, ds in zip(cine.instances, cine.headers, strict=True)]
    for ds, lost in zip(cine.headers, losses, strict=True):
        lossy = lossy or bool(lost) or _declared_lossy(ds) == "01"
        known = [method for method, _ in steps]
        methods = [str(method) for method in several(ds.get("LossyImageCompressionMethod"))]
        ratios = _ratios(ds)
        steps += [step for step in zip(methods, ratios, strict=False) if step[0] not in known]
        for stored in dict.fromkeys(loss.method for loss in lost):
            if stored not in (*known, *methods):
                spare = ratios[len(methods)] if len(ratios) > len(methods) else None
                steps.append((stored, spare or _measured_ratio(cine, losses, stored)))
    return LossyHistory(lossy, tuple(ratio for _, ratio in steps), tuple(method for method, _ in steps))


def loses(instance: Instance, ds: Dataset) -> bool:
    """Whether the stream of one file has lost information, by what it says and what its header declares.

    Raises PixelError where the stream is broken.
    """
    return bool(_losses(instance, ds))


class _Loss(NamedTuple):
    """One frame that its own stream made lose information."""

    method: str
    """Lossy Image Compression Method (0028,2114)."""
    encoded: int
    """Bytes of the stream."""


def _losses(instance: Instance, ds: Dataset) -> list[_Loss]:
    """The frames of a file whose streams lose."""
    if not holds_fragments(instance):
        return []
    declared = _declared_lossy(ds)
    found = []
    for fragments in stream_layout(instance, ds).frames:
        header = fragments[0].header
        if header is not None and header.kind == "JPEG 2000" and header.loses is None:
            with instance.path.open("rb") as file:
                stream = without_box(content_of(file, fragments))
            header = replace(header, loses=is_cut_off(stream))
        method = _method(header, instance.transfer_syntax, declared)
        if method is not None:
            found.append(_Loss(method, sum(fragment.length for fragment in fragments)))
    return found


def _method(header: StreamHeader | None, syntax: str, declared: str) -> str | None:
    """By which method a stream lost information; None where it did not."""
    named = lossy_method(syntax)
    if header is None:
        return named if always_loses(syntax) or declared != "00" else None
    if header.loses is None and header.kind == "JPEG XL" and syntax == JPEG_XL_OF_JPEG:
        return named
    if header.loses is None:
        return header.method if named is not None and declared != "00" else None
    return header.method if header.loses else None


def _ratios(ds: Dataset) -> list[float]:
    """Lossy Image Compression Ratio (0028,2112); none where a value is no number above 0."""
    ratios = numbers(ds, "LossyImageCompressionRatio")
    return ratios if all(ratio > 0 for ratio in ratios) else []


def declares_loss(ds: Dataset) -> bool:
    """Whether a header says that pixels have lost information, by whichever element.

    Lossy Image Compression (0028,2110) or the retired (0008,2110) is 01, Lossy Image Compression Method
    (0028,2114) names one, Derivation Code Sequence (0008,9215) has the code of it, or, where the flag is no
    00, Lossy Image Compression Ratio (0028,2112) is above 1.
    """
    flags = [one_text(ds, keyword) for keyword in _FLAGS]
    if "01" in flags or any(map(str, several(ds.get("LossyImageCompressionMethod")))):
        return True
    codes = [(one_text(i, "CodeValue"), one_text(i, "CodingSchemeDesignator")) for i in items_of(ds, _CODES)]
    return _LOSSY_CODE in codes or ("00" not in flags and any(ratio > 1 for ratio in _ratios(ds)))


def _declared_lossy(ds: Dataset) -> str:
    """What a header says of loss: 00, 01 or nothing."""
    if declares_loss(ds):
        return "01"
    return "00" if "00" in (one_text(ds, keyword) for keyword in _FLAGS) else ""


def _measured_ratio(cine: Cine, losses: Sequence[Sequence[_Loss]], method: str) -> float:
    """Allocated bytes over encoded bytes of all frames that a method made lose."""
    encoded = [loss.encoded for lost in losses for loss in lost if loss.method == method]
    return round(len(encoded) * frame_bytes(cine) / max(sum(encoded), 1), 4)
