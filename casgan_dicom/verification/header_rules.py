"""The marks of an honest derived object as questions about its header, each one small and with a name.

``derived/marks.py`` and ``derived/picture.py`` write these marks. What is asked depends on the kind of
object: every one has to call itself synthetic; a picture names its source and how it was derived; a cine
knows its frame times, which a single frame, a segmentation or a report may not claim. ``pixel_rules.py``
asks about pixels, ``verify.py`` asks everything.

A rule gets a data set and yields one sentence for each fault. Sentences hold no patient data: keywords, tags,
coded values and counts only.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from casgan_dicom.derived.legal_header import illegal_values
from casgan_dicom.derived.provenance import BANNER_ABSENT, BANNER_BURNED
from casgan_dicom.quoting import quoted
from casgan_dicom.source.elements import numbers
from casgan_dicom.uids import uid_name
from casgan_dicom.verification.kinds import (
    CAPTURES,
    DOCUMENTS,
    EVERY,
    IMAGES,
    REPORTS,
    ObjectKind,
    Rule,
    coded,
    codes_in,
    derivations,
    evidence,
    kind_of,
    several,
    source_items,
    source_series,
    source_uids,
)
from casgan_dicom.verification.roadmap_rules import LAID_OVER, is_laid_over

FORBIDDEN = (
    "IrradiationEventUID", "KVP", "XRayTubeCurrent", "Exposure", "ExposureTime", "RadiationSetting",
    "ImageAndFluoroscopyAreaDoseProduct", "EntranceDoseInmGy", "ContrastBolusAgent", "ContrastBolusVolume",
    "ContrastBolusAgentSequence", "ContrastBolusIngredient", "ModalityLUTSequence", "VOILUTSequence",
    "PixelIntensityRelationship", "PixelIntensityRelationshipSign", "MaskSubtractionSequence",
    "RecommendedViewingMode", "ShutterShape", "IconImageSequence", "DigitalSignaturesSequence",
    "MACParametersSequence", "ReferencedPerformedProcedureStepSequence", "PerformedProcedureStepID",
    "SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries", "PositionerPrimaryAngle", "PositionerSecondaryAngle",
    "DistanceSourceToDetector", "DistanceSourceToPatient", "ImagerPixelSpacing",
    "EstimatedRadiographicMagnificationFactor", "GantryID", "StationName",
)  # fmt: skip
"""What describes the acquisition and never stands in a derived object."""
TIMING = (
    "NumberOfFrames", "FrameTime", "FrameTimeVector", "FrameIncrementPointer", "CineRate",
    "RecommendedDisplayFrameRate",
)  # fmt: skip
"""What only an object of several frames in time may say."""
PICTURE = (
    "ImageType", "ConversionType", "BurnedInAnnotation", "LossyImageCompression", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "PixelData",
)  # fmt: skip
"""What a document, which has no pixels, may not say."""

_MODALITIES = {
    ObjectKind.SEGMENTATION: ("SEG",),
    ObjectKind.REPORT: ("SR",),
    ObjectKind.REVIEW: ("SR",),
    ObjectKind.SELECTION: ("KO",),
}
_SOURCE = "SourceImageSequence (0008,2112)"
_SIGNATURES = (Tag("DigitalSignaturesSequence"), Tag("MACParametersSequence"))
_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


def _sop_class(ds: Dataset) -> Iterator[str]:
    if kind_of(ds) is ObjectKind.UNKNOWN:
        found = uid_name(ds.get("SOPClassUID"))
        yield f"SOPClassUID (0008,0016) is {found}, need Secondary Capture, Segmentation, SR or KO"


def _synthetic_data(ds: Dataset) -> Iterator[str]:
    yield from coded(ds, "SyntheticData", ("YES",))


def _image_type(ds: Dataset) -> Iterator[str]:
    # PS3.3 C.8.20.2: a segmentation is PRIMARY by definition, though nothing was acquired.
    wanted = ["DERIVED", "PRIMARY" if kind_of(ds) is ObjectKind.SEGMENTATION else "SECONDARY"]
    values = several(ds, "ImageType")
    if values[:2] != wanted:
        yield f"ImageType (0008,0008) is {quoted(values, 'CS')}, need {wanted[0]}\\{wanted[1]}"


def _conversion_type(ds: Dataset) -> Iterator[str]:
    yield from coded(ds, "ConversionType", ("SYN",))


def _modality(ds: Dataset) -> Iterator[str]:
    yield from coded(ds, "Modality", _MODALITIES.get(kind_of(ds), ("OT", "XA")))


def _derivation_description(ds: Dataset) -> Iterator[str]:
    texts = [str(part.get("DerivationDescription") or "") for part in (ds, *derivations(ds))]
    if not any(texts):
        yield "DerivationDescription (0008,2111) is absent or empty"
    elif not any(_SHA256.search(text) for text in texts):
        yield "DerivationDescription (0008,2111) does not name the SHA-256 of the weights"


def _derivation_code(ds: Dataset) -> Iterator[str]:
    wanted = {("123110", "DCM")}
    if kind_of(ds) is ObjectKind.SEGMENTATION:
        wanted.add(("113076", "DCM"))  # Segmentation; who segmented stands in Segment Sequence
    found = {code for part in (ds, *derivations(ds)) for code in codes_in(part, "DerivationCodeSequence")}
    if not wanted & found:
        yield "DerivationCodeSequence (0008,9215) lacks (123110, DCM, Artificial Intelligence)"


def _banner_claim(ds: Dataset) -> Iterator[str]:
    text = str(ds.get("DerivationDescription") or "")
    if text and (BANNER_BURNED in text) == (BANNER_ABSENT in text):
        wanted = f"'{BANNER_BURNED}' or '{BANNER_ABSENT}'"
        yield f"DerivationDescription (0008,2111) does not say {wanted}"


def _source_image(ds: Dataset) -> Iterator[str]:
    items = source_items(ds)
    if not items:
        yield f"{_SOURCE} is absent or empty"
    for keyword in ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"):
        wrong = sum(not UID(str(item.get(keyword) or "")).is_valid for item in items)
        yield from _in_some(wrong, items, f"no valid {keyword}")


def _source_purpose(ds: Dataset) -> Iterator[str]:
    items = source_items(ds)
    codes = [codes_in(item, "PurposeOfReferenceCodeSequence") for item in items]
    wrong = sum(not {("121322", "DCM"), LAID_OVER} & set(code) for code in codes)
    yield from _in_some(wrong, items, "no purpose (121322, DCM, Source image for image processing operation)")


def _source_location(ds: Dataset) -> Iterator[str]:
    items = [item for item in source_items(ds) if not is_laid_over(item)]  # roadmap_rules.py asks those
    wrong = sum(item.get("SpatialLocationsPreserved") != "YES" for item in items)
    yield from _in_some(wrong, items, "SpatialLocationsPreserved (0028,135A) other than YES")


def _in_some(wrong: int, items: Sequence[Dataset], fault: str) -> Iterator[str]:
    if wrong:
        yield f"{_SOURCE}: {wrong} of {len(items)} items have {fault}"


def _referenced_series(ds: Dataset) -> Iterator[str]:
    listed = {
        str(instance.get("ReferencedSOPInstanceUID"))
        for series in ds.get("ReferencedSeriesSequence") or []
        for instance in series.get("ReferencedInstanceSequence") or []
    }
    sources = source_uids(ds)
    if missing := len(sources - listed):
        yield f"ReferencedSeriesSequence (0008,1115) lacks {missing} of {len(sources)} source instances"


def _own_uids(ds: Dataset) -> Iterator[str]:
    if str(ds.get("SOPInstanceUID")) in source_uids(ds):
        yield "SOPInstanceUID (0008,0018) is that of the source"
    if str(ds.get("SeriesInstanceUID")) in source_series(ds):
        yield "SeriesInstanceUID (0020,000E) is that of the source"


def _synthesizing_equipment(ds: Dataset) -> Iterator[str]:
    item = _equipment(ds, "109100")
    if item is None:
        yield "ContributingEquipmentSequence (0018,A001) lacks (109100, DCM, Synthesizing Equipment)"
        return
    for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceUID"):
        if not item.get(keyword):
            yield f"ContributingEquipmentSequence (0018,A001), Synthesizing Equipment: {keyword} is absent"
    if not re.search(r"[+-]\d{4}$", str(item.get("ContributionDateTime") or "")):
        yield "ContributionDateTime (0018,A002) of the Synthesizing Equipment has no offset from UTC"
    if not _SHA256.search(str(item.get("ContributionDescription") or "")):
        yield "ContributionDescription (0018,A003) does not name the SHA-256 of the weights"


def _own_equipment(ds: Dataset) -> Iterator[str]:
    for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions"):
        if not ds.get(keyword):
            yield f"{keyword} is absent or empty"
    ours, scanner = _equipment(ds, "109100"), _equipment(ds, "109101")
    for keyword in ("Manufacturer", "ManufacturerModelName"):
        if ours is not None and ds.get(keyword) and ds.get(keyword) != ours.get(keyword):
            yield f"{keyword} is not that of the Synthesizing Equipment"
    serial = ds.get("DeviceSerialNumber")
    if serial and scanner is not None and scanner.get("DeviceSerialNumber") == serial:
        yield "DeviceSerialNumber (0018,1000) is that of the scanner, need that of the software"


def _content_qualification(ds: Dataset) -> Iterator[str]:
    yield from coded(ds, "ContentQualification", ("RESEARCH",))


def _series_description(ds: Dataset) -> Iterator[str]:
    if not str(ds.get("SeriesDescription") or "").startswith("AI SYNTHETIC"):
        yield "SeriesDescription (0008,103E) does not start with 'AI SYNTHETIC'"


def _image_comments(ds: Dataset) -> Iterator[str]:
    if not ds.get("ImageComments"):
        yield "ImageComments (0020,4000) is absent or empty, need a sentence of warning"


def _series_number(ds: Dataset) -> Iterator[str]:
    value = ds.get("SeriesNumber")
    if not isinstance(value, int) or value < 9000:
        yield "SeriesNumber (0020,0011) is absent or below 9000, need 9000 plus that of the source"


def _burned_in(ds: Dataset) -> Iterator[str]:
    yield from coded(ds, "BurnedInAnnotation", ("YES", "NO"))


def _pixel_spacing(ds: Dataset) -> Iterator[str]:
    if "PixelSpacing" in ds and ds.get("PixelSpacingCalibrationType") not in ("FIDUCIAL", "GEOMETRY"):
        yield "PixelSpacing (0028,0030) without PixelSpacingCalibrationType (0028,0A02): false millimetres"
    if "PixelAspectRatio" in ds:
        if "PixelSpacing" in ds:
            yield "PixelAspectRatio (0028,0034) is present beside PixelSpacing (0028,0030), need one of them"
        if not (ratio := numbers(ds, "PixelAspectRatio")) or len(ratio) != 2 or min(ratio) <= 0:
            yield "PixelAspectRatio (0028,0034) is no pair of numbers above 0"
    if "FrameOfReferenceUID" in ds:
        yield "FrameOfReferenceUID (0020,0052) is present, need it absent"


def _legal_values(ds: Dataset) -> Iterator[str]:
    for change in illegal_values(ds):
        yield f"{change.where} is no legal {change.vr} ('{change.form}')"


def _private(ds: Dataset) -> Iterator[str]:
    if count := sum(tag.is_private for tag in _tags(ds)):
        yield f"{count} private elements, need none"


def _not_copied(ds: Dataset) -> Iterator[str]:
    for keyword in FORBIDDEN:
        # Empty is the standard's word for none in a document, PS3.3 C.17.1: an element of type 2.
        if keyword in ds and not (kind_of(ds) in DOCUMENTS and ds[keyword].is_empty):
            yield f"{keyword} {Tag(keyword)} is present, but describes the acquisition"
    if signed := sum(tag in _SIGNATURES and tag not in ds for tag in _tags(ds)):
        yield f"{signed} signatures (FFFA,FFFA) or MAC parameters (4FFE,0001) inside sequences, need none"
    groups = {tag.group & 0xFF00 for tag in list(ds.keys())}
    for group, name in ((0x5000, "curves (50xx)"), (0x6000, "overlays (60xx)")):
        if group in groups:
            yield f"{name} are present, need none"


def _cine_timing(ds: Dataset) -> Iterator[str]:
    frames = int(ds.get("NumberOfFrames") or 1)
    if frames < 2:
        return
    pointer = ds.get("FrameIncrementPointer")
    if pointer == Tag("FrameTime"):
        usual = float(ds.get("FrameTime") or 0)
    elif pointer == Tag("FrameTimeVector"):
        steps = [float(step) for step in several(ds, "FrameTimeVector")]
        if len(steps) != frames or steps[0] != 0:
            yield f"FrameTimeVector (0018,1065) has {len(steps)} values for {frames} frames, the first 0"
        usual = statistics.median(steps[1:]) if steps[1:] else 0.0
    else:
        yield "FrameIncrementPointer (0028,0009) names neither FrameTime nor FrameTimeVector"
        return
    if usual <= 0:
        yield "FrameTime (0018,1063) or FrameTimeVector (0018,1065) is absent or not positive"
        return
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = ds.get(keyword)
        if rate is None or abs(float(rate) - 1000 / usual) > 1:
            yield f"{keyword} {Tag(keyword)} is {rate}, the frame time means {1000 / usual:.1f}"


def _no_timing(ds: Dataset) -> Iterator[str]:
    allowed = ("NumberOfFrames",) if kind_of(ds) is ObjectKind.SEGMENTATION else ()
    yield from _absent(ds, [keyword for keyword in TIMING if keyword not in allowed])


def _segments(ds: Dataset) -> Iterator[str]:
    segments = ds.get("SegmentSequence") or []
    if not segments:
        yield "SegmentSequence (0062,0002) is absent or empty"
    wrong = sum(
        item.get("SegmentAlgorithmType") != "AUTOMATIC" or not item.get("SegmentAlgorithmName")
        for item in segments
    )
    if wrong:
        yield f"SegmentAlgorithmType (0062,0008) is not AUTOMATIC, or without its name, in {wrong} segments"


def _report_evidence(ds: Dataset) -> Iterator[str]:
    words = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")
    items = [item for _, item in evidence(ds)]
    if not items:
        yield "CurrentRequestedProcedureEvidenceSequence (0040,A375) names no instance"
    if wrong := sum(not all(UID(str(item.get(word) or "")).is_valid for word in words) for item in items):
        yield f"CurrentRequestedProcedureEvidenceSequence (0040,A375): {wrong} items have no valid UIDs"


def _report_unverified(ds: Dataset) -> Iterator[str]:
    yield from coded(ds, "VerificationFlag", ("UNVERIFIED",))  # nobody has signed what a program wrote


def _no_picture(ds: Dataset) -> Iterator[str]:
    yield from _absent(ds, PICTURE)


def _own_text(ds: Dataset) -> Iterator[str]:
    for keyword in ("DerivationDescription", "SeriesDescription", "ImageComments"):
        if not str(ds.get(keyword) or "").isascii():
            yield f"{keyword} is not ASCII and may be read differently under another character set"


HEADER_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "sop-class": Rule(_sop_class, EVERY),
        "synthetic-data": Rule(_synthetic_data, EVERY),
        "image-type": Rule(_image_type, IMAGES),
        "conversion-type": Rule(_conversion_type, CAPTURES),
        "modality": Rule(_modality, EVERY),
        "derivation-description": Rule(_derivation_description, IMAGES),
        "derivation-code": Rule(_derivation_code, IMAGES),
        "banner-claim": Rule(_banner_claim, CAPTURES),
        "source-image": Rule(_source_image, IMAGES),
        "source-purpose": Rule(_source_purpose, IMAGES),
        "source-location": Rule(_source_location, IMAGES),
        "referenced-series": Rule(_referenced_series, IMAGES),
        "own-uids": Rule(_own_uids, EVERY),
        "synthesizing-equipment": Rule(_synthesizing_equipment, EVERY),
        "own-equipment": Rule(_own_equipment, EVERY),
        "content-qualification": Rule(_content_qualification, EVERY),
        "series-description": Rule(_series_description, EVERY),
        "image-comments": Rule(_image_comments, CAPTURES),
        "series-number": Rule(_series_number, EVERY),
        "burned-in-annotation": Rule(_burned_in, CAPTURES),
        "pixel-spacing": Rule(_pixel_spacing, CAPTURES),
        "legal-values": Rule(_legal_values, EVERY),
        "private": Rule(_private, EVERY),
        "not-copied": Rule(_not_copied, EVERY),
        "cine-timing": Rule(_cine_timing, frozenset({ObjectKind.CINE})),
        "no-timing": Rule(_no_timing, frozenset({ObjectKind.FRAME, ObjectKind.SEGMENTATION})),
        "segments": Rule(_segments, frozenset({ObjectKind.SEGMENTATION})),
        "report-evidence": Rule(_report_evidence, DOCUMENTS),
        "report-unverified": Rule(_report_unverified, REPORTS),
        "no-picture": Rule(_no_picture, DOCUMENTS),
        "own-text": Rule(_own_text, EVERY),
    }
)
"""Rules of the header by their names, in the order in which they are asked."""


def _absent(ds: Dataset, keywords: Sequence[str]) -> Iterator[str]:
    """A fault for each element that is there."""
    for keyword in keywords:
        if keyword in ds:
            yield f"{keyword} {Tag(keyword)} is present, need it absent in a {kind_of(ds).value}"


def _equipment(ds: Dataset, purpose: str) -> Dataset | None:
    """First contributing equipment of that purpose (DCM code)."""
    items: Sequence[Dataset] = ds.get("ContributingEquipmentSequence") or []
    for item in items:
        if (purpose, "DCM") in codes_in(item, "PurposeOfReferenceCodeSequence"):
            return item
    return None


def _tags(ds: Dataset) -> Iterator[BaseTag]:
    """Every tag at every depth, without reading long values."""
    for tag in sorted(ds.keys()):
        yield tag
        if ds.get_item(tag, keep_deferred=True).VR == "SQ":
            for item in ds[tag].value:
                yield from _tags(item)
