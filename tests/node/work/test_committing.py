"""What to do next about a delivery that waits for a report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from casgan_dicom.node.settings import RetrySettings
from casgan_dicom.node.state.commitments import Committing
from casgan_dicom.node.state.deliveries import Delivery
from casgan_dicom.node.work.committing import MOST_RESENDS, NextStep, ask_again_at, next_step

RULES = RetrySettings(first_seconds=2, longest_seconds=300, give_up_seconds=1000)
WAITING = Committing(Delivery("job", "pacs", 1), 0, 0.0, 0, 0, None, "")


def test_what_is_stored_is_asked_for_and_asked_for_again_until_the_time_is_over() -> None:
    asked = replace(WAITING, asked=3, asked_at=100.0)

    assert next_step(WAITING, RULES, 5000.0) == NextStep("ask")
    assert next_step(asked, RULES, 1099.0) == NextStep("ask")
    given_up = next_step(asked, RULES, 1100.0)
    assert (given_up.kind, given_up.reason) == (
        "give up",
        "asked 3 times to commit in 1000 s: no report came",
    )


def test_a_dead_letter_names_what_went_wrong_last() -> None:
    asked = replace(WAITING, asked=1, asked_at=0.0, reason="port 104 is closed")

    assert next_step(asked, RULES, 2000.0).reason == "asked 1 times to commit in 1000 s: port 104 is closed"


@pytest.mark.parametrize(("resends", "wait"), [(0, 2), (1, 4), (2, 8)])
def test_what_is_not_kept_is_sent_again_after_a_wait_that_doubles(resends: int, wait: float) -> None:
    failed = replace(WAITING, failed=1, failed_at=50.0, resends=resends, asked=1, asked_at=0.0)

    assert next_step(failed, RULES, 50.0) == NextStep("wait", 50.0 + wait)
    assert next_step(failed, RULES, 50.0 + wait) == NextStep("send again")


def test_what_is_never_kept_is_given_up_with_the_reason_of_the_destination() -> None:
    failed = replace(WAITING, failed=1, resends=MOST_RESENDS, reason="1 objects are not kept")

    assert next_step(failed, RULES, 1.0) == NextStep("give up", reason="1 objects are not kept")


def test_an_archive_that_cannot_be_asked_is_asked_again_by_the_rules_of_retry() -> None:
    assert ask_again_at(1, 100.0, RULES, 100.0, 1.0) == 102.0
    assert ask_again_at(4, 100.0, RULES, 200.0, 1.0) == 216.0
    assert ask_again_at(9, 100.0, RULES, 1090.0, 1.0) == 1100.0  # then it is given up
    assert ask_again_at(9, 100.0, RULES, 1200.0, 1.0) == 1200.0
