"""Made-up XA runs for tests: legal by default, broken or odd on request.

`xa_dataset(Keyword=value, ...)` gives a header, `write_xa(path, frames, Keyword=value, ...)` a file. A value
of None removes the element, so a test says only what is special about its input:

    path = write_xa(tmp_path / "a", moving_frames(12, 96, 128), FrameTime=40, ContrastBolusAgent="Iohexol")
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    XRayAngiographicImageStorage,
)

Frames = npt.NDArray[np.integer[Any]]


def uid(name: str) -> str:
    """A legal UID that is always the same for the same name."""
    return f"2.25.{int.from_bytes(hashlib.sha256(name.encode()).digest()[:15], 'big')}"


XA_HEADER: Mapping[str, object] = {
    "SOPClassUID": XRayAngiographicImageStorage,
    "SOPInstanceUID": uid("instance"),
    "StudyInstanceUID": uid("study"),
    "SeriesInstanceUID": uid("series"),
    "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
    "StudyDate": "20240102",
    "StudyTime": "101500",
    "AcquisitionDate": "20240102",
    "AcquisitionTime": "101623",
    "AccessionNumber": "",
    "Modality": "XA",
    "Manufacturer": "Test bench",
    "ReferringPhysicianName": "",
    "PatientName": "Test^Run",
    "PatientID": "TEST-1",
    "PatientBirthDate": "",
    "PatientSex": "",
    "BodyPartExamined": "HEART",
    "KVP": None,
    "RadiationSetting": "GR",
    "PositionerMotion": "STATIC",
    "PositionerPrimaryAngle": -30,
    "PositionerSecondaryAngle": 0,
    "StudyID": "1",
    "SeriesNumber": 3,
    "InstanceNumber": 1,
    "PatientOrientation": "",
    "FrameTime": 66.667,
    "FrameIncrementPointer": Tag("FrameTime"),
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "NumberOfFrames": 4,
    "Rows": 64,
    "Columns": 80,
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
    "PixelIntensityRelationship": "LIN",
}
"""What `xa_dataset` says unless told otherwise."""


def moving_frames(frames: int = 4, rows: int = 64, columns: int = 80, bits: int = 8) -> Frames:
    """A bright bar that moves over a ramp, uint8 or uint16 (frames, rows, columns), every frame different."""
    top = 2**bits - 1
    ramp = np.linspace(0.2, 0.6, rows)[:, None] + np.linspace(0.0, 0.2, columns)[None, :]
    run = np.repeat(ramp[None], frames, axis=0)
    for k in range(frames):
        run[k, :, (3 * k) % columns] = (k % 7) / 6
    return np.asarray(np.rint(run * top), dtype=np.uint8 if bits == 8 else np.uint16)


def xa_dataset(**overrides: object) -> Dataset:
    """Header of an 8-bit multi-frame XA run of four frames of 64 × 80; keywords override, None removes."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in {**XA_HEADER, **overrides}.items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds


def write_xa(
    path: Path,
    frames: Frames | None = None,
    *,
    syntax: object = ExplicitVRLittleEndian,
    **overrides: object,
) -> Path:
    """Write a run as one instance and return its path.

    `frames` is (frames, rows, columns), or (frames, rows, columns, 3) for RGB; `moving_frames()` where None.
    Bits Stored is that of the dtype unless `BitsStored` says otherwise. `syntax` may be any uncompressed one,
    RLE, JPEG-LS, JPEG 2000 lossless, or JPEG Baseline (8 bit).
    """
    run = moving_frames() if frames is None else frames
    described = _description(run, overrides.get("BitsStored"))
    ds = xa_dataset(**(overrides | described))
    _add_pixels(ds, run, UID(str(syntax)))
    # Only now may the header lie about its pixels: they were to be well encoded first.
    for keyword in described.keys() & overrides.keys():
        if overrides[keyword] is not None:
            setattr(ds, keyword, overrides[keyword])
        elif keyword in ds:
            delattr(ds, keyword)
    path.parent.mkdir(parents=True, exist_ok=True)
    if "SOPInstanceUID" not in ds or "SOPClassUID" not in ds:  # else pydicom would not write it
        ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", uid("instance"))
        ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", XRayAngiographicImageStorage)
    ds.save_as(path, enforce_file_format=True)
    return path


def with_texts(path: Path, **values: str) -> Path:
    """Write texts into a file whatever they hold, each under the VR of its element."""
    ds = dcmread(path)
    implicit, little = ds.original_encoding
    for keyword, text in values.items():
        tag, value = Tag(keyword), text.encode() + b" " * (len(text) % 2)
        vr = dictionary_VR(tag)
        ds._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, bool(implicit), bool(little))
    ds.save_as(path)
    return path


def write_header(path: Path, **overrides: object) -> Path:
    """Write an instance without Pixel Data and return its path."""
    ds = xa_dataset(**overrides)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def write_xa_single_frames(
    folder: Path,
    frames: Frames,
    *,
    syntax: object = ExplicitVRLittleEndian,
    step_s: float = 0.1,
    **overrides: object,
) -> list[Path]:
    """Write each frame as an instance of its own, `step_s` seconds apart; the paths in that order.

    File names say nothing about the order.
    """
    paths = []
    for k, frame in enumerate(frames):
        seconds = 3600 * 10 + k * step_s
        stamp = f"{int(seconds // 3600):02d}{int(seconds // 60 % 60):02d}{seconds % 60:09.6f}"
        own: dict[str, object] = {
            "SOPInstanceUID": uid(f"single {k}"),
            "InstanceNumber": k + 1,
            "AcquisitionTime": stamp,
            "NumberOfFrames": None,
            "FrameTime": None,
            "FrameIncrementPointer": None,
        }
        name = hashlib.sha256(str(k).encode()).hexdigest()[:8]
        paths.append(write_xa(folder / name, frame[None], syntax=syntax, **(own | overrides)))
    return paths


def _description(run: Frames, bits_stored: object) -> dict[str, object]:
    """What the header has to say about these frames."""
    allocated = 8 * run.dtype.itemsize
    colour = run.ndim == 4
    bits = bits_stored if isinstance(bits_stored, int) else allocated
    return {
        "NumberOfFrames": run.shape[0],
        "Rows": run.shape[1],
        "Columns": run.shape[2],
        "BitsAllocated": allocated,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(run.dtype.kind == "i"),
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
    }


def _add_pixels(ds: Dataset, run: Frames, syntax: UID) -> None:
    """Put the frames into the data set in the given transfer syntax."""
    if syntax == JPEGBaseline8Bit:
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = encapsulate([_jpeg(frame) for frame in run])
        ds["PixelData"].VR = "OB"
        return
    big = syntax == ExplicitVRBigEndian
    data = run.astype(run.dtype.newbyteorder(">" if big else "<")).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if run.dtype.itemsize == 1 else "OW"
    if syntax.is_compressed and not syntax.is_deflated:
        ds.compress(syntax, generate_instance_uid=False)
    else:
        ds.file_meta.TransferSyntaxUID = syntax
        if syntax == ImplicitVRLittleEndian:
            ds["PixelData"].VR = "OW"


def _jpeg(frame: Frames) -> bytes:
    """One 8-bit frame as JPEG Baseline."""
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, format="JPEG", quality=90)
    return stream.getvalue() + b"\0" * (stream.tell() % 2)
