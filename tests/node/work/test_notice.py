"""What is told, and when: beginnings, worsenings, repetitions and ends, by a clock of our own."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from casgan_dicom.node.settings import NotificationSettings
from casgan_dicom.node.state.health import Finding, Level
from casgan_dicom.node.state.notices import Key, Known
from casgan_dicom.node.work.notice import CALM_SECONDS, Change, Notice, due, followed, told

DEAD = Finding(Level.WARNING, "3 dead letters to pacs", "dead_letter", "pacs")
DISK = Finding(Level.WARNING, "1.5 GiB free", "disk", "free")
FULL = Finding(Level.CRITICAL, "0.5 GiB free, instances are refused", "disk", "free")
SETTINGS = NotificationSettings("chat", url="https://chat.example", repeat_seconds=1000.0)


class Target:
    """Somebody who is told, unless the server is away."""

    def __init__(self) -> None:
        self.known: dict[Key, Known] = {}
        self.said: list[list[tuple[str, str]]] = []

    def look(self, now: float, found: Iterable[Finding], *, is_away: bool = False) -> None:
        self.known = followed(self.known, found, now)
        changes = due(self.known, SETTINGS, now)
        if changes and not is_away:
            self.said.append([(each.kind, each.known.text) for each in changes])
            self.known = told(self.known, changes, now)


@pytest.fixture
def target() -> Target:
    return Target()


def test_a_thing_is_told_once_while_it_lasts_and_when_it_is_over(target: Target) -> None:
    for now in (0, 60, 120):
        target.look(now, [DEAD])
    for now in (180, 240):
        target.look(now, [])
    target.look(180 + CALM_SECONDS, [])
    target.look(2000, [])

    assert target.said == [[("new", DEAD.text)], [("over", DEAD.text)]]
    assert target.known == {}


def test_what_lasts_is_told_again_after_its_time(target: Target) -> None:
    for now in range(0, 2500, 60):
        target.look(now, [DEAD])

    assert target.said == [[("new", DEAD.text)], [("still", DEAD.text)], [("still", DEAD.text)]]


def test_what_gets_worse_is_told_at_once_and_what_gets_better_is_not(target: Target) -> None:
    for now, found in enumerate([DISK, DISK, FULL, DISK, DISK]):
        target.look(now, [found])

    assert target.said == [[("new", DISK.text)], [("worse", FULL.text)]]


def test_what_comes_and_goes_is_told_once(target: Target) -> None:
    for now in range(0, 900, 60):
        target.look(now, [DISK] if now // 60 % 2 else [])

    assert target.said == [[("new", DISK.text)]]


def test_what_could_not_be_told_goes_into_the_next_message(target: Target) -> None:
    target.look(0, [DEAD], is_away=True)
    target.look(60, [DEAD, DISK], is_away=True)
    target.look(120, [DEAD, DISK])

    assert target.said == [[("new", DEAD.text), ("new", DISK.text)]]
    assert [each.since for each in target.known.values()] == [0, 60]


def test_what_was_never_told_is_over_without_a_word(target: Target) -> None:
    target.look(0, [DEAD], is_away=True)
    for now in (60, 600):
        target.look(now, [])

    assert target.said == []
    assert target.known == {}


def test_an_end_that_could_not_be_told_stays_due(target: Target) -> None:
    target.look(0, [DEAD])
    for now in (60, 600, 900):
        target.look(now, [], is_away=True)
    target.look(950, [])

    assert target.said == [[("new", DEAD.text)], [("over", DEAD.text)]]


def test_without_repetition_nothing_is_told_twice() -> None:
    settings = NotificationSettings("chat", repeat_seconds=0.0)
    known = told(followed({}, [DEAD], 0), due(followed({}, [DEAD], 0), settings, 0), 0)

    assert due(followed(known, [DEAD], 1e9), settings, 1e9) == ()


def test_a_message_says_all_of_it_in_words_and_in_json() -> None:
    changes = (
        Change("new", Known("disk", "free", int(Level.CRITICAL), FULL.text, 1e9)),
        Change("over", Known("dead_letter", "pacs", int(Level.WARNING), DEAD.text, 0)),
    )
    notice = Notice("CASGAN", "host", 1e9 + 60, changes)

    assert notice.subject == "casgan-dicom CASGAN on host: CRITICAL, 1 new, 1 over"
    assert notice.text.splitlines()[1:] == [
        "- new: CRITICAL 0.5 GiB free, instances are refused (since 2001-09-09T01:46:40Z)",
        "- over: WARNING 3 dead letters to pacs (since 1970-01-01T00:00:00Z)",
    ]
    table = notice.as_json()
    assert (table["text"], table["status"], table["test"]) == (notice.text, "CRITICAL", False)
    assert table["changes"][1] == {
        "change": "over",
        "event": "dead_letter",
        "about": "pacs",
        "level": "WARNING",
        "text": "3 dead letters to pacs",
        "since": "1970-01-01T00:00:00Z",
    }


def test_a_test_message_says_that_it_is_one() -> None:
    notice = Notice("CASGAN", "host", 0, ())

    assert notice.subject == "casgan-dicom CASGAN on host: OK, test message"
    assert notice.as_json()["test"] is True
