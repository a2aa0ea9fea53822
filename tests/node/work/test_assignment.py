"""Which job goes to which device of which host, and who sends."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from casgan_dicom.node.settings import Priority
from casgan_dicom.node.state.hosts import Host, Seen
from casgan_dicom.node.state.jobs import Enqueuing, Place
from casgan_dicom.node.work.assignment import ON_THE_WAY, Around, assign, sender_of

A, B = Place("a", "cpu"), Place("b", "cpu")
BOTH = Around((A, B), frozenset("ab"))


def job(number: int, priority: Priority = "routine", place: Place | None = None) -> Enqueuing:
    return Enqueuing(f"j{number}", f"1.{number}", 1, priority, place)


def test_jobs_are_spread_over_hosts_and_no_device_gets_more_than_it_may() -> None:
    waiting = [job(k) for k in range(50)]

    chosen = assign(waiting, [], BOTH, {})

    assert Counter(place for _, place in chosen) == {A: ON_THE_WAY, B: ON_THE_WAY}
    assert [each.job for each, _ in chosen] == [each.job for each in waiting[: 2 * ON_THE_WAY]]


def test_a_job_goes_where_its_files_are_if_that_host_has_no_more_to_do() -> None:
    assert assign([job(1)], [], BOTH, {"j1": {"b"}}) == [(job(1), B)]
    busy = [job(9, place=B)]
    assert assign([job(1)], busy, BOTH, {"j1": {"b"}}) == [(job(1), A)]


def test_what_is_urgent_is_handed_over_though_a_device_has_all_it_may_of_the_rest() -> None:
    full = [job(k, place=place) for k, place in enumerate([A, B] * ON_THE_WAY)]

    chosen = assign([job(98, "urgent"), job(99)], full, BOTH, {})

    assert [each.job for each, _ in chosen] == ["j98"]


def test_a_job_waits_while_a_host_that_has_its_files_is_away_and_holds_up_no_other() -> None:
    without_b = Around((A,), frozenset("a"), gone=frozenset("b"))

    chosen = assign([job(1), job(2)], [], without_b, {"j1": {"a", "b"}, "j2": {"a"}})

    assert chosen == [(job(2), A)]


def test_a_job_whose_host_was_forgotten_is_handed_over_to_say_what_is_lacking() -> None:
    alone = Around((A,), frozenset("a"))

    assert assign([job(1)], [], alone, {"j1": {"forgotten"}}) == [(job(1), A)]


def seen(name: str, *roles: str, is_live: bool = True) -> Seen:
    return Seen(Host(name, "", roles, (), "", 4, "w"), 0.0, 0.0, is_live)


def test_a_host_sends_what_it_made_and_is_waited_for() -> None:
    hosts = [seen("a", "sender"), seen("b", "sender", "worker", is_live=False)]

    assert sender_of("b", hosts) == "b"


def test_another_sends_for_a_host_that_does_not_send_as_long_as_it_lives() -> None:
    hosts = [seen("a", "sender", is_live=False), seen("b", "worker"), seen("c", "sender")]

    assert sender_of("b", hosts) == "c"
    assert sender_of("b", [hosts[1], replace(hosts[2], is_live=False)]) is None


def test_a_node_by_itself_sends_what_it_made() -> None:
    assert sender_of("", []) == ""
