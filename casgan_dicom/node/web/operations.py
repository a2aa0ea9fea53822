"""Everything that the JSON interface can be asked for, in one table: routes and OpenAPI are made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from casgan_dicom.node.web import acts, answers, contacts, looks, trial
from casgan_dicom.node.web.asked import Asked, Parameter
from casgan_dicom.node.web.holders import Role
from casgan_dicom.node.web.parameters import ADDRESS, CALLED, CALLING, LIMIT, OFFSET, STATE
from casgan_dicom.node.web.site import Site

PREFIX = "/api/v1"
"""What stands before every path."""
_JOB, _DESTINATION, _DEVICE = "/jobs/{job}", "/destinations/{name}", "/devices/{name}"


@dataclass(frozen=True)
class Operation:
    """Something that can be asked for."""

    method: Literal["GET", "POST"]
    """Of HTTP."""
    path: str
    """Below `PREFIX`; words in braces are handed over."""
    answer: type
    """What is answered, one of ``answers.py``."""
    handler: Callable[[Site, Asked], object]
    """Answers, in a thread; its docstring says what for."""
    role: Role = "look"
    """What it takes to ask."""
    query: tuple[Parameter, ...] = ()
    """Words of the query."""
    body: type | None = None
    """What has to be sent as JSON; None for nothing."""
    takes_file: bool = False
    """Whether a file is sent."""

    @property
    def summary(self) -> str:
        """What it is for, in a sentence."""
        return (self.handler.__doc__ or "").partition(" Raises ")[0].strip()


def _act(path: str, handler: Callable[[Site, Asked], answers.Done], body: type | None = None) -> Operation:
    return Operation("POST", path, answers.Done, handler, "act", body=body)


OPERATIONS = (
    Operation("GET", "/self", answers.Self, looks.myself),
    Operation("GET", "/status", answers.Status, looks.status),
    Operation("GET", "/jobs", answers.Jobs, looks.jobs, query=(STATE, OFFSET, LIMIT)),
    Operation("GET", _JOB, answers.JobDetail, looks.job),
    _act(f"{_JOB}/retry", acts.retry),
    _act(f"{_JOB}/cancel", acts.cancel),
    _act(f"{_JOB}/priority", acts.prioritise, answers.NewPriority),
    _act(f"{_JOB}/convert", acts.convert, answers.Again),
    _act(f"{_JOB}/review", acts.review, answers.NewReview),
    Operation("GET", "/dead-letters", answers.Letters, looks.letters, query=(OFFSET, LIMIT)),
    _act("/dead-letters/retry", acts.retry_letters),
    Operation("GET", "/quarantine", answers.Quarantine, looks.quarantine, query=(LIMIT,)),
    Operation("GET", "/peers", answers.Peers, contacts.peers),
    Operation("GET", "/destinations", answers.Destinations, contacts.destinations),
    _act(f"{_DESTINATION}/pause", acts.pause_destination),
    _act(f"{_DESTINATION}/resume", acts.resume_destination),
    _act(f"{_DEVICE}/pause", acts.pause_device),
    _act(f"{_DEVICE}/resume", acts.resume_device),
    Operation("GET", "/retention", answers.Retention, looks.retention),
    Operation("GET", "/rules", answers.Rules, looks.rules),
    Operation(
        "POST", "/rules/trial", answers.Trial, trial.try_file,
        query=(CALLING, CALLED, ADDRESS), takes_file=True,
    ),
)  # fmt: skip
"""All of them. A path without words comes before one with them."""
