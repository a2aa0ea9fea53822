"""The audit trail, held against the schema of PS3.15 A.5.1 and the tables of A.5.3."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from stat import S_IMODE
from xml.etree.ElementTree import Element, fromstring

import pytest

from casgan_dicom.node.settings import AuditSettings
from casgan_dicom.node.state.audit import Audit, Deleted, Reviewed, Transferred
from casgan_dicom.node.state.layout import Layout
from tests.support.factories import uid

AT = datetime(2026, 12, 1, 10, 15, 30, 123456, tzinfo=UTC)
HEADER = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) (?P<host>[!-~]{1,255})"
    r" (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) (?P<id>[!-~]{1,32})"
    r' \[chain@32473( [a-z]+="[^"\\\]]*")+\] \ufeff(?P<message>.+)'
)
"""RFC 5424 6, with one element of structured data."""

MANY, OPTIONAL, ONE, SOME = "*", "?", "1", "+"
CODED = {"csd-code": r"\S+", "codeSystemName": r"\S.*", "originalText": r"\S.*", "displayName?": r".*"}
CODED_ELEMENT = (CODED, ())
SCHEMA: dict[str, tuple[dict[str, str], tuple[tuple[str, str], ...]]] = {
    "AuditMessage": (
        {},
        (
            ("EventIdentification", ONE), ("ActiveParticipant", SOME), ("AuditSourceIdentification", ONE),
            ("ParticipantObjectIdentification", MANY),
        ),
    ),
    "EventIdentification": (
        {
            "EventActionCode?": "[CRUDE]",
            "EventDateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
            "EventOutcomeIndicator": "0|4|8|12",
        },
        (("EventID", ONE), ("EventTypeCode", MANY), ("EventOutcomeDescription", OPTIONAL)),
    ),
    "EventID": CODED_ELEMENT,
    "EventTypeCode": CODED_ELEMENT,
    "EventOutcomeDescription": ({}, ()),
    "ActiveParticipant": (
        {
            "UserID": ".*",
            "AlternativeUserID?": ".*",
            "UserName?": ".*",
            "UserIsRequestor": "true|false|0|1",
            "NetworkAccessPointID?": ".*",
            "NetworkAccessPointTypeCode?": "[1-5]",
        },
        (("RoleIDCode", MANY), ("MediaIdentifier", OPTIONAL)),
    ),
    "RoleIDCode": CODED_ELEMENT,
    "AuditSourceIdentification": (
        {"AuditEnterpriseSiteID?": ".*", "AuditSourceID": ".*"}, (("AuditSourceTypeCode", MANY),),
    ),
    "AuditSourceTypeCode": ({"csd-code": "[1-9]"}, ()),
    "ParticipantObjectIdentification": (
        {
            "ParticipantObjectID": ".*",
            "ParticipantObjectTypeCode?": "[1-4]",
            "ParticipantObjectTypeCodeRole?": "[1-9]|1[0-9]|2[0-6]",
            "ParticipantObjectDataLifeCycle?": "[1-9]|1[0-5]",
            "ParticipantObjectSensitivity?": ".*",
        },
        (
            ("ParticipantObjectIDTypeCode", ONE), ("ParticipantObjectName", ONE),
            ("ParticipantObjectDetail", MANY), ("ParticipantObjectDescription", MANY),
        ),
    ),
    "ParticipantObjectIDTypeCode": CODED_ELEMENT,
    "ParticipantObjectName": ({}, ()),
    "ParticipantObjectDetail": (
        {"type": r"\S.*", "value": r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"}, (),
    ),
    "ParticipantObjectDescription": ({}, (("SOPClass", MANY),)),
    "SOPClass": ({"UID?": "[0-9.]+", "NumberOfInstances": r"-?\d+"}, (("Instance", MANY),)),
}  # fmt: skip
"""PS3.15 A.5.1.1, as far as it is used: attributes with what they may hold, then elements in their order."""


def check(element: Element) -> None:
    """Hold an element and all in it against the schema."""
    attributes, children = SCHEMA[element.tag]
    wanted = {name.rstrip("?"): pattern for name, pattern in attributes.items()}
    assert element.attrib.keys() <= wanted.keys()
    assert {name for name in attributes if not name.endswith("?")} <= element.attrib.keys()
    for name, value in element.attrib.items():
        assert re.fullmatch(wanted[name], value), (element.tag, name, value)
    order = "".join(f"<{child.tag}>" for child in element)
    pattern = "".join(f"(<{name}>)" + ("{1}" if count == ONE else count) for name, count in children)
    assert re.fullmatch(pattern, order), (element.tag, order)
    for child in element:
        check(child)


def code(element: Element | None) -> tuple[str, str, str]:
    assert element is not None
    return element.attrib["csd-code"], element.attrib["codeSystemName"], element.attrib["originalText"]


def details(subject: Element) -> dict[str, str]:
    found = subject.findall("ParticipantObjectDetail")
    return {each.attrib["type"]: base64.b64decode(each.attrib["value"]).decode() for each in found}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def audit(layout: Layout) -> Audit:
    return Audit(layout, AuditSettings(), "CASGAN", lambda: AT)


def lines(layout: Layout) -> list[str]:
    content = layout.audit.read_bytes().decode()
    assert content.endswith("\n")
    return content.removesuffix("\n").split("\n")


def messages(layout: Layout) -> Iterator[Element]:
    """Every message of the trail, held against the schema."""
    for line in lines(layout):
        header = HEADER.fullmatch(line)
        assert header is not None, line
        assert (header["pri"], header["id"]) == ("85", "DICOM+RFC3881")  # PS3.15 A.6
        assert (header["time"], header["process"]) == ("2026-12-01T10:15:30.123456Z", str(os.getpid()))
        message = fromstring(header["message"])
        check(message)
        assert (
            message.findall("EventIdentification")[0].attrib["EventDateTime"]
            == "2026-12-01T10:15:30.123+00:00"
        )
        assert message.findall("AuditSourceIdentification")[0].attrib["AuditSourceID"] == "CASGAN"
        yield message


def test_start_and_stop_are_application_activity(audit: Audit, layout: Layout) -> None:
    """PS3.15 A.5.3.1."""
    audit.started()
    audit.stopped()

    found = list(messages(layout))

    assert [code(each.find("*/EventID")) for each in found] == [("110100", "DCM", "Application Activity")] * 2
    assert [code(each.find("*/EventTypeCode")) for each in found] == [
        ("110120", "DCM", "Application Start"),
        ("110121", "DCM", "Application Stop"),
    ]
    for each in found:
        (event,), (application,) = each.findall("EventIdentification"), each.findall("ActiveParticipant")
        assert (event.attrib["EventActionCode"], event.attrib["EventOutcomeIndicator"]) == ("E", "0")
        assert code(application.find("RoleIDCode")) == ("110150", "DCM", "Application")
        assert application.attrib["UserID"] == str(os.getpid())
        assert application.attrib["AlternativeUserID"] == "AETITLES=CASGAN"
        assert each.findall("ParticipantObjectIdentification") == []


def test_a_deletion_names_studies_and_counts_and_withholds_the_patient(audit: Audit, layout: Layout) -> None:
    """PS3.15 A.5.3.8."""
    studies = [uid("one"), uid("other")]
    audit.deleted(Deleted("ab12", studies, 5, "delivered 3 days ago or longer", {"Series": uid("series")}))

    (message,) = messages(layout)

    assert code(message.find("*/EventID")) == ("110105", "DCM", "DICOM Study Deleted")
    (event,) = message.findall("EventIdentification")
    assert event.attrib["EventActionCode"] == "D"
    *found, patient = message.findall("ParticipantObjectIdentification")
    assert [each.attrib["ParticipantObjectID"] for each in found] == studies
    for each in found:
        assert code(each.find("ParticipantObjectIDTypeCode")) == ("110180", "DCM", "Study Instance UID")
        assert each.attrib["ParticipantObjectTypeCode"] == "2"
        assert each.attrib["ParticipantObjectTypeCodeRole"] == "3"
        assert each.attrib["ParticipantObjectDataLifeCycle"] == "15"
        assert details(each) == {"Reason": "delivered 3 days ago or longer", "Series": uid("series")}
        held = each.find("ParticipantObjectDescription/SOPClass")
        assert held is not None
        assert held.attrib["NumberOfInstances"] == "5"
    assert code(patient.find("ParticipantObjectIDTypeCode")) == ("2", "RFC-3881", "Patient Number")
    assert (
        patient.attrib["ParticipantObjectTypeCode"] == patient.attrib["ParticipantObjectTypeCodeRole"] == "1"
    )
    assert patient.attrib["ParticipantObjectID"] == "withheld"


def test_a_deletion_of_something_unknown_says_so(audit: Audit, layout: Layout) -> None:
    audit.deleted(Deleted("ab.dcm", (), 1, "in quarantine for 30 days or longer", {}))

    (message,) = messages(layout)

    study, _ = message.findall("ParticipantObjectIdentification")
    assert study.attrib["ParticipantObjectID"] == "unknown"


def test_a_verdict_names_who_said_it_and_what_but_not_in_which_words(audit: Audit, layout: Layout) -> None:
    """PS3.15 A.5.3.6."""
    audit.reviewed(Reviewed("ab12", [uid("one")], 3, "rejected", "motion", "A. Reviewer"))
    audit.reviewed(Reviewed("cd34", [], 1, "accepted", "", ""))

    rejected, accepted = messages(layout)

    for each in (rejected, accepted):
        assert code(each.find("*/EventID")) == ("110103", "DCM", "DICOM Instances Accessed")
        assert each.findall("EventIdentification")[0].attrib["EventActionCode"] == "U"
    _, reviewer = rejected.findall("ActiveParticipant")
    assert (reviewer.attrib["UserID"], reviewer.attrib["UserIsRequestor"]) == ("A. Reviewer", "true")
    assert len(accepted.findall("ActiveParticipant")) == 1
    study, patient = rejected.findall("ParticipantObjectIdentification")
    assert study.attrib["ParticipantObjectID"] == uid("one")
    assert "ParticipantObjectDataLifeCycle" not in study.attrib
    assert details(study) == {"Verdict": "rejected", "Reason": "motion"}
    assert patient.attrib["ParticipantObjectID"] == "withheld"
    study, _ = accepted.findall("ParticipantObjectIdentification")
    assert (study.attrib["ParticipantObjectID"], details(study)) == ("unknown", {"Verdict": "accepted"})


CAME = Transferred(
    is_received=True,
    other="CATHLAB",
    address="10.1.2.3",
    job="ab12",
    studies=(uid("one"),),
    instances=3,
    details={"Series": uid("series")},
    patient_id="P-17",
)


SENT = replace(CAME, is_received=False, other="PACS", address="pacs.example")
LOST = replace(CAME, is_received=False, other="share", address="", failure="the disk is full")


@pytest.mark.parametrize(
    ("what", "how", "titles", "place"),
    [
        (CAME, ("C", "0"), ["CATHLAB", "CASGAN"], ("10.1.2.3", "2")),
        (SENT, ("R", "0"), ["CASGAN", "PACS"], ("pacs.example", "1")),
        (LOST, ("R", "8"), ["CASGAN", "share"], (None, None)),
    ],
    ids=["received", "sent", "not sent"],
)
def test_objects_that_came_or_went_are_a_transfer(
    layout: Layout,
    what: Transferred,
    how: tuple[str, str],
    titles: list[str],
    place: tuple[str | None, str | None],
) -> None:
    """PS3.15 A.5.3.7."""
    Audit(layout, AuditSettings(), "CASGAN", lambda: AT).transferred(what)

    (message,) = messages(layout)

    assert code(message.find("*/EventID")) == ("110104", "DCM", "DICOM Instances Transferred")
    (event,) = message.findall("EventIdentification")
    assert (event.attrib["EventActionCode"], event.attrib["EventOutcomeIndicator"]) == how
    assert (event.findtext("EventOutcomeDescription") or "") == what.failure
    ends = message.findall("ActiveParticipant")
    assert [code(each.find("RoleIDCode"))[0] for each in ends] == ["110153", "110152"]
    assert [each.attrib["AlternativeUserID"] for each in ends] == [f"AETITLES={title}" for title in titles]
    assert [each.attrib["UserIsRequestor"] for each in ends] == ["true", "false"]
    (other,) = [each for each in ends if each.attrib["AlternativeUserID"] != "AETITLES=CASGAN"]
    access = other.get("NetworkAccessPointID"), other.get("NetworkAccessPointTypeCode")
    assert access == place
    study, patient = message.findall("ParticipantObjectIdentification")
    assert study.attrib["ParticipantObjectID"] == uid("one")
    assert details(study) == {"Series": uid("series")}
    held = study.find("ParticipantObjectDescription/SOPClass")
    assert held is not None
    assert held.attrib["NumberOfInstances"] == "3"
    assert patient.attrib["ParticipantObjectID"] == "withheld"


@pytest.mark.parametrize(("told", "said"), [("P-17", "P-17"), ("", "unknown"), ("<x>\n", "<x>\\x0a")])
def test_the_patient_is_named_by_id_if_that_is_asked_for(layout: Layout, told: str, said: str) -> None:
    audit = Audit(layout, AuditSettings(patients=True), "CASGAN", lambda: AT)
    audit.transferred(replace(CAME, patient_id=told))
    audit.deleted(Deleted("ab12", [uid("one")], 5, "delivered 3 days ago", {}, told))

    for message in messages(layout):
        *_, patient = message.findall("ParticipantObjectIdentification")
        assert code(patient.find("ParticipantObjectIDTypeCode")) == ("2", "RFC-3881", "Patient Number")
        assert patient.attrib["ParticipantObjectID"] == said
        assert patient.findtext("ParticipantObjectName") == "withheld"


def test_a_rejection_is_a_security_alert_about_a_node(audit: Audit, layout: Layout) -> None:
    """PS3.15 A.5.3.11."""
    audit.rejected("STRANGER", "CASGAN", "10.1.2.3", "caller is not among the peers")

    (message,) = messages(layout)

    assert code(message.find("*/EventID")) == ("110113", "DCM", "Security Alert")
    assert code(message.find("*/EventTypeCode")) == ("110126", "DCM", "Node Authentication")
    (event,) = message.findall("EventIdentification")
    assert (event.attrib["EventActionCode"], event.attrib["EventOutcomeIndicator"]) == ("E", "4")
    reporting, performing = message.findall("ActiveParticipant")
    assert reporting.attrib["AlternativeUserID"] == "AETITLES=CASGAN"
    assert performing.attrib["AlternativeUserID"] == "AETITLES=STRANGER"
    assert performing.attrib["UserIsRequestor"] == "false"
    assert performing.attrib["NetworkAccessPointID"] == "10.1.2.3"
    assert performing.attrib["NetworkAccessPointTypeCode"] == "2"
    (subject,) = message.findall("ParticipantObjectIdentification")
    assert code(subject.find("ParticipantObjectIDTypeCode")) == ("110182", "DCM", "Node ID")
    assert subject.attrib["ParticipantObjectID"] == "10.1.2.3"
    assert subject.attrib["ParticipantObjectTypeCode"] == "2"
    assert details(subject) == {"Alert Description": "caller is not among the peers (called 'CASGAN')"}


@pytest.mark.parametrize("name", ["", "<x/>", 'a"b', "a&b", "\x1b[31mX", "A\nB", "\x00", "\ufeff", "MÜLLER"])
def test_whatever_a_peer_calls_itself_the_trail_stays_a_trail(
    audit: Audit, layout: Layout, name: str
) -> None:
    audit.rejected(name, name, "10.1.2.3", "caller is not among the peers")
    audit.stopped()

    rejected, _ = messages(layout)

    assert rejected.findall("ActiveParticipant")[1].attrib["NetworkAccessPointID"] == "10.1.2.3"


def test_the_trail_is_readable_by_its_owner_alone(audit: Audit, layout: Layout) -> None:
    before = os.umask(0)
    try:
        audit.started()
    finally:
        os.umask(before)

    assert S_IMODE(layout.audit.stat().st_mode) == 0o600


WRITER = """
import sys
from pathlib import Path
from casgan_dicom.node.settings import AuditSettings
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.layout import Layout

audit = Audit(Layout(Path(sys.argv[1])), AuditSettings(max_bytes=20_000, files=40), "CASGAN")
for number in range(60):
    audit.rejected(f"{sys.argv[2]}-{number}", "CASGAN", "10.1.2.3", "caller is not among the peers")
"""


def test_of_several_who_write_and_put_files_aside_no_line_is_lost_or_mixed(layout: Layout) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(layout.data), f"W{k}"]) for k in range(3)]
    assert [each.wait(120) for each in writers] == [0] * 3

    files = sorted(layout.data.iterdir())
    found = "".join(path.read_bytes().decode() for path in files)

    assert len(files) > 5
    assert all(path.stat().st_size <= 20_000 for path in files)
    told = re.findall(r'AETITLES=(W\d-\d+)"', found)
    assert sorted(told) == sorted(f"W{k}-{number}" for k in range(3) for number in range(60))
    assert all(HEADER.fullmatch(line) for line in found.removesuffix("\n").split("\n"))


def test_only_so_many_files_are_kept_and_they_are_the_latest(layout: Layout) -> None:
    audit = Audit(layout, AuditSettings(max_bytes=1000, files=2), "CASGAN", lambda: AT)
    for number in range(6):  # each fills a file
        audit.rejected(f"N{number}", "CASGAN", "10.1.2.3", "caller is not among the peers")

    told = {
        path.name: re.findall(r'AETITLES=(N\d)"', path.read_bytes().decode())
        for path in layout.data.iterdir()
    }

    assert told == {"audit.log": ["N5"], "audit.log.1": ["N4"], "audit.log.2": ["N3"]}


def test_files_beyond_a_smaller_number_go(layout: Layout) -> None:
    for files, calls in ((5, 6), (2, 2)):
        audit = Audit(layout, AuditSettings(max_bytes=1000, files=files), "CASGAN", lambda: AT)
        for _ in range(calls):
            audit.rejected("X", "CASGAN", "10.1.2.3", "caller is not among the peers")

    assert sorted(path.name for path in layout.data.iterdir()) == ["audit.log", "audit.log.1", "audit.log.2"]


def test_a_trail_that_cannot_be_written_stops_nothing(audit: Audit, layout: Layout) -> None:
    layout.audit.mkdir()

    audit.started()
    audit.rejected("X", "CASGAN", "10.1.2.3", "caller is not among the peers")

    assert list(layout.audit.iterdir()) == []
