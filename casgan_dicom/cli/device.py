"""The option ``--device``, the same for every command that computes with networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casgan_dicom.cli.option import option


def device_option(what: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--device``; `what` runs there, where the help should say it."""
    return option("--device", default="auto", help=f"{what}auto, cpu, cuda or cuda:N.")
