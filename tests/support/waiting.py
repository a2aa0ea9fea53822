"""Waiting for what other threads and processes do, without a guess at how long it takes."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

_LOOK_SECONDS = 0.02


def wait_for(condition: Callable[[], object], what: str | Callable[[], str], seconds: float) -> None:
    """Look at a condition until it holds; AssertionError that says `what` did not come within `seconds`."""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what if isinstance(what, str) else what()}")
        sleep(_LOOK_SECONDS)
