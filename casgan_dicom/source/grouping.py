"""Which instances of a series make which cine, in which order.

A multi-frame instance is a cine of its own. Single-frame instances are grouped by everything that may not
vary in one run: patient and study, SOP class and modality, plane and geometry, pixel format, what decides
display, shutters, and compression. Of each group runs are made if its times increase (``runs.py``); otherwise
each instance is a cine of one frame, because three copies of a picture are no run. So neither a stray image
nor the other plane breaks up a run. What may vary (contrast, subtraction, synthetic marks, body part) does
not group: a run in which it does is judged whole, by all its headers. Nor do angles that hardly differ, or
that go on from frame to frame as those of a positioner that turns.

Windows: the mapping of the first frame is applied to all frames of a run, so frames with another window would
be shown as no viewer shows them, some of them saturated. Linear windows of which no two show any value more
than one grey level of 255 apart stay one run, with a note: the output of 8 bits can hardly tell them apart.
Any other difference of window, VOI LUT or VOI LUT function makes a group of its own.

Everything is keyed by SOP Instance UID (0008,0018): both planes may share an Instance Number.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, combinations, pairwise

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from casgan_dicom.source.cine import Cine
from casgan_dicom.source.clocks import clocks_of
from casgan_dicom.source.elements import integer, numbers, plain, plain_values
from casgan_dicom.source.enhanced import classic_view, is_enhanced
from casgan_dicom.source.header import Head
from casgan_dicom.source.motion import (
    SAID_DEGREES,
    Motion,
    motion_by_positions,
    motion_by_steps,
    table_tops,
)
from casgan_dicom.source.runs import Run, place, runs_in
from casgan_dicom.source.shutters import SHUTTER_KEYWORDS, bitmap_tags, shutter_notes
from casgan_dicom.source.timing import FrameTiming, timing_of_instance, timing_of_moments
from casgan_dicom.source.windows import window_notes, windows_of

ALIKE = 1 / 255
"""Difference of display values in [0, 1] up to which two windows count as one: a grey level of the output."""

PATIENT_AND_STUDY = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID",
)  # fmt: skip
"""What tells one patient and study from another."""
_ANGLES = ("PositionerPrimaryAngle", "PositionerSecondaryAngle")
_TURN_DEGREES, _TURN_US = 15.0, 2 * 10**6
"""Longest step of a rotation, in angle and in time: 60 degrees a second at four frames a second."""
_KIND_AND_PLANE = (
    "SOPClassUID", "Modality", "PatientOrientation", "Laterality", "ImageLaterality",
)  # fmt: skip
_PIXEL_FORMAT = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "ImagerPixelSpacing", "PixelSpacing", "PixelSpacingCalibrationType",
    "PixelAspectRatio", "BurnedInAnnotation",
)  # fmt: skip
_DISPLAY = (
    "PixelIntensityRelationship", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
    *SHUTTER_KEYWORDS,
)  # fmt: skip
_COMPRESSION = ("LossyImageCompression", "LossyImageCompressionRetired", "LossyImageCompressionMethod")
_CONSTANT = (*PATIENT_AND_STUDY, *_KIND_AND_PLANE, *_PIXEL_FORMAT, *_DISPLAY, *_COMPRESSION)
ALIKE_WINDOWS = (
    "WindowCenter (0028,1050) or WindowWidth (0028,1051) varies by less than a grey level of 255: "
    "that of the first frame is applied to all"
)
_WINDOW_OR_LUT = "WindowCenter (0028,1050), WindowWidth (0028,1051) or VOILUTSequence (0028,3010)"
_NAMED_AT_MOST = 5
"""How many of the elements that set a group apart are named in its note."""

Traits = dict[str, Hashable]
"""What may not vary in a run, by the name of the element as a note says it."""


def cines_of(series_uid: str, heads: Sequence[Head]) -> tuple[Cine, ...]:
    """Make the cines of one series.

    Parameters
    ----------
    series_uid
        Series Instance UID (0020,000E) that `heads` share.
    heads
        All instances of the series, in an order that depends on their content only.

    Returns
    -------
    tuple of Cine
        In the order of Instance Number (0020,0013), then SOP Instance UID, of their first instances. Every
        instance is in exactly one.
    """
    enhanced = [head for head in heads if is_enhanced(head.ds)]
    classic = [head for head in heads if not is_enhanced(head.ds)]
    single = [head for head in classic if head.instance.frames == 1]
    cines = [_enhanced(series_uid, head) for head in enhanced]
    cines += [_still(series_uid, head) for head in classic if head.instance.frames != 1]
    traits = [_traits(head) | view for head, view in zip(single, _views(single), strict=True)]
    differing = [name for name in (traits or [{}])[0] if len({each[name] for each in traits}) > 1]
    taken = {integer(head.ds.get("InstanceNumber")) for head in single}
    by_traits: dict[Hashable, list[Head]] = {}
    for head, each in zip(single, traits, strict=True):
        by_traits.setdefault(tuple(each.values()), []).append(head)
    for members in _with_turns(by_traits):
        for group in _by_window(members):
            named = [*differing, *([_WINDOW_OR_LUT] if len(group) < len(members) else [])]
            for run in runs_in([head.ds for head in group], taken):
                names = [*named, *run.apart]
                others = len(run.members) < len(single)
                notes = [_apart(len(run.members), len(single), names)] if names and others else []
                cines += _cines_of_run(series_uid, group, run, notes)
    return tuple(sorted(map(_with_looks, cines), key=lambda cine: place(cine.header)))


def _traits(head: Head) -> Traits:
    """What may not vary in a run, but for view and window."""
    ds = head.ds
    traits: Traits = {f"{word} {Tag(word)}": plain(ds.get(word)) for word in _CONSTANT}
    traits["ImageType (0008,0008) value 3"] = plain_values(ds.get("ImageType"))[2:]
    bitmap = (ds.get(tag) for tag in bitmap_tags(ds))
    traits["OverlayData (60xx,3000) of the shutter"] = tuple(plain(each and each.value) for each in bitmap)
    traits["TransferSyntaxUID (0002,0010)"] = _syntax_kind(head.instance.transfer_syntax)
    return traits


def _views(heads: Sequence[Head]) -> list[Traits]:
    """The view of each as traits: angles that hardly differ are one, those of a moving positioner none."""
    traits: list[Traits] = [{} for _ in heads]
    for word in _ANGLES:
        found = [numbers(head.ds, word) for head in heads]
        angles = sorted({angle for values in found for angle in values})
        steps = (b - a > SAID_DEGREES for a, b in pairwise(angles))
        places = dict(zip(angles, accumulate(steps, initial=0), strict=True)) if angles else {}
        for head, values, view in zip(heads, found, traits, strict=True):
            place = plain(head.ds.get(word)) if len(values) != 1 else places[values[0]]
            view[f"{word} {Tag(word)}"] = None if head.ds.get("PositionerMotion") == "DYNAMIC" else place
    return traits


def _with_turns(by_traits: Mapping[Hashable, list[Head]]) -> list[list[Head]]:
    """The groups, in which frames that are alone in their views become one where they follow each other fast.

    Such a positioner turns, whether its header says so or not.
    """
    groups, alone = [], dict[Hashable, list[Head]]()
    for members in by_traits.values():
        if len(members) > 1:
            groups.append(members)
        else:
            alone.setdefault(tuple(_traits(members[0]).values()), []).append(members[0])
    return groups + [turn for heads in alone.values() for turn in _turns(heads)]


def _turns(heads: Sequence[Head]) -> list[list[Head]]:
    """Parts in which angles and time go on in steps that a rotation may have."""
    headers = [head.ds for head in heads]
    clocks = clocks_of(headers, [integer(ds.get("InstanceNumber")) or None for ds in headers])
    angles = [[angle for word in _ANGLES for angle in numbers(ds, word)] for ds in headers]
    if not clocks:
        return [[head] for head in heads]
    times = clocks[0].times
    order = sorted(range(len(heads)), key=lambda k: times[k])
    parts = [[order[0]]]
    for a, b in pairwise(order):
        far = len(angles[a]) != len(angles[b]) or not angles[a]
        far = far or max(abs(x - y) for x, y in zip(angles[a], angles[b], strict=True)) > _TURN_DEGREES
        if far or times[b] - times[a] > _TURN_US:
            parts.append([])
        parts[-1].append(b)
    whole = [part for part in parts if len(part) > 2]
    return [[heads[k] for k in sorted(part)] for part in whole] + [
        [heads[k]] for part in parts if len(part) <= 2 for k in part
    ]


def _syntax_kind(transfer_syntax: str) -> str:
    """The transfer syntax where it compresses, as some lose information; all others are one kind."""
    uid = UID(transfer_syntax, IGNORE)
    known = uid.is_valid and uid.is_transfer_syntax
    return transfer_syntax if known and uid.is_compressed and not uid.is_deflated else "uncompressed"


def _by_window(heads: Sequence[Head]) -> list[list[Head]]:
    """All heads together where their windows show the same, otherwise one group for each VOI."""
    by_voi: dict[Hashable, list[Head]] = {}
    for head in heads:
        by_voi.setdefault(_voi(head.ds), []).append(head)
    windows = [_linear_window(members[0].ds) for members in by_voi.values()]
    if all(a and b and _difference(a, b) <= ALIKE for a, b in combinations(windows, 2)):
        return [list(heads)]
    return list(by_voi.values())


def _voi(ds: Dataset) -> tuple[Hashable, ...]:
    """What selects the values of interest: centre, width, function of the window used, and the VOI LUT."""
    center, width = windows_of(ds).chosen or (None, None)
    return center, width, plain(ds.get("VOILUTFunction")) or "LINEAR", plain(ds.get("VOILUTSequence"))


def _linear_window(ds: Dataset) -> tuple[float, float] | None:
    """Lower and upper edge of the first window, PS3.3 C.11.2.1.2.1; None where something else decides."""
    center, width, function, lut = _voi(ds)
    if not isinstance(center, float) or not isinstance(width, float) or width <= 1:
        return None
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    ordinary = function == "LINEAR" and not lut and low < high < math.inf
    return (low, high) if ordinary else None


def _difference(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The largest difference between two ramps from 0 to 1 over these edges: it is at one of the edges."""
    return max(abs(_ramp(x, a) - _ramp(x, b)) for x in (*a, *b))


def _ramp(x: float, edges: tuple[float, float]) -> float:
    low, high = edges
    return min(max((x - low) / (high - low), 0.0), 1.0)


def _apart(frames: int, total: int, names: Sequence[str]) -> str:
    """The note on a group that is not all of its series: what sets it apart, never its value."""
    named = ", ".join(names[:_NAMED_AT_MOST])
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return f"{frames} of {total} single-frame images of the series; the others differ in {named}{more}"


def _cines_of_run(series_uid: str, group: Sequence[Head], run: Run, notes: Sequence[str]) -> list[Cine]:
    """One cine of a whole run, otherwise one for each of its instances, noting why."""
    heads = [group[k] for k in run.members]
    if len(heads) == 1:
        return [_still(series_uid, heads[0], notes)]
    if not run.times:
        why = f"one of {len(heads)} single-frame images that are no run: {run.source}"
        return [_still(series_uid, head, [*notes, why]) for head in heads]
    if len({_voi(head.ds) for head in heads}) > 1:
        notes = [*notes, ALIKE_WINDOWS]
    headers = [head.ds for head in heads]
    motion = motion_by_positions(headers, headers)
    said = [*notes, *run.notes, *motion.notes]
    cine = _cine(series_uid, heads, _timing_of_run(headers, run), said)
    angles, tables = _moving_angles(headers), table_tops(headers)
    return [replace(cine, motion=motion.kinds, frame_angles=angles, frame_tables=tables)]


def _timing_of_run(headers: Sequence[Dataset], run: Run) -> FrameTiming:
    """When the frames of a run were taken: by its clock, or by their rate where that is too coarse.

    All headers have to state the same rate, and the clock may contradict it by one of its steps at most.
    """
    timing = timing_of_moments(run.times, run.source)
    if 2 * len(set(run.times)) > len(run.times):
        return timing
    stated = [timing_of_instance(ds, 1) for ds in headers]
    step_us = min(b - a for a, b in pairwise(run.times) if b > a)
    passed_us = 1000 * stated[0].frame_time_ms * (len(headers) - 1)
    one = len({(each.source, each.frame_time_ms) for each in stated}) == 1
    fits = abs(passed_us - (run.times[-1] - run.times[0])) <= step_us
    if stated[0].source == "default" or not one or not fits:
        return timing
    note = f"{run.source} is too coarse to tell the frames apart: {stated[0].source} is used"
    return replace(stated[0], notes=(*stated[0].notes, note))


def _moving_angles(headers: Sequence[Dataset]) -> tuple[tuple[float, float], ...]:
    """Positioner angles of each frame of a run, where all have both and they are not all the same."""
    found = [tuple(number for word in _ANGLES for number in numbers(ds, word)) for ds in headers]
    pairs = [(angles[0], angles[1]) for angles in found if len(angles) == 2]
    return tuple(pairs) if len(pairs) == len(headers) and len(set(pairs)) > 1 else ()


def _still(series_uid: str, head: Head, notes: Sequence[str] = ()) -> Cine:
    """A cine of one instance, with the timing that it states for itself."""
    frames = head.instance.frames
    motion = motion_by_steps(head.ds, frames) if frames > 1 else Motion()
    cine = _cine(series_uid, [head], timing_of_instance(head.ds, frames), [*notes, *motion.notes])
    return replace(cine, motion=motion.kinds)


def _enhanced(series_uid: str, head: Head) -> Cine:
    """A cine of one Enhanced object, with a header as a classic one would have it."""
    view = classic_view(head.ds, head.instance.frames)
    cine = _cine(series_uid, [Head(head.instance, view.header, head.notes)], view.timing, view.notes)
    return replace(
        cine,
        frame_vois=view.vois,
        frame_shutters=view.shutters,
        frame_contrast=view.contrast,
        frame_angles=view.angles,
        frame_delays_ms=view.delays_ms,
        frame_tables=view.tables_mm,
        motion=view.motion,
        faults=view.faults,
    )


def _cine(series_uid: str, heads: Sequence[Head], timing: FrameTiming, notes: Sequence[str]) -> Cine:
    """Put a cine together; notes that several headers share are said once."""
    first = heads[0].ds
    said_once = dict.fromkeys([*(note for head in heads for note in head.notes), *timing.notes, *notes])
    return Cine(
        series_uid=series_uid,
        instances=tuple(head.instance for head in heads),
        headers=tuple(head.ds for head in heads),
        frames=sum(head.instance.frames for head in heads),
        rows=integer(first.get("Rows")),
        columns=integer(first.get("Columns")),
        timing=timing,
        notes=tuple(said_once),
    )


def _with_looks(cine: Cine) -> Cine:
    """The cine with what is odd about how its frames are to be shown, each sentence once."""
    windows, shutters = cine.frame_vois or (cine.header,), cine.frame_shutters or (cine.header,)
    odd = [window_notes(voi) for voi in _different(windows)]
    odd += [shutter_notes(shutter, cine.rows, cine.columns) for shutter in _different(shutters)]
    notes = list(dict.fromkeys(note for each in odd for note in each))
    if len(notes) > _NAMED_AT_MOST:
        notes[_NAMED_AT_MOST:] = [
            f"{len(notes) - _NAMED_AT_MOST} more windows or shutters are odd like these"
        ]
    return replace(cine, notes=tuple(dict.fromkeys((*cine.notes, *notes)))) if notes else cine


def _different(looks: Sequence[Dataset]) -> list[Dataset]:
    """Each object once."""
    return list({id(look): look for look in looks}.values())
