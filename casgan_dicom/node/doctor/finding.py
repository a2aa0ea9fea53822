"""What a check has found, and how bad that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Verdict(IntEnum):
    """How bad it is; the exit code of the command."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    """How bad it is."""
    about: str
    """The key to change, as ``destinations#2.ae_title``, or what was looked at, as ``clock``."""
    text: str
    """What was found; no patient data."""
    advice: str = ""
    """What to do; empty where there is nothing to be done."""

    def __str__(self) -> str:
        told = f"{self.verdict.name:<4}  {self.about}: {self.text}"
        return f"{told}; {self.advice}" if self.advice else told


def ok(about: str, text: str) -> Finding:
    """It is as it should be."""
    return Finding(Verdict.OK, about, text)


def warn(about: str, text: str, advice: str) -> Finding:
    """A node would run, and somebody should look at it."""
    return Finding(Verdict.WARN, about, text, advice)


def fail(about: str, text: str, advice: str) -> Finding:
    """A node would not run, or not do its work."""
    return Finding(Verdict.FAIL, about, text, advice)


def worst(findings: Iterable[Finding]) -> Verdict:
    """How bad all of it together is."""
    return max((each.verdict for each in findings), default=Verdict.OK)
