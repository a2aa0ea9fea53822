"""May this cine be converted? One small rule per reason, and every reason at once.

The model draws vessels into X-ray cine of the heart without contrast, so what is not single-plane grayscale
XA or XRF is refused; what is X-ray but already shows contrast or a subtraction is refused too, unless the
user insists. Rules read headers only, those of all instances, and decide before any frame is allocated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from casgan_dicom.quoting import quoted
from casgan_dicom.source.cine import Cine, Series
from casgan_dicom.source.elements import plain_values
from casgan_dicom.source.field import implausible_field
from casgan_dicom.source.timing import MIN_FRAME_TIME_MS
from casgan_dicom.source.transfer_syntaxes import DEFLATED_FRAMES, UNCOMPRESSED_FRAMES
from casgan_dicom.uids import uid_name

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
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
)
"""What is read: XA and XRF, classic and Enhanced."""
SECONDARY_CAPTURES = (
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)
"""What is read when asked: a secondary capture may be one of XA or XRF, as its Modality tells."""
MODALITIES = ("XA", "RF")
_CODE = re.compile(r"[A-Za-z0-9.-]{1,16}")
"""Which codes may be quoted: a name has a space or a caret."""
CARDIAC_REGIONS = tuple(
    [("80891009", "SCT"), ("41801008", "SCT"), ("816094009", "SCT"), ("51185008", "SCT"), ("72410000", "SCT")]
    + [(code, scheme) for scheme in ("SRT", "SNM3") for code in ("T-32000", "T-43000", "T-D3000", "T-D3300")]
)
"""Codes of heart, coronary artery, chest and mediastinum."""
CARDIAC_BODY_PARTS = ("HEART", "CHEST", "CORONARY", "CORONARYARTERY", "THORAX", "MEDIASTINUM")


AS_WORDS = (RLELossless, UNCOMPRESSED_FRAMES, DEFLATED_FRAMES)
"""Encapsulated transfer syntaxes that give back words as they were, with what stands in unused bits."""


@dataclass(frozen=True)
class Reason:
    """Why a cine is not converted."""

    text: str
    """Tag, what was found and what was wanted; no patient data."""
    forceable: bool = field(kw_only=True)
    """Whether the user may convert it all the same."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Declared:
    """What one header says of contrast and subtraction, in the words of the header."""

    agents: tuple[str, ...]
    """The elements that name a contrast agent and are not empty, each with its tag."""
    mask_operations: tuple[str, ...]
    """Mask Operation (0028,6101) of every mask; empty where one has none."""
    viewing_mode: str
    """Recommended Viewing Mode (0028,1090); empty where absent."""
    processing: tuple[Hashable, ...]
    """Image Processing Applied (0028,9446)."""


def declared_in(ds: Dataset) -> Declared:
    """Read what a header says of contrast and subtraction: the one place that knows the elements."""
    agents = {
        "ContrastBolusAgent (0018,0010)": str(ds.get("ContrastBolusAgent") or "").strip(),
        "ContrastBolusAgentSequence (0018,0012)": ds.get("ContrastBolusAgentSequence"),
    }
    masks = ds.get("MaskSubtractionSequence")
    return Declared(
        agents=tuple(element for element, value in agents.items() if value),
        mask_operations=tuple(
            str(item.get("MaskOperation") or "") for item in (masks if isinstance(masks, Items) else ())
        ),
        viewing_mode=str(ds.get("RecommendedViewingMode") or ""),
        processing=plain_values(ds.get("ImageProcessingApplied")),
    )


def reasons_against(cine: Cine, *, angiogram: bool = False) -> tuple[Reason, ...]:
    """Say why a cine may not be converted.

    Parameters
    ----------
    cine
        The cine; only its headers are read, all of them.
    angiogram
        It is to be looked at and not converted, so contrast is no reason.

    Returns
    -------
    tuple of Reason
        Every reason once, empty if there is none; one that only some of the frames give says how many. If all
        are forceable, the user may insist.
    """
    rules = (rule for rule in _RULES if not (angiogram and rule is _contrast))
    return tuple(reason for rule in rules for reason in rule(cine))


def reasons_against_series(series: Series) -> tuple[Reason, ...]:
    """Say why no cine of a series may be converted: its headers do not agree whose it is, or which is which.

    Derived objects of one series share a Series Instance UID, which belongs to one study of one patient
    (PS3.3 A.1.2); which of the two the frames show, nobody can tell from here.
    """
    reasons = [Reason(fault, forceable=False) for fault in series.faults]
    headers = [header for cine in series.cines for header in cine.headers]
    for keyword, tag in (("PatientID", "(0010,0020)"), ("StudyInstanceUID", "(0020,000D)")):
        values = {str(header.get(keyword) or "") for header in headers}
        if len(values) > 1:
            found = f"{len(values)} different values in one series"
            reasons.append(Reason(f"{keyword} {tag} has {found}, need one", forceable=False))
    return tuple(reasons)


def warnings(cine: Cine) -> tuple[str, ...]:
    """Say what is unusual about a cine that may be converted, one sentence each."""
    said = list(cine.notes)
    body_parts = dict.fromkeys(str(header.get("BodyPartExamined") or "") for header in cine.headers)
    for body_part in body_parts:
        if body_part and body_part.upper() not in CARDIAC_BODY_PARTS:
            said.append(
                f"BodyPartExamined (0018,0015) is {quoted(body_part, 'CS')}: the model has only seen hearts"
            )
    if "" in body_parts:
        said += _foreign_regions(cine) or _nothing_said(cine)
    if odd := implausible_field(cine):
        said.append(odd)
    return tuple(said)


def _nothing_said(cine: Cine) -> list[str]:
    """A sentence where a header names neither body part nor region: unknown is no heart."""
    unsaid = [
        header
        for header in cine.headers
        if not header.get("BodyPartExamined") and not header.get("AnatomicRegionSequence")
    ]
    if not unsaid:
        return []
    absent = "BodyPartExamined (0018,0015) and AnatomicRegionSequence (0008,2218) are absent or empty"
    return [f"{absent}{_share(len(unsaid), cine)}: no header says that this is a heart"]


def _foreign_regions(cine: Cine) -> list[str]:
    """Anatomic regions that no body part stands for, by their codes; a heart would have one."""
    codes: dict[str, None] = {}
    for header in cine.headers:
        items = header.get("AnatomicRegionSequence") if not header.get("BodyPartExamined") else None
        for item in items if isinstance(items, Items) else ():
            words = str(item.get("CodeValue") or ""), str(item.get("CodingSchemeDesignator") or "")
            if all(map(_CODE.fullmatch, words)) and words not in CARDIAC_REGIONS:
                codes.setdefault(f"({', '.join(words)})")
    return [f"AnatomicRegionSequence (0008,2218) is {code}: the model has only seen hearts" for code in codes]


def _each(rule: Callable[[Dataset], Reason | None]) -> Callable[[Cine], Iterator[Reason]]:
    """A rule over one header as a rule over all headers of a cine."""

    def over_all(cine: Cine) -> Iterator[Reason]:
        counts = Counter(reason for header in cine.headers if (reason := rule(header)) is not None)
        for reason, count in counts.items():
            yield replace(reason, text=reason.text + _share(count, cine))

    return over_all


def _share(count: int, cine: Cine) -> str:
    """How many of the headers a reason is about; nothing where it is all of them."""
    return f" (in {count} of {len(cine.headers)} frames)" if count < len(cine.headers) else ""


def _sop_class(ds: Dataset) -> Reason | None:
    uid = UID(str(ds.get("SOPClassUID") or ""), IGNORE)
    if uid in SOP_CLASSES:
        return None
    found = uid_name(uid)
    if uid in SECONDARY_CAPTURES:
        asked = "a Secondary Capture: converted when asked with --force"
        return Reason(f"SOPClassUID (0008,0016) is {found}, {asked}", forceable=True)
    wanted = "XA, XRF, their Enhanced forms, or Secondary Capture"
    return Reason(f"SOPClassUID (0008,0016) is {found}, need {wanted}", forceable=False)


def _modality(ds: Dataset) -> Reason | None:
    return _wanted(ds, "Modality", "(0008,0060)", MODALITIES)


def _uid(keyword: str, tag: str) -> Callable[[Cine], Iterator[Reason]]:
    """The rule that a UID that goes into the output is a legal one, PS3.5 9.1."""

    def is_legal(cine: Cine) -> Iterator[Reason]:
        uids = [str(header.get(keyword) or "") for header in cine.headers]
        wrong = [uid for uid in uids if not UID(uid, IGNORE).is_valid]
        if not wrong:
            return
        found = quoted(wrong[0], "UI")
        wanted = "a UID: at most 64 digits and dots, no part with a leading 0"
        yield Reason(f"{keyword} {tag} is {found}, need {wanted}{_share(len(wrong), cine)}", forceable=False)

    return is_legal


def _grayscale(ds: Dataset) -> Reason | None:
    if (samples := ds.get("SamplesPerPixel", 1)) != 1:
        return Reason(
            f"SamplesPerPixel (0028,0002) is {samples}, need 1: colour cannot be converted", forceable=False
        )
    wanted = ("MONOCHROME1", "MONOCHROME2")
    return _wanted(ds, "PhotometricInterpretation", "(0028,0004)", wanted)


def _pixel_data(cine: Cine) -> Iterator[Reason]:
    missing = sum(not instance.has_pixels for instance in cine.instances)
    if missing:
        where = f"in {missing} of {len(cine.instances)} instances"
        yield Reason(f"PixelData (7FE0,0010) is absent {where}", forceable=False)


def _frame_count(cine: Cine) -> Iterator[Reason]:
    if cine.frames < 1:
        yield Reason("NumberOfFrames (0028,0008) is below 1, need at least 1", forceable=False)


def _faults(cine: Cine) -> Iterator[Reason]:
    for fault in cine.faults:
        yield Reason(fault, forceable=False)


def _frame_time(cine: Cine) -> Iterator[Reason]:
    if cine.frames > 1 and cine.timing.frame_time_ms < MIN_FRAME_TIME_MS:
        found = f"{cine.timing.source} means {cine.timing.frame_time_ms:g} ms from frame to frame"
        yield Reason(f"{found}, need at least {MIN_FRAME_TIME_MS:g}", forceable=False)


def _bits(ds: Dataset) -> Reason | None:
    words = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    allocated, stored, high, signed = (ds.get(word) for word in words)
    if allocated in (8, 16) and stored in BITS_STORED and stored <= allocated and signed in (0, 1):
        if isinstance(high, int) and stored - 1 <= high < allocated:
            return None
        return Reason(
            f"HighBit (0028,0102) is {high}, need {stored - 1} for BitsStored (0028,0101)", forceable=False
        )
    return Reason(
        f"BitsAllocated (0028,0100) is {allocated}, BitsStored (0028,0101) {stored}, PixelRepresentation "
        f"(0028,0103) {signed}: need 8 or 16, 8 to 16, and 0 or 1",
        forceable=False,
    )


def _aligned(cine: Cine) -> Iterator[Reason]:
    """Bits Stored at the top of a word, as before 1998; what that means in an encoded stream, nobody says."""
    words = ((header.get("HighBit"), header.get("BitsStored")) for header in cine.headers)
    high, stored = next(
        ((h, s) for h, s in words if isinstance(h, int) and isinstance(s, int) and h >= s), (0, 0)
    )
    syntaxes = {UID(instance.transfer_syntax, IGNORE) for instance in cine.instances}
    encoded = (uid for uid in syntaxes if uid.is_transfer_syntax and uid.is_encapsulated)
    if high and any(uid not in AS_WORDS for uid in encoded):
        found = f"HighBit (0028,0102) is {high} in a compressed object"
        yield Reason(f"{found}, need {stored - 1} for BitsStored (0028,0101)", forceable=False)


def _too_small(cine: Cine) -> Iterator[Reason]:
    if min(cine.rows, cine.columns) < MIN_SIDE:
        found = f"{cine.rows} × {cine.columns}"
        yield Reason(
            f"Rows (0028,0010) × Columns (0028,0011) is {found}, need at least {MIN_SIDE} each",
            forceable=False,
        )


def _too_large(cine: Cine) -> Iterator[Reason]:
    size = f"{cine.frames} frames of {cine.rows} × {cine.columns}"
    if max(cine.rows, cine.columns) > MAX_SIDE:
        yield Reason(
            f"Rows (0028,0010), Columns (0028,0011): {size}, at most {MAX_SIDE} each", forceable=False
        )
    elif cine.frames * cine.rows * cine.columns > MAX_BYTES:
        yield Reason(
            f"NumberOfFrames (0028,0008): {size} are more than {MAX_BYTES} bytes of 8 bits", forceable=False
        )


def _subtracted(ds: Dataset) -> Reason | None:
    """DSA: a mask operation other than NONE, or the wish to be shown subtracted (PS3.3 C.7.6.10)."""
    declared = declared_in(ds)
    if used := sorted(set(declared.mask_operations) - {"", "NONE"}):
        return Reason(
            f"MaskOperation (0028,6101) is {quoted(used, 'CS')}, need NONE: a DSA run", forceable=True
        )
    if declared.viewing_mode == "SUB":
        return Reason("RecommendedViewingMode (0028,1090) is 'SUB', need NAT: a DSA run", forceable=True)
    if "DIGITAL_SUBTR" in declared.processing:
        found = "ImageProcessingApplied (0028,9446) is 'DIGITAL_SUBTR'"
        return Reason(f"{found}, need frames as they were taken: a DSA run", forceable=True)
    return None


def _contrast(cine: Cine) -> Iterator[Reason]:
    """Contrast by the frames themselves, where they say; else by what the header declares."""
    if not cine.frame_contrast:
        yield from _each(_declared_contrast)(cine)
    elif any(cine.frame_contrast):
        found = f"YES in {sum(cine.frame_contrast)} of {cine.frames} frames"
        yield Reason(
            f"ContrastBolusAgentAdministered (0018,9342) or -Detected (0018,9343) is {found}, "
            "need a run without contrast",
            forceable=True,
        )


def _declared_contrast(ds: Dataset) -> Reason | None:
    for element in declared_in(ds).agents:
        return Reason(f"{element} is not empty, need a run without contrast", forceable=True)
    return None


def _derived_synthetic(ds: Dataset) -> Reason | None:
    """A synthetic picture made from another picture; a simulated acquisition is ORIGINAL and passes."""
    first = str((*plain_values(ds.get("ImageType")), "")[0])
    if ds.get("SyntheticData") != "YES" or first == "ORIGINAL":
        return None
    found = f"starts with {quoted(first, 'CS')}"
    return Reason(
        f"SyntheticData (0008,001C) is YES and ImageType (0008,0008) {found}, need ORIGINAL: "
        "what was generated from a picture is no source",
        forceable=False,
    )


def _wanted(ds: Dataset, keyword: str, tag: str, wanted: tuple[str, ...]) -> Reason | None:
    """Reason against a coded value that is not among the wanted ones."""
    value = ds.get(keyword)
    if value in wanted:
        return None
    return Reason(f"{keyword} {tag} is {quoted(value, 'CS')}, need {' or '.join(wanted)}", forceable=False)


_RULES: tuple[Callable[[Cine], Iterator[Reason]], ...] = (
    _each(_sop_class),
    _each(_modality),
    _uid("StudyInstanceUID", "(0020,000D)"),
    _uid("SeriesInstanceUID", "(0020,000E)"),
    _uid("SOPInstanceUID", "(0008,0018)"),
    _each(_grayscale),
    _pixel_data,
    _frame_count,
    _faults,
    _frame_time,
    _each(_bits),
    _aligned,
    _too_small,
    _too_large,
    _each(_subtracted),
    _contrast,
    _each(_derived_synthetic),
)
