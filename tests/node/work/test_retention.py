"""What may go: rules against examples, and against whatever a ledger may hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.node.settings import NodeSettings, RetentionSettings, WorkerSettings
from casgan_dicom.node.state.removals import FINAL, WANTING, Holding
from casgan_dicom.node.work.retention import LENDING_GRACE, Aside, Held, Rules, kind_of, plan, rules_of

DAY = 86400.0
NOW = 1000 * DAY
FREE = 2**40
SENT = Holding(
    "sent", "done", deliveries=1, is_delivered=True, is_made=True, is_wanted=False,
    settled_at=NOW - 10 * DAY, received_at=NOW - 11 * DAY, bytes=100,
)  # fmt: skip
IN_OUTBOX = replace(SENT, job="outbox", deliveries=0, is_delivered=False)
SKIPPED = replace(IN_OUTBOX, job="skipped", state="skipped", is_made=False)
BY_RULES = replace(SKIPPED, job="by rules", state="kept")
EVERY_AGE = RetentionSettings(
    delivered_seconds=DAY, outbox_seconds=DAY, ended_seconds=DAY, quarantine_seconds=DAY
)


def names(jobs: list[Holding], rules: RetentionSettings, used: int = 0, free: int = FREE) -> list[str]:
    found = plan(Held(jobs, (), used, free), Rules(rules), NOW)
    return [each.name for each in found.removals]


def test_without_rules_nothing_ever_goes() -> None:
    held = Held([SENT, IN_OUTBOX, SKIPPED], [Aside(Path("/q"), 1, 0.0)], 2**60, 0)

    assert plan(held, rules_of(NodeSettings()), NOW) == plan(
        Held((), (), 0, 0), Rules(RetentionSettings()), NOW
    )


@pytest.mark.parametrize(
    ("held", "key"),
    [
        (SENT, "delivered_seconds"),
        (IN_OUTBOX, "outbox_seconds"),
        (SKIPPED, "ended_seconds"),
        (BY_RULES, "ended_seconds"),
    ],
)
def test_each_end_has_a_time_of_its_own(held: Holding, key: str) -> None:
    def alone(rules: RetentionSettings, seconds: float) -> RetentionSettings:
        changed: dict[str, Any] = {key: seconds}
        return replace(rules, **changed)

    assert names([held], alone(RetentionSettings(), 10 * DAY)) == [held.job]
    assert names([held], alone(RetentionSettings(), 10 * DAY + 1)) == []
    assert names([held], alone(EVERY_AGE, 0.0)) == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1.5, "1.5 s"), (90.0, "90 s"), (3600.0, "60 minutes"), (DAY, "24 hours"), (7 * DAY, "7 days")],
)
def test_the_reason_says_the_time_in_a_unit_that_reads_well(seconds: float, said: str) -> None:
    rules = Rules(RetentionSettings(delivered_seconds=seconds))
    (removal,) = plan(Held([SENT], (), 0, FREE), rules, NOW).removals

    assert removal.reason == f"delivered {said} ago or longer (delivered_seconds)"


@pytest.mark.parametrize(
    "state",
    ["receiving", "queued", "converting", "delivering", "undelivered", "lacking", "quarantined", "failed"],
)
def test_what_is_not_at_its_end_or_waits_for_a_person_never_goes(state: str) -> None:
    held = replace(SENT, state=state)

    assert kind_of(held) is None
    assert names([held], replace(EVERY_AGE, high_bytes=1, low_bytes=0), used=100) == []


def test_a_job_of_which_a_destination_awaits_something_never_goes() -> None:
    assert names([replace(SENT, is_delivered=False)], EVERY_AGE) == []


def test_what_another_job_may_want_stays() -> None:
    everything = [replace(each, is_wanted=True) for each in (SENT, IN_OUTBOX, SKIPPED)]

    assert names(everything, replace(EVERY_AGE, high_bytes=2, low_bytes=1), used=300) == []


def test_a_run_that_may_lend_its_vessels_stays_and_then_goes() -> None:
    worker = WorkerSettings(mode="reference", reference_seconds=3600.0)
    rules = rules_of(NodeSettings(worker=worker, retention=RetentionSettings(delivered_seconds=1.0)))
    held = replace(SENT, received_at=NOW - 3600.0)

    waiting = plan(Held([held], (), 0, FREE), rules, NOW)

    assert waiting.removals == ()
    assert waiting.next_at == NOW + LENDING_GRACE
    assert plan(Held([held], (), 0, FREE), rules, NOW + LENDING_GRACE).removals[0].name == held.job
    assert rules_of(NodeSettings()).lending_seconds == 0


def test_above_the_high_mark_the_oldest_delivered_go_until_the_low_mark() -> None:
    jobs = [replace(SENT, job=f"j{age}", settled_at=NOW - age) for age in (1, 5, 3, 2, 4)]
    rules = RetentionSettings(high_bytes=450, low_bytes=250)

    assert names(jobs, rules, used=450) == []
    assert names(jobs, rules, used=500) == ["j5", "j4", "j3"]


def test_with_too_little_free_on_the_disk_the_oldest_delivered_go_until_there_is_enough() -> None:
    jobs = [IN_OUTBOX, *(replace(SENT, job=f"j{age}", settled_at=NOW - age) for age in (1, 3, 2))]
    rules = RetentionSettings(free_bytes=1000)

    assert names(jobs, rules, free=1000) == []
    assert names(jobs, rules, free=999) == ["j3"]
    assert names(jobs, rules, free=850) == ["j3", "j2"]
    assert names(jobs, rules, free=0) == ["j3", "j2", "j1"]


def test_what_goes_by_its_age_makes_room_first() -> None:
    jobs = [SENT, replace(SENT, job="young", settled_at=NOW)]
    rules = RetentionSettings(delivered_seconds=DAY, high_bytes=150, low_bytes=50)

    assert names(jobs, rules, used=200) == ["sent"]
    assert names(jobs, rules, used=260) == ["sent", "young"]


def test_only_what_was_delivered_goes_for_its_size_and_what_stays_above_is_told() -> None:
    rules = RetentionSettings(high_bytes=150, low_bytes=50)

    found = plan(Held([IN_OUTBOX, SKIPPED], (), 1000, FREE), Rules(rules), NOW)

    assert found.removals == ()
    assert found.excess_bytes == 850


def test_files_in_quarantine_go_by_the_time_that_they_lie_there() -> None:
    files = [Aside(Path("/q/old"), 7, NOW - 2 * DAY), Aside(Path("/q/new"), 7, NOW - 1)]

    found = plan(Held((), files, 0, FREE), Rules(RetentionSettings(quarantine_seconds=DAY)), NOW)

    assert [(each.kind, each.name, each.bytes) for each in found.removals] == [("quarantine", "/q/old", 7)]
    assert found.next_at == NOW - 1 + DAY


STATES = [*FINAL, *WANTING, "delivering", "undelivered"]
MOMENTS = st.floats(0, 2 * NOW)
HOLDINGS = st.lists(
    st.builds(
        Holding,
        job=st.uuids().map(str),
        state=st.sampled_from(STATES),
        deliveries=st.integers(0, 3),
        is_delivered=st.booleans(),
        is_made=st.booleans(),
        is_wanted=st.booleans(),
        settled_at=MOMENTS,
        received_at=MOMENTS,
        bytes=st.integers(0, 10_000),
    ),
    unique_by=lambda held: held.job,
    max_size=30,
)
AGES = st.sampled_from([0.0, 1.0, DAY, 365 * DAY])


@given(
    jobs=HOLDINGS,
    ages=st.tuples(AGES, AGES, AGES, AGES),
    sizes=st.sampled_from([(0, 0, 0), (2, 1, 0), (5000, 100, 5000), (20_000, 19_999, 0), (0, 0, 5000)]),
    disk=st.tuples(st.integers(0, 50_000), st.integers(0, 10_000)),
    lending=st.sampled_from([0.0, 7200.0]),
)
def test_whatever_is_held_nothing_goes_that_is_needed_and_nothing_twice(
    jobs: list[Holding],
    ages: tuple[float, float, float, float],
    sizes: tuple[int, int, int],
    disk: tuple[int, int],
    lending: float,
) -> None:
    rules, (extra, free) = RetentionSettings(*ages, *sizes), disk
    used = sum(held.bytes for held in jobs) + extra

    found = plan(Held(jobs, (), used, free), Rules(rules, lending), NOW)

    by_name = {held.job: held for held in jobs}
    gone = [by_name[each.name] for each in found.removals]
    assert len({held.job for held in gone}) == len(gone)
    for held, why in zip(gone, found.removals, strict=True):
        assert held.state in ("done", "skipped", "kept", "cancelled")
        assert not held.is_wanted
        assert held.state != "done" or not held.deliveries or held.is_delivered
        assert not lending or held.received_at + lending <= NOW
        assert "_bytes" not in why.reason or (held.deliveries and held.is_delivered and held.state == "done")
    left = used - sum(held.bytes for held in gone)
    over = sizes[0] and left > sizes[0]
    assert found.excess_bytes == (left - sizes[0] if over else 0)
    short = free + sum(held.bytes for held in gone) < sizes[2]
    if over or short:  # nothing was left that might have gone
        assert not [
            held
            for held in jobs
            if held not in gone
            and kind_of(held) == "delivered"
            and (not lending or held.received_at + lending <= NOW)
        ]
    assert found.next_at is None or found.next_at > NOW
