"""What a server says that became of each instance: the Store Instances Response Module, PS3.18 10.5.3.

It comes as DICOM JSON (PS3.18 annex F) or as XML (PS3.19 A.1), and only a few of its elements are read. What
a server says in words is passed over, as it may be about a patient.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.parsers import expat

from casgan_dicom.node.client.results import DUPLICATE, Outcome, classify, in_words
from casgan_dicom.node.client.web import Answer

SYNTAX_NOT_SUPPORTED = 0xC122
"""Failure Reason (0008,1197): Referenced Transfer Syntax not supported."""

_REFERENCED, _FAILED = "00081199", "00081198"
"""Referenced SOP Sequence (0008,1199) of what is stored; Failed SOP Sequence (0008,1198)."""
_SOP_UID = "00081155"
"""Referenced SOP Instance UID (0008,1155)."""
_WARNING_REASON, _FAILURE_REASON = "00081196", "00081197"
"""Warning Reason (0008,1196) and Failure Reason (0008,1197)."""
_DEEPEST = 2
"""Sequences of data sets, and what is in these: nothing below is read."""

_Table = Mapping[str, object]


@dataclass(frozen=True)
class Said:
    """What became of one instance."""

    outcome: Outcome
    """What it means."""
    status: int | None
    """Reason of a warning or a failure; 0 for none, None where nobody says."""
    reason: str
    """In words; empty where it was stored without a word."""


def _stored(status: int) -> Said:
    return Said("warning" if status else "stored", status, in_words(status))


def failed(status: int | None) -> Said:
    """What a Failure Reason (0008,1197) means; None for one that is not there."""
    if not status:  # nobody knows why, so perhaps the instance is not at fault
        return Said("refused-now", status, "failed, and no reason is given")
    if status == SYNTAX_NOT_SUPPORTED:
        return Said("refused", status, f"its transfer syntax is not supported there (0x{status:04X})")
    outcome = classify(status)
    if outcome in ("stored", "warning") and status != DUPLICATE:
        outcome = "refused"  # no reason to fail, but it did
    return Said(outcome, status, in_words(status))


def read_answer(answer: Answer) -> Mapping[str, Said]:
    """What is said of each instance, by its SOP Instance UID; ValueError, in words, if nothing can be read.

    An instance that is both among the stored and the failed ones has failed.
    """
    table = _table(answer)
    said = {uid: _stored(reason or 0) for uid, reason in _named(table, _REFERENCED, _WARNING_REASON)}
    said |= {uid: failed(reason) for uid, reason in _named(table, _FAILED, _FAILURE_REASON)}
    if not said:
        raise ValueError("names no instance")
    return said


def _table(answer: Answer) -> _Table:
    if not answer.content:
        raise ValueError("is empty")
    try:
        if answer.media_type.endswith("json") or not answer.media_type:  # Orthanc says none with a 400
            found = json.loads(answer.content)
            return _first(found) if isinstance(found, list) else _mapping(found)
        if answer.media_type.endswith("xml"):
            return _of_xml(answer.content)
    except (ValueError, RecursionError, expat.ExpatError, ElementTree.ParseError):
        raise ValueError(f"cannot be read as {answer.media_type or 'DICOM JSON'}") from None
    raise ValueError("is neither DICOM JSON nor DICOM XML")


def _first(found: list[object]) -> _Table:
    return _mapping(found[0]) if found else {}


def _mapping(found: object) -> _Table:
    return found if isinstance(found, dict) else {}


def _named(table: _Table, sequence: str, reason: str) -> Iterator[tuple[str, int | None]]:
    """SOP Instance UID and reason of each item of a sequence."""
    for item in map(_mapping, _values(table, sequence)):
        for uid in _values(item, _SOP_UID)[:1]:
            if isinstance(uid, str):
                yield uid.strip(" \0"), _number(_values(item, reason))


def _values(table: _Table, tag: str) -> list[object]:
    found = _mapping(table.get(tag)).get("Value")
    return found if isinstance(found, list) else []


def _number(values: list[object]) -> int | None:
    """A value of US; None if it is none."""
    text = str(values[0]) if values else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None


def _of_xml(content: bytes) -> _Table:
    """The data set of a Native DICOM Model in the form of DICOM JSON; an error for one with a DOCTYPE."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.Parse(content, True)
    return _of_element(ElementTree.fromstring(content), 0)


def _no_doctype(*_: object) -> None:
    """Refuse what may hold entities that grow."""
    raise ValueError("a DOCTYPE")


def _of_element(element: ElementTree.Element, depth: int) -> _Table:
    table: dict[str, object] = {}
    for attribute in _children(element, "DicomAttribute"):
        values: list[object] = [value.text or "" for value in _children(attribute, "Value")]
        if depth < _DEEPEST:
            values += [_of_element(item, depth + 1) for item in _children(attribute, "Item")]
        table[attribute.get("tag", "").upper()] = {"Value": values}
    return table


def _children(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Children of this name, in any namespace."""
    return (child for child in element if child.tag.rpartition("}")[2] == name)
