"""A line of an audit trail for a person: when, what, who, and to what."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, fromstring

from casgan_dicom.node.state.audit_chain import read_line
from casgan_dicom.node.state.audit_message import MINOR_FAILURE, SERIOUS_FAILURE, SUCCESS

_OUTCOMES = {SUCCESS: "", MINOR_FAILURE: "minor failure", SERIOUS_FAILURE: "serious failure"}


@dataclass(frozen=True)
class Entry:
    """A message of a trail."""

    seq: int
    """Its number in the chain; 0 before that began."""
    at: str
    """When, as the message says it."""
    event: str
    """Its family, in words."""
    kind: str
    """What it was within the family; empty where the family says all."""
    outcome: str
    """How it ended; empty if well."""
    who: tuple[str, ...]
    """Who did it, or wanted to."""
    what: tuple[str, ...]
    """What it was done to, with the details."""


def entry_of(line: bytes) -> Entry | None:
    """Read a line, of whichever version; None where it holds no whole message."""
    begin = line.find(b"<AuditMessage")
    try:
        message = fromstring(line[begin:].decode()) if begin >= 0 else None
    except (ParseError, UnicodeDecodeError):
        return None
    if message is None or (event := message.find("EventIdentification")) is None:
        return None
    chained = read_line(line)
    return Entry(
        seq=0 if chained is None else chained.link.seq,
        at=event.get("EventDateTime", ""),
        event=_words(event.find("EventID")),
        kind=_words(event.find("EventTypeCode")),
        outcome=_OUTCOMES.get(event.get("EventOutcomeIndicator", ""), "failure"),
        who=tuple(_participant(each) for each in message.iter("ActiveParticipant")),
        what=tuple(
            text for each in message.iter("ParticipantObjectIdentification") for text in _subject(each)
        ),
    )


def _words(code: Element | None) -> str:
    return "" if code is None else code.get("originalText", "")


def _participant(found: Element) -> str:
    title = found.get("AlternativeUserID", "").removeprefix("AETITLES=")
    named = found.get("UserName", "") or title or found.get("UserID", "")
    address = found.get("NetworkAccessPointID", "")
    return f"{named} at {address}" if address else named


def _subject(found: Element) -> Iterator[str]:
    identifier, name = found.get("ParticipantObjectID", ""), found.findtext("ParticipantObjectName") or ""
    yield f"{_words(found.find('ParticipantObjectIDTypeCode'))} {identifier}" + (
        f" ({name})" if name not in ("", identifier) else ""
    )
    for detail in found.iter("ParticipantObjectDetail"):
        try:
            value = b64decode(detail.get("value", ""), validate=True).decode()
        except ValueError:
            continue
        yield f"{detail.get('type')}: {value}"
