"""May this cine be converted? One small rule per reason, and every reason at once.

The model draws vessels into X-ray cine of the heart without contrast, so what is not single-plane grayscale
XA or XRF is refused; what is X-ray but already shows contrast or a subtraction is refused too, unless the
user insists. Rules read the header only and decide before any frame is allocated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from casgan_dicom.series import Cine

MIN_SIDE = 64
"""Rows and columns below which a picture shows no coronary artery."""
MAX_SIDE = 4096
"""Rows and columns above any X-ray detector: a header that says more is broken or hostile."""
MAX_BYTES = 2**32 - 2
"""Longest Pixel Data (7FE0,0010) with a defined length, PS3.5 7.1.2; the 8-bit output has to fit."""
BITS_STORED = range(8, 17)
"""Bits Stored (0028,0101) that can be scaled for display."""

SOP_CLASSES = (
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)
"""What is read: XA and XRF, and secondary captures of them (Modality tells which are)."""
MODALITIES = ("XA", "RF")
CARDIAC_BODY_PARTS = ("HEART", "CHEST", "CORONARY", "CORONARYARTERY", "THORAX", "MEDIASTINUM")


@dataclass(frozen=True)
class Reason:
    """Why a cine is not converted."""

    text: str
    """Tag, what was found and what was wanted; no patient data."""
    forceable: bool
    """Whether the user may convert it all the same."""

    def __str__(self) -> str:
        return self.text


def reasons_against(cine: Cine) -> tuple[Reason, ...]:
    """Say why a cine may not be converted.

    Parameters
    ----------
    cine
        The cine; only its header is read.

    Returns
    -------
    tuple of Reason
        Every reason, empty if there is none. If all are forceable, the user may insist.
    """
    return tuple(reason for rule in _RULES if (reason := rule(cine)) is not None)


def warnings(cine: Cine) -> tuple[str, ...]:
    """Say what is unusual about a cine that may be converted, one sentence each."""
    said = list(cine.notes)
    body_part = str(cine.header.get("BodyPartExamined") or "")
    if body_part and body_part.upper() not in CARDIAC_BODY_PARTS:
        said.append(f"BodyPartExamined (0018,0015) is '{body_part}': the model has only seen hearts")
    return tuple(said)


def _sop_class(cine: Cine) -> Reason | None:
    uid = UID(str(cine.header.get("SOPClassUID") or ""), IGNORE)
    if uid in SOP_CLASSES:
        return None
    found = f"'{uid.name}'" if uid else "absent"
    return Reason(f"SOPClassUID (0008,0016) is {found}, need XA, XRF or Secondary Capture", forceable=False)


def _modality(cine: Cine) -> Reason | None:
    return _wanted(cine.header, "Modality", "(0008,0060)", MODALITIES)


def _grayscale(cine: Cine) -> Reason | None:
    if (samples := cine.header.get("SamplesPerPixel", 1)) != 1:
        return Reason(f"SamplesPerPixel (0028,0002) is {samples}, need 1: colour cannot be converted", False)
    wanted = ("MONOCHROME1", "MONOCHROME2")
    return _wanted(cine.header, "PhotometricInterpretation", "(0028,0004)", wanted)


def _pixel_data(cine: Cine) -> Reason | None:
    missing = sum(not instance.has_pixels for instance in cine.instances)
    if not missing:
        return None
    return Reason(f"PixelData (7FE0,0010) is absent in {missing} of {len(cine.instances)} instances", False)


def _frame_count(cine: Cine) -> Reason | None:
    if cine.frames >= 1:
        return None
    return Reason("NumberOfFrames (0028,0008) is below 1, need at least 1", forceable=False)


def _bits(cine: Cine) -> Reason | None:
    words = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    allocated, stored, high, signed = (cine.header.get(word) for word in words)
    if allocated in (8, 16) and stored in BITS_STORED and stored <= allocated and signed in (0, 1):
        if high == stored - 1:
            return None
        return Reason(f"HighBit (0028,0102) is {high}, need {stored - 1} for BitsStored (0028,0101)", False)
    return Reason(
        f"BitsAllocated (0028,0100) is {allocated}, BitsStored (0028,0101) {stored}, PixelRepresentation "
        f"(0028,0103) {signed}: need 8 or 16, 8 to 16, and 0 or 1",
        forceable=False,
    )


def _too_small(cine: Cine) -> Reason | None:
    if min(cine.rows, cine.columns) >= MIN_SIDE:
        return None
    found = f"{cine.rows} × {cine.columns}"
    return Reason(f"Rows (0028,0010) × Columns (0028,0011) is {found}, need at least {MIN_SIDE} each", False)


def _too_large(cine: Cine) -> Reason | None:
    size = f"{cine.frames} frames of {cine.rows} × {cine.columns}"
    if max(cine.rows, cine.columns) > MAX_SIDE:
        return Reason(f"Rows (0028,0010), Columns (0028,0011): {size}, at most {MAX_SIDE} each", False)
    if cine.frames * cine.rows * cine.columns > MAX_BYTES:
        return Reason(f"NumberOfFrames (0028,0008): {size} are more than {MAX_BYTES} bytes of 8 bits", False)
    return None


def _subtracted(cine: Cine) -> Reason | None:
    """DSA: a mask operation other than NONE, or the wish to be shown subtracted (PS3.3 C.7.6.10)."""
    operations = [
        str(item.get("MaskOperation") or "NONE") for item in cine.header.get("MaskSubtractionSequence") or ()
    ]
    if used := sorted(set(operations) - {"NONE"}):
        return Reason(
            f"MaskOperation (0028,6101) is '{', '.join(used)}', need NONE: a DSA run", forceable=True
        )
    if cine.header.get("RecommendedViewingMode") == "SUB":
        return Reason("RecommendedViewingMode (0028,1090) is 'SUB', need NAT: a DSA run", forceable=True)
    return None


def _contrast(cine: Cine) -> Reason | None:
    if str(cine.header.get("ContrastBolusAgent") or "").strip():
        return Reason(
            "ContrastBolusAgent (0018,0010) is not empty, need a run without contrast", forceable=True
        )
    if cine.header.get("ContrastBolusAgentSequence"):
        return Reason(
            "ContrastBolusAgentSequence (0018,0012) is not empty, need a run without contrast", True
        )
    return None


def _derived_synthetic(cine: Cine) -> Reason | None:
    """A synthetic picture made from another picture; a simulated acquisition is ORIGINAL and passes."""
    image_type = cine.header.get("ImageType") or ("",)
    first = image_type if isinstance(image_type, str) else image_type[0]
    if cine.header.get("SyntheticData") != "YES" or first == "ORIGINAL":
        return None
    return Reason(
        f"SyntheticData (0008,001C) is YES and ImageType (0008,0008) starts with '{first}', need ORIGINAL: "
        "what was generated from a picture is no source",
        forceable=False,
    )


def _wanted(ds: Dataset, keyword: str, tag: str, wanted: tuple[str, ...]) -> Reason | None:
    """Reason against a coded value that is not among the wanted ones."""
    value = ds.get(keyword)
    if value in wanted:
        return None
    found = f"'{value}'" if value else "absent or empty"
    return Reason(f"{keyword} {tag} is {found}, need {' or '.join(wanted)}", forceable=False)


_RULES: tuple[Callable[[Cine], Reason | None], ...] = (
    _sop_class,
    _modality,
    _grayscale,
    _pixel_data,
    _frame_count,
    _bits,
    _too_small,
    _too_large,
    _subtracted,
    _contrast,
    _derived_synthetic,
)
