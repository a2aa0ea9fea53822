"""What may be removed, in which order, and why. A pure function of what is held, with the clock passed in.

Four kinds of things come to an end, each with a time of its own; 0 keeps it for ever:

    delivered    every destination of the job has everything
    outbox       its objects went nowhere: what lies in the outbox is all there is of them
    ended        nothing was made, or nothing more is to be: skipped, cancelled, nothing new
    quarantine   bytes that nothing could be made of

With more than `high_bytes` in spool and outbox, what was delivered goes before its time, the oldest first,
until no more than `low_bytes` are left; so it does with less than `free_bytes` free on the disk. Nothing else
ever goes for its size.

What is not at its end, waits for a person (a dead letter, a failure, a series that killed the worker) or may
still be wanted by another job is never removed, whatever the rules say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from casgan_dicom.node.settings import NodeSettings, RetentionSettings
from casgan_dicom.node.state.removals import Holding

Kind = Literal["delivered", "outbox", "ended", "quarantine"]

LENDING_GRACE = 3600.0
"""How long a run stays after it may lend its vessels no more: a conversion that began before may read it."""


@dataclass(frozen=True)
class Aside:
    """A file in quarantine."""

    path: Path
    """Where it is, as the ledger has it."""
    bytes: int
    """Its length."""
    at: float
    """When it came in."""


@dataclass(frozen=True)
class Held:
    """What is on the disk and in the ledger."""

    jobs: Sequence[Holding]
    """Jobs at their end, with the length of their files."""
    quarantine: Sequence[Aside]
    """Files in quarantine."""
    used_bytes: int
    """Length of everything in spool and outbox."""
    free_bytes: int
    """Free space on the disk."""


@dataclass(frozen=True)
class Rules:
    """When something may go."""

    retention: RetentionSettings
    """The times and sizes."""
    lending_seconds: float = 0.0
    """How long a run that came in is needed, because it may lend its vessels to others."""


@dataclass(frozen=True)
class Removal:
    """One thing that is to go."""

    kind: Kind
    """What it is."""
    name: str
    """A job, or the path of a file in quarantine."""
    bytes: int
    """How much room that makes."""
    reason: str
    """Why, for people; no patient data."""
    at: float
    """When it came to its end: of a file in quarantine, when it came in."""


@dataclass(frozen=True)
class Plan:
    """What is to go."""

    removals: tuple[Removal, ...]
    """In this order."""
    next_at: float | None
    """When the next may go, if nothing else happens; None if nothing will."""
    excess_bytes: int
    """How much is above `high_bytes` even then: it may not be removed."""


def rules_of(settings: NodeSettings) -> Rules:
    """The rules of a node."""
    worker = settings.worker
    lending = worker.reference_seconds + LENDING_GRACE if worker.mode == "reference" else 0.0
    return Rules(settings.retention, lending)


def plan(held: Held, rules: Rules, now: float) -> Plan:
    """Say what is to be removed.

    Parameters
    ----------
    held
        What is on the disk and in the ledger.
    rules
        When something may go.
    now
        The time, in seconds since 1970.
    """
    due = [*_of_jobs(held.jobs, rules), *_of_quarantine(held.quarantine, rules.retention)]
    timely = sorted((each for each in due if each[0] <= now), key=lambda each: (each[1].at, each[1].name))
    by_age = tuple(removal for _, removal in timely)
    stored = sum(each.bytes for each in by_age if each.kind != "quarantine")
    after = replace(
        held,
        used_bytes=held.used_bytes - stored,
        free_bytes=held.free_bytes + sum(each.bytes for each in by_age),
    )
    by_size = tuple(_for_size(after, rules, {each.name for each in by_age}, now))
    left = after.used_bytes - sum(each.bytes for each in by_size)
    later = [at for at, _ in due if at > now]
    high = rules.retention.high_bytes
    return Plan(by_age + by_size, min(later, default=None), max(0, left - high) if high else 0)


def kind_of(held: Holding) -> Kind | None:
    """What kind of end a job came to; None if its files must stay."""
    if held.is_wanted:
        return None
    if held.state == "done" and held.deliveries:
        return "delivered" if held.is_delivered else None
    if held.state == "done" and held.is_made:
        return "outbox"
    return "ended" if held.state in ("done", "skipped", "kept", "cancelled") else None


def seconds_of(kind: Kind, rules: RetentionSettings) -> float:
    """How long something of a kind stays; 0 for ever."""
    return {
        "delivered": rules.delivered_seconds,
        "outbox": rules.outbox_seconds,
        "ended": rules.ended_seconds,
        "quarantine": rules.quarantine_seconds,
    }[kind]


def _of_jobs(jobs: Iterable[Holding], rules: Rules) -> Iterator[tuple[float, Removal]]:
    """When each job may go by its age, and as what."""
    for held in jobs:
        kind = kind_of(held)
        seconds = seconds_of(kind, rules.retention) if kind else 0.0
        if kind and seconds:
            at = max(held.settled_at + seconds, _lends_until(held, rules))
            reason = f"{kind} {_span(seconds)} ago or longer ({kind}_seconds)"
            yield at, Removal(kind, held.job, held.bytes, reason, held.settled_at)


def _of_quarantine(files: Iterable[Aside], rules: RetentionSettings) -> Iterator[tuple[float, Removal]]:
    seconds = rules.quarantine_seconds
    if seconds:
        reason = f"in quarantine for {_span(seconds)} or longer (quarantine_seconds)"
        for file in files:
            yield file.at + seconds, Removal("quarantine", str(file.path), file.bytes, reason, file.at)


def _for_size(held: Held, rules: Rules, gone: set[str], now: float) -> Iterator[Removal]:
    """What was delivered, the oldest first, until there is room; `held` counts `gone` as gone already."""
    needed, reason = _needed(held, rules.retention)
    for each in sorted(held.jobs, key=lambda one: (one.settled_at, one.job)):
        if needed <= 0:
            return
        if each.job in gone or kind_of(each) != "delivered" or _lends_until(each, rules) > now:
            continue
        needed -= each.bytes
        yield Removal("delivered", each.job, each.bytes, reason, each.settled_at)


def _needed(held: Held, rules: RetentionSettings) -> tuple[int, str]:
    """How much has to go to make room, and why."""
    used, high = held.used_bytes, rules.high_bytes
    above = used - rules.low_bytes if high and used > high else 0
    short = rules.free_bytes - held.free_bytes
    if above >= short:
        return above, f"spool and outbox held {_gib(used)}, more than {_gib(high)} (high_bytes)"
    return short, f"{_gib(held.free_bytes)} were free, less than {_gib(rules.free_bytes)} (free_bytes)"


def _lends_until(held: Holding, rules: Rules) -> float:
    """Until when other runs of the study may need it."""
    return held.received_at + rules.lending_seconds if rules.lending_seconds and held.received_at else 0.0


def _span(seconds: float) -> str:
    """A time in the largest unit of which it has two, or in seconds."""
    for length, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {name}"
    return f"{seconds:g} s"


def _gib(count: int) -> str:
    return f"{count / 2**30:.3g} GiB"
