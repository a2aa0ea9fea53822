"""The option ``--device``, the same for every command that computes with networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def device_option(what: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--device``; `what` runs there, where the help should say it."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        show_envvar=True,
        help=f"{what}auto, cpu, cuda or cuda:N.",
    )
