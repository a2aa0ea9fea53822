"""Really derived objects of every kind, for the tables of the conformance statement.

Each kind is made from three sources that differ in everything they may: two full headers, and one that has
no more than it must. What is equal in the first two is fixed; what is missing in the third is not always
there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from highdicom._standard_utils import get_module_attribute_map
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ComprehensiveSRStorage, XRayRadiofluoroscopicImageStorage

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.derived.references import Reference
from casgan_dicom.derived.review_content import Judgement
from casgan_dicom.derived.review_reasons import REASONS
from casgan_dicom.derived.review_record import RecordKind, Reviewed, ReviewRecord
from casgan_dicom.lab.xa import RunHeader, write_cine
from casgan_dicom.model.data.normalisation import Levels
from casgan_dicom.model.generator import Generator, Synthesis

Frames = npt.NDArray[np.float32]

FORMS: Mapping[str, ConvertOptions] = {
    "cine": ConvertOptions(force=True, maps=True, seg=True, sr=True),
    "words": ConvertOptions(force=True, bits=12),
    "frames": ConvertOptions(force=True, single_frames=True),
}
"""Conversions that give every kind of object between them."""


@dataclass(frozen=True)
class Source:
    """One source of a table."""

    ds: Dataset
    """Its header."""
    made: Mapping[str, Dataset]
    """What was made of it: one object of each form and kind, e.g. ``cine angiogram``."""


@dataclass(frozen=True)
class _Info:
    """What the stand-in for a bundle says about itself."""

    name: str
    version: str
    weights_sha256: str
    method: str = "casgan"
    recipe: str = "none"
    licence: str = "Apache-2.0"
    data: str = "none"
    size: int = 64


class _StandIn:
    """Draws a bar: the header does not depend on what the frames show."""

    batch = 8
    engine = "torch-fp32"
    device = "cpu"

    def __init__(self, info: _Info) -> None:
        self.info = info

    def measure(self, frames: Iterable[Frames]) -> Levels:
        """Any levels."""
        for _ in frames:
            continue
        return Levels(0.0, 1.0)

    def sampled(self, _: int) -> tuple[int, ...]:
        """It plans nothing."""
        return ()

    def judge(self, _: Sequence[Frames]) -> None:
        """It knows no training frames."""

    def __call__(self, frames: Frames, _: Levels | None = None) -> Synthesis:
        """A dark bar."""
        bar = np.zeros_like(frames)
        bar[:, 20:24] = 0.5
        return Synthesis(frames * (1 - bar), bar)

    def vessels(self, frames: Frames, _: Levels | None = None) -> Frames:
        """The bar in frames that show it."""
        found = np.zeros_like(frames)
        found[:, 20:24] = np.where(frames[:, 20:24].mean() < 0.35, 0.9, 0.0)
        return found


def sources(folder: Path) -> tuple[Source, Source, Source]:
    """The two full sources and the bare one, with what is made of each."""
    return (
        _source(folder / "a", _full(folder / "a", 1, 64, 3), _Info("model-a", "7.1", "a1" * 32)),
        _source(folder / "b", _full(folder / "b", 2, 96, 4), _Info("model-b", "8.2", "b2" * 32)),
        _source(folder / "bare", _bare(folder / "bare"), _Info("model-c", "9.3", "c3" * 32)),
    )


def _source(folder: Path, path: Path, info: _Info) -> Source:
    """Convert a source in every form."""
    generator = cast(Generator, _StandIn(info))
    moment = datetime(2026, 1, int(info.version[0]), int(info.version[0]), tzinfo=UTC)
    made: dict[str, Dataset] = {}
    for form, options in FORMS.items():
        report = convert_series([path], lambda: generator, options, folder / form, clock=lambda: moment)
        for output in report.outputs:
            for written in output.objects:
                name = f"{form} {written.kind}"
                if name not in made or info.name == "model-b":  # of several frames one time the last
                    made[name] = dcmread(written.path, defer_size="4 KB")
    made |= dict(_reviews(made["cine angiogram"], moment))
    return Source(dcmread(path, stop_before_pixels=True), made)


def _reviews(cine: Dataset, moment: datetime) -> Iterator[tuple[str, Dataset]]:
    """A verdict about a cine, which is another for each source, as both objects."""
    said = str(cine.ManufacturerModelName)
    reason = REASONS["vessel-course"] if said == "model-a" else None
    is_bare = said == "model-c"
    reviewer, text = ("", "") if is_bare else (f"Reviewer of {said}", f"text of {said}")
    judgement = Judgement(reason, text, reviewer, moment, moment.day)
    one = Reference(cine.SOPClassUID, cine.SOPInstanceUID, cine.SeriesInstanceUID, int(cine.NumberOfFrames))
    before = (str(ComprehensiveSRStorage), f"2.25.{moment.day}") if not is_bare else ("", "")
    about = Reviewed("job", cine, (one,), before)
    kinds: tuple[tuple[str, RecordKind], ...] = (("report", "sr"), ("selection", "ko"))
    for name, kind in kinds:
        yield f"review {name}", ReviewRecord(judgement, about, kind)


def _full(folder: Path, seed: int, side: int, frames: int) -> Path:
    """A source with everything that is ever carried over, all of it different for each seed."""
    run = np.full((frames, side, side), 1600, np.uint16)
    header = RunHeader(seed, run=seed, bits=12, frame_time_ms=66.7 / seed, primary_deg=-20.0 * seed)
    path = write_cine(folder / "source", run, header)
    ds = dcmread(path)
    for keyword in (*_PATIENT_AND_STUDY, *_EQUIPMENT):
        if keyword != "StudyInstanceUID":
            setattr(ds, keyword, _value(keyword, seed))
    ds.TimezoneOffsetFromUTC = f"+0{seed}00"
    ds.PatientOrientation = ["LP"[seed - 1], "F"]
    ds.AcquisitionDateTime = f"2001010{seed}"
    ds.AnatomicRegionSequence = [_code("AnatomicRegion", seed)]
    ds.InstanceNumber = 4 + seed
    del ds.CineRate  # or it might be taken for what is computed from the frame time
    _differ(ds, seed, frames)
    ds.save_as(path)
    return path


def _differ(ds: Dataset, seed: int, frames: int) -> None:
    """What cannot be told apart by a number."""
    ds.PatientIdentityRemoved, ds.PatientSex = (("NO", "F"), ("YES", "M"))[seed - 1]
    ds.QualityControlSubject, ds.SmokingStatus = ("NO", "UNKNOWN") if seed == 1 else ("YES", "NO")
    ds.TypeOfPatientID, ds.PregnancyStatus = ("TEXT", "RFID")[seed - 1], seed
    if seed == 1:
        ds.SpecificCharacterSet, ds.PixelSpacingCalibrationType = "ISO_IR 100", "FIDUCIAL"
        ds.PixelSpacing, ds.PixelSpacingCalibrationDescription = [0.2, 0.25], "1"
        ds.BodyPartExamined, ds.Laterality, ds.BurnedInAnnotation = "LEG", "R", "YES"
        ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "ISO_15444_1"
        ds.RecognizableVisualFeatures = "YES"
        ds.LossyImageCompressionRatio = 6.5
        return
    ds.SpecificCharacterSet, ds.PixelAspectRatio = "ISO_IR 192", [6, 5]
    ds.pop("ImagerPixelSpacing", None)
    ds.BodyPartExamined, ds.ImageLaterality, ds.BurnedInAnnotation = "KNEE", "L", "NO"
    ds.RecognizableVisualFeatures = "NO"
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = XRayRadiofluoroscopicImageStorage
    ds.Modality = "RF"
    del ds.FrameTime
    ds.FrameTimeVector, ds.FrameIncrementPointer = [0, *[33] * (frames - 1)], Tag("FrameTimeVector")


_EQUIPMENT = (
    "StationName", "InstitutionName", "InstitutionalDepartmentName", "InstitutionAddress",
    "DeviceSerialNumber", "SoftwareVersions", "Manufacturer", "ManufacturerModelName",
)  # fmt: skip
PATIENT_AND_STUDY_MODULES = (
    "patient", "clinical-trial-subject", "general-study", "patient-study", "clinical-trial-study",
)  # fmt: skip
_PATIENT_AND_STUDY = tuple(
    str(line["keyword"])
    for module in PATIENT_AND_STUDY_MODULES
    for line in get_module_attribute_map()[module]
    if not line["path"]
)


def _value(keyword: str, seed: int) -> object:
    """A value that is different for each attribute and seed, as its value representation wants it."""
    number = seed * 1000 + zlib.crc32(keyword.encode()) % 900
    kinds: Mapping[str, object] = {
        "DA": f"19{number % 90 + 10}010{seed}",
        "TM": f"10{number % 60:02d}0{seed}",
        "AS": f"0{number % 90 + 10}Y",
        "DS": number,
        "US": number,
        "FD": float(number),
        "UI": f"2.25.{number}",
        "SQ": [_code(keyword, seed)],
    }
    return kinds.get(dictionary_VR(keyword), f"{seed}{keyword.upper()}"[:16])


def _code(keyword: str, seed: int) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = f"{seed}{keyword}"[:16], "99CASGAN"
    item.CodeMeaning = keyword
    return item


def _bare(folder: Path) -> Path:
    """A source with no more than it must have, of one frame."""
    path = write_cine(folder / "source", np.full((1, 64, 64), 120, np.uint8), RunHeader(3))
    ds = dcmread(path)
    for keyword in _NOT_NEEDED:
        ds.pop(keyword, None)
    for keyword in ("StudyDate", "StudyTime", "StudyID", "PatientName", "PatientSex", "Manufacturer"):
        setattr(ds, keyword, None)
    ds.save_as(path)
    return path


_NOT_NEEDED = (
    "IssuerOfPatientID", "StudyDescription", "SeriesDescription", "ManufacturerModelName", "BodyPartExamined",
    "AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime", "AcquisitionNumber", "FrameTime",
    "FrameIncrementPointer", "CineRate", "InstanceNumber", "LossyImageCompression",
    "BurnedInAnnotation", "ImageComments",
)  # fmt: skip
