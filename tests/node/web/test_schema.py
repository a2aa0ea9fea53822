"""Schemas of types, and bodies of requests read by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from casgan_dicom.node.web.schema import Schemas, read_body


@dataclass(frozen=True)
class Inner:
    """One thing.

    More of it.
    """

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Outer:
    """Another."""

    word: Literal["a", "b"]
    count: int | None
    ratio: float
    inner: Inner
    counts: dict[str, int]


@dataclass(frozen=True)
class Body:
    """What is sent."""

    name: str
    level: Literal["high", "low"] = "low"


def test_a_dataclass_is_an_object_with_all_its_fields_and_no_other() -> None:
    schemas = Schemas()

    assert schemas.of(Outer) == {"$ref": "#/components/schemas/Outer"}
    assert schemas.named == {
        "Outer": {
            "type": "object",
            "description": "Another.",
            "properties": {
                "word": {"type": "string", "enum": ["a", "b"]},
                "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "ratio": {"type": "number"},
                "inner": {"$ref": "#/components/schemas/Inner"},
                "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
            "required": ["word", "count", "ratio", "inner", "counts"],
            "additionalProperties": False,
        },
        "Inner": {
            "type": "object",
            "description": "One thing.",
            "properties": {"texts": {"type": "array", "items": {"type": "string"}}},
            "required": ["texts"],
            "additionalProperties": False,
        },
    }


def test_a_type_that_is_not_foreseen_is_told() -> None:
    with pytest.raises(TypeError, match="bytes"):
        Schemas().of(bytes)


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ({"name": "x", "level": "high"}, Body("x", "high")),
        ({"name": ""}, Body("", "low")),
    ],
)
def test_a_body_is_read(content: object, read: Body) -> None:
    assert read_body(Body, content) == read


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "want an object with name, level"),
        (None, "want an object"),
        ({}, "name is missing or no text"),
        ({"name": 5}, "name is missing or no text"),
        ({"name": "x", "level": "middle"}, "level is none of high, low"),
        ({"name": "x", "other": 1}, "there is no other, want name, level"),
    ],
)
def test_a_body_that_makes_no_sense_is_told(content: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_body(Body, content)
