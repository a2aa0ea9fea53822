"""Derived pictures: Secondary Capture objects with an honest header.

What the frames show was generated, not imaged, and every part of the header that can say so does: Synthetic
Data (0008,001C), Image Type, Conversion Type, derivation, contributing equipment, descriptions. Nothing
private, no dose, no geometry of the gantry, no mask, no shutter, no window of the source comes along: those
describe the acquisition, and this is none. ``marks.py`` holds what other kinds of object say as well,
``verification/header_rules.py`` the same as checks.

A cine is one multi-frame object (PS3.3 A.8.3, A.8.4), because that is what viewers play at its own rate, or
a series of single frames (A.8.1) for archives that know no other.
"""

from __future__ import annotations

from highdicom.sr import CodedConcept
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from casgan_dicom.derived.geometry import aspect_ratio, is_calibrated
from casgan_dicom.derived.history import burned_in, said_by_all
from casgan_dicom.derived.marks import (
    ANGIOGRAM,
    MAPS,
    Derivation,
    Member,
    copy_filled,
    decimal,
    identity,
    mark,
    source_number,
    strip_private,
)
from casgan_dicom.derived.new_object import NewObject
from casgan_dicom.derived.provenance import derivation_text
from casgan_dicom.derived.references import reference
from casgan_dicom.derived.roadmap_groups import DERIVATION, LAID_OVER, SOURCE, frame_groups, source_item
from casgan_dicom.errors import SeriesError
from casgan_dicom.pixels.stored import StoredPixels
from casgan_dicom.source.timing import MIN_FRAME_TIME_MS, FrameTiming

MAX_NUMBER = 2**31 - 1
"""Largest integer string (IS), PS3.5 6.2."""
_UNPAIRED = (
    "ABDOMEN", "ABDOMENPELVIS", "AORTA", "BRAIN", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "CORONARYARTERY",
    "CSPINE", "HEAD", "HEADNECK", "HEART", "LIVER", "LSPINE", "MEDIASTINUM", "NECK", "PANCREAS", "PELVIS",
    "SKULL", "SPINE", "SPLEEN", "STOMACH", "TSPINE", "WHOLEBODY",
)  # fmt: skip
"""Values of Body Part Examined (0018,0015) that have no side (PS3.16 Annex L), as far as XA shows them."""
SUPERSEDED = ("SUPERSEDED", "99CASGAN", "Object that this one supersedes")
"""Purpose of a reference to an object of an earlier revision: no standard code means that."""
ATTENTION_MAP = "Attention map"
VESSEL_MASK = "Vessel mask"
"""How Derivation Description (0008,2111) of the maps begins."""


class DerivedPicture(NewObject):
    """What all derived pictures have in common; use the classes below.

    Parameters
    ----------
    derivation
        What was converted, and how.
    pixels
        The frames. Their file must stay open until the object is written.
    sop_class
        SOP Class UID (0008,0016).
    which
        Which of the objects that are made of this source it is.
    chosen
        The source frames it shows, from 0; None for all that were converted.

    Raises
    ------
    SeriesError
        The source has no Study Instance UID (0020,000D).
    """

    def __init__(
        self,
        derivation: Derivation,
        pixels: StoredPixels,
        sop_class: UID,
        which: Member,
        chosen: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(sop_class, pixels.syntax, identity(derivation, which, pixels.sha256))
        mark(self, derivation)
        self._carry_over(derivation.source)
        self._mark_picture(derivation)
        self._refer_to(derivation, chosen)
        if which.kind is ANGIOGRAM:
            self._refer_to_superseded(derivation)
        self._add_lossy(derivation, pixels)
        self._add_pixels(pixels)

    def _carry_over(self, source: Dataset) -> None:
        """Acquisition time, body part, orientation, calibrated spacing; no more."""
        for keyword in (
            "AcquisitionDate",
            "AcquisitionTime",
            "AcquisitionDateTime",
            "AnatomicRegionSequence",
        ):
            copy_filled(self, source, keyword)
        self._copy_laterality(source)
        self.PatientOrientation = None  # type 2C: empty unless the source knows
        copy_filled(self, source, "PatientOrientation")
        self._copy_spacing(source)
        strip_private(self)

    def _copy_spacing(self, source: Dataset) -> None:
        """Calibrated millimetres, else the shape of a pixel that is not square."""
        if not is_calibrated(source):
            self._copy_aspect(source)
            return
        for keyword in ("PixelSpacing", "PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription"):
            copy_filled(self, source, keyword)
        if "PixelSpacingCalibrationDescription" not in self:  # type 1C: it has to be there
            self.PixelSpacingCalibrationDescription = "not described by the source"

    def _copy_aspect(self, source: Dataset) -> None:
        """Pixel Aspect Ratio (0028,0034), type 1C: where pixels are not square and no spacing says so."""
        if ratio := aspect_ratio(source):
            self.PixelAspectRatio = list(ratio)

    def _copy_laterality(self, source: Dataset) -> None:
        """Body part and side as the source says.

        Laterality (0020,0060) is type 2C: where the body part is an unpaired one, or the image says its own
        side, it may not be present; else it must, and is empty where the source does not know it.
        """
        for keyword in ("BodyPartExamined", "ImageLaterality"):
            copy_filled(self, source, keyword)
        if "ImageLaterality" not in self and self.get("BodyPartExamined") not in _UNPAIRED:
            self.Laterality = None
            copy_filled(self, source, "Laterality")

    def _mark_picture(self, derivation: Derivation) -> None:
        """Say in every way there is that this was generated."""
        self.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        self.ConversionType = "SYN"
        provenance = derivation.provenance
        what = "Synthetic angiogram" if provenance.roadmap is None else "Roadmap"
        self.DerivationDescription = derivation_text(provenance, what, unsaid=derivation.unsaid)
        how = (codes.DCM.ArtificialIntelligence,) if provenance.roadmap is None else DERIVATION
        self.DerivationCodeSequence = [CodedConcept.from_code(code) for code in how]
        self.ImageComments = derivation.provenance.warning
        # It means identity in the pixels: our banner is none, but what the source has burned in stays there,
        # and one that does not say whether it has may have.
        headers = derivation.cine.headers
        self.BurnedInAnnotation = "NO" if burned_in(headers) == "NO" else "YES"
        if recognizable := said_by_all(headers, "RecognizableVisualFeatures"):
            self.RecognizableVisualFeatures = recognizable

    def _refer_to(self, derivation: Derivation, chosen: tuple[int, ...] | None) -> None:
        """Source Image Sequence (0008,2112) and Referenced Series Sequence (0008,1115)."""
        index = None if chosen is None else derivation.chosen.index(chosen[0])
        runs = [(derivation.cine, derivation.sources(chosen), SOURCE)]
        if derivation.reference is not None:
            runs.append((derivation.reference, derivation.reference_sources(index), LAID_OVER))
        self.SourceImageSequence = []
        series: dict[str, Dataset] = {}
        for run, used, purpose in runs:
            for instance, numbers in used:
                listed = series.setdefault(run.series_uid, Dataset())
                listed.SeriesInstanceUID = run.series_uid
                listed.setdefault("ReferencedInstanceSequence", [])
                one = reference(run.header.SOPClassUID, instance.sop_instance_uid)
                listed.ReferencedInstanceSequence.append(one)
                item = source_item(run, instance.sop_instance_uid, numbers, purpose)
                self.SourceImageSequence.append(item)
        self.ReferencedSeriesSequence = list(series.values())

    def _refer_to_superseded(self, derivation: Derivation) -> None:
        """Referenced Image Sequence (0008,1140): what this object stands for from now on, if anything."""
        found = derivation.provenance.superseded
        if not found:
            return
        self.ReferencedImageSequence = []
        series_of: dict[str, Dataset] = {}
        for one in found:
            item = reference(one.sop_class_uid, one.sop_uid)
            item.PurposeOfReferenceCodeSequence = [CodedConcept(*SUPERSEDED)]
            self.ReferencedImageSequence.append(item)
            if one.series_uid not in series_of:
                series_of[one.series_uid] = series = Dataset()
                series.SeriesInstanceUID = one.series_uid
                series.ReferencedInstanceSequence = []
                self.ReferencedSeriesSequence.append(series)
            listed = series_of[one.series_uid].ReferencedInstanceSequence
            listed.append(reference(one.sop_class_uid, one.sop_uid))

    def _add_lossy(self, derivation: Derivation, pixels: StoredPixels) -> None:
        """Once lossy, always lossy: the chain of the source is carried on, and what this object adds.

        Lossy Image Compression (0028,2110) is left out where the source does not say whether there is one:
        absent means unknown, 00 means that nothing was ever lost.
        """
        before = derivation.lossy
        if before.lossy or pixels.lossy:
            self.LossyImageCompression = "01"
        elif derivation.lossless:
            self.LossyImageCompression = "00"
        methods, ratios = list(before.methods), list(before.ratios)
        if pixels.lossy:
            methods.append(pixels.lossy[0])
            ratios.append(pixels.lossy[1])
        if ratios and methods:
            self.LossyImageCompressionRatio = [decimal(ratio) for ratio in ratios]
            self.LossyImageCompressionMethod = methods

    def _add_pixels(self, pixels: StoredPixels) -> None:
        """Image Pixel and presentation: stored values, from 0 to the largest, are what a viewer shows."""
        words = pixels.bits > 8
        self.SamplesPerPixel = 1
        self.PhotometricInterpretation = "MONOCHROME2"
        self.Rows = pixels.rows
        self.Columns = pixels.columns
        self.BitsAllocated = 16 if words else 8
        self.BitsStored = pixels.bits
        self.HighBit = pixels.bits - 1
        self.PixelRepresentation = 0
        self.RescaleIntercept = "0"
        self.RescaleSlope = "1"
        self.RescaleType = "US"
        self.PresentationLUTShape = "IDENTITY"
        self.WindowCenter = str(2 ** (pixels.bits - 1))
        self.WindowWidth = str(2**pixels.bits)
        element = DataElement(Tag("PixelData"), pixels.vr, pixels.value)
        element.is_undefined_length = pixels.syntax.is_encapsulated
        self.add(element)


class DerivedCine(DerivedPicture):
    """Frames in one multi-frame object, which viewers play at the rate of the source.

    Multi-frame Grayscale Byte Secondary Capture for 8 bits (PS3.3 A.8.3), Word above (A.8.4). Parameters are
    those of `DerivedPicture`. Raises SeriesError if the frame time of the source is no time, too.
    """

    def __init__(self, derivation: Derivation, pixels: StoredPixels, which: Member) -> None:
        sop_class = (
            MultiFrameGrayscaleByteSecondaryCaptureImageStorage
            if pixels.bits == 8
            else MultiFrameGrayscaleWordSecondaryCaptureImageStorage
        )
        super().__init__(derivation, pixels, sop_class, which)
        self.NumberOfFrames = pixels.frames
        if pixels.frames > 1:
            self._add_timing(derivation.timing)
        if derivation.provenance.roadmap is not None:
            self.SharedFunctionalGroupsSequence = [Dataset()]
            self.PerFrameFunctionalGroupsSequence = frame_groups(derivation)

    def _add_timing(self, timing: FrameTiming) -> None:
        """Frame times in the four places where different viewers look."""
        if timing.frame_time_ms < MIN_FRAME_TIME_MS:
            raise SeriesError(
                f"{timing.source} means {timing.frame_time_ms:g} ms from frame to frame, need at least "
                f"{MIN_FRAME_TIME_MS:g}"
            )
        if timing.vector_ms is None:
            self.FrameTime = decimal(timing.frame_time_ms)
            self.FrameIncrementPointer = Tag("FrameTime")
        else:
            self.FrameTimeVector = [decimal(step) for step in timing.vector_ms]
            self.FrameIncrementPointer = Tag("FrameTimeVector")
        rate = max(1, round(timing.cine_rate))
        self.CineRate = rate
        self.RecommendedDisplayFrameRate = rate


class SyntheticCine(DerivedCine):
    """A synthetic angiogram as one multi-frame object."""

    def __init__(self, derivation: Derivation, pixels: StoredPixels) -> None:
        super().__init__(derivation, pixels, Member(ANGIOGRAM, source_number(derivation)))


class SyntheticFrame(DerivedPicture):
    """One frame of a synthetic angiogram as an object of its own: Secondary Capture (PS3.3 A.8.1).

    `k` is its place among the converted frames, from 0. Parameters and errors are those of `DerivedPicture`.
    """

    def __init__(self, derivation: Derivation, pixels: StoredPixels, k: int) -> None:
        chosen = (derivation.chosen[k],)
        which = Member(ANGIOGRAM, k + 1, f"\\frame {chosen[0] + 1}")
        super().__init__(derivation, pixels, SecondaryCaptureImageStorage, which, chosen)
        provenance = derivation.provenance
        if provenance.roadmap is not None:
            self.DerivationDescription = derivation_text(provenance, "Roadmap", derivation.unsaid, frame=k)


class MapCine(DerivedCine):
    """What the networks made of each frame, as a cine beside the angiogram: `attention` or `vessels`.

    Attention: 0 (the input was kept) to 255 (drawn over). Vessels: 255 where one was drawn, or, for a method
    that does not know what it draws, where the segmentor sees one, else 0. Both are synthetic, and say so.
    """

    def __init__(self, derivation: Derivation, pixels: StoredPixels, name: str) -> None:
        number = 2 * min(source_number(derivation), MAX_NUMBER // 2) - (name == "attention")
        super().__init__(derivation, pixels, Member(MAPS, number, f"\\{name}"))
        roadmap = derivation.provenance.roadmap is not None
        self.ImageComments = derivation.provenance.map_texts[name]
        what = ATTENTION_MAP if name == "attention" else VESSEL_MASK
        what += " of a roadmap" if roadmap else " of a synthetic angiogram"
        self.DerivationDescription = derivation_text(derivation.provenance, what, unsaid=derivation.unsaid)
