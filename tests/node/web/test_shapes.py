"""The measure of the interface measures: what does not fit is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.node.web.shapes import faults

THING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "enum": ["a", "b"]},
        "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "more": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
        "by": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "required": ["name", "count", "more", "by"],
    "additionalProperties": False,
}
RIGHT: dict[str, Any] = {"name": "a", "count": None, "more": [], "by": {"x": 1.5}}


@pytest.mark.parametrize("value", [RIGHT, RIGHT | {"count": 5, "more": [RIGHT]}])
def test_what_fits_has_no_fault(value: dict[str, Any]) -> None:
    assert faults(value, THING, {"Thing": THING}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": "c"},
        {"name": 5},
        {"count": "5"},
        {"count": True},
        {"more": {}},
        {"more": [RIGHT | {"name": "c"}]},
        {"by": {"x": "y"}},
        {"other": 1},
    ],
)
def test_what_does_not_fit_has(change: dict[str, Any]) -> None:
    assert len(faults(RIGHT | change, THING, {"Thing": THING})) >= 1


@pytest.mark.parametrize("name", THING["required"])
def test_so_has_what_lacks_a_field(name: str) -> None:
    assert faults({key: value for key, value in RIGHT.items() if key != name}, THING, {"Thing": THING})
