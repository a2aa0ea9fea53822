"""What the JSON interface answers: every kind of answer, and nothing else. UIDs and counts, no patient data.

Times are seconds since 1970, lengths bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from casgan_dicom.node.settings import Priority
from casgan_dicom.node.state.reviews import Outcome
from casgan_dicom.node.web.holders import Role

LevelName = Literal["OK", "WARNING", "CRITICAL", "UNKNOWN"]
Deed = Literal["retry", "cancel", "priority", "convert", "review"]


@dataclass(frozen=True)
class Fault:
    """Why there is no answer."""

    error: str
    hint: str


@dataclass(frozen=True)
class Self:
    """Who asks."""

    name: str
    role: Role


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    level: LevelName
    text: str


@dataclass(frozen=True)
class Process:
    """A process of the node."""

    role: str
    pid: int | None
    """None where it does not run."""


@dataclass(frozen=True)
class Disk:
    """What is on the disk."""

    free_bytes: int
    spool_bytes: int
    outbox_bytes: int
    quarantine_bytes: int
    excess_bytes: int
    refused_below_bytes: int
    """Free space below which instances are refused."""


@dataclass(frozen=True)
class Certificate:
    """A certificate that is configured."""

    key: str
    days_left: int | None
    """None where it cannot be read."""


@dataclass(frozen=True)
class Status:
    """A node at one moment."""

    version: str
    phase: Literal["running", "starting", "stopped"]
    check: LevelName
    findings: tuple[Finding, ...]
    processes: tuple[Process, ...]
    jobs: dict[str, int]
    instances: int
    quarantined_instances: int
    paused: tuple[str, ...]
    disk: Disk
    certificates: tuple[Certificate, ...]
    at: float


@dataclass(frozen=True)
class Progress:
    """Where a conversion is."""

    work: str
    """What it does now, as "generate"."""
    done: int
    of: int


@dataclass(frozen=True)
class Delivery:
    """What became of a job at one destination."""

    destination: str
    state: str
    attempts: int
    reason: str
    next_at: float | None


@dataclass(frozen=True)
class Job:
    """A revision of a series, and what becomes of it."""

    job: str
    series_uid: str
    revision: int
    priority: str
    state: str
    reasons: tuple[str, ...]
    peer: str
    instances: int
    frames: int
    repeats: str
    bundle: str
    rule: str
    progress: Progress | None
    derived: int
    """How many objects it made that are still there."""
    first_at: float
    changed_at: float
    removed_at: float | None
    deliveries: tuple[Delivery, ...]
    verdict: str
    """The one that counts: accepted or rejected; empty for none."""
    may: tuple[Deed, ...]
    """What somebody with the role act may do with it now."""


@dataclass(frozen=True)
class Jobs:
    """A page of jobs."""

    total: int
    offset: int
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class DerivedObject:
    """An object that a job made."""

    sop_uid: str
    sop_class_uid: str
    series_uid: str
    frames: int


@dataclass(frozen=True)
class Review:
    """What somebody thinks of what a job made."""

    number: int
    outcome: Outcome
    reason: str
    text: str
    reviewer: str
    at: float
    record: str
    """What became of it as an object: due, none, made or failed."""
    why: str


@dataclass(frozen=True)
class JobDetail:
    """One job with what it made."""

    job: Job
    objects: tuple[DerivedObject, ...]
    can_be_played: bool
    """Whether what was made of it is still on the disk."""
    reviews: tuple[Review, ...]
    """The latest last."""
    reasons: tuple[str, ...]
    """For which something may be rejected."""


@dataclass(frozen=True)
class Letter:
    """A delivery that was given up."""

    job: str
    series_uid: str
    destination: str
    reason: str
    attempts: int
    changed_at: float


@dataclass(frozen=True)
class Letters:
    """A page of dead letters."""

    total: int
    offset: int
    letters: tuple[Letter, ...]


@dataclass(frozen=True)
class Aside:
    """A data set that nothing could be made of."""

    file: str
    sop_uid: str
    reason: str
    peer: str
    address: str
    at: float


@dataclass(frozen=True)
class Quarantine:
    """What lies in quarantine, the latest first."""

    total: int
    files: tuple[Aside, ...]


@dataclass(frozen=True)
class Contact:
    """Somebody who sends here, or may."""

    ae_title: str
    address: str
    """Where it came from last, or may come from where it never did; empty for this machine only."""
    configured: bool
    instances: int
    last_at: float | None


@dataclass(frozen=True)
class Rejection:
    """Those who were turned away for one reason."""

    reason: str
    count: int
    last_at: float


@dataclass(frozen=True)
class Peers:
    """Who sends here, and who was turned away."""

    peers: tuple[Contact, ...]
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True)
class Destination:
    """Where results go."""

    name: str
    kind: str
    place: str
    configured: bool
    paused: bool
    states: dict[str, int]
    oldest_at: float | None
    """Since when the oldest delivery waits."""
    last_sent_at: float | None


@dataclass(frozen=True)
class Device:
    """What converts."""

    name: str
    paused: bool


@dataclass(frozen=True)
class Destinations:
    """Where results go, and what converts."""

    destinations: tuple[Destination, ...]
    devices: tuple[Device, ...]


@dataclass(frozen=True)
class Removal:
    """Something that is to go."""

    kind: str
    name: str
    bytes: int
    reason: str
    since: float


@dataclass(frozen=True)
class Retention:
    """What is kept, and for how long."""

    keeps_everything: bool
    """No key of `retention` is set."""
    removals: tuple[Removal, ...]
    """The first of those that are due."""
    count: int
    bytes: int
    next_at: float | None
    disk: Disk


@dataclass(frozen=True)
class Rule:
    """What decides about series."""

    name: str
    converts: bool
    destinations: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """The rules in their order, and what jobs may be converted with."""

    rules: tuple[Rule, ...]
    bundles: tuple[str, ...]
    max_trial_bytes: int


@dataclass(frozen=True)
class Tried:
    """What would become of one series."""

    series_uid: str
    rule: str
    because: tuple[str, ...]
    passed_over: tuple[str, ...]
    open: tuple[str, ...]
    convert: bool
    bundle: str
    mode: str
    form: str
    priority: str
    destinations: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """What would become of a file."""

    series: tuple[Tried, ...]
    passed_over: dict[str, int]


@dataclass(frozen=True)
class Done:
    """What was changed; nothing where there was nothing to change."""

    changed: tuple[str, ...]


@dataclass(frozen=True)
class NewPriority:
    """How urgent a job is to be."""

    priority: Priority


@dataclass(frozen=True)
class Again:
    """With what a job is converted once more."""

    bundle: str
    priority: Priority = "batch"


@dataclass(frozen=True)
class NewReview:
    """What somebody thinks of what a job made; no patient data."""

    outcome: Outcome
    reason: str = ""
    text: str = ""
