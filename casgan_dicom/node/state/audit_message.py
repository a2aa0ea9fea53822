"""DICOM audit messages (PS3.15 A.5): what happened, who did it, to what, as one line of XML.

The structure is that of the schema in PS3.15 A.5.1; which codes and values a message holds, that of the
tables in A.5.3. Pure: what happened and when is passed in. Where a table wants the patient, the message says
that it is withheld, unless the ID is passed in; the Study Instance UID leads whoever has the archive to it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from casgan_dicom.node.addresses import as_address
from casgan_dicom.quoting import printable

Code = tuple[str, str, str]
"""Code, code system and meaning, as in EV (110100, DCM, "Application Activity")."""

APPLICATION_ACTIVITY: Code = ("110100", "DCM", "Application Activity")
DICOM_INSTANCES_ACCESSED: Code = ("110103", "DCM", "DICOM Instances Accessed")
DICOM_INSTANCES_TRANSFERRED: Code = ("110104", "DCM", "DICOM Instances Transferred")
DICOM_STUDY_DELETED: Code = ("110105", "DCM", "DICOM Study Deleted")
SECURITY_ALERT: Code = ("110113", "DCM", "Security Alert")
USER_AUTHENTICATION: Code = ("110114", "DCM", "User Authentication")
"""Event IDs."""
APPLICATION_START: Code = ("110120", "DCM", "Application Start")
APPLICATION_STOP: Code = ("110121", "DCM", "Application Stop")
LOGIN: Code = ("110122", "DCM", "Login")
USE_OF_RESTRICTED_FUNCTION: Code = ("110132", "DCM", "Use of Restricted Function")
NODE_AUTHENTICATION: Code = ("110126", "DCM", "Node Authentication")
"""Event types."""
APPLICATION: Code = ("110150", "DCM", "Application")
DESTINATION: Code = ("110152", "DCM", "Destination Role ID")
SOURCE: Code = ("110153", "DCM", "Source Role ID")
"""Roles of participants."""
STUDY_INSTANCE_UID: Code = ("110180", "DCM", "Study Instance UID")
NODE_ID: Code = ("110182", "DCM", "Node ID")
PATIENT_NUMBER: Code = ("2", "RFC-3881", "Patient Number")
"""What identifies an object."""

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = "0", "4", "8"
"""Outcomes."""
WITHHELD, UNKNOWN = "withheld", "unknown"
_APPLICATION_SERVER = "4"
_MACHINE_NAME, _IP_ADDRESS = "1", "2"
_SYSTEM, _PERSON = "2", "1"
_REPORT, _PATIENT, _SECURITY_RESOURCE = "3", "1", "13"
ERASED = "15"
"""Life cycle of an object."""


@dataclass(frozen=True)
class Event:
    """What happened."""

    event_id: Code
    """Its family."""
    action: Literal["C", "R", "U", "D", "E"]
    """Create, read, update, delete or execute."""
    outcome: str = SUCCESS
    """How it ended."""
    type_code: Code | None = None
    """What it was within the family."""
    description: str = ""
    """How it ended, in words."""


@dataclass(frozen=True)
class Participant:
    """Who did it, or wanted to."""

    user_id: str
    """Of a process, its number in the system: so in the log."""
    ae_titles: Sequence[str] = ()
    """What it calls itself, and is called."""
    name: str = ""
    """Of a process, its name."""
    is_requestor: bool = False
    """Whether it began."""
    role: Code | None = None
    """What it did."""
    address: str = ""
    """Its IP address, or the name of its machine; empty if there is none."""


@dataclass(frozen=True)
class Subject:
    """What it was done to."""

    id_type: Code
    """What `identifier` is."""
    identifier: str
    """Of the object."""
    name: str
    """The schema wants one of every object."""
    type_code: str = _SYSTEM
    """Person, system object, organization or other."""
    role: str = _REPORT
    """What it is in the event."""
    life_cycle: str = ""
    """Which moment of its life that was."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Anything else, by its name."""
    instances: int | None = None
    """How many SOP Instances it holds."""


def study(uid: str, job: str, instances: int, details: Mapping[str, str]) -> Subject:
    """A study, in part: what a job holds of it."""
    return Subject(STUDY_INSTANCE_UID, uid or UNKNOWN, job, details=details, instances=instances)


def erased(uid: str, job: str, instances: int, details: Mapping[str, str]) -> Subject:
    """A study that was erased, in part: what a job held of it."""
    return replace(study(uid, job, instances, details), life_cycle=ERASED)


def patient(identifier: str = WITHHELD) -> Subject:
    """The patient of a study: at most by the ID, as whoever has the archive knows it, never by the name."""
    return Subject(PATIENT_NUMBER, identifier, WITHHELD, type_code=_PERSON, role=_PATIENT)


def node(address: str, name: str, alert: str) -> Subject:
    """Another node that gave cause for an alert."""
    return Subject(NODE_ID, address, name, role=_SECURITY_RESOURCE, details={"Alert Description": alert})


def audit_message(
    event: Event,
    participants: Sequence[Participant],
    source: str,
    subjects: Sequence[Subject],
    at: datetime,
) -> str:
    """Write a message as one line of XML.

    Parameters
    ----------
    event
        What happened.
    participants
        Who did it; at least one.
    source
        Audit Source ID: who tells it.
    subjects
        What it was done to.
    at
        When, with its time zone.
    """
    message = Element("AuditMessage")
    _add_event(message, event, at)
    for participant in participants:
        _add_participant(message, participant)
    reporter = _add(message, "AuditSourceIdentification", AuditSourceID=source)
    _add(reporter, "AuditSourceTypeCode", {"csd-code": _APPLICATION_SERVER})
    for subject in subjects:
        _add_subject(message, subject)
    return tostring(message, encoding="unicode")


def _add_event(message: Element, event: Event, at: datetime) -> None:
    when = at.isoformat(timespec="milliseconds")
    found = _add(
        message,
        "EventIdentification",
        EventActionCode=event.action,
        EventDateTime=when,
        EventOutcomeIndicator=event.outcome,
    )
    _add(found, "EventID", _coded(event.event_id))
    if event.type_code is not None:
        _add(found, "EventTypeCode", _coded(event.type_code))
    if event.description:
        _add(found, "EventOutcomeDescription").text = printable(event.description)


def _add_participant(message: Element, participant: Participant) -> None:
    titles = ";".join(participant.ae_titles)
    found = _add(
        message,
        "ActiveParticipant",
        UserID=participant.user_id,
        AlternativeUserID=f"AETITLES={titles}" if titles else "",
        UserName=participant.name,
        UserIsRequestor="true" if participant.is_requestor else "false",
        NetworkAccessPointID=participant.address,
        NetworkAccessPointTypeCode=_kind_of(participant.address),
    )
    if participant.role is not None:
        _add(found, "RoleIDCode", _coded(participant.role))


def _kind_of(address: str) -> str:
    if not address:
        return ""
    return _MACHINE_NAME if as_address(address) is None else _IP_ADDRESS


def _add_subject(message: Element, subject: Subject) -> None:
    found = _add(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=subject.identifier,
        ParticipantObjectTypeCode=subject.type_code,
        ParticipantObjectTypeCodeRole=subject.role,
        ParticipantObjectDataLifeCycle=subject.life_cycle,
    )
    _add(found, "ParticipantObjectIDTypeCode", _coded(subject.id_type))
    _add(found, "ParticipantObjectName").text = printable(subject.name)
    for name, value in subject.details.items():
        coded = base64.b64encode(printable(value).encode()).decode("ascii")
        _add(found, "ParticipantObjectDetail", type=name, value=coded)
    if subject.instances is not None:
        described = _add(found, "ParticipantObjectDescription")
        _add(described, "SOPClass", NumberOfInstances=str(subject.instances))


def _coded(code: Code) -> dict[str, str]:
    return {"csd-code": code[0], "codeSystemName": code[1], "originalText": code[2]}


def _add(parent: Element, name: str, attributes: Mapping[str, str] | None = None, /, **more: str) -> Element:
    """Add an element; an attribute without a value is left out."""
    found = SubElement(parent, name)
    for key, value in {**(attributes or {}), **more}.items():
        if value:
            found.set(key, printable(value))
    return found
