"""What is answered to a request to store over the web (PS3.18 10.5.3): a status, and what became of each.

The Store Instances Response Module (PS3.18 I.1) is written as DICOM JSON (PS3.18 F) or as XML (PS3.19 A.1).
What cannot be named by its UIDs stands in Other Failures Sequence (0008,119A). Retrieve URL (0008,1190) is
empty: nothing can be retrieved here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from pydicom.datadict import keyword_for_tag

from casgan_dicom.node.receive.reception import NO_ROOM

JSON, XML = "application/dicom+json", "application/dicom+xml"
SYNTAX_NOT_SUPPORTED, CLASS_NOT_SUPPORTED = 0xC122, 0x0122
"""Failure Reason (0008,1197), PS3.18 table I.2-2."""

_RETRIEVE_URL, _CLASS_UID, _UID = "00081190", "00081150", "00081155"
_STORED, _FAILED, _OTHERS, _REASON = "00081199", "00081198", "0008119A", "00081197"
_MODEL = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_Table = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What became of one instance."""

    status: int
    """0 if it is stored, else Failure Reason (0008,1197)."""
    sop_class_uid: str = ""
    """Its SOP class; empty where nobody knows."""
    sop_uid: str = ""
    """Its UID; empty where nobody knows."""
    is_too_long: bool = False
    """Whether it is longer than is taken: to send it again later is of no use."""


def http_status(outcomes: Sequence[Outcome]) -> int:
    """Of a request that was read to its end, PS3.18 table 10.5.3-1.

    Where the reason of all failures is that there is no room now, it is 503, so that the sender comes again.
    """
    failed = [each for each in outcomes if each.status]
    if not outcomes:
        return 400
    if len(failed) < len(outcomes):
        return 202 if failed else 200
    if all(each.is_too_long for each in failed):
        return 413
    return 503 if all(each.status == NO_ROOM and not each.is_too_long for each in failed) else 409


def written(outcomes: Sequence[Outcome], media_type: str) -> bytes:
    """The module, as JSON or XML."""
    table = _module(outcomes)
    if media_type == JSON:
        return json.dumps(table).encode()
    root = ElementTree.Element("NativeDicomModel", {"xmlns": _MODEL, "xml:space": "preserve"})
    _add(root, table)
    content: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return content


def _module(outcomes: Sequence[Outcome]) -> _Table:
    table: dict[str, Mapping[str, Any]] = {_RETRIEVE_URL: {"vr": "UR"}}
    named = [each for each in outcomes if each.sop_uid]
    others = [{_REASON: _value("US", each.status)} for each in outcomes if not each.sop_uid]
    stored = [_named(each) | {_RETRIEVE_URL: {"vr": "UR"}} for each in named if not each.status]
    failed = [_named(each) | {_REASON: _value("US", each.status)} for each in named if each.status]
    for tag, items in ((_FAILED, failed), (_STORED, stored), (_OTHERS, others)):
        if items:
            table[tag] = {"vr": "SQ", "Value": items}
    return table


def _named(outcome: Outcome) -> dict[str, Mapping[str, Any]]:
    return {_CLASS_UID: _value("UI", outcome.sop_class_uid), _UID: _value("UI", outcome.sop_uid)}


def _value(vr: str, value: object) -> Mapping[str, Any]:
    return {"vr": vr, "Value": [value]}


def _add(parent: ElementTree.Element, table: _Table) -> None:
    """Write elements, in the order of their tags."""
    for tag, element in sorted(table.items()):
        facts = {"tag": tag, "vr": element["vr"], "keyword": keyword_for_tag(int(tag, 16))}
        attribute = ElementTree.SubElement(parent, "DicomAttribute", facts)
        for number, value in enumerate(element.get("Value", ()), 1):
            name = "Item" if element["vr"] == "SQ" else "Value"
            child = ElementTree.SubElement(attribute, name, {"number": str(number)})
            if isinstance(value, Mapping):
                _add(child, value)
            else:
                child.text = str(value)
