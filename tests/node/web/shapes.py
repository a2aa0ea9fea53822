"""JSON against JSON Schema, for tests: as much of it as our document uses, and none of our code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

KNOWN = {"type", "properties", "required", "additionalProperties", "items", "enum", "anyOf", "description"}
"""Words of a schema that are understood here, beside ``$ref``; any other is a fault."""
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}


def faults(value: Any, schema: dict[str, Any], named: dict[str, Any]) -> list[str]:  # noqa: ANN401
    """Everything in which a value is not what a schema says; `named` are those that it may refer to."""
    return list(_faults(value, schema, named, "$"))


def _faults(value: Any, schema: dict[str, Any], named: dict[str, Any], at: str) -> Iterator[str]:  # noqa: ANN401
    if "$ref" in schema:
        schema = named[schema["$ref"].removeprefix("#/components/schemas/")]
    if strange := schema.keys() - KNOWN:
        yield f"{at}: schema with {strange}"
    elif "anyOf" in schema:
        found = [list(_faults(value, each, named, at)) for each in schema["anyOf"]]
        if all(found):
            yield f"{at}: {found}"
    elif not _is_a(value, schema["type"]):
        yield f"{at}: {value!r} is no {schema['type']}"
    elif value not in schema.get("enum", [value]):
        yield f"{at}: {value!r} is none of {schema['enum']}"
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _faults(each, schema["items"], named, f"{at}[{number}]")
    elif isinstance(value, dict):
        yield from _of_object(value, schema, named, at)


def _is_a(value: Any, kind: str) -> bool:  # noqa: ANN401
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _of_object(
    value: dict[str, Any], schema: dict[str, Any], named: dict[str, Any], at: str
) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema["additionalProperties"]
    yield from (f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value)
    for name, each in value.items():
        if name in properties:
            yield from _faults(each, properties[name], named, f"{at}.{name}")
        elif others is False:
            yield f"{at}: {name} is not foreseen"
        else:
            yield from _faults(each, others, named, f"{at}.{name}")
