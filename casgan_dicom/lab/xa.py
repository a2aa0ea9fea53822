"""A simulated run as XA DICOM: what the simulator's arrays become before anything else may read them.

The patient does not exist and says so; Synthetic Data (0008,001C) is YES and Image Type (0008,0008) is
ORIGINAL, because the run is a (simulated) acquisition, not a picture made from another one. Everything in the
file follows from the frames and the header given, dates and UIDs included: the same run is the same bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage

from casgan_dicom.disk import whole_file
from casgan_dicom.errors import OutputError
from casgan_dicom.model.simulator.shutter import Circle, Rectangle, Shutter
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID, derived_uid

Frames = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Photometric = Literal["MONOCHROME1", "MONOCHROME2"]
Relationship = Literal["LIN", "LOG", "DISP"]

_FIRST_DAY = datetime(2001, 1, 1, 8)
_DAYS = 3650
_RUN_MINUTES = 3


@dataclass(frozen=True)
class RunHeader:
    """What a simulated run says about itself, besides its frames."""

    seed: int
    """Names the patient and the study: one of each per seed."""
    run: int = 0
    """Number of the run in its study, from 0."""
    bits: int = 8
    """Bits Stored (0028,0101), 8 to 16."""
    photometric: Photometric = "MONOCHROME2"
    """Photometric Interpretation (0028,0004); MONOCHROME1 is against PS3.3 C.8.7.1, and yet it is found."""
    relationship: Relationship = "LIN"
    """Pixel Intensity Relationship (0028,1040)."""
    frame_time_ms: float = 1000 / 15
    """Frame Time (0018,1063) in ms."""
    primary_deg: float = -30.0
    """Positioner Primary Angle (0018,1510) in degrees, LAO positive."""
    secondary_deg: float = 0.0
    """Positioner Secondary Angle (0018,1511) in degrees, cranial positive."""
    pixel_mm: float = 0.390625
    """Imager Pixel Spacing (0018,1164) in mm on the detector, the same in both directions."""
    source_isocentre_mm: float = 750.0
    """Distance Source to Patient (0018,1111) in mm."""
    source_detector_mm: float = 1100.0
    """Distance Source to Detector (0018,1110) in mm."""
    shutter: Shutter | None = None
    """Display Shutter Module; None leaves it out."""
    contrast: bool = False
    """Whether contrast was injected: the run then carries Contrast/Bolus Agent (0018,0010)."""
    r_wave_frames: tuple[int, ...] = field(default=(), repr=False)
    """R Wave Pointer (0028,6040): frames with an R wave, from 1; empty leaves it out."""
    table_top_mm: tuple[float, float, float] | None = field(default=None, repr=False)
    """Table Top Vertical (300A,0128), Longitudinal (300A,0129) and Lateral (300A,012A) Position; with it goes
    the Frame of Reference of the study's runs. None leaves them out. Like the R waves, no part of `repr`,
    which UIDs are made of."""

    @property
    def start(self) -> datetime:
        """When the run began: a moment that follows from the seed."""
        return _FIRST_DAY + timedelta(
            days=self.seed % _DAYS, minutes=self.seed * 7 % 360 + _RUN_MINUTES * self.run
        )


def write_cine(path: Path, frames: Frames, header: RunHeader) -> Path:
    """Write a run as one multi-frame XA instance.

    Parameters
    ----------
    path
        The file to write; its folder is made, an older file of that name is replaced.
    frames
        uint8 (frames, rows, columns) for 8 bits, uint16 above; no value beyond `header.bits`.
    header
        What the run says about itself.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        The frames do not fit the header.
    OutputError
        The file cannot be written.
    """
    _check(frames, header)
    ds = _instance(frames, header, "multi-frame")
    ds.FrameTime = _decimal(header.frame_time_ms)
    ds.FrameIncrementPointer = Tag("FrameTime")
    ds.CineRate = max(1, round(1000 / header.frame_time_ms))
    ds.NumberOfFrames = len(frames)
    _add_pixels(ds, frames)
    _save(ds, path)
    return path


def write_single_frames(folder: Path, frames: Frames, header: RunHeader) -> tuple[Path, ...]:
    """Write a run as a series of single-frame XA instances, `IM0001.dcm` and on.

    Parameters, errors and bytes are those of `write_cine`; each instance carries its own Acquisition Time
    (0008,0032). Returns the paths in the order of time.
    """
    _check(frames, header)
    paths = []
    for k, frame in enumerate(frames):
        ds = _instance(frame[None], header, f"single frame {k}")
        taken = header.start + timedelta(milliseconds=k * header.frame_time_ms)
        ds.AcquisitionTime = ds.ContentTime = taken.strftime("%H%M%S.%f")
        ds.InstanceNumber = k + 1
        _add_pixels(ds, frame[None])
        path = folder / f"IM{k + 1:04d}.dcm"
        _save(ds, path)
        paths.append(path)
    return tuple(paths)


def _check(frames: Frames, header: RunHeader) -> None:
    """Raise ValueError if the frames do not fit the header."""
    dtype = np.dtype(np.uint8 if header.bits == 8 else np.uint16)
    if frames.ndim != 3 or frames.dtype != dtype or not 8 <= header.bits <= 16 or 0 in frames.shape:
        raise ValueError(
            f"{header.bits} bits need {dtype} (frames, rows, columns), got {frames.dtype} {frames.shape}"
        )
    if int(frames.max()) >= 2**header.bits:
        raise ValueError(f"frames reach {int(frames.max())}, {header.bits} bits hold {2**header.bits - 1}")


def _instance(frames: Frames, header: RunHeader, form: str) -> Dataset:
    """Everything but pixels, timing and the numbers of a single frame."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    ds.file_meta.ImplementationVersionName = "CASGAN_SIMULATED"
    digest = hashlib.sha256(frames.tobytes()).hexdigest()
    ds.SOPClassUID = XRayAngiographicImageStorage
    ds.SOPInstanceUID = derived_uid("simulated instance", repr(header), form, digest)
    ds.SyntheticData = "YES"
    _add_patient_and_study(ds, header)
    _add_series_and_image(ds, header, form)
    _add_geometry(ds, header)
    _add_shutter(ds, header.shutter)
    return ds


def _add_patient_and_study(ds: Dataset, header: RunHeader) -> None:
    first = RunHeader(header.seed).start
    ds.PatientName = f"Simulated^Seed {header.seed}"
    ds.PatientID = f"SIM-{header.seed}"
    ds.IssuerOfPatientID = "casgan-dicom simulator"
    ds.PatientBirthDate = ""
    ds.PatientSex = "O"
    ds.StudyInstanceUID = derived_uid("simulated study", header.seed)
    ds.StudyDate, ds.StudyTime = first.strftime("%Y%m%d"), first.strftime("%H%M%S")
    ds.StudyID = "1"
    ds.StudyDescription = "Simulated coronary angiography"
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""


def _add_series_and_image(ds: Dataset, header: RunHeader, form: str) -> None:
    single = form != "multi-frame"
    kind = "with contrast" if header.contrast else "without contrast"
    ds.Modality = "XA"
    ds.SeriesInstanceUID = derived_uid(
        "simulated series", repr(header), "single" if single else "multi-frame"
    )
    ds.SeriesNumber = 1 + 4 * header.run + 2 * header.contrast + single
    ds.SeriesDescription = f"Simulated run {kind}"
    ds.Manufacturer = "casgan-dicom"
    ds.ManufacturerModelName = "X-ray cine simulator"
    ds.InstanceNumber = 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    ds.AcquisitionDate = ds.ContentDate = header.start.strftime("%Y%m%d")
    ds.AcquisitionTime = ds.ContentTime = header.start.strftime("%H%M%S.%f")
    ds.AcquisitionNumber = header.run + 1
    ds.PatientOrientation = ""
    ds.BodyPartExamined = "HEART"
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.ImageComments = "Simulated by software, no patient was imaged"
    if header.contrast:
        ds.ContrastBolusAgent = "Simulated iodine"


def _add_geometry(ds: Dataset, header: RunHeader) -> None:
    """X-Ray Acquisition and XA Positioner Modules, PS3.3 C.8.7.2 and C.8.7.5."""
    ds.KVP = ""
    ds.XRayTubeCurrent = ds.ExposureTime = ds.Exposure = None
    ds.RadiationSetting = "GR"
    ds.ImagerPixelSpacing = [_decimal(header.pixel_mm)] * 2
    ds.DistanceSourceToPatient = _decimal(header.source_isocentre_mm)
    ds.DistanceSourceToDetector = _decimal(header.source_detector_mm)
    ds.EstimatedRadiographicMagnificationFactor = _decimal(
        header.source_detector_mm / header.source_isocentre_mm
    )
    ds.PositionerMotion = "STATIC"
    ds.PositionerPrimaryAngle = _decimal(header.primary_deg)
    ds.PositionerSecondaryAngle = _decimal(header.secondary_deg)
    _add_table(ds, header)
    if header.r_wave_frames:
        ds.RWavePointer = list(header.r_wave_frames)
    ds.PixelIntensityRelationship = header.relationship
    if header.relationship == "LOG":
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = header.photometric
    ds.BitsAllocated = 8 if header.bits == 8 else 16
    ds.BitsStored = header.bits
    ds.HighBit = header.bits - 1
    ds.PixelRepresentation = 0


def _add_table(ds: Dataset, header: RunHeader) -> None:
    """Where the table stands; classic XA has increments only (PS3.3 C.8.7.4), so this extends it."""
    if header.table_top_mm is None:
        return
    ds.FrameOfReferenceUID = derived_uid("simulated frame of reference", header.seed)
    ds.PositionReferenceIndicator = ""
    ds.TableMotion = "STATIC"
    vertical, longitudinal, lateral = (_decimal(mm) for mm in header.table_top_mm)
    ds.TableTopVerticalPosition, ds.TableTopLongitudinalPosition = vertical, longitudinal
    ds.TableTopLateralPosition = lateral


def _add_shutter(ds: Dataset, shutter: Shutter | None) -> None:
    """Display Shutter Module, PS3.3 C.7.6.11."""
    match shutter:
        case Rectangle():
            ds.ShutterShape = "RECTANGULAR"
            ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = shutter.left, shutter.right
            ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = shutter.upper, shutter.lower
        case Circle():
            ds.ShutterShape = "CIRCULAR"
            ds.CenterOfCircularShutter = [shutter.row, shutter.column]
            ds.RadiusOfCircularShutter = shutter.radius


def _add_pixels(ds: Dataset, frames: Frames) -> None:
    ds.Rows, ds.Columns = frames.shape[1:]
    data = np.ascontiguousarray(frames).astype(frames.dtype.newbyteorder("<"), copy=False).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if frames.dtype.itemsize == 1 else "OW"


def _decimal(value: float) -> str:
    """A DS of at most 16 characters."""
    return f"{value:.8g}"


def _save(ds: Dataset, path: Path) -> None:
    """Write a file that is whole or not there; makes the folder. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            ds.save_as(file, enforce_file_format=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror})", hint="choose another folder"
        ) from error
