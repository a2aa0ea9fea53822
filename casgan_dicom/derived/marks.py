"""What every derived object says, whatever its kind: whose it is, what it was made of, by what, and when.

Patient and study are those of the source; equipment, series and instance are ours. Nothing private comes
along, at no depth. ``picture.py`` adds pictures to these marks, ``segmentation.py`` and ``quality_record.py``
the other kinds; ``verification/header_rules.py`` holds the same marks as checks.

Own text is ASCII, so that any character set of the source stays valid for the whole.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from itertools import chain

from highdicom.base_content import ContributingEquipment
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID
from pydicom.valuerep import DA, DT, TM

from casgan_dicom import __version__
from casgan_dicom.derived.geometry import aspect_ratio
from casgan_dicom.derived.history import burned_in, declared_lossless, said_by_all, unknown_history
from casgan_dicom.derived.legal_header import carried_values, legal_header
from casgan_dicom.derived.module_elements import MODULE_ELEMENTS
from casgan_dicom.derived.new_object import NewObject
from casgan_dicom.derived.provenance import (
    Provenance,
    ascii_only,
    derivation_text,
    series_description,
)
from casgan_dicom.errors import SeriesError
from casgan_dicom.pixels.lossy import LossyHistory
from casgan_dicom.source.cine import Cine, Instance
from casgan_dicom.source.elements import plain, written_integer
from casgan_dicom.source.grouping import PATIENT_AND_STUDY
from casgan_dicom.source.timing import FrameTiming
from casgan_dicom.uids import IMPLEMENTATION_CLASS_UID, model_uid, series_uid, sop_uid

MANUFACTURER = "casgan-dicom"
"""Manufacturer (0008,0070) of every object written here."""


@dataclass(frozen=True)
class Kind:
    """One kind of derived object."""

    of: str
    """Name of the kind; all objects of one kind that are made of one series are a series of their own."""
    title: str
    """What Series Description (0008,103E) calls it, behind "AI SYNTHETIC"."""
    modality: str
    """Modality (0008,0060)."""
    series_number_base: int
    """Series Number (0020,0011) of the source plus this: behind what the scanner made, always the same."""


ANGIOGRAM = Kind("angiogram", "angiogram", "OT", 9000)
MAPS = Kind("maps", "maps", "OT", 19000)
SEGMENTATION = Kind("seg", "segmentation", "SEG", 29000)
QUALITY_REPORT = Kind("sr", "quality record", "SR", 39000)
REVIEW_REPORT = Kind("review-sr", "review", "SR", 49000)
REVIEW_SELECTION = Kind("review-ko", "review", "KO", 59000)


@dataclass(frozen=True)
class Member:
    """Which of the objects that are made of one source."""

    kind: Kind
    """What kind of object it is."""
    number: int
    """Instance Number (0020,0013)."""
    name: str = ""
    """Tells it from others of its kind, behind a backslash; empty for the only one. It goes into the UID."""


@dataclass(frozen=True)
class Derivation:
    """What one conversion of a cine knows about itself; all objects that come of it share it."""

    cine: Cine
    """The run that was converted."""
    provenance: Provenance
    """Who made the frames."""
    lossy: LossyHistory
    """Lossy compressions of the source."""
    created: datetime
    """Now, with a time zone."""
    chosen: tuple[int, ...]
    """Frames of the cine that were converted, from 0, rising."""
    reference: Cine | None = None
    """The earlier run whose vessels were laid over this one; None where vessels are invented."""

    @property
    def timing(self) -> FrameTiming:
        """When the chosen frames were taken."""
        timing, cine = self.cine.timing, self.cine
        return timing if len(self.chosen) == cine.frames else timing.subset(self.chosen)

    @cached_property
    def source(self) -> Dataset:
        """The header of the source with legal values: what is carried over is read here."""
        return legal_header(self.cine.header).ds

    @property
    def unsaid(self) -> str:
        """What the source leaves open about its pixels, one clause; empty where it says it all."""
        timed = self.cine.frames == 1 or self.cine.timing.source != "default"
        over = () if self.reference is None else self.reference.headers
        return unknown_history(self.cine.headers, lossy=self.lossy.lossy, timed=timed, laid_over=over)

    @property
    def lossless(self) -> bool:
        """Whether every header of what the pixels were made of says that nothing was ever lost."""
        over = () if self.reference is None else self.reference.headers
        return declared_lossless((*self.cine.headers, *over))

    def series_uid(self, kind: Kind) -> UID:
        """Series Instance UID (0020,000E) of the objects of one kind."""
        p = self.provenance
        form = p.form if kind is ANGIOGRAM else f"{p.form}-{kind.of}"
        if kind is ANGIOGRAM and p.single_frames:  # one cine, one series: viewers sort by Instance Number
            form += f" {self.cine.instances[0].sop_instance_uid}"
        whose = ",".join(str(plain(self.source.get(word))) for word in PATIENT_AND_STUDY)
        return series_uid(
            self.cine.series_uid, whose, p.model.weights_sha256, __version__, p.model.recipe, form
        )

    def sop_uid(self, kind: Kind, name: str, digest: str) -> UID:
        """SOP Instance UID (0008,0018) of the object `name` of one kind with this content.

        It follows from the header, too: a copy of the source that was decompressed gives the same pixels, but
        another history.
        """
        sources = "\\".join(instance.sop_instance_uid for instance in self.cine.instances)
        return sop_uid(self.series_uid(kind), sources + name, f"{digest} {self._header_digest}")

    @cached_property
    def _header_digest(self) -> str:
        """Digest of all that headers are made of; when the object was made is left out."""
        p, headers, timing = self.provenance, self.cine.headers, self.timing
        lost = self.lossy.lossy, self.lossy.methods, self.lossy.ratios, self.lossless
        facts: tuple[object, ...] = (
            carried_values(self.source),
            [str(self.source.get(word)) for word in ("SOPClassUID", "SeriesNumber", "InstanceNumber")],
            (derivation_text(p, unsaid=self.unsaid), p.warning),
            series_description(self.source, p.title("angiogram"), p.plan, self.cine.motion),
            (p.model.name, p.model.version, p.model.method, p.model.engine),
            (lost, burned_in(headers), said_by_all(headers, "RecognizableVisualFeatures")),
            (aspect_ratio(self.source), timing.frame_time_ms, timing.vector_ms),
        )
        facts += () if p.roadmap is None else (asdict(p.roadmap),)
        return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()

    def sources(self, chosen: tuple[int, ...] | None = None) -> list[tuple[Instance, tuple[int, ...]]]:
        """Source instances of the chosen frames, or of a part of them.

        Each with its frame numbers from 1, as in Referenced Frame Number (0008,1160); none where the whole
        instance was used.
        """
        return _instances_of(self.cine, self.chosen if chosen is None else chosen)

    def reference_sources(self, index: int | None = None) -> list[tuple[Instance, tuple[int, ...]]]:
        """The same of the earlier run: what was laid over all frames, or over one, by its place from 0.

        Nothing for a frame without a roadmap.
        """
        roadmap = self.provenance.roadmap
        if roadmap is None or self.reference is None:
            return []
        frames = roadmap.frames if index is None else (roadmap.frames[index],)
        return _instances_of(self.reference, [one.reference_frame - 1 for one in frames if not one.refused])


def _instances_of(cine: Cine, chosen: Sequence[int]) -> list[tuple[Instance, tuple[int, ...]]]:
    """Instances that hold some frames of a cine, each with its numbers of them unless that is all of it."""
    wanted, first = set(chosen), 0
    used: list[tuple[Instance, tuple[int, ...]]] = []
    for instance in cine.instances:
        numbers = tuple(k + 1 for k in range(instance.frames) if first + k in wanted)
        first += instance.frames
        if numbers:
            used.append((instance, () if len(numbers) == instance.frames else numbers))
    return used


def mark(ds: NewObject, derivation: Derivation) -> None:
    """Put on `ds` what every derived object says.

    Character set, patient and study of the source; Synthetic Data (0008,001C); program, model and scanner as
    equipment; when it was made, in the time zone of the source.

    Raises SeriesError if the source has no Study Instance UID (0020,000D).
    """
    source = derivation.source
    moment = in_zone_of(source, derivation.created)
    for keyword in ("SpecificCharacterSet", "TimezoneOffsetFromUTC"):
        copy_filled(ds, source, keyword)
    for keyword in chain.from_iterable(MODULE_ELEMENTS.values()):
        if keyword in source:
            ds.add(source[keyword])
    ds.SyntheticData = "YES"
    _name_equipment(ds, derivation, moment)
    stamp(ds, moment)
    strip_private(ds)


def identity(derivation: Derivation, which: Member, digest: str) -> dict[str, object]:
    """What says which object this is and whose, by keyword; a `NewObject` begins with it.

    `digest` is that of its content. Raises SeriesError if the source has no Study Instance UID (0020,000D).
    """
    source, model, kind = derivation.source, derivation.provenance.model, which.kind
    if not source.get("StudyInstanceUID"):
        uid = derivation.cine.series_uid
        raise SeriesError(f"series {uid}: StudyInstanceUID (0020,000D) is absent, need one")
    return {
        "StudyInstanceUID": str(source.StudyInstanceUID),
        "SeriesInstanceUID": derivation.series_uid(kind),
        "SeriesNumber": _series_number(source, kind),
        "SOPInstanceUID": derivation.sop_uid(kind, which.name, digest),
        "InstanceNumber": which.number,
        "Modality": kind.modality,
        "Manufacturer": MANUFACTURER,
        "ManufacturerModelName": ascii_only(model.name)[:64],
        "DeviceSerialNumber": model.weights_sha256[:64],
        "ContentQualification": "RESEARCH",
        "SeriesDescription": series_description(
            source,
            derivation.provenance.title(kind.title),
            derivation.provenance.plan,
            derivation.cine.motion,
        ),
    }


def source_number(derivation: Derivation) -> int:
    """Instance Number (0020,0013) of the source, at least 1; 1 for what is no legal number."""
    number = written_integer(derivation.cine.header.get("InstanceNumber"))
    return number if 0 < number < 2**31 else 1


def copy_filled(ds: Dataset, source: Dataset, keyword: str) -> None:
    """Copy an element that has a value."""
    if keyword in source and not source[keyword].is_empty:
        ds.add(source[keyword])


def strip_private(ds: Dataset) -> None:
    """Free the sequences of `ds` of private elements and signatures; those of the source, which it may share,
    stay as they are."""
    for element in list(ds):
        if element.VR == "SQ":
            ds[element.tag] = _without_private(element)


def decimal(value: float) -> str:
    """DS: at most 16 characters."""
    return f"{value:.10g}"


def _name_equipment(ds: NewObject, derivation: Derivation, moment: datetime) -> None:
    """Software Versions (0018,1020), the writer, and Contributing Equipment Sequence (0018,A001).

    The items are the scanner, this software, and highdicom.
    """
    source, model = derivation.source, derivation.provenance.model
    did = "Generated the frames" if derivation.provenance.roadmap is None else "Read the vessels"
    versions = [__version__, ascii_only(model.version)[:64]]
    ds.add_new("SoftwareVersions", "LO", versions)
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    ds.file_meta.ImplementationVersionName = f"CASGAN_{__version__}"[:16]
    ours = ContributingEquipment(
        manufacturer=MANUFACTURER,
        purpose_of_reference=codes.DCM.SynthesizingEquipment,
        manufacturer_model_name=ascii_only(model.name)[:64],
        software_versions=versions,
        contribution_datetime=_datetime_text(moment),
        contribution_description=ascii_only(
            f"{did}: model {model.name}, method {model.method}, engine {model.engine}, "
            f"weights sha256 {model.weights_sha256}"
        )[:1024],
    )
    ours.DeviceUID = model_uid(model.weights_sha256, model.recipe)
    library = ContributingEquipment.for_highdicom()
    library.ContributionDateTime = DT(_datetime_text(moment))
    ds.ContributingEquipmentSequence = [*scanner_of(source), ours, library]


def scanner_of(source: Dataset) -> list[ContributingEquipment]:
    """The item of what acquired the source; none where no manufacturer is named, or a name is too long.

    highdicom makes the same, but reads every attribute of the standard before, to see whether an object of
    this class is an image: half a second, and 70 MiB that stay.
    """
    if not source.get("Manufacturer"):
        return []
    try:
        scanner = ContributingEquipment(
            manufacturer=source.Manufacturer,
            purpose_of_reference=codes.DCM.AcquisitionEquipment,
            manufacturer_model_name=source.get("ManufacturerModelName"),
            software_versions=source.get("SoftwareVersions"),
            device_serial_number=source.get("DeviceSerialNumber"),
            institution_name=source.get("InstitutionName"),
            institutional_department_name=source.get("InstitutionalDepartmentName"),
            institution_address=source.get("InstitutionAddress"),
            station_name=source.get("StationName"),
            contribution_datetime=source.get("AcquisitionDateTime"),
            contribution_description="Acquisition equipment of the source image(s)",
        )
    except (AttributeError, TypeError, ValueError):  # what highdicom says to values that it does not take
        return []
    if (taken := _acquired(source)) and not scanner.get("ContributionDateTime"):
        scanner.ContributionDateTime = DT(taken)
    return [scanner]


def stamp(ds: NewObject, moment: datetime) -> None:
    """Content and instance creation: when the object was made, in the time zone of the source."""
    ds.ContentDate = ds.InstanceCreationDate = DA(moment.strftime("%Y%m%d"))
    ds.ContentTime = ds.InstanceCreationTime = TM(moment.strftime("%H%M%S.%f"))


def _series_number(source: Dataset, kind: Kind) -> int:
    """The base of the kind plus the Series Number (0020,0011) of the source, where it has a positive one."""
    number = kind.series_number_base + max(0, written_integer(source.get("SeriesNumber")))
    return number if number < 2**31 else kind.series_number_base


def in_zone_of(source: Dataset, moment: datetime) -> datetime:
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
    """When the source was acquired, as DT; empty if the header does not say, or says what is no time."""
    moment = f"{source.get('AcquisitionDate') or ''}{source.get('AcquisitionTime') or ''}"
    if not re.fullmatch(r"\d{8}\d[\d.]*", moment):
        return ""
    try:
        return str(DT(moment))
    except ValueError:  # a 99th hour
        return ""


def _without_private(element: DataElement) -> DataElement:
    """A copy of a sequence without private elements and signatures, at every depth."""
    clean = copy.deepcopy(element)
    for item in clean.value:
        item.remove_private_tags()  # this one walks down by itself
        _remove_signatures(item)
    return clean


def _remove_signatures(ds: Dataset) -> None:
    """Remove what signs the content of `ds` or of an item in it: it signs an object of the source."""
    for keyword in ("DigitalSignaturesSequence", "MACParametersSequence"):
        ds.pop(keyword, None)
    for element in ds:
        for item in element.value if element.VR == "SQ" else ():
            _remove_signatures(item)
