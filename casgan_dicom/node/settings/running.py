"""How the processes of a node are kept running."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RestartSettings:
    """How soon a process of the node that died is started again; the time doubles if it dies young."""

    first_seconds: float = 0.5
    """After the first death."""
    longest_seconds: float = 30.0
    """At most; also the age at which a process does not die young any more."""
