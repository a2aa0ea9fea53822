"""One line of an acceptance table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """A quantity, what it is in real cine, and what is accepted of ours."""

    quantity: str
    """What is measured, with its unit."""
    real: float | None
    """The value of real runs; None where there is no single one."""
    low: float
    """Smallest value that is accepted."""
    high: float
    """Largest value that is accepted."""
