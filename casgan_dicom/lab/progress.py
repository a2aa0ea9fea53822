"""Who is told what goes on while something long runs."""

from __future__ import annotations

from collections.abc import Callable

Log = Callable[[str], None]
"""Receives a sentence for a person to read."""


def silent(_told: object) -> None:
    """Tell nobody; a function of a module, so that other processes can be given it."""
