"""An option of a command, whose help tells its environment variable and, where it has one, its default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
"""A file or folder that need not be there."""


def option(*names: str, **attributes: Any) -> Callable[[Command], Command]:  # noqa: ANN401 - as click's
    """``click.option`` with `show_envvar`, and with `show_default` where there is a default."""
    return click.option(*names, show_envvar=True, show_default="default" in attributes, **attributes)
