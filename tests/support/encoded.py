"""Frames in a file, and the smallest legal object around encoded ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

from casgan_dicom.pixels.compress import Compression, EncodedFrames, encode
from casgan_dicom.pixels.framefile import FrameFile, FrameWriter
from tests.support.factories import Frames, moving_frames, uid


def noisy_frames(frames: int, rows: int, columns: int, bits: int) -> Frames:
    """A moving bar over a ramp with noise as in X-ray, lowest and highest value included."""
    clean = moving_frames(frames, rows, columns, bits).astype(float)
    noise = np.random.default_rng(frames + rows + columns + bits).normal(0, 0.01 * 2**bits, clean.shape)
    run = np.clip(np.rint(clean + noise), 0, 2**bits - 1)
    run[..., 0, 0], run[..., -1, -1] = 0, 2**bits - 1
    return run.astype(np.uint8 if bits == 8 else np.uint16)


def frame_file(run: Frames, bits: int) -> FrameFile:
    """Frames as the pipeline spools them."""
    writer = FrameWriter(io.BytesIO(), run.shape[1], run.shape[2], bits)
    for frame in run:
        writer.write(frame)
    return writer.finish()


def write_encoded(path: Path, run: Frames, bits: int, compression: Compression) -> EncodedFrames:
    """Write frames as a multi-frame Secondary Capture of 8 bits, or of 16 allocated."""
    encoded = encode(frame_file(run, bits), compression, io.BytesIO())
    ds = secondary_capture(run, bits)
    ds.file_meta.TransferSyntaxUID = encoded.syntax
    if compression.lossy_method:
        ds.LossyImageCompression = "01"
        ds.LossyImageCompressionRatio = f"{encoded.ratio:.4f}"
        ds.LossyImageCompressionMethod = compression.lossy_method
    ds.add(DataElement(Tag("PixelData"), encoded.vr, encoded.file))
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, ds, enforce_file_format=True)
    return encoded


def secondary_capture(run: Frames, bits: int) -> Dataset:
    """Multi-frame Grayscale Byte or Word Secondary Capture (PS3.3 A.8.3, A.8.4) without Pixel Data."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    byte = run.dtype == np.uint8
    ds.SOPClassUID = (
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage
        if byte
        else MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    )
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = uid("mf"), uid("study"), uid("mf series")
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Test^Run", "TEST-1", "", ""
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20240102", "101500", "1"
    ds.AccessionNumber = ds.ReferringPhysicianName = ds.PatientOrientation = ""
    ds.Modality, ds.ConversionType, ds.ImageType = "OT", "SYN", ["DERIVED", "SECONDARY", "OTHER"]
    ds.SeriesNumber, ds.InstanceNumber, ds.BodyPartExamined = 9003, 1, "HEART"
    ds.ContentDate, ds.ContentTime = "20240102", "101623"
    ds.NumberOfFrames, ds.Rows, ds.Columns = run.shape
    if len(run) > 1:
        ds.FrameTime, ds.FrameIncrementPointer = 66.667, Tag("FrameTime")
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8 * run.dtype.itemsize, bits, bits - 1
    ds.BurnedInAnnotation, ds.LossyImageCompression, ds.PresentationLUTShape = "NO", "00", "IDENTITY"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    return ds
