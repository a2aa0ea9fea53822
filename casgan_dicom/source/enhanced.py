"""Enhanced XA and XRF, read as the classic header that everything else reads.

An Enhanced object (PS3.3 A.47, A.48) keeps what belongs to its frames in functional groups: those of the
Shared Functional Groups Sequence (5200,9229) hold for all frames, those in an item of the Per-frame
Functional Groups Sequence (5200,9230) for one. Here they become the elements of an XA header; what may differ
from frame to frame and decides display (window, shutter) is kept for each frame. Pixel Intensity Relationship
LUTs lead back to X-ray intensity and are not for display (PS3.17 FFF.2.3.1.3.4): they are left out.

SOP Class and SOP Instance UID stay those of the object. Values that cannot be used become a note or a fault,
never an exception.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag, Tag
from pydicom.uid import EnhancedXAImageStorage, EnhancedXRFImageStorage
from pydicom.valuerep import DT

from casgan_dicom.source.elements import numbers, plain, plain_values
from casgan_dicom.source.motion import Motion, motion_by_positions, table_tops
from casgan_dicom.source.shutters import SHUTTER_KEYWORDS, bitmap_tags
from casgan_dicom.source.timing import FrameTiming, timing_of_frame_times, timing_of_instance

ENHANCED = (EnhancedXAImageStorage, EnhancedXRFImageStorage)
"""The SOP classes that are read here."""

_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_VOI = ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence")
_PIXELS = (
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation",
    "PresentationLUTShape", "RescaleSlope", "RescaleIntercept",
)  # fmt: skip
_FROM_FRAMES = (
    ("FramePixelDataPropertiesSequence", "ImagerPixelSpacing"),
    ("PatientOrientationInFrameSequence", "PatientOrientation"),
    ("FrameAnatomySequence", "AnatomicRegionSequence"),
    ("XRayGeometrySequence", "DistanceSourceToDetector"),
    ("XRayGeometrySequence", "DistanceSourceToIsocenter"),
    ("FieldOfViewSequence", "FieldOfViewDimensionsInFloat"),
    ("FieldOfViewSequence", "FieldOfViewRotation"),
    ("FieldOfViewSequence", "FieldOfViewHorizontalFlip"),
)
"""Macro and element of what becomes part of the classic header if all frames that have it agree."""
_PLANES = {"MONOPLANE": "SINGLE PLANE", "PLANE A": "BIPLANE A", "PLANE B": "BIPLANE B"}
"""Value 3 of Image Type (0008,0008) in a classic header, PS3.3 C.8.7.1.1.1, by Plane Identification."""
_ANGLES = ("PositionerPrimaryAngle", "PositionerSecondaryAngle")
_DELAYS = ("ActualCardiacTriggerDelayTime", "NominalCardiacTriggerDelayTime")
_TIMES = (
    ("FrameAcquisitionDateTime", "FrameAcquisitionDateTime (0018,9074)"),
    ("FrameReferenceDateTime", "FrameReferenceDateTime (0018,9151)"),
)
_BODY_PARTS = {
    ("SCT", "80891009"): "HEART", ("SRT", "T-32000"): "HEART",
    ("SCT", "41801008"): "CORONARYARTERY", ("SRT", "T-43000"): "CORONARYARTERY",
    ("SCT", "816094009"): "CHEST", ("SCT", "51185008"): "CHEST", ("SRT", "T-D3000"): "CHEST",
    ("SCT", "72410000"): "MEDIASTINUM", ("SRT", "T-D3300"): "MEDIASTINUM",
    ("SCT", "69536005"): "HEAD", ("SRT", "T-D1100"): "HEAD",
    ("SCT", "12738006"): "BRAIN", ("SRT", "T-A0100"): "BRAIN",
    ("SCT", "45048000"): "NECK", ("SRT", "T-D1600"): "NECK",
    ("SCT", "69105007"): "CAROTID", ("SRT", "T-45010"): "CAROTID",
    ("SCT", "15825003"): "AORTA", ("SRT", "T-42000"): "AORTA",
    ("SCT", "818981001"): "ABDOMEN", ("SCT", "113345001"): "ABDOMEN", ("SRT", "T-D4000"): "ABDOMEN",
    ("SCT", "10200004"): "LIVER", ("SRT", "T-62000"): "LIVER",
    ("SCT", "64033007"): "KIDNEY", ("SRT", "T-71000"): "KIDNEY",
    ("SCT", "816092008"): "PELVIS", ("SCT", "12921003"): "PELVIS", ("SRT", "T-D6000"): "PELVIS",
    ("SCT", "66019005"): "EXTREMITY", ("SRT", "T-D0300"): "EXTREMITY",
}  # fmt: skip
"""Body Part Examined (0018,0015) of an anatomic region, PS3.16 Annex L, as far as XA shows it."""


class Groups:
    """The functional groups of every frame: its own, else those that all share."""

    def __init__(self, ds: Dataset, frames: int) -> None:
        self.given = _items(ds, _PER_FRAME)
        """The per-frame items as they are."""
        self.each = self.given if 0 < len(self.given) == frames else [Dataset()]
        """One for each frame, or an empty one for all where they are not as many as the frames."""
        self.span = range(len(self.each))
        """The frames that are told apart."""
        self._shared = _first(ds, _SHARED)

    def items(self, k: int, keyword: str) -> Sequence[Dataset]:
        """The items of a macro, by frame and keyword of its sequence."""
        return _items(self.each[k], keyword) or _items(self._shared, keyword)

    def __call__(self, k: int, keyword: str) -> Dataset:
        """The first item of a macro; empty where there is none."""
        return next(iter(self.items(k, keyword)), Dataset())


@dataclass(frozen=True, eq=False)
class ClassicView:
    """An Enhanced object as a classic one would say it."""

    header: Dataset
    """The header without functional groups, `file_meta` included; window and shutter are those of frame 1."""
    timing: FrameTiming
    """When the frames were taken."""
    vois: tuple[Dataset, ...] = ()
    """What decides the display values of each frame, equal ones the same object; empty: `header` for all."""
    shutters: tuple[Dataset, ...] = ()
    """The shutters of each frame, equal ones the same object; empty: those of `header` are for all."""
    contrast: tuple[bool, ...] = ()
    """Whether contrast had been administered by the time of each frame; empty where no group says."""
    angles: tuple[tuple[float, float], ...] = ()
    """Positioner angles of each frame in degrees; empty where one pair holds for all or a frame has none."""
    tables_mm: tuple[tuple[float, float, float], ...] = ()
    """Positions of the table top of each frame, as in `Cine`."""
    motion: tuple[str, ...] = ()
    """What moves during the run, as in `Cine`."""
    delays_ms: tuple[float | None, ...] = ()
    """How long after an R wave each frame was taken; empty where no group says."""
    faults: tuple[str, ...] = ()
    """Why nobody can tell which frame is shown how, one sentence each."""
    notes: tuple[str, ...] = ()
    """What was odd about the functional groups and how they were read, one sentence each."""


def is_enhanced(ds: Dataset) -> bool:
    """Whether a header is that of an Enhanced XA or XRF object."""
    return ds.get("SOPClassUID") in ENHANCED


def classic_view(ds: Dataset, frames: int) -> ClassicView:
    """Read an Enhanced XA or XRF header as a classic one.

    Parameters
    ----------
    ds
        Header of the object; not changed.
    frames
        How many frames it promises.

    Returns
    -------
    ClassicView
        A number of per-frame items that is not `frames` is a fault; none at all is a note, and what is shared
        holds for all frames then.
    """
    group = Groups(ds, frames)
    header = _bare(ds)
    notes = _flatten(header, group)
    vois = _shared_objects(
        [
            _voi(ds, group(k, "FrameVOILUTSequence"), group(k, "FramePixelDataPropertiesSequence"))
            for k in group.span
        ]
    )
    shutters = _shared_objects([_shutter(ds, group(k, "FrameDisplayShutterSequence")) for k in group.span])
    for first in (vois[0], shutters[0]):
        header.update(first)
    motion = _motion(group)
    shown = [bool(len(group(k, "FrameVOILUTSequence"))) for k in group.span]
    if any(shown) and not all(shown):
        lack = f"is absent in {shown.count(False)} of {len(shown)} frames"
        notes.append(
            f"FrameVOILUTSequence (0028,9132) {lack}, which are shown as without a window of their own"
        )
    absent = "PerFrameFunctionalGroupsSequence (5200,9230) is absent: all frames are read alike"
    return ClassicView(
        header=header,
        timing=_timing(header, group, frames),
        vois=vois if len({id(voi) for voi in vois}) > 1 else (),
        shutters=shutters if len({id(shutter) for shutter in shutters}) > 1 else (),
        contrast=_contrast(group, frames),
        angles=_moving_angles(group, frames),
        motion=motion.kinds,
        delays_ms=_delays(group, frames),
        tables_mm=_tables(group, frames),
        faults=_faults(len(group.given), frames),
        notes=(*notes, *motion.notes, *(() if group.given else (absent,))),
    )


def _faults(items: int, frames: int) -> tuple[str, ...]:
    """Why frames and their groups do not go together."""
    if items in (0, frames):
        return ()
    wanted = f"need one for each of {frames} frames"
    return (f"PerFrameFunctionalGroupsSequence (5200,9230) has {items} items, {wanted}",)


def _bare(ds: Dataset) -> Dataset:
    """A header without its functional groups; its elements are those of the original."""
    header = _like(ds, {tag: ds[tag] for tag in ds.keys()})  # noqa: SIM118  # a Dataset iterates over elements
    for keyword in (_SHARED, _PER_FRAME):
        if keyword in header:
            del header[keyword]
    if "file_meta" in ds.__dict__:
        header.file_meta = ds.file_meta
    return header


def _like(ds: Dataset, elements: Mapping[BaseTag, DataElement]) -> Dataset:
    """A data set of these elements in the byte order and character set of another."""
    made = Dataset(dict(elements))
    if None not in ds.original_encoding:
        made.set_original_encoding(*ds.original_encoding)
    return made


def _put(header: Dataset, keyword: str, value: str | list[str]) -> None:
    """Add or replace an element; never change one, which may be that of the original.

    Unchecked: what came out of a header that breaks the rules must not end in a warning that quotes it.
    """
    header.add(DataElement(Tag(keyword), dictionary_VR(keyword), value, validation_mode=IGNORE))


def _items(ds: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence; none where it is absent or no sequence."""
    value = ds.get(keyword)
    return value if isinstance(value, Items) else ()


def _first(ds: Dataset, keyword: str) -> Dataset:
    """The first item of a sequence; an empty one where there is none."""
    return next(iter(_items(ds, keyword)), Dataset())


def _flatten(header: Dataset, group: Groups) -> list[str]:
    """Fill the classic elements in from the frames; what was odd, one sentence each."""
    notes = []
    for macro, keyword in _FROM_FRAMES:
        found = {plain(item.get(keyword)): item for k in group.span if keyword in (item := group(k, macro))}
        if len(found) == 1:
            header[keyword] = next(iter(found.values()))[keyword]
        elif len(found) > 1:
            notes.append(f"{keyword} {Tag(keyword)} differs between frames and is left out")
    _angles(header, group)
    _body_part(header, group)
    _spacing(header, group)
    _subtraction(header, group)
    _acquired(header)
    plane, words = _PLANES.get(str(header.get("PlaneIdentification"))), plain_values(header.get("ImageType"))
    if plane and len(words) >= 2:
        _put(header, "ImageType", [*map(str, words[:2]), plane])
    return notes


def _angles(header: Dataset, group: Groups) -> None:
    """Positioner angles of the first frame."""
    first = group(0, "PositionerPositionSequence")
    for keyword in _ANGLES:
        if keyword in first:
            header[keyword] = first[keyword]


def _motion(group: Groups) -> Motion:
    """What moves, by the positions of the frames."""
    views = [group(k, "PositionerPositionSequence") for k in group.span]
    return motion_by_positions(views, [group(k, "TablePositionSequence") for k in group.span])


def _moving_angles(group: Groups, frames: int) -> tuple[tuple[float, float], ...]:
    """Positioner angles of each frame, where all have both and they are not all the same."""
    pairs = []
    for k in group.span if frames == len(group.span) else ():
        item = group(k, "PositionerPositionSequence")
        values = [numbers(item, keyword) for keyword in _ANGLES]
        if [len(value) for value in values] != [1, 1]:
            return ()
        pairs.append((values[0][0], values[1][0]))
    return tuple(pairs) if len(set(pairs)) > 1 else ()


def _tables(group: Groups, frames: int) -> tuple[tuple[float, float, float], ...]:
    """Positions of the table top of each frame, where every frame has one."""
    return table_tops([group(k, "TablePositionSequence") for k in group.span if frames == len(group.span)])


def _delays(group: Groups, frames: int) -> tuple[float | None, ...]:
    """Cardiac Trigger Delay Time (0020,9252), else (0020,9153), of each frame, PS3.3 C.7.6.16.2.7."""
    found: list[float | None] = []
    for k in group.span if frames == len(group.span) else ():
        item = group(k, "CardiacSynchronizationSequence")
        delays = [value[0] for word in _DELAYS if len(value := numbers(item, word)) == 1 and value[0] >= 0]
        found.append(delays[0] if delays else None)
    return tuple(found) if any(delay is not None for delay in found) else ()


def _body_part(header: Dataset, group: Groups) -> None:
    """Body Part Examined (0018,0015) by the code of the region, and the side where all frames agree."""
    region = _first(header, "AnatomicRegionSequence")
    code = str(region.get("CodingSchemeDesignator") or ""), str(region.get("CodeValue") or "")
    if not header.get("BodyPartExamined") and code in _BODY_PARTS:
        _put(header, "BodyPartExamined", _BODY_PARTS[code])
    sides = {plain(group(k, "FrameAnatomySequence").get("FrameLaterality")) for k in group.span}
    if len(sides) == 1 and (side := sides.pop()) in ("R", "L", "B"):
        _put(header, "ImageLaterality", side)


def _spacing(header: Dataset, group: Groups) -> None:
    """Pixel Spacing (0028,0030) in the patient, where the object was calibrated and does not move.

    Object Pixel Spacing in Center of Beam (0018,9404) is worked out from the geometry and lies at a depth
    within the patient: what Pixel Spacing Calibration Type GEOMETRY means (PS3.3 10.7.1.3).
    """
    macro, keyword = "ProjectionPixelCalibrationSequence", "ObjectPixelSpacingInCenterOfBeam"
    found = {plain_values(group(k, macro).get(keyword)) for k in group.span}
    spacing = found.pop() if len(found) == 1 else ()
    sides = [side for side in spacing if isinstance(side, float) and side > 0]
    if len(sides) == len(spacing) == 2 and not header.get("PixelSpacing"):
        _put(header, "PixelSpacing", [f"{side:.7g}" for side in sides])  # as many digits as FL has
        _put(header, "PixelSpacingCalibrationType", "GEOMETRY")
        _put(
            header, "PixelSpacingCalibrationDescription", "Object Pixel Spacing in Center of Beam (0018,9404)"
        )


def _subtraction(header: Dataset, group: Groups) -> None:
    """What says that frames are or shall be shown subtracted."""
    keyword = "ImageProcessingApplied"
    applied = (plain_values(group(k, "FramePixelDataPropertiesSequence").get(keyword)) for k in group.span)
    words = dict.fromkeys(str(word) for each in applied for word in each if isinstance(word, str))
    if words:
        _put(header, "ImageProcessingApplied", list(words))
    modes = {plain(item.get("RecommendedViewingMode")) for item in _items(header, "FrameDisplaySequence")}
    if "SUB" in modes:  # overrides that of the Mask Module, PS3.3 C.8.19.7
        _put(header, "RecommendedViewingMode", "SUB")


def _acquired(header: Dataset) -> None:
    """Acquisition Date (0008,0022) and Time (0008,0032) out of Acquisition DateTime (0008,002A)."""
    value = str(header.get("AcquisitionDateTime") or "")
    if header.get("AcquisitionDate") or len(value) < 14:
        return
    try:
        moment = DT(value)
        zone = DT(f"20000101000000{header.get('TimezoneOffsetFromUTC') or ''}")
        if moment is not None and zone is not None and moment.tzinfo and zone.tzinfo:
            moment = DT(moment.astimezone(zone.tzinfo))
    except (ValueError, OverflowError):
        return
    if moment is not None:
        _put(header, "AcquisitionDate", moment.strftime("%Y%m%d"))
        _put(header, "AcquisitionTime", moment.strftime("%H%M%S.%f"))


def _voi(ds: Dataset, item: Dataset, properties: Dataset) -> Dataset:
    """What decides the display values of one frame: its window, and the pixel format of all."""
    made = _like(ds, {ds[word].tag: ds[word] for word in _PIXELS if word in ds})
    for word in _VOI:
        source = item if len(item) else ds  # a window outside the functional groups, where no frame has any
        if word in source:
            made[word] = source[word]
    for source in (properties, ds):
        if "PixelIntensityRelationship" in source:
            made["PixelIntensityRelationship"] = source["PixelIntensityRelationship"]
            break
    return made


def _shutter(ds: Dataset, item: Dataset) -> Dataset:
    """The shutters of one frame, with the overlay that is a bitmap shutter."""
    source = item if len(item) else ds
    made = _like(ds, {source[word].tag: source[word] for word in SHUTTER_KEYWORDS if word in source})
    for tag in bitmap_tags(made):
        if tag in ds:
            made[tag] = ds[tag]
    return made


def _shared_objects(looks: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """The same data sets, equal ones as the same object."""
    seen: dict[Hashable, Dataset] = {}
    return tuple(seen.setdefault(plain(look), look) for look in looks)


def _contrast(group: Groups, frames: int) -> tuple[bool, ...]:
    """Whether contrast was administered or seen by the time of each frame; empty where no frame says."""
    used = [group.items(k, "ContrastBolusUsageSequence") for k in group.span]
    if not any(len(items) for items in used) or frames != len(used):
        return ()
    words = ("ContrastBolusAgentAdministered", "ContrastBolusAgentDetected")
    return tuple(any(item.get(word) == "YES" for item in items for word in words) for items in used)


def _timing(header: Dataset, group: Groups, frames: int) -> FrameTiming:
    """Timing by the times of the frames, else by the rate of the Frame Display Sequence (0008,9458), else as
    a classic header has it."""
    notes: list[str] = []
    for keyword, name in _TIMES if frames == len(group.span) > 1 else ():
        texts = [str(group(k, "FrameContentSequence").get(keyword) or "") for k in group.span]
        timing = timing_of_frame_times(texts, name)
        if timing is not None:
            return timing
        if any(texts):
            notes.append(f"{name} is missing in most frames or does not increase, and was not used")
    timing = timing_of_instance(header, frames)
    return replace(timing, notes=(*notes, *timing.notes))
