"""The SQL of the ledger as PostgreSQL takes it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

_STATEMENTS = 1024
"""Statements that are kept as they were translated: there are fewer, but those with lists of values."""
_QUOTED = re.compile(r"('(?:[^']|'')*')")
_TYPES = {
    "INTEGER": "BIGINT",
    "REAL": "DOUBLE PRECISION",
    "TEXT": 'TEXT COLLATE "C"',  # compares bytes, as SQLite does, whatever the language of the database
}
_TYPE = re.compile(rf"\b({'|'.join(_TYPES)})\b")


@lru_cache(maxsize=_STATEMENTS)
def spoken(statement: str) -> str:
    """A statement with its parameters as psycopg marks them: %s for ?, and %% for a percent sign."""
    parts = _QUOTED.split(statement.replace("%", "%%"))
    return "".join(part if part.startswith("'") else part.replace("?", "%s") for part in parts)


def plain(parameters: Sequence[Any]) -> list[Any]:
    """Parameters of a statement; what is true or false is 1 or 0, since our columns are integers."""
    return [int(each) if isinstance(each, bool) else each for each in parameters]


def made(statements: str) -> Iterator[str]:
    """The statements that make or change tables, one by one, with PostgreSQL's names of types."""
    for statement in statements.split(";"):
        if statement.strip():
            strict = re.sub(r"\)\s*STRICT\b", ")", statement)
            parts = _QUOTED.split(strict)
            yield "".join(part if part.startswith("'") else _TYPE.sub(_named, part) for part in parts)


def _named(found: re.Match[str]) -> str:
    return _TYPES[found[0]]


class Row(tuple[Any, ...]):
    """A row: values by index and by name, as those of SQLite are."""

    _places: dict[str, int]

    def __new__(cls, values: Sequence[Any], places: dict[str, int]) -> Row:
        """Make a row of values, and of the place of each name among them."""
        row = super().__new__(cls, values)
        row._places = places
        return row

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401  # a value of any column
        """The value at an index, or of a name."""
        return super().__getitem__(self._places[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        """The names."""
        return list(self._places)
