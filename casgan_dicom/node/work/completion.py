"""When is a series complete? A pure function of what is known, with the clock passed in.

DICOM has no "end of series". What counts here, the first that holds:

* the hard cap after the first instance, whatever still comes;
* the number that the headers promise is there, or every instance is a whole cine: a short time of quiet;
* fewer single frames are there than the headers promise: a long time, for the others may still come;
* the sender has asked us to commit every instance that came: a short time of quiet;
* otherwise a time of quiet between the two, which a sender may set for itself.

An instance that comes after that opens the next revision (``state/receipts.py``), so a wrong guess costs
work, never data.
"""

from __future__ import annotations

from dataclasses import dataclass

from casgan_dicom.node.settings import CompletionSettings
from casgan_dicom.node.state.jobs import OpenSeries


@dataclass(frozen=True)
class Completion:
    """What was decided."""

    at: float
    """When the series counts as complete, if nothing else comes in."""
    reason: str
    """Which rule says so; for the log."""


def completion(
    series: OpenSeries, rules: CompletionSettings, quiet_seconds: float | None = None
) -> Completion:
    """Say when a series counts as complete.

    Parameters
    ----------
    series
        What came in so far.
    rules
        The times.
    quiet_seconds
        The sender's own time of quiet; None for that of `rules`.

    Returns
    -------
    Completion
        It is complete if `at` is not in the future.
    """
    quiet = rules.quiet_seconds if quiet_seconds is None else quiet_seconds
    if series.expected is not None and series.there >= series.expected:
        wait, reason = min(rules.short_seconds, quiet), "the expected number of instances is there"
    elif series.stills == 0:
        wait, reason = min(rules.short_seconds, quiet), "every instance is a whole cine"
    elif series.expected is not None:
        wait, reason = max(rules.promised_seconds, quiet), "fewer instances came than the headers promise"
    elif series.asked_for:
        wait, reason = min(rules.short_seconds, quiet), "the sender asked to commit every instance"
    else:
        wait, reason = quiet, "no instance came in for a while"
    cap = series.first_at + rules.cap_seconds
    if cap < series.last_at + wait:
        return Completion(cap, "the cap was reached")
    return Completion(series.last_at + wait, reason)
