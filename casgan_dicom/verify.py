"""Rules for an honest derived object, each one small and with a name.

General validators see a wrong type or a missing mandatory attribute. They do not see a Secondary Capture that
calls itself ORIGINAL, says nothing of its synthetic content, or declares lossy pixels lossless. These rules
do: they are the header that ``derive.py`` writes, turned into questions. Run dciodvfy (dicom3tools) as well.

A rule gets the data set without its pixels and yields one sentence for each fault. Sentences hold no patient
data: keywords, tags, coded values and counts only.
"""

from __future__ import annotations

import re
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

SOP_CLASSES = (
    SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)
"""What a derived picture may be."""

LOSSY_SYNTAXES = {JPEGBaseline8Bit: "ISO_10918_1", JPEGExtended12Bit: "ISO_10918_1"}
"""Transfer syntaxes that always lose, and Lossy Image Compression Method (0028,2114) of each."""

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

_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Finding:
    """One fault of one object."""

    rule: str
    """Name of the rule that found it."""
    message: str
    """What is wrong: tag, found, wanted."""

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


Rule = Callable[[Dataset], Iterator[str]]


def verify_file(path: Path) -> list[Finding]:
    """Check one file against every rule.

    Returns one Finding per fault, in the order of the rules; empty if there is none. A file that cannot be
    read as DICOM is a finding of the rule ``readable``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes malformed values, which may be those of a patient
        try:
            return verify_dataset(dcmread(path, defer_size="4 KB"))
        except Exception as error:  # a parser fed with garbage raises anything
            return [Finding("readable", f"no readable DICOM file ({type(error).__name__})")]


def verify_dataset(ds: Dataset) -> list[Finding]:
    """Check a data set, its `file_meta` included, against every rule."""
    return [Finding(name, message) for name, rule in RULES.items() for message in rule(ds)]


def _sop_class(ds: Dataset) -> Iterator[str]:
    if (uid := ds.get("SOPClassUID")) not in SOP_CLASSES:
        name = UID(str(uid)).name if uid else "absent"
        yield f"SOPClassUID (0008,0016) is '{name}', need a grayscale Secondary Capture"


def _synthetic_data(ds: Dataset) -> Iterator[str]:
    yield from _is(ds, "SyntheticData", ("YES",))


def _image_type(ds: Dataset) -> Iterator[str]:
    values = _values(ds, "ImageType")
    if values[:2] != ["DERIVED", "SECONDARY"]:
        found = "\\".join(values) or "absent"
        yield f"ImageType (0008,0008) is '{found}', need DERIVED\\SECONDARY"


def _conversion_type(ds: Dataset) -> Iterator[str]:
    yield from _is(ds, "ConversionType", ("SYN",))


def _modality(ds: Dataset) -> Iterator[str]:
    yield from _is(ds, "Modality", ("OT", "XA"))


def _derivation_description(ds: Dataset) -> Iterator[str]:
    text = str(ds.get("DerivationDescription") or "")
    if not text:
        yield "DerivationDescription (0008,2111) is absent or empty"
    elif not _SHA256.search(text):
        yield "DerivationDescription (0008,2111) does not name the SHA-256 of the weights"


def _derivation_code(ds: Dataset) -> Iterator[str]:
    if ("123110", "DCM") not in _codes(ds, "DerivationCodeSequence"):
        yield "DerivationCodeSequence (0008,9215) lacks (123110, DCM, Artificial Intelligence)"


def _source_image(ds: Dataset) -> Iterator[str]:
    items = ds.get("SourceImageSequence") or []
    if not items:
        yield "SourceImageSequence (0008,2112) is absent or empty"
    for k, item in enumerate(items, 1):
        for keyword in ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"):
            if not UID(str(item.get(keyword) or "")).is_valid:
                yield f"SourceImageSequence (0008,2112) item {k} has no valid {keyword}"


def _source_purpose(ds: Dataset) -> Iterator[str]:
    for k, item in enumerate(ds.get("SourceImageSequence") or [], 1):
        if ("121322", "DCM") not in _codes(item, "PurposeOfReferenceCodeSequence"):
            yield f"SourceImageSequence (0008,2112) item {k} lacks the purpose (121322, DCM)"


def _source_location(ds: Dataset) -> Iterator[str]:
    for k, item in enumerate(ds.get("SourceImageSequence") or [], 1):
        if item.get("SpatialLocationsPreserved") != "YES":
            yield f"SourceImageSequence (0008,2112) item {k}: SpatialLocationsPreserved is not YES"


def _referenced_series(ds: Dataset) -> Iterator[str]:
    listed = {
        str(instance.get("ReferencedSOPInstanceUID"))
        for series in ds.get("ReferencedSeriesSequence") or []
        for instance in series.get("ReferencedInstanceSequence") or []
    }
    sources = {str(item.get("ReferencedSOPInstanceUID")) for item in ds.get("SourceImageSequence") or []}
    if missing := len(sources - listed):
        yield f"ReferencedSeriesSequence (0008,1115) lacks {missing} of {len(sources)} source instances"


def _own_uids(ds: Dataset) -> Iterator[str]:
    sources = {str(item.get("ReferencedSOPInstanceUID")) for item in ds.get("SourceImageSequence") or []}
    if str(ds.get("SOPInstanceUID")) in sources:
        yield "SOPInstanceUID (0008,0018) is that of the source"
    series = {str(item.get("SeriesInstanceUID")) for item in ds.get("ReferencedSeriesSequence") or []}
    if str(ds.get("SeriesInstanceUID")) in series:
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
    yield from _is(ds, "ContentQualification", ("RESEARCH",))


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
    yield from _is(ds, "BurnedInAnnotation", ("YES", "NO"))


def _lossy_chain(ds: Dataset) -> Iterator[str]:
    yield from _is(ds, "LossyImageCompression", ("00", "01"))
    lossy = ds.get("LossyImageCompression") == "01"
    ratios, methods = _values(ds, "LossyImageCompressionRatio"), _values(ds, "LossyImageCompressionMethod")
    expected = LOSSY_SYNTAXES.get(UID(str(ds.file_meta.get("TransferSyntaxUID", ""))))
    if expected and not lossy:
        yield "LossyImageCompression (0028,2110) is not 01, but the transfer syntax loses"
    if expected and expected not in methods:
        yield f"LossyImageCompressionMethod (0028,2114) lacks {expected} of the transfer syntax"
    if expected and not ratios:  # a step before this one may be lost to history; this one is not
        yield "LossyImageCompressionRatio (0028,2112) is absent, but the transfer syntax loses"
    if len(ratios) != len(methods):
        yield f"LossyImageCompressionRatio has {len(ratios)} values, the Method (0028,2114) {len(methods)}"
    if ratios and not lossy:
        yield "LossyImageCompressionRatio (0028,2112) is present, LossyImageCompression (0028,2110) not 01"


def _presentation(ds: Dataset) -> Iterator[str]:
    if "VOILUTFunction" in ds:  # even LINEAR: a widely used viewer then shows black
        yield "VOILUTFunction (0028,1056) is present, need it absent, which means LINEAR"
    yield from _is(ds, "PresentationLUTShape", ("IDENTITY",))
    yield from _is(ds, "PhotometricInterpretation", ("MONOCHROME2",))


def _pixel_spacing(ds: Dataset) -> Iterator[str]:
    if "PixelSpacing" in ds and ds.get("PixelSpacingCalibrationType") not in ("FIDUCIAL", "GEOMETRY"):
        yield "PixelSpacing (0028,0030) without PixelSpacingCalibrationType (0028,0A02): false millimetres"
    if "FrameOfReferenceUID" in ds:
        yield "FrameOfReferenceUID (0020,0052) is present, need it absent"


def _private(ds: Dataset) -> Iterator[str]:
    if count := sum(tag.is_private for tag in _tags(ds)):
        yield f"{count} private elements, need none"


def _not_copied(ds: Dataset) -> Iterator[str]:
    for keyword in FORBIDDEN:
        if keyword in ds:
            yield f"{keyword} {Tag(keyword)} is present, but describes the acquisition"
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
        steps = [float(step) for step in _values(ds, "FrameTimeVector")]
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


def _pixel_length(ds: Dataset) -> Iterator[str]:
    if "PixelData" not in ds:
        yield "PixelData (7FE0,0010) is absent"
    elif not UID(str(ds.file_meta.get("TransferSyntaxUID", ""))).is_encapsulated:
        words = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
        rows, columns, samples, bits = (int(ds.get(word) or 0) for word in words)
        wanted = int(ds.get("NumberOfFrames") or 1) * rows * columns * samples * bits // 8
        if (found := _pixel_bytes(ds)) != wanted + wanted % 2:
            yield f"PixelData (7FE0,0010) has {found} bytes, the header means {wanted + wanted % 2}"


def _own_text(ds: Dataset) -> Iterator[str]:
    for keyword in ("DerivationDescription", "SeriesDescription", "ImageComments"):
        if not str(ds.get(keyword) or "").isascii():
            yield f"{keyword} is not ASCII and may be read differently under another character set"


RULES: dict[str, Rule] = {
    "sop-class": _sop_class,
    "synthetic-data": _synthetic_data,
    "image-type": _image_type,
    "conversion-type": _conversion_type,
    "modality": _modality,
    "derivation-description": _derivation_description,
    "derivation-code": _derivation_code,
    "source-image": _source_image,
    "source-purpose": _source_purpose,
    "source-location": _source_location,
    "referenced-series": _referenced_series,
    "own-uids": _own_uids,
    "synthesizing-equipment": _synthesizing_equipment,
    "own-equipment": _own_equipment,
    "content-qualification": _content_qualification,
    "series-description": _series_description,
    "image-comments": _image_comments,
    "series-number": _series_number,
    "burned-in-annotation": _burned_in,
    "lossy-chain": _lossy_chain,
    "presentation": _presentation,
    "pixel-spacing": _pixel_spacing,
    "private": _private,
    "not-copied": _not_copied,
    "cine-timing": _cine_timing,
    "pixel-length": _pixel_length,
    "own-text": _own_text,
}
"""Every rule by its name, in the order in which they are asked."""


def _is(ds: Dataset, keyword: str, wanted: Sequence[str]) -> Iterator[str]:
    """A fault unless the coded value is one of those wanted."""
    value = ds.get(keyword)
    if value not in wanted:
        found = f"'{value}'" if value else "absent or empty"
        yield f"{keyword} {Tag(keyword)} is {found}, need {' or '.join(wanted)}"


def _values(ds: Dataset, keyword: str) -> list[str]:
    """Values as strings; empty if the attribute is absent or empty."""
    value = ds.get(keyword)
    if value is None or value == "":
        return []
    return [str(part) for part in value] if isinstance(value, MultiValue) else [str(value)]


def _codes(ds: Dataset, keyword: str) -> list[tuple[str, str]]:
    """Code value and scheme of every item of a code sequence."""
    items = ds.get(keyword) or []
    return [(str(item.get("CodeValue")), str(item.get("CodingSchemeDesignator"))) for item in items]


def _equipment(ds: Dataset, purpose: str) -> Dataset | None:
    """First contributing equipment of that purpose (DCM code)."""
    items: Sequence[Dataset] = ds.get("ContributingEquipmentSequence") or []
    for item in items:
        if (purpose, "DCM") in _codes(item, "PurposeOfReferenceCodeSequence"):
            return item
    return None


def _tags(ds: Dataset) -> Iterator[BaseTag]:
    """Every tag at every depth, without reading long values."""
    for tag in sorted(ds.keys()):
        yield tag
        if ds.get_item(tag, keep_deferred=True).VR == "SQ":
            for item in ds[tag].value:
                yield from _tags(item)


def _pixel_bytes(ds: Dataset) -> int:
    """Length of Pixel Data (7FE0,0010) as far as the file really holds it."""
    raw = ds.get_item("PixelData", keep_deferred=True)
    if isinstance(raw, RawDataElement) and raw.value is None:  # left in the file: the header alone may lie
        return min(raw.length, Path(str(ds.filename)).stat().st_size - raw.value_tell)
    return len(ds.PixelData)
