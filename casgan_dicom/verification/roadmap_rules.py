"""The marks of an honest roadmap as questions: whose vessels, of when, in which frame, and that they are old.

An object is a roadmap where its header says so in any of three ways: its text, its way of derivation, or a
reference with the purpose of a mask. Then it has to say so in all of them, for every frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pydicom.dataset import Dataset

from casgan_dicom.derived.provenance import BY_ROADMAP
from casgan_dicom.derived.roadmap_record import NO_ROADMAP_TEXT, UNKNOWN_TIME
from casgan_dicom.pixels.banner import NO_ROADMAP, TEXTS, own_vessels
from casgan_dicom.verification.kinds import (
    CAPTURES,
    IMAGES,
    ObjectKind,
    Rule,
    codes_in,
    kind_of,
    source_items,
)

LAID_OVER = ("121321", "DCM")
"""Purpose of reference of the run whose vessels were laid over: mask image for image processing operation."""
DARKENED = ("113053", "DCM")
"""How they were: pixel by pixel multiplication."""
_WHEN = re.compile(rf"patient's own vessels of (\d\d:\d\d|{UNKNOWN_TIME})")
_FRAME = re.compile(
    r"patient's own vessels of .{5,16}, frame \d+, moved .+\(table\) \+ .+\(estimated\); phase "
)
_OLD = ("not the current filling", "stenoses, stents and flow are those of")
_WORDS = ("own vessels", "Experimental", "not for diagnosis")


def is_laid_over(item: Dataset) -> bool:
    """Whether a reference to an image names the run whose vessels were laid over."""
    return LAID_OVER in codes_in(item, "PurposeOfReferenceCodeSequence")


def is_roadmap(ds: Dataset) -> bool:
    """Whether an object says in any way that it shows vessels of another run."""
    return (
        _says_so(ds)
        or any(is_laid_over(item) for item in source_items(ds))
        or DARKENED in codes_in(ds, "DerivationCodeSequence")
    )


def banner_texts(ds: Dataset, index: int) -> tuple[str, ...]:
    """What has to be burned into a frame of an object, by its place from 0; the first text that fits."""
    if not is_roadmap(ds):
        return TEXTS
    if _frame_text(ds, index).startswith(NO_ROADMAP_TEXT):
        return NO_ROADMAP
    found = _WHEN.search(_text(ds)) or _WHEN.search(_frame_text(ds, index))
    when = found[1] if found else UNKNOWN_TIME
    return own_vessels("" if when == UNKNOWN_TIME else when)


def _says_so(ds: Dataset) -> bool:
    text = _text(ds)
    return BY_ROADMAP in text or _WHEN.search(text) is not None or NO_ROADMAP_TEXT in text


def _text(ds: Dataset) -> str:
    return str(ds.get("DerivationDescription") or "")


def _frame_text(ds: Dataset, index: int) -> str:
    """What is said of one frame: in its functional group, or behind the title of an object of one frame."""
    groups = ds.get("PerFrameFunctionalGroupsSequence") or []
    if index < len(groups):
        made = groups[index].get("DerivationImageSequence") or [Dataset()]
        return str(made[0].get("DerivationDescription") or "")
    return _text(ds).partition(": ")[2]


def _reference(ds: Dataset) -> Iterator[str]:
    """A roadmap names the run that it takes vessels from; what is none names no such run."""
    laid = sum(is_laid_over(item) for item in source_items(ds))
    if kind_of(ds) is ObjectKind.SEGMENTATION:
        return
    if laid and not _says_so(ds):
        yield "DerivationDescription (0008,2111) does not say that vessels of an earlier run were laid over"
    if not is_roadmap(ds):
        return
    refused = all(_frame_text(ds, k).startswith(NO_ROADMAP_TEXT) for k in range(_frames(ds)))
    if not laid and not refused:
        yield "SourceImageSequence (0008,2112) has no item of purpose (121321, DCM): whose are the vessels?"
    if DARKENED not in codes_in(ds, "DerivationCodeSequence"):
        yield "DerivationCodeSequence (0008,9215) lacks (113053, DCM, Pixel by pixel multiplication)"


def _location(ds: Dataset) -> Iterator[str]:
    """Vessels that were moved do not lie where they lay."""
    wrong = sum(
        is_laid_over(item) and item.get("SpatialLocationsPreserved") != "NO" for item in source_items(ds)
    )
    if wrong:
        yield f"SpatialLocationsPreserved (0028,135A) is not NO in {wrong} references to the run laid over"


def _warning(ds: Dataset) -> Iterator[str]:
    """Text, comments and title leave no doubt that the vessels are old."""
    if not is_roadmap(ds):
        return
    text = _text(ds)
    if not _WHEN.search(text) and not _frame_text(ds, 0).startswith(NO_ROADMAP_TEXT):
        wanted = f"HH:MM or {UNKNOWN_TIME}"
        yield f"DerivationDescription (0008,2111) does not say of when the vessels are: {wanted}"
    elif _WHEN.search(text) and not all(part in text for part in _OLD):
        yield f"DerivationDescription (0008,2111) does not say: {_OLD[0]}; {_OLD[1]} ..."
    comments = str(ds.get("ImageComments") or "")
    if missing := [word for word in _WORDS if word not in comments]:
        yield f"ImageComments (0020,4000) does not say: {', '.join(missing)}"
    title = str(ds.get("SeriesDescription") or "")
    if "own vessels" not in title and "roadmap" not in title:
        yield "SeriesDescription (0008,103E) does not say 'own vessels' or 'roadmap'"


def _each_frame(ds: Dataset) -> Iterator[str]:
    """Every frame of a cine says which frame was laid over it and how far it was moved, or that none was."""
    if not is_roadmap(ds):
        return
    groups = ds.get("PerFrameFunctionalGroupsSequence") or []
    if len(groups) != _frames(ds):
        yield f"PerFrameFunctionalGroupsSequence (5200,9230) has {len(groups)} items for {_frames(ds)} frames"
        return
    silent = unnamed = claimed = 0
    for k, group in enumerate(groups):
        text, refused = _frame_text(ds, k), _frame_text(ds, k).startswith(NO_ROADMAP_TEXT)
        items = [
            item
            for made in group.get("DerivationImageSequence") or []
            for item in made.get("SourceImageSequence") or []
        ]
        laid = any(map(is_laid_over, items))
        silent += not refused and not _FRAME.search(text)
        unnamed += not refused and not laid
        claimed += refused and laid
    if silent:
        yield f"{silent} of {len(groups)} frames do not say whose vessels they show, and how far moved"
    if unnamed:
        yield f"{unnamed} of {len(groups)} frames name no frame of the run whose vessels they show"
    if claimed:
        yield f"{claimed} of {len(groups)} frames say {NO_ROADMAP_TEXT} and name one all the same"


def _frames(ds: Dataset) -> int:
    return int(ds.get("NumberOfFrames") or 1)


ROADMAP_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "roadmap-reference": Rule(_reference, IMAGES),
        "roadmap-location": Rule(_location, IMAGES),
        "roadmap-warning": Rule(_warning, CAPTURES),
        "roadmap-frames": Rule(_each_frame, frozenset({ObjectKind.CINE})),
    }
)
"""Rules of roadmaps by their names, in the order in which they are asked."""
