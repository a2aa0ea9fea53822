"""The vessel mask of a synthetic cine as DICOM Segmentation (PS3.3 A.51): one bit for each pixel.

One segment, one frame for each synthetic frame, empty ones included, in the same order. Each frame names the
synthetic frame that the mask was read from and the source frame that this one was generated from. A source
of X-ray angiography has no Frame of Reference, so there is none here, and no position or orientation.

highdicom reads such an object but does not write one: its `Segmentation` wants a Frame of Reference as soon
as the source has more than one frame. Viewers know cine segmentations badly: OHIF 3.13.2 shows a blank page
once such an object is opened. Send it where it is asked for; the mask as a cine (``derive.MapCine``) is what
viewers play.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from highdicom.sr import CodedConcept
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage

from casgan_dicom.derived.history import unknown_history
from casgan_dicom.derived.marks import SEGMENTATION, Derivation, Member, copy_filled, source_number
from casgan_dicom.derived.picture import DerivedPicture
from casgan_dicom.derived.provenance import ascii_only, derivation_text
from casgan_dicom.derived.references import Reference, frame_references, instances_by_series, reference
from casgan_dicom.derived.roadmap_groups import LAID_OVER, source_item
from casgan_dicom.pixels.framefile import FrameFile
from casgan_dicom.pixels.stored import StoredPixels
from casgan_dicom.uids import derived_uid

SEGMENT_LABEL = "Synthetic coronary artery"
"""Segment Label (0062,0005) of the one segment."""


class VesselSegmentation(DerivedPicture):
    """Where vessels were drawn into each synthetic frame, or a network sees them, as a binary segmentation.

    Parameters
    ----------
    derivation
        What was converted, and how.
    masks
        One mask for each converted frame: a vessel where a value is not 0.
    cine
        The synthetic cine the masks were read from: one object, or one for each frame.
    spool
        An empty file that the packed bits go to. It must stay open until the object is written.

    Raises
    ------
    SeriesError
        The source has no Study Instance UID (0020,000D).
    ValueError
        Masks, converted frames and frames of `cine` are not as many.
    """

    def __init__(
        self, derivation: Derivation, masks: FrameFile, cine: Sequence[Reference], spool: BinaryIO
    ) -> None:
        self._cine = tuple(cine)
        synthetic = sum(one.frames for one in cine)
        if not masks.frames == len(derivation.chosen) == synthetic:
            counts = f"{masks.frames} masks, {len(derivation.chosen)} converted, {synthetic} synthetic"
            raise ValueError(f"need as many frames of each kind, found {counts}")
        which = Member(SEGMENTATION, source_number(derivation))
        super().__init__(derivation, _packed(masks, cine, spool), SegmentationStorage, which)
        self._add_segment(derivation)
        self._add_dimensions()

    def _carry_over(self, source: Dataset) -> None:
        """Body part, side, orientation and the shape of a pixel.

        No spacing, calibrated or not: its place is a functional group, which highdicom does not read without
        the slice thickness that a projection has not.
        """
        self._copy_laterality(source)
        self._copy_aspect(source)
        self.PatientOrientation = None  # type 2C: empty unless the source knows
        copy_filled(self, source, "PatientOrientation")

    def _mark_picture(self, derivation: Derivation) -> None:
        """Say that it was generated; PRIMARY is what the standard wants of every segmentation (C.8.20.2)."""
        self.ImageType = ["DERIVED", "PRIMARY"]
        provenance = replace(derivation.provenance, banner=False)  # a mask of one bit has no room for it
        headers = derivation.cine.headers
        unsaid = unknown_history(headers, lossy=derivation.lossy.lossy, burning=False)
        what = "Vessel mask of a " + ("synthetic angiogram" if provenance.roadmap is None else "roadmap")
        self.DerivationDescription = derivation_text(provenance, what, unsaid=unsaid)
        self.ImageComments = provenance.map_texts["vessels"]
        self.ContentLabel = "AI_SYNTHETIC"
        self.ContentDescription = "AI SYNTHETIC vessel mask, not for diagnosis"
        self.ContentCreatorName = None

    def _refer_to(self, derivation: Derivation, chosen: tuple[int, ...] | None) -> None:
        """Derivation Image Sequence (0008,9124) of each frame and Referenced Series Sequence (0008,1115)."""
        sop_class = derivation.cine.header.SOPClassUID
        synthetic = frame_references(self._cine)
        groups: list[Dataset] = []
        for index, (k, (made, numbers)) in enumerate(
            zip(chosen or derivation.chosen, synthetic, strict=True)
        ):
            position = index + 1
            content, group = Dataset(), Dataset()
            content.TemporalPositionIndex = position
            content.DimensionIndexValues = [1, position]
            source, source_numbers = derivation.sources((k,))[0]
            mask = reference(made.sop_class_uid, made.sop_instance_uid, numbers)
            picture = reference(sop_class, source.sop_instance_uid, source_numbers)
            group.FrameContentSequence = [content]
            group.DerivationImageSequence = [
                _derived_from(mask, codes.DCM.SegmentationImageDerivation),
                _derived_from(picture, codes.DCM.ArtificialIntelligence),
                *_laid_over(derivation, index),
            ]
            groups.append(group)
        self.PerFrameFunctionalGroupsSequence = groups
        self.ReferencedSeriesSequence = []
        for uid, instances in instances_by_series(derivation, self._cine).items():
            series = Dataset()
            series.SeriesInstanceUID = uid
            series.ReferencedInstanceSequence = [reference(*instance) for instance in instances]
            self.ReferencedSeriesSequence.append(series)

    def _add_lossy(self, derivation: Derivation, pixels: StoredPixels) -> None:
        """The history of the source.

        Type 1 here (PS3.3 C.8.20.2), so there is no silence: where the source says nothing, 00 is said of
        the mask, which no compression touched, and Derivation Description says what is unknown of the source.
        """
        super()._add_lossy(derivation, pixels)
        if "LossyImageCompression" not in self:
            self.LossyImageCompression = "00"

    def _add_pixels(self, pixels: StoredPixels) -> None:
        """Image Pixel and Segmentation Image: 1 where there is a vessel."""
        self.SegmentationType = "BINARY"
        self.NumberOfFrames = pixels.frames
        self.SamplesPerPixel = 1
        self.PhotometricInterpretation = "MONOCHROME2"
        self.Rows = pixels.rows
        self.Columns = pixels.columns
        self.BitsAllocated = self.BitsStored = 1
        self.HighBit = 0
        self.PixelRepresentation = 0
        self.add(DataElement(Tag("PixelData"), pixels.vr, pixels.value))

    def _add_segment(self, derivation: Derivation) -> None:
        """The segment, and what drew it or the network that found it."""
        model = derivation.provenance.model
        who = "vessels as drawn" if derivation.provenance.knows_vessels else "vessel segmentor"
        name = ascii_only(f"{model.name} {who}")[:64]
        algorithm = Dataset()
        algorithm.AlgorithmFamilyCodeSequence = [_code(codes.DCM.ArtificialIntelligence)]
        algorithm.AlgorithmName = name
        algorithm.AlgorithmVersion = ascii_only(model.version)[:64]
        algorithm.AlgorithmParameters = f"weights sha256 {model.weights_sha256}"
        segment = Dataset()
        segment.SegmentNumber = 1
        segment.SegmentLabel = SEGMENT_LABEL
        segment.SegmentDescription = _what_it_is(derivation)
        segment.SegmentAlgorithmType = "AUTOMATIC"
        segment.SegmentAlgorithmName = name
        segment.SegmentationAlgorithmIdentificationSequence = [algorithm]
        segment.SegmentedPropertyCategoryCodeSequence = [_code(codes.SCT.AnatomicalStructure)]
        segment.SegmentedPropertyTypeCodeSequence = [_code(codes.SCT.CoronaryArtery)]
        segment.TrackingID = SEGMENT_LABEL
        segment.TrackingUID = derived_uid("segment", self.SOPInstanceUID, 1)
        self.SegmentSequence = [segment]
        shared, which = Dataset(), Dataset()
        which.ReferencedSegmentNumber = 1
        shared.SegmentIdentificationSequence = [which]
        self.SharedFunctionalGroupsSequence = [shared]

    def _add_dimensions(self) -> None:
        """Frames differ in time alone: Dimension Index Sequence (0020,9222)."""
        uid = derived_uid("dimensions", self.SOPInstanceUID)
        organization = Dataset()
        organization.DimensionOrganizationUID = uid
        self.DimensionOrganizationSequence = [organization]
        self.DimensionIndexSequence = [
            _dimension(uid, "SegmentIdentificationSequence", "ReferencedSegmentNumber"),
            _dimension(uid, "FrameContentSequence", "TemporalPositionIndex"),
        ]


def _packed(masks: FrameFile, cine: Sequence[Reference], spool: BinaryIO) -> StoredPixels:
    """Masks as single bits, the first pixel lowest, a frame right behind the last bit of the one before.

    PS3.5 8.1.1: frames do not start at a byte. At most one frame is in memory.
    """
    made_of = " ".join(one.sop_instance_uid for one in cine)  # other references make another object
    digest = hashlib.sha256(f"{masks.frames}x{masks.rows}x{masks.columns} {made_of}".encode())
    start, length = spool.tell(), 0
    left = np.empty(0, bool)
    for k in range(masks.frames):
        bits = np.concatenate([left, masks.read(k).ravel() != 0])
        whole = bits.size // 8 * 8 if k < masks.frames - 1 else bits.size
        content = np.packbits(bits[:whole], bitorder="little").tobytes()
        left = bits[whole:]
        digest.update(content)
        length += spool.write(content)
    if length % 2:
        spool.write(b"\0")  # a value has an even length (PS3.5 7.1.1)
    spool.seek(start)
    return StoredPixels(
        value=spool,
        vr="OB",
        syntax=ExplicitVRLittleEndian,
        frames=masks.frames,
        rows=masks.rows,
        columns=masks.columns,
        bits=1,
        sha256=digest.hexdigest(),
    )


def _what_it_is(derivation: Derivation) -> str:
    """Segment Description (0062,0006)."""
    roadmap = derivation.provenance.roadmap
    if roadmap is None:
        return "Invented, not imaged. Not for diagnosis."
    return f"The patient's own vessels of {roadmap.when}, moved: not current. Not for diagnosis."


def _laid_over(derivation: Derivation, index: int) -> list[Dataset]:
    """The frame of the earlier run whose vessels were laid over a frame, as a derivation; none if refused."""
    items = []
    for instance, numbers in derivation.reference_sources(index):
        assert derivation.reference is not None
        item = Dataset()
        item.DerivationCodeSequence = [_code(codes.DCM.PixelByPixelMultiplication)]
        source = source_item(derivation.reference, instance.sop_instance_uid, numbers, LAID_OVER)
        item.SourceImageSequence = [source]
        items.append(item)
    return items


def _derived_from(source: Dataset, derivation: Code) -> Dataset:
    """An item of Derivation Image Sequence (0008,9124)."""
    source.SpatialLocationsPreserved = "YES"
    source.PurposeOfReferenceCodeSequence = [_code(codes.DCM.SourceImageForImageProcessingOperation)]
    item = Dataset()
    item.DerivationCodeSequence = [_code(derivation)]
    item.SourceImageSequence = [source]
    return item


def _dimension(uid: UID, group: str, pointer: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = uid
    item.DimensionIndexPointer = Tag(pointer)
    item.FunctionalGroupPointer = Tag(group)
    return item


def _code(code: Code) -> CodedConcept:
    return CodedConcept.from_code(code)
