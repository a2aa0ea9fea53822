"""What an operation is asked: who asks, and with which words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from casgan_dicom.node.web.holders import Holder
from casgan_dicom.node.web.refusal import BAD, RefusedError


@dataclass(frozen=True)
class Parameter:
    """A word of a query."""

    name: str
    """What it is called."""
    description: str
    """What it says."""
    kind: Literal["integer", "string"] = "string"
    """What it holds."""
    choices: tuple[str, ...] = ()
    """What it may be; it may be given several times then. Empty: anything."""
    most: int = 0
    """The largest number."""
    default: int = 0
    """The number where it is not given."""


@dataclass(frozen=True)
class Asked:
    """A request that was understood."""

    holder: Holder
    """Who asks."""
    address: str
    """IP address of it."""
    path: Mapping[str, str]
    """Words of the path."""
    query: Mapping[str, tuple[str, ...]]
    """Words of the query, by name."""
    body: Any = None
    """What was sent, of the class that the operation wants."""
    file: Path | None = None
    """Where a file that was sent lies."""

    def number(self, parameter: Parameter) -> int:
        """A number of the query. Raises RefusedError."""
        given = self.query.get(parameter.name, ())
        text = given[-1] if given else str(parameter.default)
        if not (text.isascii() and text.isdigit() and int(text[:20]) <= parameter.most):
            raise RefusedError(BAD, f"{parameter.name}: want a number up to {parameter.most}")
        return int(text)

    def choices(self, parameter: Parameter) -> tuple[str, ...]:
        """Words of the query that must be among some. Raises RefusedError."""
        given = self.query.get(parameter.name, ())
        if not set(given) <= set(parameter.choices):
            raise RefusedError(BAD, f"{parameter.name}: want any of {', '.join(parameter.choices)}")
        return given

    def text(self, parameter: Parameter) -> str | None:
        """A text of the query; None where it is not given, or empty."""
        given = self.query.get(parameter.name, ())
        return given[-1] or None if given else None
