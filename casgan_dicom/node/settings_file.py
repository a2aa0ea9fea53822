"""A configuration as a file for people: each key that is set with what it means above it.

What a key means is read where it is defined, under the field of its dataclass, as it stands in the source
beside this file: there is no second copy of it.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import typing
from collections.abc import Iterator, Mapping, Sequence

from casgan_dicom.node.settings import NodeSettings

Value = str | bool | int | float | Sequence[str]
"""What a key can be set to here."""
Table = Mapping[str, Value]
"""Keys of a table, and their values."""

_WIDTH = 100
"""Of a comment, its sign included."""


@dataclasses.dataclass(frozen=True)
class Told:
    """What a configuration sets."""

    top: Table
    """Keys outside tables."""
    tables: Mapping[str, Table | Sequence[Table]]
    """Tables, and lists of tables, by name."""


def text_of(told: Told, heading: str) -> str:
    """The file: `heading` as a comment, then every key with its meaning, in a list where it first stands."""
    parts, hints = (
        [_comment(heading), *_keys(NodeSettings, told.top, set())],
        typing.get_type_hints(NodeSettings),
    )
    for name, content in told.tables.items():
        if isinstance(content, Mapping):
            parts.append(f"{_comment(hints[name].__doc__ or '')}\n[{name}]")
            parts += _keys(hints[name], content, set())
            continue
        cls, known = typing.get_args(hints[name])[0], set[str]()
        parts.append(_comment(_meanings(NodeSettings)[name]))
        for table in content:
            parts += [f"[[{name}]]", *_keys(cls, table, known)]
    return "\n\n".join(parts) + "\n"


def _keys(cls: type, table: Table, known: set[str]) -> Iterator[str]:
    """The keys of a table, each below its comment unless that is `known`."""
    meanings = _meanings(cls)
    for key, value in table.items():
        line = f"{key} = {_toml(value)}"
        yield line if key in known else f"{_comment(meanings[key])}\n{line}"
        known.add(key)


def _meanings(cls: type) -> dict[str, str]:
    """The docstring under each field of a dataclass of settings."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)
    told: dict[str, str] = {}
    field = ""
    for each in definition.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            field = each.target.id
        elif isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and field:
            told[field] = " ".join(str(each.value.value).split())
    return told


def _comment(text: str) -> str:
    plain = " ".join(text.split())
    return textwrap.fill(plain, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _toml(value: Value) -> str:
    """A value as TOML has it: texts, numbers and lists of texts are those of JSON."""
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(list(value), ensure_ascii=False)
