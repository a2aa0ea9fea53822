"""The header of a source with legal values: what may be copied into a new object.

Only what is carried over is looked at; ``legal.py`` knows the single values. The data set of the source stays
as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from pydicom.charset import python_encoding
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from casgan_dicom.derived.legal import IDENTIFIERS, MAX_LENGTH, NUMBERS, form_of, legal_text
from casgan_dicom.derived.module_elements import MODULE_ELEMENTS
from casgan_dicom.source.elements import plain

_OTHERS = (
    "SpecificCharacterSet", "TimezoneOffsetFromUTC", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionDateTime", "AnatomicRegionSequence", "BodyPartExamined", "Laterality", "ImageLaterality",
    "PatientOrientation", "PixelSpacing", "PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription",
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber", "InstitutionName",
    "InstitutionAddress", "InstitutionalDepartmentName", "StationName",
)  # fmt: skip
"""What is carried over besides patient and study, the scanner's name among it."""
_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
"""What names objects: changed, it would name none; ``eligible.py`` refuses what is no UID at all."""
_CARRIED = frozenset(_OTHERS).union(*MODULE_ELEMENTS.values()).difference(_KEYS)
_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "PatientOrientation",
)  # fmt: skip
"""Type 2: left empty where the value cannot be mended; all others are left out."""
_NEEDED = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
"""Without these, or a legal UID, an item says nothing and is left out."""
_TEXT_VRS = (*MAX_LENGTH, "AS", "DA", "DT", "TM", "UC", "UR", "UT")
_JOINED = ("LO", "SH", "ST", "LT", "UT", "UC")
"""Texts: several values where one is allowed were one with a backslash in it."""


@dataclass(frozen=True)
class Change:
    """One element whose value was illegal."""

    where: str
    """Keyword and tag, behind those of the sequences that hold it."""
    vr: str
    """The value representation that it broke."""
    form: str
    """What the value looked like, without what it said."""
    done: Literal["mended", "left empty", "kept"]
    """What became of it; what may not be empty is left out."""

    def __str__(self) -> str:
        return f"{self.where} is no legal {self.vr} ('{self.form}'): {self.done} in the output"


@dataclass(frozen=True, eq=False)
class LegalHeader:
    """A header with legal values, and what was not legal."""

    ds: Dataset
    """A data set of its own; elements that were legal are those of the source."""
    changes: tuple[Change, ...]
    """In the order of the elements."""


def legal_header(source: Dataset) -> LegalHeader:
    """Make what is carried over of a header legal; all else, the UIDs that name objects too, stays."""
    made = Dataset({tag: source[tag] for tag in source.keys()})  # noqa: SIM118  # iterates over elements
    if "file_meta" in source.__dict__:
        made.file_meta = source.file_meta
    changes: list[Change] = []
    for element in source:
        if element.keyword in _CARRIED:
            changes += _make_legal(made, element, "")
        elif element.keyword in _KEYS:
            changes += [replace(change, done="kept") for change in _make_legal(Dataset(), element, "")]
    return LegalHeader(made, tuple(changes))


def carried_values(ds: Dataset) -> list[tuple[str, object]]:
    """What is carried over of a header, by keyword, as something to compare or to write down."""
    carried = _CARRIED.union(_KEYS)
    return [(one.keyword, plain(one.value)) for one in ds if one.keyword in carried]


def illegal_values(ds: Dataset) -> Iterator[Change]:
    """Say which values of an object break the rules of their representation, at every depth.

    UIDs are left out: those of a source are kept as they are. So is what cannot be read at all. Values that
    are no text, pixels among them, are not looked at.
    """
    for tag in ds.keys():  # noqa: SIM118  # iterating over elements would read them all
        if _known(tag) and dictionary_VR(tag) in ("SQ", *_TEXT_VRS):
            with suppress(Exception):  # a malformed value may raise anything; whoever needs it finds it
                changes = list(_make_legal(Dataset(), ds[tag], ""))
                yield from (change for change in changes if change.vr != "UI")


def _known(tag: BaseTag) -> bool:
    return not tag.is_private and dictionary_has_tag(tag)


def _make_legal(made: Dataset, element: DataElement, above: str) -> Iterator[Change]:
    """Put the legal form of an element into `made`; yields what was wrong with it."""
    where = f"{above}{element.keyword} {element.tag}"
    vr = dictionary_VR(element.tag)
    if vr == "SQ" or element.VR == "SQ":
        if vr != element.VR:
            made.pop(element.tag, None)
            yield Change(where, vr, element.VR, "left empty")
        else:
            yield from _items(made, element, f"{element.keyword} > ")
        return
    if not element.is_empty and element.value not in NUMBERS.get(element.keyword, (element.value,)):
        made.pop(element.tag, None)
        yield Change(where, vr, "another number", "left empty")
    if element.is_empty or vr not in _TEXT_VRS:
        return
    given = [str(value) for value in (element.value if element.VM > 1 else [element.value])]
    values = _charset(given) if element.keyword == "SpecificCharacterSet" else _legal(element, vr, given)
    if values == given and vr == element.VR:
        return
    form = "\\".join(form_of(value) for value in given[:4])
    if values:
        made[element.tag] = _element(element.tag, vr, values)
    elif element.keyword in _MAY_BE_EMPTY and not above:
        made[element.tag] = DataElement(element.tag, vr, None)
    else:
        made.pop(element.tag, None)
    if [value.strip() for value in given] != values:
        yield Change(where, vr, form, "mended" if values else "left empty")


def _legal(element: DataElement, vr: str, given: list[str]) -> list[str]:
    """The values in their legal form; none if they cannot be mended."""
    most = dictionary_VM(element.tag).rpartition("-")[2]
    if most == "1" and len(given) > 1:
        given = [] if element.keyword in IDENTIFIERS else ["/".join(given)] if vr in _JOINED else given
    made = [legal_text(element.keyword, vr, value) if value else "" for value in given]
    known = [value for value in made if value is not None]
    if most == "1":
        return [value for value in known if value][:1]
    if most.isdigit():  # a place says what a value means
        return known if len(known) == len(made) == int(most) else []
    return known


def _element(tag: BaseTag, vr: str, values: list[str]) -> DataElement:
    return DataElement(tag, vr, values[0] if len(values) == 1 else values, validation_mode=IGNORE)


def _charset(given: list[str]) -> list[str]:
    """Specific Character Set (0008,0005); UTF-8 where it names none: texts are written as they were read."""
    known = [term if term in python_encoding else term.upper().replace("ISO IR", "ISO_IR") for term in given]
    known = [term.replace("ISO-IR", "ISO_IR").replace("ISO-2022", "ISO 2022") for term in known]
    return known if all(term in python_encoding for term in known) else ["ISO_IR 192"]


def _items(made: Dataset, element: DataElement, above: str) -> Iterator[Change]:
    """The items of a sequence; one that says nothing without what cannot be mended is left out."""
    kept: list[Dataset] = []
    found: list[Change] = []
    for item in element.value:
        legal = Dataset({tag: item[tag] for tag in item.keys()})  # noqa: SIM118
        changes = [change for each in item if _known(each.tag) for change in _make_legal(legal, each, above)]
        found += changes
        lost = [change for change in changes if change.done == "left empty"]
        if not any(change.vr == "UI" or _keyword(change) in _NEEDED for change in lost):
            kept.append(legal)
    if found or len(kept) != len(element.value):
        if kept:
            made[element.tag] = DataElement(element.tag, "SQ", kept)
        else:
            made.pop(element.tag, None)
    yield from found


def _keyword(change: Change) -> str:
    return change.where.rpartition(" > ")[2].split(" ")[0]
