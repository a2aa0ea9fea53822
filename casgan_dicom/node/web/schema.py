"""JSON Schema of our own types: frozen dataclasses, as OpenAPI 3.1 wants them, and values of them as JSON.

A dataclass is an object that has every field and no other; the docstring under a field is not read here, the
first line of its class is.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

_PLAIN: Mapping[object, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}


class Schemas:
    """The schemas of types; those of dataclasses are kept by name in `named`."""

    def __init__(self) -> None:
        self.named: dict[str, dict[str, Any]] = {}

    def of(self, kind: object) -> dict[str, Any]:
        """The schema of a type. Raises TypeError for one that is not foreseen."""
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin is Literal:
            return {"type": "string", "enum": list(arguments)}
        if origin is tuple:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if origin in (types.UnionType, typing.Union):
            return {
                "anyOf": [{"type": "null"} if each is type(None) else self.of(each) for each in arguments]
            }
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            return self._of_class(kind)
        raise TypeError(f"no schema for {kind}")

    def _of_class(self, kind: type) -> dict[str, Any]:
        if kind.__name__ not in self.named:
            self.named[kind.__name__] = {}
            hints = typing.get_type_hints(kind)
            fields = {each.name: self.of(hints[each.name]) for each in dataclasses.fields(kind)}
            self.named[kind.__name__] = {
                "type": "object",
                "description": (kind.__doc__ or "").partition("\n")[0],
                "properties": fields,
                "required": list(fields),
                "additionalProperties": False,
            }
        return {"$ref": f"#/components/schemas/{kind.__name__}"}


def read_body(kind: type, content: object) -> Any:  # noqa: ANN401  # of the class that is asked for
    """A dataclass of texts from JSON. Raises ValueError that says what is wrong."""
    fields = {each.name: each for each in dataclasses.fields(kind)}
    if not isinstance(content, dict):
        raise ValueError(f"want an object with {', '.join(fields)}")
    if strange := [str(name) for name in content if name not in fields]:
        raise ValueError(f"there is no {', '.join(strange)[:100]}, want {', '.join(fields)}")
    hints, values = typing.get_type_hints(kind), {}
    for name, field in fields.items():
        value = content.get(name, field.default)
        choices = typing.get_args(hints[name])
        if not isinstance(value, str):
            raise ValueError(f"{name} is missing or no text")
        if choices and value not in choices:
            raise ValueError(f"{name} is none of {', '.join(choices)}")
        values[name] = value
    return kind(**values)
