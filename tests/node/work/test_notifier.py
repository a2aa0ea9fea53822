"""Who is told what is wrong: with a real ledger, real servers, and in a whole node."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any

import pytest

from casgan_dicom.errors import PeerError
from casgan_dicom.node.settings import NodeSettings, NotificationSettings, PeerSettings
from casgan_dicom.node.state.health import Finding, Level
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.notices import Notices
from casgan_dicom.node.work.notice import Notice
from casgan_dicom.node.work.notifier import Notifier, wrong_now
from tests.node.nodes import node_settings, running_node, wait_for
from tests.node.work.test_cleaner import Place, place_in
from tests.support.hook_server import HookServer
from tests.support.mail_server import MailServer

DEAD = Finding(Level.WARNING, "3 dead letters to pacs", "dead_letter", "pacs")
DISK = Finding(Level.CRITICAL, "0.5 GiB free, instances are refused", "disk", "free")
CHAT = NotificationSettings("chat", url="https://chat.example")
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "notification.schema.json").read_text("utf-8"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "node.sqlite")
    yield made
    made.close()


class Sending:
    """What a target is told, or not."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.is_away = False

    @property
    def told(self) -> list[list[tuple[str, str]]]:
        """Why, and what kind of thing."""
        return [[(each.kind, each.known.event) for each in notice.changes] for notice in self.notices]

    def __call__(self, notice: Notice) -> str:
        if self.is_away:
            raise PeerError("away")
        self.notices.append(notice)
        return "taken"


def notifier(
    ledger: Ledger, sending: Sending, wrong: list[Finding], settings: NotificationSettings = CHAT
) -> Notifier:
    return Notifier(settings, Notices(ledger), lambda _: tuple(wrong), sending, "CASGAN")


def test_after_a_restart_nothing_is_told_again_and_an_end_is_told_still(ledger: Ledger) -> None:
    sending, wrong = Sending(), [DEAD, DISK]
    notifier(ledger, sending, wrong).round(0)
    notifier(ledger, sending, wrong).round(60)
    wrong.remove(DISK)
    notifier(ledger, sending, wrong).round(120)
    notifier(ledger, sending, wrong).round(900)
    notifier(ledger, sending, wrong).round(960)

    assert sending.told == [[("new", "disk"), ("new", "dead_letter")], [("over", "disk")]]


def test_what_a_server_does_not_take_is_told_after_a_restart(ledger: Ledger) -> None:
    sending = Sending()
    sending.is_away = True
    with pytest.raises(PeerError):
        notifier(ledger, sending, [DEAD]).round(0)
    sending.is_away = False
    notifier(ledger, sending, [DEAD]).round(60)

    assert sending.told == [[("new", "dead_letter")]]


def test_each_target_has_a_memory_of_its_own(ledger: Ledger) -> None:
    first, second = Sending(), Sending()
    notifier(ledger, first, [DEAD]).round(0)
    notifier(ledger, second, [DEAD], replace(CHAT, name="other")).round(60)

    assert first.told == second.told == [[("new", "dead_letter")]]


def test_only_what_is_asked_for_is_told(ledger: Ledger) -> None:
    sending, quiet = Sending(), replace(CHAT, events=("disk",), all_clear=False)
    wrong = [DEAD, DISK, Finding(Level.CRITICAL, "the node is stopped", "node")]
    one = notifier(ledger, sending, wrong, quiet)
    one.round(0)
    wrong.clear()
    for now in (60, 600, 660):
        assert not one.round(now)

    assert sending.told == [[("new", "disk")]]
    assert Notices(ledger).known("chat") == {}


def test_that_the_node_is_stopped_is_told_to_nobody(ledger: Ledger) -> None:
    sending = Sending()
    assert not notifier(ledger, sending, [Finding(Level.CRITICAL, "the node is stopped", "node")]).round(0)


def test_where_the_ledger_cannot_be_written_it_is_told_all_the_same_and_once(ledger: Ledger) -> None:
    sending, wrong = Sending(), list[Finding]()
    one = notifier(ledger, sending, wrong)
    one.round(0)
    with sqlite3.connect(str(ledger.place)) as other:
        other.execute("DROP TABLE notices")
    wrong.append(DISK)
    for now in (60, 120, 180):
        one.round(now)

    assert sending.told == [[("new", "disk")]]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A node that has stopped."""
    made = place_in(tmp_path / "node", NodeSettings().retention)
    yield made
    made.ledger.close()


def test_everything_that_is_wrong_is_found(place: Place) -> None:
    place.delivered("one", 10.0)
    peers = (
        PeerSettings("CATHLAB", expected_every_seconds=3600.0),
        PeerSettings("NEVER", expected_every_seconds=1.0),
        PeerSettings("QUIET"),
    )
    found = wrong_now(replace(place.settings, peers=peers), place.ledger, time())

    assert {each.event for each in found} == {"node", "peer_away"}
    (away,) = [each for each in found if each.event == "peer_away"]
    assert (away.about, away.level) == ("CATHLAB", Level.WARNING)
    assert re.fullmatch(r"nothing from peer CATHLAB since \d{4}-\d\d-\d\d \d\d:\d\d", away.text)


def fits(schema: Any, value: Any, at: str = "") -> None:  # noqa: ANN401
    """Hold a value against a schema, as far as ours uses JSON Schema."""
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool}
    kind = kinds[schema["type"]]
    assert isinstance(value, kind), at
    assert "enum" not in schema or value in schema["enum"], at
    assert "pattern" not in schema or re.search(schema["pattern"], value), at
    if schema["type"] == "object":
        assert value.keys() == schema["properties"].keys() == set(schema["required"]), at
        assert schema["additionalProperties"] is False
        for key, inner in schema["properties"].items():
            fits(inner, value[key], f"{at}/{key}")
    for number, each in enumerate(value if isinstance(value, list) else ()):
        fits(schema["items"], each, f"{at}/{number}")


@pytest.mark.parametrize("wrong", [[], [DEAD, DISK]])
def test_what_is_posted_is_what_the_schema_says(ledger: Ledger, wrong: list[Finding]) -> None:
    sending = Sending()
    notifier(ledger, sending, wrong).round(1e9)
    notice = sending.notices[0] if wrong else Notice("CASGAN", "host", 1e9, ())

    fits(SCHEMA, notice.as_json())


def test_a_node_tells_by_both_ways_and_a_server_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    with HookServer() as chat, HookServer() as hanging, MailServer() as mail:
        hanging.statuses = [0] * 100
        mail_settings = NotificationSettings(
            "on-call", kind="mail", host="127.0.0.1", port=mail.port, encryption="none",
            sender="node@hospital.example", to=("it@hospital.example",), look_seconds=0.2,
        )  # fmt: skip
        hooks = (
            NotificationSettings("hangs", url=hanging.url, look_seconds=0.2),
            NotificationSettings("chat", url=chat.url, look_seconds=0.2),
        )
        settings = replace(node_settings(tmp_path), notifications=(*hooks, mail_settings))
        # With more space asked for than any disk has, it is far too full; and that stays so.
        settings = replace(settings, listener=replace(settings.listener, min_free_bytes=2**60))
        with running_node(settings) as node:
            wait_for(lambda: all([chat.posted, mail.letters, hanging.posted]), "messages")
            wait_for(lambda: len(Notices(node.ledger).known("on-call")) == 1, "a note of it")
            os.kill(node.pid("courier"), signal.SIGKILL)
            wait_for(lambda: len(hanging.posted) >= 2, "the one who hangs is told again")

    (posted,) = chat.posted
    fits(SCHEMA, posted.message)
    assert [each["event"] for each in posted.message["changes"]] == ["disk"]
    (letter,) = mail.letters
    assert "instances are refused" in letter.message.get_content()
    assert str(tmp_path) not in posted.message["text"] + letter.message.get_content()


KILLED = """
import os, sys
from pathlib import Path
from casgan_dicom.node.settings import NotificationSettings
from casgan_dicom.node.state.health import Finding, Level
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.notices import Notices
from casgan_dicom.node.work.notifier import Notifier, send_notice

settings = NotificationSettings("chat", url=sys.argv[2])
found = (Finding(Level.WARNING, "3 dead letters to pacs", "dead_letter", "pacs"),)
ledger = Ledger(Path(sys.argv[1]))

def send(notice):
    came = send_notice(settings, notice)
    if sys.argv[3] == "kill":
        os.kill(os.getpid(), 9)
    return came

Notifier(settings, Notices(ledger), lambda _: found, send, "CASGAN").round(1000.0)
"""


def test_who_is_killed_before_it_is_written_down_tells_it_again_and_then_no_more(ledger: Ledger) -> None:
    def run(how: str) -> int:
        command = [sys.executable, "-c", KILLED, str(ledger.place), server.url, how]
        return subprocess.run(command, check=False).returncode

    with HookServer() as server:
        assert [run(how) for how in ("kill", "live", "live")] == [-9, 0, 0]

        assert [len(each.message["changes"]) for each in server.posted] == [1, 1]
