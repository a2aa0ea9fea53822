"""What the headers of a run tell by which it can be held against another run: whose it is, when, from where.

Every fact is None, or empty, where no header tells it: whoever compares two runs then has to say so.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from pydicom.dataset import Dataset

from casgan_dicom.source.acquisition import SQUARE, acquisition_of
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.clocks import Moment, moment_of
from casgan_dicom.source.elements import items_of, numbers, one_text
from casgan_dicom.source.motion import ROTATION, STEPPING, table_top

Side = Literal["left", "right"]

CLOCKS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "acquisition": (("", "AcquisitionDateTime"), ("AcquisitionDate", "AcquisitionTime")),
    "content": (("ContentDate", "ContentTime"),),
    "series": (("SeriesDate", "SeriesTime"),),
}
"""The clocks of a header, the one to go by first: elements of date and time, a DT has no date beside it."""
HEART_RATE = (20.0, 300.0)
"""Beats a minute of a heart."""
_RIGHT = (
    "13647002", "56789007", "91083009", "450960006", "41879009", "12800002", "53655008", "17269004",
    "91761002", "91762009", "91763004", "T-43200", "T-43201", "T-43202", "T-43203", "T-43205", "T-43210",
    "T-43212",
)  # fmt: skip
"""Codes of the right coronary artery and its branches, PS3.16 CID 3015: SNOMED CT, and as SRT wrote them."""
_LEFT = (
    "50018008", "3227004", "1256091001", "59438005", "68787002", "91748002", "36672000", "57396003",
    "52433000", "91753007", "6511003", "244252004", "22765000", "91750005", "91751009", "91752002",
    "91754001", "91755000", "91756004", "244251006", "75902001", "91757008", "91758003", "91759006",
    "91760001", "57823005", "T-43003", "T-43100", "T-43107", "T-43110", "T-43111", "T-43112", "T-43115",
    "T-43120", "T-43121", "T-43122", "T-43127", "T-43230",
)  # fmt: skip
"""The same of the left one."""
_FIELDS = ("FieldOfViewDimensions", "FieldOfViewDimensionsInFloat", "IntensifierSize")
_WORDS: Mapping[str, Side] = {
    "RCA": "right", "LCA": "left", "LAD": "left", "LCX": "left", "LMCA": "left", "LM": "left", "RIVA": "left",
}  # fmt: skip
"""What people call the arteries in Series Description (0008,103E) and Protocol Name (0018,1030)."""


@dataclass(frozen=True)
class Whose:
    """Whose run it is."""

    patient_id: str = ""
    """Patient ID (0010,0020)."""
    issuer: str = ""
    """Issuer of Patient ID (0010,0021)."""
    birth_date: str = ""
    """Patient's Birth Date (0010,0030)."""
    study_uid: str = ""
    """Study Instance UID (0020,000D)."""
    frame_of_reference_uid: str = ""
    """Frame of Reference UID (0020,0052), which few X-ray systems write."""


@dataclass(frozen=True)
class RunFacts:
    """What is known of one run."""

    series_uid: str
    """Series Instance UID (0020,000E)."""
    instances: tuple[str, ...]
    """SOP Instance UIDs (0008,0018)."""
    frames: int
    """How many it has."""
    shape: tuple[int, int]
    """Rows (0028,0010) and Columns (0028,0011)."""
    whose: Whose = field(default_factory=Whose)
    """Patient and study."""
    clocks: Mapping[str, Moment] = field(default_factory=dict)
    """When it was taken, by each clock of its header that tells."""
    length_s: float | None = None
    """From the first frame to the last."""
    angles_deg: tuple[float, float] | None = None
    """Primary and secondary positioner angle of a run whose positioner stands still."""
    turns: bool = False
    """Whether the positioner moves during the run."""
    plane: str = ""
    """Value 3 of Image Type (0008,0008) where it names a plane of two: ``BIPLANE A`` or ``BIPLANE B``."""
    source_detector_mm: float | None = None
    """Distance Source to Detector (0018,1110)."""
    source_patient_mm: float | None = None
    """Distance Source to Patient (0018,1111)."""
    field_mm: tuple[float, ...] = ()
    """Field of View Dimension(s) (0018,1149), In Float (0018,9461), else Intensifier Size (0018,1162)."""
    field_turn: tuple[str, str] = ("", "")
    """Field of View Rotation (0018,7032) and Horizontal Flip (0018,7034)."""
    pixel_mm: tuple[float, float] | None = None
    """Imager Pixel Spacing (0018,1164)."""
    intensity: str = ""
    """Pixel Intensity Relationship (0028,1040)."""
    table_mm: tuple[tuple[float, float, float], ...] = ()
    """Vertical, lateral and longitudinal position of the table top: one of the run, or one of each frame."""
    artery: Side | None = None
    """The coronary artery that the header names."""
    heart_rate_bpm: float | None = None
    """By R waves, else Heart Rate (0018,1088)."""
    beat_s: float | None = None
    """Median time from R wave to R wave."""

    @property
    def started(self) -> Moment | None:
        """When the run was taken, by the first clock that is of its frames; that of a series is not."""
        return self.clocks.get("acquisition") or self.clocks.get("content")


def facts_of(cine: Cine) -> RunFacts:
    """Read what a cine can be compared by; whatever its headers hold, nothing is raised."""
    header, known = cine.header, acquisition_of(cine)
    beats = [b - a for a, b in pairwise(known.r_waves_s)]
    beat = statistics.median(beats) if beats else None
    return RunFacts(
        series_uid=cine.series_uid,
        instances=tuple(instance.sop_instance_uid for instance in cine.instances),
        frames=cine.frames,
        shape=(cine.rows, cine.columns),
        whose=_whose(header),
        clocks=_clocks(header),
        length_s=known.times_s[-1] if known.times_s else None,
        angles_deg=known.angles_deg,
        turns=ROTATION in cine.motion,
        plane=_plane(header),
        source_detector_mm=known.source_detector_mm,
        source_patient_mm=known.source_patient_mm,
        field_mm=next((tuple(sides) for word in _FIELDS if (sides := numbers(header, word))), ()),
        field_turn=_field_turn(header),
        pixel_mm=_pair(numbers(header, "ImagerPixelSpacing")),
        intensity=one_text(header, "PixelIntensityRelationship"),
        table_mm=_table(cine),
        artery=_artery(header),
        heart_rate_bpm=_heart_rate(header, beat),
        beat_s=beat,
    )


def _whose(header: Dataset) -> Whose:
    keywords = (
        "PatientID",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "StudyInstanceUID",
        "FrameOfReferenceUID",
    )
    return Whose(*(one_text(header, keyword) for keyword in keywords))


def _clocks(header: Dataset) -> dict[str, Moment]:
    found: dict[str, Moment] = {}
    for name, elements in CLOCKS.items():
        moments = (moment_of(header, date, time) for date, time in elements)
        if moment := next((moment for moment in moments if moment is not None), None):
            found[name] = moment
    return found


def _plane(header: Dataset) -> str:
    value = header.get("ImageType")
    words = [str(word) for word in value] if value and not isinstance(value, str) else []
    return words[2] if len(words) > 2 and words[2].startswith("BIPLANE") else ""


def _field_turn(header: Dataset) -> tuple[str, str]:
    """Rotation and flip of the field as texts, so that 0 and 0.0 are the same."""
    turn = numbers(header, "FieldOfViewRotation")
    rotation = f"{turn[0]:g}" if len(turn) == 1 else ""
    return rotation, one_text(header, "FieldOfViewHorizontalFlip")


def _pair(values: Sequence[float]) -> tuple[float, float] | None:
    """Both sides of a pixel; None for what is no size, or not square."""
    if len(values) != 2 or min(values) <= 0 or max(values) > (1 + SQUARE) * min(values):
        return None
    return values[0], values[1]


def _table(cine: Cine) -> tuple[tuple[float, float, float], ...]:
    """That of each frame where the table moves, else that of all; none where nothing measures the move."""
    if cine.frame_tables:
        return cine.frame_tables[:1] if len(set(cine.frame_tables)) == 1 else cine.frame_tables
    place = None if STEPPING in cine.motion else table_top(cine.header)
    return () if place is None else (place,)


def _artery(header: Dataset) -> Side | None:
    """The artery by the codes of the region, else by a word of the series' title; None where they differ."""
    found: set[Side] = set()
    for keyword in ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"):
        for item in items_of(header, keyword):
            code = one_text(item, "CodeValue")
            found |= {"right"} if code in _RIGHT else {"left"} if code in _LEFT else set()
    if not found:
        title = f"{header.get('SeriesDescription') or ''} {header.get('ProtocolName') or ''}".upper()
        found = {_WORDS[word] for word in re.findall(r"[A-Z]+", title) if word in _WORDS}
    return found.pop() if len(found) == 1 else None


def _heart_rate(header: Dataset, beat_s: float | None) -> float | None:
    if beat_s:
        return 60 / beat_s
    found = numbers(header, "HeartRate")
    return found[0] if len(found) == 1 and HEART_RATE[0] <= found[0] <= HEART_RATE[1] else None
