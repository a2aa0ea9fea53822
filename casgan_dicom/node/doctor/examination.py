"""Checks, run so that none of them holds up the others, and none for ever.

A check runs in a thread of its own, which is left behind where it does not end in time: a look-up of a name
or a share that is away cannot be ended from outside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from casgan_dicom.errors import CasganError
from casgan_dicom.node.doctor.finding import Finding, fail

LOCAL_SECONDS = 20.0
"""For a check that asks nobody else."""


@dataclass(frozen=True)
class Check:
    """Something to look at."""

    about: str
    """As in `Finding`."""
    look: Callable[[], Iterable[Finding]]
    """Looks; what it raises is a finding too."""
    seconds: float = LOCAL_SECONDS
    """How long that may take."""


def examine(checks: Sequence[Check]) -> Iterator[Finding]:
    """Run checks at the same time, and tell of them in their order."""
    running = [_Running(check) for check in checks]
    for each in running:
        yield from each.findings()


class _Running:
    """A check that has begun."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._found: list[Finding] = []
        self._until = monotonic() + check.seconds
        self._thread = threading.Thread(target=self._run, name=f"doctor {check.about}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        about = self._check.about
        try:
            self._found = list(self._check.look())
        except CasganError as error:
            self._found = [fail(about, error.message, error.hint)]
        except Exception as error:  # a fault of ours must not hide what the other checks say
            said = f"could not be looked at ({type(error).__name__})"
            self._found = [fail(about, said, "run casgan-dicom doctor as the user of the node")]

    def findings(self) -> list[Finding]:
        """What it found, once it has ended or its time is over."""
        self._thread.join(max(0.0, self._until - monotonic()))
        if self._thread.is_alive():
            said = f"no end within {self._check.seconds:g} s"
            return [fail(self._check.about, said, "check whether what it names answers at all")]
        return self._found
