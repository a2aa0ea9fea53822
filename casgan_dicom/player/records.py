"""What derived objects tell of each frame: what was measured on it, and what was laid over it.

Read from the structured report (``derived/quality_record.py``) and from the headers of a roadmap
(``derived/roadmap_record.py``). What a report does not say is unknown, and stays None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from types import MappingProxyType

from pydicom.dataset import Dataset

from casgan_dicom.derived.quality_record import (
    DOMAIN_SCORE,
    MEAN_ATTENTION,
    OPACIFIED,
    OPACIFIED_PROBABILITY,
    OUT_OF_RANGE,
    SOURCE_COVER,
    VESSEL_COVER,
)
from casgan_dicom.derived.review_terms import SCHEME
from casgan_dicom.derived.roadmap_record import NO_ROADMAP_TEXT
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.elements import finite_number, integer, items_of, several

MEASURES: Mapping[str, str] = MappingProxyType(
    {
        OPACIFIED_PROBABILITY.value: "opacified",
        VESSEL_COVER.value: "vessels",
        MEAN_ATTENTION.value: "attention",
        DOMAIN_SCORE.value: "domain",
        OUT_OF_RANGE.value: "out_of_range",
        SOURCE_COVER.value: "source_vessels",
    }
)
"""Name of each measure by its code, in the order in which they are shown."""
_ANSWERS = {"373066001": "yes", "373067005": "no", "64957009": "uncertain"}
"""SNOMED CT codes of the answer to whether a frame showed opacified vessels."""
_LAID_OVER = re.compile(r"patient's own vessels of (.{1,20}), frame (\d+)")
_GROUP, _IMAGE = "125007", "121112"
"""Codes of DCM: a measurement group, and the image that it is about."""


def measured(report: Dataset, derived: Cine) -> dict[int, dict[str, float | str]]:
    """What a report says of each frame of a derived cine, by its place from 0."""
    starts = _starts(derived)
    found: dict[int, dict[str, float | str]] = {}
    for group in _groups(report):
        values = _values(group)
        for place in _places(group, starts):
            if values:
                found[place] = values
    return found


def laid_over(derived: Cine) -> dict[int, dict[str, str]]:
    """What a roadmap says of its frames, by their place from 0: `R`, or `refused`, and a sentence."""
    found = {}
    for k, text in enumerate(_frame_texts(derived)):
        if NO_ROADMAP_TEXT in text:
            found[k] = {"kind": "refused", "text": _first_clause(text[text.index(NO_ROADMAP_TEXT) :])}
        elif match := _LAID_OVER.search(text):
            said = f"own vessels of {match[1]}, frame {match[2]} of the reference"
            found[k] = {"kind": "R", "text": said}
    return found


def _frame_texts(derived: Cine) -> Iterator[str]:
    """Derivation Description (0008,2111) of each frame; that of the object for single frames."""
    for instance, header in zip(derived.instances, derived.headers, strict=True):
        groups = items_of(header, "PerFrameFunctionalGroupsSequence")
        if instance.frames == 1 and not groups:
            yield str(header.get("DerivationDescription") or "")
            continue
        for k in range(instance.frames):
            made = items_of(groups[k], "DerivationImageSequence") if k < len(groups) else ()
            yield str(made[0].get("DerivationDescription") or "") if made else ""


def _first_clause(text: str) -> str:
    return text.partition(";")[0].strip()


def _starts(derived: Cine) -> dict[str, int]:
    """At which frame of the cine each of its instances begins."""
    counts = accumulate((instance.frames for instance in derived.instances), initial=0)
    return dict(zip((instance.sop_instance_uid for instance in derived.instances), counts, strict=False))


def _groups(report: Dataset) -> Iterator[Dataset]:
    """Measurement groups, at any depth."""
    for item in items_of(report, "ContentSequence"):
        if _code(item, "ConceptNameCodeSequence") == (_GROUP, "DCM"):
            yield item
        else:
            yield from _groups(item)


def _values(group: Dataset) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for item in items_of(group, "ContentSequence"):
        value, scheme = _code(item, "ConceptNameCodeSequence")
        if scheme != SCHEME:
            continue
        if value == OPACIFIED.value:
            found["answer"] = _ANSWERS.get(_code(item, "ConceptCodeSequence")[0], "")
        for number in items_of(item, "MeasuredValueSequence") if value in MEASURES else ():
            stated = number.get("FloatingPointValue", number.get("NumericValue"))
            if (known := finite_number(stated)) is not None:
                found[MEASURES[value]] = known
    return found


def _places(group: Dataset, starts: Mapping[str, int]) -> Iterator[int]:
    """Frames of the derived cine that a group is about; none for one that sums up the whole."""
    for item in items_of(group, "ContentSequence"):
        if _code(item, "ConceptNameCodeSequence") != (_IMAGE, "DCM"):
            continue
        for image in items_of(item, "ReferencedSOPSequence"):
            uid = str(image.get("ReferencedSOPInstanceUID"))
            if uid in starts:
                numbers = [integer(number) for number in several(image.get("ReferencedFrameNumber"))]
                yield from (starts[uid] + number - 1 for number in numbers or [1])


def _code(item: Dataset, keyword: str) -> tuple[str, str]:
    """Code value and scheme of the first item of a code sequence; empty where there is none."""
    codes = items_of(item, keyword)
    if not codes:
        return "", ""
    return str(codes[0].get("CodeValue") or ""), str(codes[0].get("CodingSchemeDesignator") or "")
