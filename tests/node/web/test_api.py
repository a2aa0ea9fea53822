"""Everything that the JSON interface can be asked for: what it answers, and what is changed in the ledger."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from casgan_dicom.node.settings import PeerSettings, RuleSettings
from casgan_dicom.node.web.operations import OPERATIONS, PREFIX, Operation
from tests.node.looking import LOOK, Filled, Looking, fill, looking, page_settings
from tests.node.web.shapes import faults
from tests.support.factories import moving_frames, uid, write_xa

NO_BODY = ("GET", "HEAD")


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Looking]:
    with looking(page_settings(tmp_path / "node")) as running:
        yield running


@pytest.fixture
def filled(page: Looking) -> Filled:
    return fill(page.layout, page.ledger)


@pytest.fixture
def file(tmp_path: Path) -> bytes:
    return write_xa(tmp_path / "made" / "a", moving_frames(3)).read_bytes()


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def audited(page: Looking) -> list[tuple[str, str]]:
    """Who did what, as the audit trail has it."""
    found = []
    lines = page.layout.audit.read_text(encoding="utf-8").splitlines() if page.layout.audit.exists() else []
    for line in lines:
        message = fromstring(line[line.index("<AuditMessage") :])
        event = message.find("EventIdentification/EventTypeCode")
        if event is not None and event.attrib["csd-code"] == "110132":
            (person,) = [each for each in message.findall("ActiveParticipant") if asks(each)]
            found.append((person.attrib["UserID"], details(message)))
    return found


def asks(participant: Element) -> bool:
    return participant.attrib["UserIsRequestor"] == "true"


def details(message: Element) -> str:
    values = [each.attrib["value"] for each in message.iter("ParticipantObjectDetail")]
    return " ".join(base64.b64decode(value).decode() for value in values)


def asked(operation: Operation, filled: Filled, file: bytes) -> dict[str, Any]:
    """How an operation is asked so that it has something to do."""
    job = {
        "/jobs/{job}/retry": filled.failed,
        "/jobs/{job}/priority": filled.queued,
        "/jobs/{job}/cancel": filled.queued,
        "/jobs/{job}/review": filled.done,
        "/jobs/{job}": filled.converting,
    }.get(operation.path, filled.done)
    name = "cpu" if "device" in operation.path else "pacs"
    name = "auto" if "device" in operation.path else name
    more: dict[str, Any] = {}
    if operation.takes_file:
        more["content"] = file
    elif operation.body is not None:
        more["json"] = {"outcome": "accepted"} if "review" in operation.path else {"priority": "urgent"}
    return {"path": PREFIX + operation.path.format(job=job, name=name)} | more


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if not each.path.endswith("/convert")], ids=name_of
)
def test_every_operation_answers_what_the_document_says(
    page: Looking, filled: Filled, file: bytes, operation: Operation
) -> None:
    document = page.get("/openapi.json")
    described = document["paths"][PREFIX + operation.path][operation.method.lower()]

    answer = page.ask(operation.method, **asked(operation, filled, file))

    assert answer.status_code == 200, answer.text
    schema = described["responses"]["200"]["content"]["application/json"]["schema"]
    assert faults(answer.json(), schema, document["components"]["schemas"]) == []


def test_the_document_has_every_route_and_no_other(page: Looking) -> None:
    document = page.get("/openapi.json")

    told = {(method.upper(), path) for path, each in document["paths"].items() for method in each}
    assert told == {(each.method, PREFIX + each.path) for each in OPERATIONS}
    assert document["openapi"] == "3.1.0"
    names = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(set(names)) == len(OPERATIONS)
    for path, methods in document["paths"].items():
        for each in methods.values():
            words = [one["name"] for one in each["parameters"] if one["in"] == "path"]
            assert words == re.findall(r"{(\w+)}", path)
            assert each["summary"].endswith(".")
    references = re.findall(r"#/components/schemas/(\w+)", str(document))
    assert set(references) == document["components"]["schemas"].keys()


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.role == "act"], ids=name_of)
def test_what_changes_something_takes_the_role_act_and_changes_nothing_without(
    page: Looking, filled: Filled, file: bytes, operation: Operation
) -> None:
    before = page.get("/jobs"), page.get("/destinations")

    answer = page.ask(operation.method, **asked(operation, filled, file), token=LOOK)

    assert answer.status_code == 403
    assert (page.get("/jobs"), page.get("/destinations")) == before
    assert audited(page) == []


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.role == "look"], ids=name_of)
def test_what_changes_nothing_takes_the_role_look(
    page: Looking, filled: Filled, file: bytes, operation: Operation
) -> None:
    assert page.ask(operation.method, **asked(operation, filled, file), token=LOOK).status_code == 200


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_no_operation_takes_a_word_that_it_does_not_know(
    page: Looking, filled: Filled, file: bytes, operation: Operation
) -> None:
    answer = page.ask(operation.method, **asked(operation, filled, file), params={"surprise": "1"})

    assert answer.status_code == 400
    assert "surprise" in answer.json()["error"]


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if "{" in each.path], ids=name_of)
@pytest.mark.parametrize("name", ["absent", "..", "%2e%2e", "é", "a'b"])
def test_what_is_not_there_is_told(page: Looking, operation: Operation, name: str) -> None:
    path = PREFIX + re.sub(r"{\w+}", name, operation.path)
    body = {"priority": "urgent", "bundle": "atlas", "outcome": "accepted"}
    if operation.body is not None:
        body = {key: value for key, value in body.items() if key in operation.body.__annotations__}

    answer = page.ask(operation.method, path, json=None if operation.method in NO_BODY else body)

    assert answer.status_code == 404
    assert answer.json().keys() == {"error", "hint"}


def test_jobs_come_page_by_page_and_by_state(page: Looking, filled: Filled) -> None:
    everything = [each["job"] for each in page.get("/jobs")["jobs"]]

    first, second = page.get("/jobs?limit=4"), page.get("/jobs?limit=4&offset=4")
    bad = page.get("/jobs?state=failed&state=quarantined")

    assert [each["job"] for each in first["jobs"] + second["jobs"]] == everything
    assert first["total"] == second["total"] == len(everything) == 6
    assert {each["job"] for each in bad["jobs"]} == {filled.failed, filled.quarantined}
    assert bad["total"] == 2


@pytest.mark.parametrize(
    "query", ["limit=501", "limit=-1", "limit=x", "offset=²", "state=lost", "limit=" + "9" * 400]
)
def test_a_page_that_makes_no_sense_is_refused(page: Looking, query: str) -> None:
    assert page.ask("GET", f"{PREFIX}/jobs?{query}").status_code == 400


def test_a_job_says_how_far_it_is_and_what_it_made(page: Looking, filled: Filled) -> None:
    converting, dead = page.get(f"/jobs/{filled.converting}"), page.get(f"/jobs/{filled.dead}")

    assert converting["job"]["progress"] == {"work": "generate", "done": 12, "of": 96}
    assert converting["job"]["may"] == ["cancel", "priority"]
    assert dead["job"]["progress"] is None
    assert [each["sop_uid"] for each in dead["objects"]] == [uid("made dead")]
    assert dead["job"]["deliveries"][0]["reason"] == "refused: 0xA900"
    assert dead["job"]["may"] == ["retry", "cancel", "convert", "review"]
    assert not dead["can_be_played"]  # the ledger names files that are not on this disk


def test_what_waits_for_a_person_is_listed(page: Looking, filled: Filled) -> None:
    (letter,) = page.get("/dead-letters")["letters"]
    (aside,) = page.get("/quarantine")["files"]

    assert (letter["job"], letter["destination"], letter["reason"]) == (
        filled.dead,
        "pacs",
        "refused: 0xA900",
    )
    assert (aside["file"], aside["reason"], aside["peer"]) == ("0123456789abcdef.dcm", "no DICOM", "CATHLAB")


def test_peers_are_those_of_the_settings_and_those_who_came(page: Looking, filled: Filled) -> None:
    found = page.get("/peers")

    assert [(each["ae_title"], each["instances"], each["last_at"]) for each in found["peers"]] == [
        ("CATHLAB", 6, 10.0),
        ("CATHLAB2", 0, None),
    ]
    assert found["rejections"] == [{"reason": "sender", "count": 3, "last_at": 70.0}]


def test_destinations_say_what_waits_and_what_went(page: Looking, filled: Filled) -> None:
    pacs, archive = page.get("/destinations")["destinations"]

    assert (pacs["name"], pacs["states"], pacs["last_sent_at"]) == ("pacs", {"dead": 1, "sent": 1}, 40.0)
    assert (archive["name"], archive["states"], archive["last_sent_at"]) == ("archive", {}, None)


def test_the_status_says_what_is_wrong(page: Looking, filled: Filled) -> None:
    found = page.get("/status")

    texts = [each["text"] for each in found["findings"]]
    assert found["check"] == "CRITICAL"
    assert "the node is stopped" in texts
    assert "1 dead letters to pacs" in texts
    assert [each["role"] for each in found["processes"]] == [
        "listener",
        "sender",
        "worker.cpu",
        "coordinator",
    ]
    assert found["jobs"] == {
        "converting": 1, "done": 1, "failed": 1, "quarantined": 1, "queued": 1, "undelivered": 1,
    }  # fmt: skip


def test_a_dead_letter_is_sent_again(page: Looking, filled: Filled) -> None:
    assert page.post(f"/jobs/{filled.dead}/retry").json() == {"changed": [filled.dead]}

    (delivery,) = page.get(f"/jobs/{filled.dead}")["job"]["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("waiting", 0)
    assert audited(page) == [("anna", f"retry job {filled.dead}")]


def test_all_dead_letters_are_sent_again(page: Looking, filled: Filled) -> None:
    assert page.post("/dead-letters/retry").json() == {"changed": [filled.dead]}
    assert page.get("/dead-letters")["total"] == 0
    assert page.get(f"/jobs/{filled.failed}")["job"]["state"] == "failed"


@pytest.mark.parametrize("state", ["failed", "quarantined"])
def test_a_series_that_ended_badly_is_queued_again(page: Looking, filled: Filled, state: str) -> None:
    job = getattr(filled, state)

    assert page.post(f"/jobs/{job}/retry").json() == {"changed": [job]}
    assert page.get(f"/jobs/{job}")["job"]["state"] == "queued"


def test_a_job_is_ended_and_made_more_urgent(page: Looking, filled: Filled) -> None:
    assert page.post(f"/jobs/{filled.queued}/priority", {"priority": "urgent"}).status_code == 200
    assert page.get(f"/jobs/{filled.queued}")["job"]["priority"] == "urgent"
    assert page.post(f"/jobs/{filled.queued}/cancel").status_code == 200
    assert page.get(f"/jobs/{filled.queued}")["job"]["state"] == "cancelled"
    assert audited(page) == [
        ("anna", f"priority urgent for job {filled.queued}"),
        ("anna", f"cancel job {filled.queued}"),
    ]


@pytest.mark.parametrize(
    ("deed", "state"),
    [("retry", "done"), ("cancel", "done"), ("retry", "queued"), ("priority", "done"), ("convert", "queued")],
)
def test_what_cannot_be_done_in_a_state_is_told_and_not_audited(
    page: Looking, filled: Filled, deed: str, state: str
) -> None:
    body = {"priority": {"priority": "urgent"}, "convert": {"bundle": "atlas-desk"}}.get(deed)

    assert page.post(f"/jobs/{getattr(filled, state)}/{deed}", body).status_code == 409
    assert audited(page) == []


def test_what_is_gone_cannot_be_converted_again(page: Looking, filled: Filled) -> None:
    answer = page.post(f"/jobs/{filled.done}/convert", {"bundle": "atlas-desk"})

    assert answer.status_code == 409
    assert "gone from the spool" in answer.json()["error"]


def test_a_job_whose_files_are_there_is_converted_again(page: Looking, filled: Filled) -> None:
    with page.ledger.transaction() as db:
        there = page.layout.data / "there.dcm"
        there.touch()
        db.execute("UPDATE instances SET path = ? WHERE job = ?", [str(there), filled.done])

    answer = page.post(f"/jobs/{filled.done}/convert", {"bundle": "atlas-desk", "priority": "routine"})

    (made,) = answer.json()["changed"]
    again = page.get(f"/jobs/{made}")["job"]
    assert (again["repeats"], again["bundle"], again["state"], again["priority"]) == (
        filled.done, "atlas-desk", "queued", "routine",
    )  # fmt: skip
    assert audited(page) == [("anna", f"convert job {filled.done} again, as job {made}")]


def test_a_result_is_rejected_with_a_reason_and_accepted_after_all(page: Looking, filled: Filled) -> None:
    path = f"/jobs/{filled.done}"
    rejected = {"outcome": "rejected", "reason": "motion", "text": "the table moved"}

    assert page.post(f"{path}/review", rejected).json() == {"changed": [filled.done]}
    assert page.get(path)["job"]["verdict"] == "rejected"
    assert page.post(f"{path}/review", rejected).json() == {"changed": []}  # it says the same
    assert page.post(f"{path}/review", {"outcome": "accepted"}).json() == {"changed": [filled.done]}

    found = page.get(path)
    assert [(e["outcome"], e["reason"], e["text"], e["reviewer"]) for e in found["reviews"]] == [
        ("rejected", "motion", "the table moved", "anna"),
        ("accepted", "", "", "anna"),
    ]
    assert found["job"]["verdict"] == "accepted"


@pytest.mark.parametrize(
    "verdict",
    [
        {"outcome": "rejected"},
        {"outcome": "rejected", "reason": "bad mood"},
        {"outcome": "accepted", "reason": "motion"},
        {"outcome": "perhaps"},
        {"outcome": "accepted", "text": "x" * 257},
    ],
)
def test_a_verdict_that_makes_no_sense_changes_nothing(
    page: Looking, filled: Filled, verdict: dict[str, str]
) -> None:
    assert page.post(f"/jobs/{filled.done}/review", verdict).status_code == 400
    assert page.get(f"/jobs/{filled.done}")["reviews"] == []


def test_there_is_nothing_to_judge_where_nothing_was_made(page: Looking, filled: Filled) -> None:
    assert page.post(f"/jobs/{filled.queued}/review", {"outcome": "accepted"}).status_code == 409
    assert page.post(f"/jobs/{filled.failed}/review", {"outcome": "accepted"}).status_code == 409


@pytest.mark.parametrize("bundle", ["/etc", "..", "", "unknown"])
def test_no_bundle_is_read_that_is_neither_shipped_nor_in_the_settings(
    page: Looking, filled: Filled, bundle: str
) -> None:
    assert page.post(f"/jobs/{filled.done}/convert", {"bundle": bundle}).status_code == 400


@pytest.mark.parametrize(("what", "name"), [("destinations", "pacs"), ("devices", "auto")])
def test_something_is_paused_and_resumed(page: Looking, what: str, name: str) -> None:
    def is_paused() -> bool:
        (found,) = [each for each in page.get("/destinations")[what] if each["name"] == name]
        return bool(found["paused"])

    assert page.post(f"/{what}/{name}/pause").json() == {"changed": [name]}
    assert is_paused()
    assert page.post(f"/{what}/{name}/resume").json() == {"changed": [name]}
    assert not is_paused()
    assert page.post(f"/{what}/{name}/resume").json() == {"changed": []}


@pytest.mark.parametrize(
    "body", [None, {}, {"priority": "soon"}, {"priority": "urgent", "more": "x"}, ["urgent"]]
)
def test_a_body_that_makes_no_sense_changes_nothing(page: Looking, filled: Filled, body: object) -> None:
    assert page.post(f"/jobs/{filled.queued}/priority", body).status_code == 400
    assert page.get(f"/jobs/{filled.queued}")["job"]["priority"] == "routine"


def test_other_settings_are_taken_while_it_runs(page: Looking, tmp_path: Path) -> None:
    settings = page_settings(tmp_path / "node")
    changed = replace(settings, rules=(RuleSettings("new"),), peers=(PeerSettings("OTHER"),), destinations=())

    page.changes.tell(changed, "recipe")

    assert [each["name"] for each in page.get("/rules")["rules"]] == ["new"]
    assert [each["ae_title"] for each in page.get("/peers")["peers"]] == ["OTHER"]
    assert page.get("/destinations")["destinations"] == []


def test_a_ledger_that_cannot_be_read_is_told(page: Looking, filled: Filled) -> None:
    with page.ledger.transaction() as db:
        db.execute("DROP TABLE pauses")

    answer = page.ask("GET", f"{PREFIX}/destinations")

    assert answer.status_code == 503
    assert "ledger" in answer.json()["error"]
    assert page.ask("GET", f"{PREFIX}/jobs").status_code == 200
