"""Coded values (CS) as they are meant: in capital letters, without spaces around (PS3.5 6.2).

Who compares a code with its terms finds nothing in ``dynamic`` or `` LOG``, and what a header says would be
lost without a word. So codes are put right once, when a header is read, and said.
"""

from __future__ import annotations

import re

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from casgan_dicom.source.elements import several

_LEGAL = re.compile(r"[A-Z0-9 _]{0,16}")
_NAMES = ("SpecificCharacterSet",)
"""Not terms of ours: whoever decodes texts knows how their names may be written."""


def mend_codes(ds: Dataset, element: DataElement) -> list[str]:
    """Put right how the codes of an element are written.

    Parameters
    ----------
    ds
        The data set; the element is replaced in it.
    element
        One of its elements. Private ones, other kinds than CS, and values that would be no legal codes
        either way are left as they are.

    Returns
    -------
    list of str
        The sentence on it; empty for an element that is right.
    """
    if not dictionary_has_tag(element.tag) or dictionary_VR(element.tag) != "CS" or element.keyword in _NAMES:
        return []
    given = [str(value) for value in several(element.value)]
    codes = [value.strip().upper() for value in given]
    if codes == given or not all(map(_LEGAL.fullmatch, codes)):
        return []
    value = codes[0] if len(codes) == 1 else codes
    ds[element.tag] = DataElement(element.tag, "CS", value, validation_mode=IGNORE)
    name = f"{keyword_for_tag(element.tag)} {element.tag}"
    return [f"{name} is written in small letters or with spaces around it: read as the code that it means"]
