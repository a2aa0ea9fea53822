"""Random legal XA headers for Hypothesis: every module of the XA IOD (PS3.3 A.14), optional things or not.

`headers()` gives data sets that are ready to be written, pixels included. What must never reach a derived
object carries `CANARY` wherever its value representation can hold text: private elements at any depth.
Names of modules and attributes are those of PS3.3 C.7 and C.8.7; values are legal by value representation.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from hypothesis import strategies as st
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from tests.support.factories import uid, xa_dataset

CANARY = "CANARY"
"""Stands in every private element."""
ROWS = COLUMNS = 64
FRAMES = 3

Draw = st.DrawFn
Values = st.SearchStrategy[Any]


@dataclass(frozen=True)
class Writing:
    """A character set and what can be written in it."""

    terms: str | tuple[str, ...] | None
    """Specific Character Set (0008,0005)."""
    letters: str
    """Letters of names and texts."""
    ideographs: str = ""
    """Letters of the second component group of a name."""


_ASCII = string.ascii_letters
WRITINGS = (
    Writing(None, _ASCII),
    Writing("ISO_IR 100", _ASCII + "ÄÖÜßéèçñøåÆ"),
    Writing("ISO_IR 144", _ASCII + "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюяё"),
    Writing(("", "ISO 2022 IR 87"), _ASCII, "山田太郎鈴木佐藤花子表能ソ構十暴やまだたろう"),
    Writing("ISO_IR 192", _ASCII + "Żółćαβγ한글李Łő", "王小东김희중"),
)
"""One byte for each letter, code extensions with escapes, and UTF-8."""

PATIENT = (
    "IssuerOfPatientID", "TypeOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientBirthTime",
    "OtherPatientNames", "OtherPatientIDsSequence", "EthnicGroupCodeSequence", "PatientComments",
    "QualityControlSubject", "ReferencedPatientSequence", "PatientAge", "PatientSize", "PatientWeight",
    "MedicalAlerts", "Allergies", "Occupation", "SmokingStatus", "AdditionalPatientHistory",
    "PregnancyStatus", "LastMenstrualDate", "AdmissionID", "IssuerOfAdmissionIDSequence", "PatientState",
    "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence",
)  # fmt: skip
STUDY = (
    "PatientIdentityRemoved", "ClinicalTrialSponsorName", "ClinicalTrialTimePointID",
    "StudyDescription", "ProcedureCodeSequence", "ReferringPhysicianIdentificationSequence",
    "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "ReferencedStudySequence", "RequestingService",
    "IssuerOfAccessionNumberSequence", "ReasonForPerformedProcedureCodeSequence", "ConsultingPhysicianName",
)  # fmt: skip
SERIES = (
    "SeriesDate", "SeriesTime", "SeriesDescription", "PerformingPhysicianName", "OperatorsName",
    "ProtocolName", "PerformedProcedureStepID", "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime", "PerformedProcedureStepDescription", "PerformedProtocolCodeSequence",
    "ReferencedPerformedProcedureStepSequence", "RequestAttributesSequence",
    "SmallestPixelValueInSeries", "LargestPixelValueInSeries", "SynchronizationTrigger",
)  # fmt: skip
EQUIPMENT = (
    "InstitutionName", "InstitutionAddress", "StationName", "InstitutionalDepartmentName",
    "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "GantryID", "SpatialResolution",
    "DateOfLastCalibration", "TimeOfLastCalibration", "DeviceUID", "UDISequence",
)  # fmt: skip
ACQUISITION = (
    "IrradiationEventUID", "Exposure", "AveragePulseWidth", "AcquisitionNumber", "AcquisitionDateTime",
    "TypeOfFilters", "IntensifierSize", "FieldOfViewShape", "FieldOfViewDimensions", "FocalSpots", "Grid",
    "ImagerPixelSpacing", "ImageAndFluoroscopyAreaDoseProduct", "EntranceDose", "EntranceDoseInmGy",
    "AcquisitionDeviceProcessingDescription", "DistanceSourceToEntrance", "ExposedArea", "FilterMaterial",
    "ExposureModulationType", "DetectorType", "DetectorID", "DetectorConfiguration", "Sensitivity",
    "DateOfLastDetectorCalibration", "DetectorActiveShape",
)  # fmt: skip
POSITIONER = (
    "PositionerType", "DistanceSourceToPatient", "DistanceSourceToDetector",
    "EstimatedRadiographicMagnificationFactor", "DetectorPrimaryAngle", "DetectorSecondaryAngle",
    "ColumnAngulation", "TableHeight", "TableMotion", "CollimatorShape",
)  # fmt: skip
DISPLAY = (
    "ShutterShape", "WindowCenter", "VOILUTSequence", "ModalityLUTSequence", "MaskSubtractionSequence",
    "PixelIntensityRelationshipSign", "SmallestImagePixelValue", "LargestImagePixelValue", "RWavePointer",
    "FrameNumbersOfInterest", "FrameOfInterestDescription", "FrameLabelVector",
    "PreferredPlaybackSequencing", "RepresentativeFrameNumber", "StartTrim", "StopTrim",
)  # fmt: skip
CONTRAST = (
    "ContrastBolusAgent", "ContrastBolusAgentSequence", "ContrastBolusRoute", "ContrastBolusVolume",
    "ContrastBolusStartTime", "ContrastBolusStopTime", "ContrastBolusTotalDose", "ContrastFlowRate",
    "ContrastFlowDuration", "ContrastBolusIngredient", "ContrastBolusIngredientConcentration",
    "InterventionSequence", "DeviceSequence",
)  # fmt: skip
IMAGE = (
    "ContentDate", "ContentTime", "AcquisitionDate", "AcquisitionTime", "ImageComments",
    "LossyImageCompression", "IconImageSequence", "QualityControlImage", "AnatomicRegionSequence",
    "PatientOrientation", "DerivationDescription", "SourceImageSequence", "ReferencedImageSequence",
    "BurnedInAnnotation", "RecognizableVisualFeatures", "PixelSpacing", "BodyPartExamined",
    "CalibrationImage",
    "CineRate",
    "RecommendedDisplayFrameRate", "EffectiveDuration", "InstanceCreationDate", "InstanceCreationTime",
    "InstanceCreatorUID", "ContributingEquipmentSequence", "TimezoneOffsetFromUTC",
    "DigitalSignaturesSequence", "MACParametersSequence", "OriginalAttributesSequence",
)  # fmt: skip
MATES: Mapping[str, tuple[str, ...]] = {
    "PatientIdentityRemoved": ("DeidentificationMethod",),
    "DetectorType": ("ImagerPixelSpacing",),
    "ClinicalTrialSponsorName": (
        "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
        "ClinicalTrialSiteName", "ClinicalTrialSubjectID",
    ),
    "ClinicalTrialTimePointID": ("ClinicalTrialTimePointDescription",),
    "SynchronizationTrigger": ("AcquisitionTimeSynchronized", "SynchronizationFrameOfReferenceUID"),
    "TableMotion": (
        "TableVerticalIncrement", "TableLateralIncrement", "TableLongitudinalIncrement", "TableAngle",
    ),
    "CollimatorShape": (
        "CollimatorLeftVerticalEdge", "CollimatorRightVerticalEdge", "CollimatorUpperHorizontalEdge",
        "CollimatorLowerHorizontalEdge",
    ),
    "ShutterShape": (
        "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge", "ShutterUpperHorizontalEdge",
        "ShutterLowerHorizontalEdge", "ShutterPresentationValue",
    ),
    "WindowCenter": ("WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"),
    "MaskSubtractionSequence": ("RecommendedViewingMode",),
    "PixelSpacing": ("PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription"),
    "ReasonForTheAttributeModification": ("ModifiedAttributesSequence",),
}  # fmt: skip
"""What has to come along with an attribute, by the conditions of its module."""
MODULES = (PATIENT, STUDY, SERIES, EQUIPMENT, ACQUISITION, POSITIONER, DISPLAY, CONTRAST, IMAGE)

_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_INSTANCE = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")
_ISSUER = ("LocalNamespaceEntityID",)
_LUT = ("LUTDescriptor", "LUTData")
_ITEMS: Mapping[str, tuple[str, ...]] = {
    "IssuerOfPatientIDQualifiersSequence": ("UniversalEntityID", "UniversalEntityIDType"),
    "OtherPatientIDsSequence": ("PatientID", "IssuerOfPatientID", "TypeOfPatientID"),
    "ReferencedPatientSequence": _INSTANCE,
    "ReferencedStudySequence": _INSTANCE,
    "ReferencedPerformedProcedureStepSequence": _INSTANCE,
    "ReferencedImageSequence": _INSTANCE,
    "SourceImageSequence": (*_INSTANCE, "PurposeOfReferenceCodeSequence"),
    "IssuerOfAdmissionIDSequence": _ISSUER,
    "IssuerOfAccessionNumberSequence": _ISSUER,
    "ReferringPhysicianIdentificationSequence": (
        "PersonIdentificationCodeSequence",
        "PersonAddress",
        "PersonTelephoneNumbers",
        "InstitutionName",
    ),
    "RequestAttributesSequence": ("RequestedProcedureID", "ScheduledProcedureStepID"),
    "UDISequence": ("UniqueDeviceIdentifier",),
    "VOILUTSequence": _LUT,
    "ModalityLUTSequence": (*_LUT, "ModalityLUTType"),
    "MaskSubtractionSequence": ("MaskOperation",),
    "InterventionSequence": (*_CODE, "InterventionStatus"),
    "DigitalSignaturesSequence": (
        "MACIDNumber",
        "DigitalSignatureUID",
        "DigitalSignatureDateTime",
        "CertificateType",
        "CertificateOfSigner",
        "Signature",
    ),
    "MACParametersSequence": (
        "MACIDNumber",
        "MACCalculationTransferSyntaxUID",
        "MACAlgorithm",
        "DataElementsSigned",
    ),
    "OriginalAttributesSequence": (
        "AttributeModificationDateTime",
        "ModifyingSystem",
        "ReasonForTheAttributeModification",
        "SourceOfPreviousValues",
    ),
    "ContributingEquipmentSequence": ("PurposeOfReferenceCodeSequence", "Manufacturer", "StationName"),
    "ModifiedAttributesSequence": ("PatientID", "OtherPatientNames"),
    "IconImageSequence": (),
}
"""What items hold; those of the other sequences are codes."""

_TERMS: Mapping[str, tuple[object, ...]] = {
    "TypeOfPatientID": ("TEXT", "RFID", "BARCODE"), "QualityControlSubject": ("YES", "NO"),
    "PatientIdentityRemoved": ("YES",), "SmokingStatus": ("YES", "NO", "UNKNOWN"),
    "PregnancyStatus": (1, 2, 3, 4), "UniversalEntityIDType": ("DNS", "EUI64", "ISO", "URI", "UUID"),
    "TypeOfFilters": ("STRIP", "WEDGE", "NONE"), "FieldOfViewShape": ("ROUND", "RECTANGLE"),
    "Grid": ("NONE", "IN"), "FilterMaterial": ("COPPER", "ALUMINUM"), "DetectorType": ("DIRECT", "STORAGE"),
    "DetectorConfiguration": ("AREA", "SLOT"), "DetectorActiveShape": ("RECTANGLE", "ROUND"),
    "PositionerType": ("CARM", "COLUMN"), "TableMotion": ("DYNAMIC",), "CollimatorShape": ("RECTANGULAR",),
    "ShutterShape": ("RECTANGULAR",), "VOILUTFunction": ("LINEAR",), "RecommendedViewingMode": ("NAT", "SUB"),
    "PixelIntensityRelationshipSign": (1, -1), "MaskOperation": ("NONE",),
    "PreferredPlaybackSequencing": (0, 1), "ContrastBolusIngredient": ("IODINE",),
    "InterventionStatus": ("PRE", "INTERMEDIATE", "POST", "NONE"), "LossyImageCompression": ("00", "01"),
    "QualityControlImage": ("YES", "NO"), "PatientOrientation": (["L", "F"], ["A", "F"], ""),
    "BurnedInAnnotation": ("YES", "NO"), "RecognizableVisualFeatures": ("YES", "NO"),
    "PixelSpacingCalibrationType": ("GEOMETRY", "FIDUCIAL"),
    "BodyPartExamined": ("HEART", "CHEST", "CORONARYARTERY", "LEG", "KNEE"),
    "CalibrationImage": ("YES", "NO"),
    "TimezoneOffsetFromUTC": ("+0100", "-0530", "+1400", "+0000"), "CertificateType": ("X509_1993_SIG",),
    "MACAlgorithm": ("SHA256", "RIPEMD160"), "MACIDNumber": (1, 2), "ModalityLUTType": ("US",),
    "MACCalculationTransferSyntaxUID": ("1.2.840.10008.1.2.1",), "CodingSchemeDesignator": ("99TEST",),
    "DataElementsSigned": ([Tag("SOPInstanceUID"), Tag("PatientID")],), "PatientSex": ("M", "F", "O", ""),
    "ReasonForTheAttributeModification": ("COERCE", "CORRECT"), "PatientAge": ("067Y", "003M", "012D"),
    "LUTDescriptor": ([4, 0, 16],), "LUTData": (bytes([0, 0, 0, 80, 0, 160, 255, 255]),),
    "FrameNumbersOfInterest": (1, [1, 2]),
    "RepresentativeFrameNumber": (1, 2), "StartTrim": (1,), "StopTrim": (FRAMES,), "WindowWidth": (64, 256.5),
    "SynchronizationTrigger": ("NO TRIGGER",), "AcquisitionTimeSynchronized": ("Y", "N"),
    "PixelSpacing": ([0.21, 0.21],), "ImagerPixelSpacing": ([0.3, 0.3],),
    "CineRate": (15,), "RecommendedDisplayFrameRate": (15, 30), "SmallestImagePixelValue": (0,),
    "ReferencedSOPClassUID": ("1.2.840.10008.5.1.4.1.1.12.1",), "UniqueDeviceIdentifier": ("(01)001234",),
    "ShutterPresentationValue": (0, 255), "FrameLabelVector": (["A", "B", "C"],), "Exposure": ("", 3),
    "ExposureModulationType": ("NONE",),
}  # fmt: skip
"""Enumerated values, defined terms, and numbers that have to fit together."""


@st.composite
def headers(draw: Draw) -> Dataset:
    """A legal XA run of three frames; each module with none, some or all of its optional attributes."""
    writing = draw(st.sampled_from(WRITINGS))
    ds = xa_dataset(Rows=ROWS, Columns=COLUMNS, NumberOfFrames=FRAMES, FrameTime=None, PatientName=None)
    ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime = 80, 300, 6
    if writing.terms is not None:
        ds.SpecificCharacterSet = writing.terms if isinstance(writing.terms, str) else list(writing.terms)
    ds.PatientName = draw(_name(writing))
    ds.PatientID = draw(_text(writing, 64))
    ds.PatientSex = draw(st.sampled_from(_TERMS["PatientSex"]))
    for module in MODULES:
        share = draw(st.sampled_from(["none", "some", "all"]))
        chosen = draw(st.sets(st.sampled_from(module))) if share == "some" else set(module)
        for keyword in sorted(chosen) if share != "none" else ():
            _add(draw, ds, keyword, writing)
    ds.pop("Laterality", None)
    if ds.get("BodyPartExamined") in ("LEG", "KNEE"):  # the others have no side
        ds.Laterality = draw(st.sampled_from(["R", "L", ""]))
    _add_timing(draw, ds)
    _add_overlays(draw, ds)
    _add_private(draw, ds)
    ds.PixelData = bytes(FRAMES * ROWS * COLUMNS)
    ds["PixelData"].VR = "OB"
    return ds


def _add(draw: Draw, ds: Dataset, keyword: str, writing: Writing) -> None:
    """Add one attribute with a legal value."""
    if dictionary_VR(keyword) == "SQ":
        setattr(ds, keyword, [_item(draw, keyword, writing)])
    else:
        setattr(ds, keyword, draw(_value(keyword, writing)))
    for mate in MATES.get(keyword, ()):
        _add(draw, ds, mate, writing)


def _item(draw: Draw, sequence: str, writing: Writing) -> Dataset:
    """An item, now and then with private elements and signatures of its own."""
    item = Dataset()
    if sequence == "IconImageSequence":
        return _icon()
    for keyword in _ITEMS.get(sequence, _CODE):
        _add(draw, item, keyword, writing)
    if draw(st.booleans()):
        _add_private(draw, item)
    if draw(st.integers(0, 5)) == 5 and "Signatures" not in sequence:
        for keyword in ("MACParametersSequence", "DigitalSignaturesSequence"):
            _add(draw, item, keyword, writing)
    return item


def _icon() -> Dataset:
    icon = Dataset()
    icon.SamplesPerPixel, icon.PhotometricInterpretation, icon.PixelRepresentation = 1, "MONOCHROME2", 0
    icon.Rows = icon.Columns = icon.BitsAllocated = icon.BitsStored = 8
    icon.HighBit = 7
    icon.PixelData = bytes(64)
    icon["PixelData"].VR = "OB"
    return icon


@cache  # a strategy is dear to make and always the same
def _value(keyword: str, writing: Writing) -> Values:
    """Values of one attribute, as many as its value multiplicity wants."""
    if keyword in _TERMS:
        return st.sampled_from(_TERMS[keyword])
    vr, vm = dictionary_VR(keyword).split(" or ")[0], dictionary_VM(keyword)
    one = _one(vr, writing)
    if vm == "1" or vr in ("LT", "ST", "UT", "OB", "OW"):
        return one
    least = int(vm.split("-")[0])
    most = least if vm.isdigit() else least + 1
    many: Values = st.lists(one, min_size=least, max_size=most)
    return many


_DAYS = st.dates(date(1900, 1, 1), date(2026, 1, 1)).map(lambda day: day.strftime("%Y%m%d"))
_TIMES = st.times().map(lambda time: time.strftime("%H%M%S.%f"))
_KINDS: Mapping[str, Values] = {
    "DA": _DAYS,
    "TM": _TIMES | st.sampled_from(["10", "1015", "101500", "101500.5"]),
    "DT": st.tuples(_DAYS, _TIMES).map("".join),
    "UI": st.integers(0, 2**64).map(lambda n: uid(str(n))),
    "IS": st.integers(1, 4000),
    "US": st.integers(1, 4000),
    "UL": st.integers(1, 4000),
    "SS": st.integers(-4000, 4000),
    "FL": st.integers(1, 4000).map(float),
    "FD": st.integers(1, 4000).map(float),
    "DS": st.integers(-9000, 9000).map(lambda n: n / 10),
    "OB": st.just(b"\x30\x03\x02\x01\x01\x00"),
    "CS": st.just("OTHER"),
}
_TEXTS = ("LO", "ST", "LT", "UT", "UC")
"""Value representations of free text."""


@cache
def _one(vr: str, writing: Writing) -> Values:
    """One value of a value representation (PS3.5 6.2)."""
    if vr == "PN":
        return _name(writing)
    if vr in ("SH", "AE"):  # too short for code extensions
        return _text(WRITINGS[0], 16)
    return _text(writing, 64) if vr in _TEXTS else _KINDS[vr]


@cache
def _text(writing: Writing, longest: int) -> Values:
    """Text of one or two words in a writing."""
    word = st.text(st.sampled_from(writing.letters + writing.ideographs), min_size=1, max_size=6)
    several: Values = word | st.tuples(word, word).map(" ".join)
    return several.map(lambda text: text[:longest])


@cache
def _name(writing: Writing) -> Values:
    """Person names of up to four components, with more groups in writings that have ideographs.

    Short, since dciodvfy counts bytes, escapes included, where PS3.5 6.2 counts letters.
    """

    def group(letters: str, size: int) -> st.SearchStrategy[str]:
        part = st.text(st.sampled_from(letters), min_size=1, max_size=size)
        return st.lists(part, min_size=2, max_size=size).map("^".join)

    if not writing.ideographs:
        return group(writing.letters, 4)
    ideographic = group(writing.ideographs, 2)
    return st.tuples(group(_ASCII, 4), ideographic, ideographic).map("=".join)


def _add_timing(draw: Draw, ds: Dataset) -> None:
    """Cine Module: frame time or a vector of them (PS3.3 C.7.6.5)."""
    if draw(st.booleans()):
        ds.FrameTime, ds.FrameIncrementPointer = draw(st.sampled_from([33.3, 66.667, 133])), Tag("FrameTime")
    else:
        ds.FrameTimeVector, ds.FrameIncrementPointer = [0, 66, 68.5], Tag("FrameTimeVector")


def _add_overlays(draw: Draw, ds: Dataset) -> None:
    """Overlay planes in their repeating groups (PS3.3 C.9.2)."""
    for group in range(0x6000, 0x6000 + 2 * draw(st.integers(0, 2)), 2):
        for element, vr, value in (
            (0x0010, "US", ROWS), (0x0011, "US", COLUMNS), (0x0040, "CS", "G"), (0x0050, "SS", [1, 1]),
            (0x0100, "US", 1), (0x0102, "US", 0), (0x0022, "LO", "Drawing"), (0x3000, "OW", bytes(512)),
        ):  # fmt: skip
            ds.add_new((group, element), vr, value)


def _add_private(draw: Draw, ds: Dataset) -> None:
    """Private groups of vendors, a sequence in them included."""
    for group in draw(st.sets(st.sampled_from([0x0009, 0x0019, 0x0021, 0x0029, 0x7FE1]), max_size=2)):
        block = ds.private_block(group, f"{CANARY} VENDOR", create=True)
        block.add_new(0x01, "LO", f"{CANARY} Smith^John")
        block.add_new(0x02, "OB", CANARY.encode() * 3)
        inner = Dataset()
        inner.PatientComments = CANARY
        inner.private_block(group, f"{CANARY} INNER", create=True).add_new(0x01, "UN", CANARY.encode())
        block.add_new(0x03, "SQ", [inner])
