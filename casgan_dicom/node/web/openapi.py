"""The JSON interface as OpenAPI 3.1, made of the same table as its routes."""

from __future__ import annotations

import re
from typing import Any

from casgan_dicom import __version__
from casgan_dicom.node.web.answers import Fault
from casgan_dicom.node.web.asked import Parameter
from casgan_dicom.node.web.operations import OPERATIONS, PREFIX, Operation
from casgan_dicom.node.web.schema import Schemas

_ABOUT = (
    "What `casgan-dicom node` does, and what a person may change about it. AI SYNTHETIC - NOT FOR DIAGNOSIS:"
    " results of the node are synthetic images. Nothing here holds patient data: UIDs and counts."
)
_REFUSALS = {
    "400": "the request makes no sense",
    "401": "no token, or one that is not known",
    "403": "the token may look, and not act",
    "404": "there is no such thing",
    "409": "it is not in a state for that",
    "429": "too many wrong tokens",
    "503": "not now",
}


def openapi() -> dict[str, Any]:
    """The document."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(PREFIX + each.path, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "casgan-dicom node", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": schemas.named,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    words = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
             for name in re.findall(r"{(\w+)}", operation.path)]  # fmt: skip
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.handler.__name__,
        "description": f"Takes the role {operation.role}.",
        "parameters": [*words, *map(_parameter, operation.query)],
        "responses": {
            "200": _content("what was asked for", schemas.of(operation.answer)),
            **{status: _content(said, schemas.of(Fault)) for status, said in _REFUSALS.items()},
        },
    }
    if operation.body is not None:
        body = schemas.of(operation.body)
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if operation.takes_file:
        found["requestBody"] = {"required": True, "content": {"application/dicom": {}}}
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.kind}
    if parameter.kind == "integer":
        schema |= {"minimum": 0, "maximum": parameter.most, "default": parameter.default}
    if parameter.choices:
        schema = {"type": "array", "items": {"type": "string", "enum": list(parameter.choices)}}
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema}


def _content(said: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": said, "content": {"application/json": {"schema": schema}}}
