"""Honest derived objects of every kind for tests of the rules: the banner really is in their pixels."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from casgan_dicom.derived.marks import Derivation
from casgan_dicom.derived.picture import MapCine, SyntheticCine, SyntheticFrame
from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.pixels.compress import Compression
from casgan_dicom.pixels.framefile import FrameFile, FrameWriter, stored_dtype
from casgan_dicom.pixels.stored import single_frame, stored_pixels
from casgan_dicom.source.cine import Cine
from tests.support.derived import PROVENANCE, derivation_of
from tests.support.factories import uid

Fault = Callable[[Dataset], None]
RAW = Compression()


def burned(cine: Cine, bits: int = 8, *, banner: bool = True) -> FrameFile:
    """A grey ramp as frames of so many bits, with the banner or without."""
    writer = FrameWriter(io.BytesIO(), cine.rows, cine.columns, bits)
    ramp = np.linspace(0, 2**bits - 1, cine.columns)
    for k in range(cine.frames):
        frame = np.tile(np.roll(ramp, k), (cine.rows, 1)).astype(stored_dtype(bits))
        if banner:
            banner_for(cine.rows, cine.columns).burn(frame, 2**bits - 1)
        writer.write(frame)
    return writer.finish()


def made_of(cine: Cine, *, bits: int = 8, banner: bool = True) -> Derivation:
    """What a conversion of the cine knows about itself."""
    return derivation_of(cine, provenance=replace(PROVENANCE, bits=bits, banner=banner))


def write_cine(
    cine: Cine, path: Path, *, bits: int = 8, banner: bool = True, compression: Compression = RAW
) -> Path:
    """The synthetic cine as one multi-frame object."""
    pixels = stored_pixels(burned(cine, bits, banner=banner), compression, io.BytesIO())
    ds = SyntheticCine(made_of(cine, bits=bits, banner=banner), pixels)
    dcmwrite(path, ds, enforce_file_format=True)
    return path


def write_frame(cine: Cine, path: Path, *, bits: int = 8, compression: Compression = RAW) -> Path:
    """Its second frame as an object of its own."""
    pixels = single_frame(burned(cine, bits), 1, compression)
    dcmwrite(path, SyntheticFrame(made_of(cine, bits=bits), pixels, 1), enforce_file_format=True)
    return path


def write_map(cine: Cine, path: Path, name: str) -> Path:
    """An attention map or a vessel mask as a cine."""
    pixels = stored_pixels(burned(cine), RAW, io.BytesIO())
    dcmwrite(path, MapCine(made_of(cine), pixels, name), enforce_file_format=True)
    return path


def segmentation_like(cine: Dataset) -> Dataset:
    """A derived cine turned into an empty binary segmentation that names a source for each frame."""
    ds = copy.deepcopy(cine)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    put(ImageType=["DERIVED", "PRIMARY"], Modality="SEG", SeriesNumber=29003)(ds)
    drop(ds, "ConversionType", "BurnedInAnnotation", "PresentationLUTShape", "ImageComments", "FrameTime")
    drop(
        ds, "FrameIncrementPointer", "CineRate", "RecommendedDisplayFrameRate", "WindowCenter", "WindowWidth"
    )
    put(BitsAllocated=1, BitsStored=1, HighBit=0, LossyImageCompression="00")(ds)
    ds.PixelData = bytes(ds.NumberOfFrames * ds.Rows * ds.Columns // 8)
    segment = Dataset()
    put(SegmentNumber=1, SegmentLabel="Vessel", SegmentAlgorithmType="AUTOMATIC")(segment)
    segment.SegmentAlgorithmName = "casgan-desk"
    ds.SegmentSequence = [segment]
    group, derivation = Dataset(), Dataset()
    derivation.SourceImageSequence = ds.SourceImageSequence
    derivation.DerivationCodeSequence = [code("113076")]
    group.DerivationImageSequence = [derivation]
    ds.PerFrameFunctionalGroupsSequence = [copy.deepcopy(group) for _ in range(ds.NumberOfFrames)]
    drop(ds, "SourceImageSequence", "DerivationCodeSequence")
    return ds


def report_like(cine: Dataset) -> Dataset:
    """The header of a derived cine turned into that of a structured report on it and its source."""
    ds = copy.deepcopy(cine)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    ds.SOPInstanceUID, ds.SeriesInstanceUID = uid("report"), uid("reports")
    put(Modality="SR", SeriesNumber=39003, VerificationFlag="UNVERIFIED", CompletionFlag="COMPLETE")(ds)
    ds.ReferencedPerformedProcedureStepSequence = []
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = ds.ReferencedSeriesSequence[0].SeriesInstanceUID
    series.ReferencedSOPSequence = ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    study.StudyInstanceUID, study.ReferencedSeriesSequence = ds.StudyInstanceUID, [series]
    ds.CurrentRequestedProcedureEvidenceSequence = [study]
    kept = {"SOPClassUID", "SyntheticData", "SpecificCharacterSet", "ContributingEquipmentSequence"}
    for word in [element.keyword for element in ds if element.tag.group in (0x0008, 0x0018, 0x0028, 0x7FE0)]:
        if word.startswith(("Source", "Derivation", "Image", "Lossy", "Conversion")) or (
            word not in kept and ds[word].tag.group in (0x0028, 0x7FE0)
        ):
            drop(ds, word)
    drop(ds, "ReferencedSeriesSequence", "FrameTime", "CineRate", "RecommendedDisplayFrameRate")
    drop(ds, "PresentationLUTShape", "ImageComments")
    return ds


def code(value: str) -> Dataset:
    """A code of the scheme DCM."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", "see PS3.16"
    return item


def drop(ds: Dataset, *keywords: str) -> None:
    """Delete elements, those that are there."""
    for keyword in keywords:
        ds.pop(keyword, None)


def put(**values: object) -> Fault:
    """Set elements; None deletes them."""

    def apply(ds: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)

    return apply


def in_item(sequence: str, index: int, **values: object) -> Fault:
    """Set elements of one item of a sequence; None deletes them."""
    return lambda ds: put(**values)(ds[sequence][index])


def rewrite(path: Path, fault: Fault) -> Path:
    """Put a fault into a file."""
    ds = dcmread(path)
    fault(ds)
    ds.save_as(path, enforce_file_format=True)
    return path
