"""Conditions on header values, as a rule writes them, and whether they hold for a header.

    ATTRIBUTE = VALUE           also !=: none of the values is that
    ATTRIBUTE < NUMBER          also <=, >, >=; a number, or a date as 20260131
    ATTRIBUTE between A B       both included
    ATTRIBUTE in A, B, C
    ATTRIBUTE ~ PATTERN         * stands for any characters, ? for one
    ATTRIBUTE contains TEXT
    ATTRIBUTE present           also absent: it has no value, or is not there

ATTRIBUTE is a keyword of the DICOM dictionary (PS3.6), or its tag as (0008,0060). Numbers are compared as
numbers, texts without regard to case and to spaces around them. Of several values, one that fits is enough.
What has no value fits no comparison, and fails none: that is unknown.
"""

from __future__ import annotations

import difflib
import fnmatch
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pydicom.datadict import dictionary_VR, keyword_dict, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from casgan_dicom.quoting import quoted
from casgan_dicom.source.elements import finite_number, several

_FORM = re.compile(
    r"(?P<attribute>\([0-9A-Fa-f]{4},\s*[0-9A-Fa-f]{4}\)|[A-Za-z][A-Za-z0-9]*)"
    r"(?:\s*(?P<sign><=|>=|!=|=|<|>|~)|\s+(?P<word>between|in|contains|present|absent)\b)"
    r"\s*(?P<rest>.*)"
)
_WANTED = "an attribute and =, !=, <, <=, >, >=, between, in, ~, contains, present or absent"
_NUMBERS = ("DS", "IS", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV", "US or SS")
"""Value representations of numbers."""
_TEXTS = ("AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
"""Those of texts; all others are sequences or bytes."""
_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BOUNDS = 2
"""Values of ``between``."""


class Truth(IntEnum):
    """Whether something holds. The smallest of several is whether all of them do."""

    NO = 0
    UNKNOWN = 1
    YES = 2


@dataclass(frozen=True)
class Condition:
    """A condition on one attribute."""

    text: str
    """As it was written."""
    tag: BaseTag
    """The attribute."""
    vr: str
    """Its value representation, by the dictionary."""
    operator: str
    """Which comparison."""
    texts: tuple[str, ...] = ()
    """What texts are compared with, case folded."""
    numbers: tuple[float, ...] = ()
    """What numbers are compared with."""

    def holds(self, ds: Dataset) -> Truth:
        """Whether it holds for a header."""
        values = _values(ds, self.tag)
        if self.operator in ("present", "absent"):
            return Truth.YES if bool(values) == (self.operator == "present") else Truth.NO
        if not values:
            return Truth.UNKNOWN
        found = self._of_numbers(values) if self.numbers else self._of_texts(values)
        return Truth(Truth.YES - found) if self.operator == "!=" else found

    def found(self, ds: Dataset) -> str:
        """What the header holds instead, for a person; texts that may say who a patient is are not quoted."""
        values = _values(ds, self.tag)
        if not values:
            return "absent or empty"
        if self.vr in _NUMBERS and all(finite_number(value) is not None for value in values):
            return ", ".join(f"{finite_number(value):g}" for value in values)
        if self.vr in ("CS", "UI", "AE"):
            return quoted(values, self.vr)  # type: ignore[arg-type]  # one of the three
        return "another value"

    def _of_numbers(self, values: Sequence[object]) -> Truth:
        known = [number for number in map(finite_number, values) if number is not None]
        if any(map(self._fits, known)):
            return Truth.YES
        return Truth.NO if len(known) == len(values) else Truth.UNKNOWN

    def _fits(self, number: float) -> bool:
        if self.operator in _ORDER:
            return _ORDER[self.operator](number, self.numbers[0])
        if self.operator == "between":
            return self.numbers[0] <= number <= self.numbers[1]
        return number in self.numbers

    def _of_texts(self, values: Sequence[object]) -> Truth:
        found = [str(value).strip().casefold() for value in values]
        if self.operator == "contains":
            fits = any(self.texts[0] in text for text in found)
        elif self.operator == "~":
            fits = any(fnmatch.fnmatchcase(text, self.texts[0].replace("[", "[[]")) for text in found)
        else:
            fits = bool(set(found) & set(self.texts))
        return Truth.YES if fits else Truth.NO


def parse_condition(text: str) -> Condition:
    """Read a condition. Raises ValueError that says what was found and what was wanted."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"want {_WANTED}, as in 'Modality = XA'")
    tag, vr = _attribute(match["attribute"])
    sign, rest = match["sign"] or match["word"], match["rest"].strip()
    if sign in ("present", "absent"):
        if rest:
            raise ValueError(f"'{sign}' is followed by '{rest}', want nothing behind it")
        return Condition(text, tag, vr, sign)
    if sign == "between":
        values = [part for part in re.split(r"\s+and\s+|[\s,]+", rest) if part]
    else:
        values = [part.strip() for part in rest.split(",")] if sign == "in" else [rest]
    if not values or not all(values) or (sign == "between" and len(values) != _BOUNDS):
        raise ValueError(
            f"'{sign}' is followed by '{rest}', want {'two values' if sign == 'between' else 'a value'}"
        )
    if sign == "between" or sign in _ORDER or vr in _NUMBERS:
        return Condition(text, tag, vr, sign, numbers=_as_numbers(sign, vr, values))
    return Condition(text, tag, vr, sign, texts=tuple(value.casefold() for value in values))


def _attribute(name: str) -> tuple[BaseTag, str]:
    """Tag and value representation of an attribute. Raises ValueError for one that cannot be compared."""
    number = int(re.sub(r"[(),\s]", "", name), 16) if name.startswith("(") else tag_for_keyword(name)
    if number is None:
        near = difflib.get_close_matches(name, keyword_dict, n=1)
        advice = f" (did you mean '{near[0]}'?)" if near else ""
        raise ValueError(f"'{name}' is no keyword of the DICOM dictionary{advice}")
    tag = Tag(number)
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        raise ValueError(f"{name} is not in the DICOM dictionary, want an attribute that is") from None
    if (vr not in _NUMBERS and vr not in _TEXTS) or tag.group == 0:
        known = f"{keyword_for_tag(tag)} {tag}"
        raise ValueError(f"{known} has the value representation {vr}, want one of text or of numbers")
    return tag, vr


def _as_numbers(sign: str, vr: str, values: Sequence[str]) -> tuple[float, ...]:
    if vr not in (*_NUMBERS, "DA"):
        raise ValueError(f"'{sign}' compares numbers, and the value representation is {vr}")
    if sign in ("~", "contains"):
        raise ValueError(f"'{sign}' compares texts, and the value representation is {vr}")
    numbers = [finite_number(value) for value in values]
    known = tuple(number for number in numbers if number is not None)
    if len(known) < len(values):
        raise ValueError(f"found '{values[numbers.index(None)]}', want a number")
    if sign == "between" and known[0] > known[1]:
        raise ValueError(f"between {values[0]} and {values[1]} there is nothing, want the smaller first")
    return known


def _values(ds: Dataset, tag: BaseTag) -> list[object]:
    """The values of an attribute, without empty ones; File Meta Information is asked for its own."""
    holder = getattr(ds, "file_meta", None) if tag.group == 2 else ds
    element = None if holder is None else holder.get(tag)
    found = [] if element is None else several(element.value)
    return [value for value in found if str(value).strip()]
