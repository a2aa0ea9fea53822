"""What a ledger knows of requests to commit that others made."""

from __future__ import annotations

import pytest

from casgan_dicom.node.commitment import Reference, Request
from casgan_dicom.node.state.holdings import HeldFile
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.promises import Promise, Promises
from casgan_dicom.node.state.receipts import Receipts
from tests.node.ledgers import received
from tests.support.factories import uid

OBJECTS = tuple(Reference("1.2.840.10008.5.1.4.1.1.12.1", uid(name)) for name in "ab")
ASKED = Promise("CATHLAB", "10.1.2.3", "1.2.3", asked_at=1.0)


@pytest.fixture
def promises(ledger: Ledger) -> Promises:
    opened = Promises(ledger)
    assert opened.enter(ASKED, Request("1.2.3", OBJECTS), 30.0)
    return opened


def test_a_request_is_due_when_its_time_has_come_or_who_asked_has_left(promises: Promises) -> None:
    assert promises.due(29.0) == []
    assert promises.due(30.0) == [ASKED]
    promises.left(ASKED, 5.0)
    assert promises.due(5.0) == [ASKED]
    assert promises.next_at() == 5.0


def test_what_could_not_be_told_waits_and_is_told_about_all_of_it(promises: Promises) -> None:
    promises.wait(ASKED, "port 104 is closed", 60.0, 31.0)

    assert promises.due(59.0) == []
    (due,) = promises.due(60.0)
    assert due.attempts == 1
    assert [each for each, _ in promises.report(due).failed] == [*OBJECTS]


def test_what_is_told_or_given_up_is_not_told_again_unless_it_is_asked_for_again(promises: Promises) -> None:
    promises.told(ASKED, 10.0)
    assert promises.next_at() is None
    promises.left(ASKED, 11.0)  # a response that came late
    assert promises.next_at() is None

    assert promises.enter(ASKED, Request("1.2.3", OBJECTS), 50.0)
    assert promises.due(50.0) == [ASKED]
    promises.give_up(ASKED, "no report_host", 51.0)
    assert promises.next_at() is None


def test_a_transaction_of_one_peer_is_of_the_same_objects_always(promises: Promises) -> None:
    assert not promises.enter(ASKED, Request("1.2.3", OBJECTS[:1]), 50.0)
    assert promises.enter(Promise("ANOTHER", "10.1.2.3", "1.2.3"), Request("1.2.3", OBJECTS[:1]), 50.0)

    assert len(promises.report(ASKED).failed) == 2


def test_what_came_to_an_end_long_ago_is_forgotten_and_what_waits_is_not(promises: Promises) -> None:
    other = Promise("CATHLAB", "10.1.2.3", "1.2.4", asked_at=1.0)
    promises.enter(other, Request("1.2.4", OBJECTS), 30.0)
    promises.told(ASKED, 10.0)

    assert promises.forget(10.0) == 0
    assert promises.forget(11.0) == 1
    assert promises.due(30.0) == [other]
    assert promises.report(ASKED).failed == ()
    assert len(promises.report(other).failed) == 2


@pytest.mark.parametrize("whole", [True, False])
def test_what_another_host_has_is_kept_if_it_says_that_it_is_whole(ledger: Ledger, *, whole: bool) -> None:
    there = received("a")
    Receipts(ledger, "r", "b").enter(there, 1.0)
    asked: list[HeldFile] = []

    def is_whole(held: HeldFile) -> bool:
        asked.append(held)
        return whole

    promises = Promises(ledger, "a", is_whole)
    assert promises.enter(ASKED, Request("1.2.3", OBJECTS), 30.0)
    report = promises.report(ASKED)

    assert [each.sop_uid for each in report.kept] == ([uid("a")] if whole else [])
    assert [(held.host, held.sop_uid, held.sha256) for held in asked] == [("b", uid("a"), there.sha256)]
