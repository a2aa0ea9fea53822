"""What to do next about a delivery that waits for storage commitment. Pure, with the clock passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from casgan_dicom.node.settings import RetrySettings
from casgan_dicom.node.state.commitments import Committing
from casgan_dicom.node.work.retry import retry_wait

MOST_RESENDS = 3
"""How often objects are sent again that a destination has stored and does not keep."""


@dataclass(frozen=True)
class NextStep:
    """What is to be done."""

    kind: Literal["ask", "send again", "wait", "give up"]
    """Ask the destination to keep the objects; send those again that it does not keep; nothing before `at`;
    make a dead letter of it."""
    at: float = 0.0
    """When to look again."""
    reason: str = ""
    """Why it is given up."""


def next_step(waiting: Committing, rules: RetrySettings, now: float) -> NextStep:
    """Decide about a delivery that something is to be done about.

    What is not kept is sent again after the waits of `rules`, `MOST_RESENDS` times. Otherwise the destination
    is asked, again and again, until the time of `rules` since the first request of this run is over.
    """
    if waiting.failed:
        if waiting.resends >= MOST_RESENDS:
            return NextStep("give up", reason=waiting.reason)
        at = waiting.failed_at + min(
            rules.first_seconds * 2.0**waiting.resends, rules.longest_seconds, rules.give_up_seconds
        )
        return NextStep("send again") if at <= now else NextStep("wait", at)
    if waiting.asked_at is not None and now - waiting.asked_at >= rules.give_up_seconds:
        times = f"asked {waiting.asked} times to commit in {rules.give_up_seconds:g} s"
        said = waiting.reason or "no report came"
        return NextStep("give up", reason=f"{times}: {said}")
    return NextStep("ask")


def ask_again_at(asked: int, asked_at: float, rules: RetrySettings, now: float, jitter: float) -> float:
    """When to ask again a destination that could not be asked, for the time being.

    Parameters
    ----------
    asked
        Requests so far, at least 1.
    asked_at
        When the first of them was made.
    rules
        First and longest wait, and when to give up.
    now
        The time, as `asked_at`.
    jitter
        See `retry_wait`.
    """
    wait = retry_wait(asked, now - asked_at, rules, jitter)
    return now if wait is None else now + wait
