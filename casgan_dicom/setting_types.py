"""Types that a setting may have: how each is read from TOML or from a text, and what messages call it.

Text, whole numbers, numbers, true or false, paths, any of these or None, one of some words (a Literal), lists
of texts or of such words, and a fixed count of numbers.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

_WANTED: Mapping[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}
_PLACEHOLDERS: Mapping[object, object] = {str: "", int: 0, float: 0.0, bool: False, Path: Path()}
_SWITCHES: Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_LONGEST_SHOWN = 60
"""Characters of a value that a message quotes."""


def kind_of(hint: object) -> object:
    """The type that a value must have, without the None it may have; TypeError for one that is not read."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        hint = kinds[0] if len(kinds) == 1 else hint
    element = _element(hint)
    if hint in _WANTED or _words(hint) or element is str or _words(element) or _numbers(hint):
        return hint
    raise TypeError(f"settings cannot hold {hint}")


def wanted(kind: object) -> str:
    """How messages call a type."""
    if words := _words(kind):
        return f"one of {', '.join(words)}"
    if element := _element(kind):
        return f"a list of {', '.join(_words(element)) or 'texts'}"
    return f"{count} numbers" if (count := _numbers(kind)) else _WANTED[kind]


def placeholder(kind: object) -> object:
    """Stands in for a required value that is missing, so that the others can still be judged."""
    if words := _words(kind):
        return words[0]
    return (0.0,) * _numbers(kind) if typing.get_origin(kind) is tuple else _PLACEHOLDERS[kind]


def typed(kind: object, value: object) -> object:
    """A value from TOML or from an option in the type `kind`; raises ValueError."""
    if kind is float and is_number(value):
        return float(typing.cast(float, value))
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    if isinstance(value, list | tuple) and (element := _element(kind)):
        return tuple(typed(element, one) for one in value)
    if isinstance(value, list | tuple) and len(value) == _numbers(kind) and all(map(is_number, value)):
        return tuple(float(one) for one in value)
    if type(value) is kind or (isinstance(value, str) and value in _words(kind)):
        return value
    raise ValueError


def parsed(kind: object, text: str) -> object:
    """A text from a variable or an option in the type `kind`; raises ValueError."""
    if kind is int:
        return int(text)
    if kind is float:
        return float(text)
    if kind is bool:
        if (word := text.strip().lower()) not in _SWITCHES:
            raise ValueError
        return _SWITCHES[word]
    if _element(kind) or _numbers(kind):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return typed(kind, [float(part) for part in parts] if _numbers(kind) else parts)
    return typed(kind, text)


def is_number(value: object) -> bool:
    """Whether a value from TOML or JSON is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: object) -> str:
    """A value as a message quotes it."""
    if isinstance(value, Mapping):
        return "a table"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def _words(kind: object) -> tuple[str, ...]:
    """The words of a Literal; none for another type."""
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()


def _element(kind: object) -> Any:  # noqa: ANN401  # a type
    """What a list of any length holds; None for another type."""
    arguments = typing.get_args(kind)
    return arguments[0] if typing.get_origin(kind) is tuple and Ellipsis in arguments else None


def _numbers(kind: object) -> int:
    """How many numbers a type holds, as in ``tuple[float, float]``; 0 for another type."""
    arguments = typing.get_args(kind)
    return len(arguments) if typing.get_origin(kind) is tuple and set(arguments) == {float} else 0
