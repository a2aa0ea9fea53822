"""Numbers of a header that are not written as numbers: mended where that is plain, said in any case.

A decimal comma becomes a decimal point, surplus values go, a value that is no number leaves a gap in a list
and takes an element of fixed size with it. What a value said is not repeated: it may be that of a patient.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import IS, DSfloat

from casgan_dicom.source.elements import several

NUMERAL_VRS = ("DS", "IS", "FL", "FD")
"""Value representations (PS3.5 6.2) of numbers that may be wrong without being unreadable."""
_TEXT_VRS = ("LO", "LT", "SH", "ST", "UC", "UT")
"""Those under which some files write numbers."""
_COMMA = re.compile(r"[-+]?(?:\d+,\d*|,\d+)(?:[eE][-+]?\d+)?")
_COUNTED = ("NumberOfFrames",)
"""Elements whose absence would say something else than that they cannot be read: they stay as they are."""
_NAMED_AT_MOST = 4
"""How many values a note names."""


def mend_numerals(ds: Dataset, element: DataElement) -> list[str]:
    """Put right what an element of a data set says in numbers.

    Parameters
    ----------
    ds
        The data set; the element is replaced in it, or removed where nothing of it can be used.
    element
        One of its elements. Private ones, and what is no number by the dictionary, are left as they are.

    Returns
    -------
    list of str
        What was wrong and what became of it, one sentence each; empty for an element that is right.

    Notes
    -----
    PS3.5 6.2 (DS, IS), 6.4 (value multiplicity). A value that is blank or no finite number stays as an empty
    one in a list of open length, so that the others keep their places.
    """
    if element.VR not in (*NUMERAL_VRS, *_TEXT_VRS) or not dictionary_has_tag(element.tag):
        return []
    text = element.value if element.VR in _TEXT_VRS and isinstance(element.value, str) else None
    given = several(element.value) if text is None else text.split("\\")
    vr = dictionary_VR(element.tag)
    if vr not in NUMERAL_VRS or not any(map(_filled, given)):
        return []
    name = f"{keyword_for_tag(element.tag)} {element.tag}"
    notes, multiplicity = [], dictionary_VM(element.tag)
    wanted = int(multiplicity) if multiplicity.isdigit() else 0
    numbers = [_number(value) for value in given]
    if any(isinstance(value, str) and _COMMA.fullmatch(value.strip()) for value in given):
        notes.append(f"{name} has a decimal comma, which is read as a decimal point")
    if wanted and len(numbers) > wanted:
        numbers, said = _cut(numbers, wanted)
        notes.append(f"{name} has {len(given)} values, need {wanted}: {said}")
    notes += _gaps(name, numbers, fixed=bool(wanted))
    if len(numbers) < wanted:
        notes.append(f"{name} has {len(numbers)} values, need {wanted}: the element is left out")
    if not notes or (None in numbers and keyword_for_tag(element.tag) in _COUNTED):
        return []
    whole = None not in numbers and len(numbers) >= wanted
    if whole or (not wanted and any(number is not None for number in numbers)):
        ds[element.tag] = _rewritten(element, element.VR if element.VR in NUMERAL_VRS else vr, numbers)
    else:
        del ds[element.tag]
    return notes


def _filled(value: object) -> bool:
    return bool(str(value).strip())


def _number(value: object) -> float | None:
    """The value as a finite number, with a decimal point or a decimal comma; None for anything else."""
    if isinstance(value, str) and not isinstance(value, int | float) and _COMMA.fullmatch(value.strip()):
        value = value.replace(",", ".")
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever the header holds
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _cut(numbers: Sequence[float | None], wanted: int) -> tuple[list[float | None], str]:
    """The values that are used of too many, and which they are: the first, or for one the first number."""
    usable = [k for k, number in enumerate(numbers) if number is not None]
    if wanted == 1 and usable:
        return [numbers[usable[0]]], f"value {usable[0] + 1} is used"
    return list(numbers[:wanted]), f"the first {wanted} are used"


def _gaps(name: str, numbers: Sequence[float | None], *, fixed: bool) -> list[str]:
    """The sentence on values that are no numbers."""
    bad = [k + 1 for k, number in enumerate(numbers) if number is None]
    if not bad:
        return []
    if len(bad) == len(numbers):
        return [f"{name} holds no number and is left out"]
    named = ", ".join(map(str, bad[:_NAMED_AT_MOST])) + (" and more" if len(bad) > _NAMED_AT_MOST else "")
    what = "the element is left out" if fixed else "taken as absent"
    return [f"{name}: value {named} of {len(numbers)} is no number, {what}"]


def _rewritten(element: DataElement, vr: str, numbers: Sequence[float | None]) -> DataElement:
    """The same element with these values; integer strings (IS) that hold a fraction become decimal ones."""
    if vr == "IS" and any(number is not None and number != int(number) for number in numbers):
        vr = "DS"
    values = [_value(number, vr) for number in numbers]
    return DataElement(element.tag, vr, values[0] if len(values) == 1 else values, validation_mode=IGNORE)


def _value(number: float | None, vr: str) -> object:
    if number is None:
        return "" if vr in ("DS", "IS") else math.nan
    if vr == "IS":
        return IS(int(number), validation_mode=IGNORE)
    return DSfloat(number, auto_format=True, validation_mode=IGNORE) if vr == "DS" else number
