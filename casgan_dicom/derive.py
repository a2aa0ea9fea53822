"""The derived object: one multi-frame Grayscale Byte Secondary Capture per cine, with an honest header.

What the frames show was generated, not imaged, and every part of the header that can say so does: Synthetic
Data (0008,001C), Image Type, Conversion Type, derivation, contributing equipment, descriptions. Patient and
study are those of the source. Nothing private, no dose, no geometry of the gantry, no mask, no shutter, no
window of the source comes along: those describe the acquisition, and this is none. ``verify.py`` holds the
same rules as checks.

The object is a Secondary Capture (PS3.3 A.8.3) because that is what viewers play as a cine at its own rate.
Own text is ASCII, so that any character set of the source stays valid for the whole.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import BinaryIO

from highdicom.base import SOPClass
from highdicom.base_content import ContributingEquipment
from highdicom.sr import CodedConcept
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, MultiFrameGrayscaleByteSecondaryCaptureImageStorage
from pydicom.valuerep import DA, DT, IS, TM

from casgan_dicom import __version__
from casgan_dicom.decode import LossyHistory
from casgan_dicom.errors import SeriesError
from casgan_dicom.provenance import WARNING, Provenance, ascii_only, derivation_text, series_description
from casgan_dicom.series import Cine
from casgan_dicom.timing import MIN_FRAME_TIME_MS, FrameTiming
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID, model_uid, series_uid, sop_uid

MANUFACTURER = "casgan-dicom"
"""Manufacturer (0008,0070) of every object written here."""
SERIES_NUMBER_BASE = 9000
"""Series Number (0020,0011) of the source plus this: behind what the scanner made, and always the same."""
_UNPAIRED = (
    "ABDOMEN", "ABDOMENPELVIS", "AORTA", "BRAIN", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "CORONARYARTERY",
    "CSPINE", "HEAD", "HEADNECK", "HEART", "LIVER", "LSPINE", "MEDIASTINUM", "NECK", "PANCREAS", "PELVIS",
    "SKULL", "SPINE", "SPLEEN", "STOMACH", "TSPINE", "WHOLEBODY",
)  # fmt: skip
"""Values of Body Part Examined (0018,0015) that have no side (PS3.16 Annex L), as far as XA shows them."""


@dataclass(frozen=True)
class FramePixels:
    """The frames to store, spooled to a file so that memory does not grow with their number."""

    file: BinaryIO
    """8-bit frames one after another, rows × columns bytes each, padded to an even length, at position 0."""
    frames: int
    """How many."""
    rows: int
    """Height of each."""
    columns: int
    """Width of each."""
    sha256: str
    """Hex digest of all frames, without the padding."""


def derived_series_uid(cine: Cine, provenance: Provenance) -> str:
    """Series Instance UID (0020,000E) of everything that `provenance` makes of the series of `cine`."""
    made_by = (provenance.weights_sha256, __version__, provenance.recipe, provenance.form)
    return str(series_uid(cine.series_uid, *made_by))


class SyntheticCine(SOPClass):
    """A synthetic angiogram of one cine: Multi-frame Grayscale Byte Secondary Capture (PS3.3 A.8.3).

    Parameters
    ----------
    cine
        The source; its header says patient, study and what else is carried over.
    pixels
        The frames. Their file must stay open until the object is written.
    provenance
        Who made them.
    lossy
        Lossy compressions of the source.
    created
        Now, with a time zone.

    Raises
    ------
    SeriesError
        The source has no Study Instance UID (0020,000D), or its frame time is no time.
    """

    def __init__(
        self, cine: Cine, pixels: FramePixels, provenance: Provenance, lossy: LossyHistory, created: datetime
    ) -> None:
        source = cine.header
        if not source.get("StudyInstanceUID"):
            raise SeriesError(f"series {cine.series_uid}: StudyInstanceUID (0020,000D) is absent, need one")
        series = derived_series_uid(cine, provenance)
        source_uids = "\\".join(instance.sop_instance_uid for instance in cine.instances)
        super().__init__(
            study_instance_uid=source.StudyInstanceUID,
            series_instance_uid=series,
            series_number=_series_number(source),
            sop_instance_uid=sop_uid(series, source_uids, pixels.sha256),
            sop_class_uid=MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
            instance_number=max(1, _integer(source, "InstanceNumber") or 1),
            modality="OT",
            manufacturer=MANUFACTURER,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            content_qualification="RESEARCH",
            series_description=series_description(source),
            manufacturer_model_name=ascii_only(provenance.model)[:64],
            device_serial_number=provenance.weights_sha256[:64],
        )
        moment = _in_zone_of(source, created)
        self._copy_from(source)
        self._mark_synthetic(source, provenance)
        self._refer_to(cine)
        self._name_equipment(source, provenance, moment)
        self._stamp(moment)
        self._add_timing(cine.timing, pixels.frames)
        self._add_lossy(lossy)
        self._add_pixels(pixels)

    def _copy_from(self, source: Dataset) -> None:
        """Patient, study, body part, orientation, calibrated spacing; no more."""
        for keyword in ("SpecificCharacterSet", "TimezoneOffsetFromUTC"):
            self._copy_filled(source, keyword)
        self.copy_patient_and_study_information(source)
        for keyword in (
            "AcquisitionDate",
            "AcquisitionTime",
            "AcquisitionDateTime",
            "AnatomicRegionSequence",
        ):
            self._copy_filled(source, keyword)
        self._copy_laterality(source)
        self.PatientOrientation = None  # type 2C: empty unless the source knows
        self._copy_filled(source, "PatientOrientation")
        if is_calibrated(source):
            for keyword in (
                "PixelSpacing",
                "PixelSpacingCalibrationType",
                "PixelSpacingCalibrationDescription",
            ):
                self._copy_filled(source, keyword)
        for element in list(self):
            if element.VR == "SQ":  # items may hold private elements; the source itself stays as it is
                self[element.tag] = _without_private(element)

    def _copy_laterality(self, source: Dataset) -> None:
        """Body part and side as the source says.

        Laterality (0020,0060) is type 2C: unless the body part is an unpaired one or the image says its own
        side, it must be present, and is empty where the source does not know it.
        """
        for keyword in ("BodyPartExamined", "Laterality", "ImageLaterality"):
            self._copy_filled(source, keyword)
        sided = "Laterality" in self or "ImageLaterality" in self
        if not sided and self.get("BodyPartExamined") not in _UNPAIRED:
            self.Laterality = None

    def _copy_filled(self, source: Dataset, keyword: str) -> None:
        """Copy an element that has a value."""
        if keyword in source and not source[keyword].is_empty:
            self.add(source[keyword])

    def _mark_synthetic(self, source: Dataset, provenance: Provenance) -> None:
        """Say in every way there is that this was generated."""
        self.SyntheticData = "YES"
        self.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        self.ConversionType = "SYN"
        self.DerivationDescription = derivation_text(provenance)
        self.DerivationCodeSequence = [CodedConcept.from_code(codes.DCM.ArtificialIntelligence)]
        self.ImageComments = WARNING
        # It means identity in the pixels: our banner is none, but what the source has burned in stays there.
        self.BurnedInAnnotation = "YES" if source.get("BurnedInAnnotation") == "YES" else "NO"

    def _refer_to(self, cine: Cine) -> None:
        """Source Image Sequence (0008,2112) and Referenced Series Sequence (0008,1115)."""
        sop_class = cine.header.SOPClassUID
        purpose = codes.DCM.SourceImageForImageProcessingOperation
        self.SourceImageSequence = []
        series = Dataset()
        series.SeriesInstanceUID = cine.series_uid
        series.ReferencedInstanceSequence = []
        for instance in cine.instances:
            reference = _reference(sop_class, instance.sop_instance_uid)
            series.ReferencedInstanceSequence.append(reference)
            item = _reference(sop_class, instance.sop_instance_uid)
            item.SpatialLocationsPreserved = "YES"
            item.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(purpose)]
            self.SourceImageSequence.append(item)
        self.ReferencedSeriesSequence = [series]

    def _name_equipment(self, source: Dataset, provenance: Provenance, moment: datetime) -> None:
        """Software Versions (0018,1020), the writer, and Contributing Equipment Sequence (0018,A001).

        The items are the scanner, this software, and highdicom.
        """
        versions = [__version__, ascii_only(provenance.version)[:64]]
        self.add_new("SoftwareVersions", "LO", versions)
        self.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
        self.file_meta.ImplementationVersionName = f"CASGAN_{__version__}"[:16]
        model = ascii_only(provenance.model)[:64]
        ours = ContributingEquipment(
            manufacturer=MANUFACTURER,
            purpose_of_reference=codes.DCM.SynthesizingEquipment,
            manufacturer_model_name=model,
            software_versions=versions,
            contribution_datetime=_datetime_text(moment),
            contribution_description=ascii_only(
                f"Generated the frames: model {provenance.model}, method {provenance.method}, "
                f"engine {provenance.engine}, weights sha256 {provenance.weights_sha256}"
            )[:1024],
        )
        ours.DeviceUID = model_uid(provenance.weights_sha256, provenance.recipe)
        self._add_contributing_equipment([ours], source_image=source)
        self.ContributingEquipmentSequence[-1].ContributionDateTime = DT(_datetime_text(moment))
        scanner = self.ContributingEquipmentSequence[0]
        taken = _acquired(source)
        if scanner is not ours and taken and "ContributionDateTime" not in scanner:
            scanner.ContributionDateTime = DT(taken)

    def _stamp(self, moment: datetime) -> None:
        """Content and instance creation: when the object was made, in the time zone of the source."""
        self.ContentDate = self.InstanceCreationDate = DA(moment.strftime("%Y%m%d"))
        self.ContentTime = self.InstanceCreationTime = TM(moment.strftime("%H%M%S.%f"))

    def _add_timing(self, timing: FrameTiming, frames: int) -> None:
        """Frame times in the four places where different viewers look."""
        if frames == 1:
            return
        if timing.frame_time_ms < MIN_FRAME_TIME_MS:
            raise SeriesError(
                f"{timing.source} means {timing.frame_time_ms:g} ms from frame to frame, need at least "
                f"{MIN_FRAME_TIME_MS:g}"
            )
        if timing.vector_ms is None:
            self.FrameTime = _decimal(timing.frame_time_ms)
            self.FrameIncrementPointer = Tag("FrameTime")
        else:
            self.FrameTimeVector = [_decimal(step) for step in timing.vector_ms]
            self.FrameIncrementPointer = Tag("FrameTimeVector")
        rate = max(1, round(timing.cine_rate))
        self.CineRate = rate
        self.RecommendedDisplayFrameRate = rate

    def _add_lossy(self, lossy: LossyHistory) -> None:
        """Once lossy, always lossy: the chain of the source is carried on; this object adds nothing to it."""
        self.LossyImageCompression = "01" if lossy.lossy else "00"
        if lossy.ratios and lossy.methods:
            self.LossyImageCompressionRatio = [_decimal(ratio) for ratio in lossy.ratios]
            self.LossyImageCompressionMethod = list(lossy.methods)

    def _add_pixels(self, pixels: FramePixels) -> None:
        """Image Pixel, Multi-frame and presentation: values 0..255 are what a viewer shows."""
        self.SamplesPerPixel = 1
        self.PhotometricInterpretation = "MONOCHROME2"
        self.NumberOfFrames = pixels.frames
        self.Rows = pixels.rows
        self.Columns = pixels.columns
        self.BitsAllocated = 8
        self.BitsStored = 8
        self.HighBit = 7
        self.PixelRepresentation = 0
        self.RescaleIntercept = "0"
        self.RescaleSlope = "1"
        self.RescaleType = "US"
        self.PresentationLUTShape = "IDENTITY"
        self.WindowCenter = "128"
        self.WindowWidth = "256"
        self.add(DataElement(Tag("PixelData"), "OB", pixels.file))


def is_calibrated(source: Dataset) -> bool:
    """Whether Pixel Spacing (0028,0030) of `source` was measured in the patient, not at the detector.

    Without Pixel Spacing Calibration Type (0028,0A02) it may be a copy of Imager Pixel Spacing (0018,1164),
    and millimetres at the detector would be false millimetres on invented vessels (PS3.3 10.7.1.3).
    """
    return bool(source.get("PixelSpacing")) and source.get("PixelSpacingCalibrationType") in (
        "FIDUCIAL",
        "GEOMETRY",
    )


def _series_number(source: Dataset) -> int:
    """9000 plus the Series Number (0020,0011) of the source; 9000 where it has none or a negative one."""
    number = SERIES_NUMBER_BASE + max(0, _integer(source, "SeriesNumber") or 0)
    return number if number < 2**31 else SERIES_NUMBER_BASE


def _integer(source: Dataset, keyword: str) -> int | None:
    value = source.get(keyword)
    return int(value) if isinstance(value, (int, IS)) else None


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    return item


def _in_zone_of(source: Dataset, moment: datetime) -> datetime:
    """`moment` in Timezone Offset From UTC (0008,0201) of the source, else as it is."""
    match = re.fullmatch(r"([+-])(\d\d)(\d\d)", str(source.get("TimezoneOffsetFromUTC") or ""))
    if match is None:
        return moment
    delta = timedelta(hours=int(match[2]), minutes=int(match[3]))
    if delta > timedelta(hours=14):  # no zone is further from UTC: the value is nonsense
        return moment
    return moment.astimezone(timezone(-delta if match[1] == "-" else delta))


def _datetime_text(moment: datetime) -> str:
    """DT with its offset from UTC."""
    return moment.strftime("%Y%m%d%H%M%S.%f%z")


def _acquired(source: Dataset) -> str:
    """When the source was acquired, as DT; empty if the header does not say."""
    date, time = str(source.get("AcquisitionDate") or ""), str(source.get("AcquisitionTime") or "")
    return date + time if len(date) == 8 and date.isdigit() and time.replace(".", "").isdigit() else ""


def _decimal(value: float) -> str:
    """DS: at most 16 characters."""
    return f"{value:.10g}"


def _without_private(element: DataElement) -> DataElement:
    """A copy of a sequence, free of private elements at every depth."""
    clean = copy.deepcopy(element)
    for item in clean.value:
        item.remove_private_tags()  # this one walks down by itself
    return clean
