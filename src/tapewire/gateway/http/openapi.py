"""The route table as an OpenAPI description, made from the same classes that read and write.

Parameters come from the request classes, answers from the field tables of the records, once for each format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from tapewire.gateway.http.endpoint import Access, Endpoint
from tapewire.model import UNSET, Record, TradingStatus, UnsetType
from tapewire.protocol.formats import fields_of
from tapewire.protocol.http_requests import HttpRequest
from tapewire.protocol.limits import GUID_CHARACTERS_MAX, HTTP_ESTIMATES_MAX
from tapewire.protocol.reading import WireRequest
from tapewire.protocol.words import Format

__all__ = ["Schema", "describe"]

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/"
_PLAIN: dict[object, Schema] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    # A status that is not in the list is still a number.
    TradingStatus: {"type": "integer"},
}
#: Names a request; the second one is the older spelling.
_NAMING: list[Schema] = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": GUID_CHARACTERS_MAX},
    }
    for name in ("X-REQID", "X-ALOR-REQID")
]
_DESCRIPTIONS = {
    400: "A parameter is missing or has a value that cannot be",
    401: "The token is missing, forged, foreign or at its end",
    403: "The token is for other portfolios, or carries no such right",
    404: "There is no such thing",
    408: "The body has not come in time",
    413: "The body is too large",
    429: "Too many requests a second",
    501: "This version does not serve it",
    503: "The venue cannot answer now",
    504: "The venue did not answer in time",
}


def describe(endpoints: Iterable[Endpoint]) -> Schema:
    """Return the OpenAPI description of a route table."""
    schemas: dict[str, Schema] = {
        "Error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        },
        "GroupError": {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
            },
            "required": ["title", "status", "detail"],
        },
        "Repeated": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "oldResponse": {
                    "type": "object",
                    "properties": {"statusCode": {"type": "integer"}, "body": {}},
                    "required": ["statusCode", "body"],
                },
            },
            "required": ["message", "oldResponse"],
        },
    }
    paths: dict[str, Schema] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tapewire gateway",
            "version": "2",
            "description": "Paths, names and words are taken in any letter case; unknown parameters are ignored.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Schema]) -> Schema:
    statuses = sorted({400, 401, 429, 503, 504, *endpoint.statuses})
    answers: Schema = {"200": _answer("Done", _answer_schema(endpoint, schemas))}
    if endpoint.is_text:
        answers["200"]["content"] = {
            "text/plain": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object", "properties": {"message": {"type": "string"}}}},
        }
    for status in statuses:
        answers[str(status)] = _answer(_DESCRIPTIONS[status], _error_schema(endpoint, status))
    # Without a token the market is seen with a delay.
    security: list[Schema] = [{"token": []}] + ([{}] if endpoint.access is Access.DELAYED else [])
    operation = {
        "operationId": endpoint.handle.__name__,
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint.request, endpoint.path) + (_NAMING if endpoint.is_repeatable else []),
        "security": security,
        "responses": answers,
    }
    if endpoint.body is not None:
        one = _body(endpoint.body)
        schema = {"type": "array", "items": one, "maxItems": HTTP_ESTIMATES_MAX} if endpoint.is_body_list else one
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation | ({"deprecated": True} if endpoint.is_deprecated else {})


def _error_schema(endpoint: Endpoint, status: int) -> Schema:
    # What is refused before the call is looked at has the shape of all errors.
    names = ["Error"]
    if endpoint.is_of_groups:
        names.append("GroupError")
    if endpoint.is_repeatable and status == 400:
        names.append("Repeated")
    parts = [{"$ref": _REFERENCE + name} for name in names]
    return parts[0] if len(parts) == 1 else {"anyOf": parts}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


# --- parameters -----------------------------------------------------------------------------------------


def _parameters(request: type[HttpRequest], path: str) -> list[Schema]:
    (_,), components = msgspec.json.schema_components([request], ref_template="{name}")
    in_path = set(re.findall(r"{(\w+)}", path))
    return [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in components[request.__name__].get("required", ()),
            "schema": _inlined(schema, components),
        }
        for name, schema in components[request.__name__]["properties"].items()
    ]


def _inlined(schema: Schema, components: dict[str, Schema]) -> Schema:
    """Put word lists in the place of their names; that a parameter may be left out is said elsewhere."""
    if "anyOf" in schema:
        (only,) = (part for part in schema["anyOf"] if part != {"type": "null"})
        return _inlined(only, components)
    if "$ref" in schema:
        words: Schema = {"type": "string", "enum": components[schema["$ref"]]["enum"]}
        return words | ({"default": schema["default"]} if "default" in schema else {})
    return schema


# --- bodies ---------------------------------------------------------------------------------------------

#: Stand in the path, in a header, or are said by the path.
_ELSEWHERE = frozenset({"guid", "orderId", "checkDuplicates"})


def _body(body: type[msgspec.Struct]) -> Schema:
    """Return the shape of a body; its exact bounds are checked, not described."""
    hints = get_type_hints(body)
    elsewhere = _ELSEWHERE if issubclass(body, WireRequest) else ()
    fields = [field for field in msgspec.structs.fields(body) if field.encode_name not in elsewhere]
    return {
        "type": "object",
        "properties": {field.encode_name: _body_value(hints[field.name]) for field in fields},
        "required": [field.encode_name for field in fields if field.required],
    }


def _body_value(annotation: Any) -> Schema:
    if get_origin(annotation) in (Union, UnionType):
        values = [_body_value(part) for part in get_args(annotation) if part is not UnsetType]
        return values[0] if len(values) == 1 else {"anyOf": values}
    if get_origin(annotation) is tuple:
        return {"type": "array", "items": _body_value(get_args(annotation)[0]), "minItems": 1}
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _body(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    return {"type": "string", "enum": [word.value for word in annotation]}


# --- answers --------------------------------------------------------------------------------------------


def _answer_schema(endpoint: Endpoint, schemas: dict[str, Schema]) -> Schema:
    answer = endpoint.answer
    if not issubclass(answer, Record):
        one = _PLAIN[answer]
    elif "format" in {field.name for field in msgspec.structs.fields(endpoint.request)}:
        one = {"anyOf": [_record(answer, message_format, schemas) for message_format in Format]}
    else:
        one = _record(answer, Format.SIMPLE, schemas)
    return {"type": "array", "items": one} if endpoint.is_list else one


def _record(record: type[Record], message_format: Format, schemas: dict[str, Schema]) -> Schema:
    """Return the reference to a record in a format, described on first use."""
    name = f"{record.__name__}{message_format}"
    if name not in schemas:
        fields = [(key, field.type) for field in fields_of(record) if (key := field.key(message_format))]
        schemas[name] = {}
        schemas[name] |= {
            "type": "object",
            "properties": {key: _value(annotation, message_format, schemas) for key, annotation in fields},
            "required": [key for key, annotation in fields if UnsetType not in get_args(annotation)],
            "additionalProperties": False,
        }
    return {"$ref": _REFERENCE + name}


def _value(annotation: Any, message_format: Format, schemas: dict[str, Schema]) -> Schema:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not UnsetType and part is not UNSET]
        values = [_value(part, message_format, schemas) for part in parts]
        return values[0] if len(values) == 1 else {"anyOf": values}
    if get_origin(annotation) is tuple:
        return {"type": "array", "items": _value(get_args(annotation)[0], message_format, schemas)}
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return _record(annotation, message_format, schemas)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    assert issubclass(annotation, Enum), f"{annotation} has no schema"
    # Words: lists may grow.
    return {"type": "string"}
