"""The HTTP side of the code against the machine-readable reference, where it lies beside the project."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from tapewire.gateway.http.endpoint import Access, Endpoint
from tapewire.gateway.http.openapi import describe
from tapewire.gateway.http.routes import ENDPOINTS
from tapewire.model import (
    BarsHistory,
    Book,
    CurrencyPair,
    DerivativesRisk,
    Fill,
    Order,
    OrderEstimate,
    Position,
    Quote,
    Record,
    Risk,
    RiskRate,
    Security,
    StopOrder,
    Summary,
    Trade,
)
from tapewire.protocol.formats import fields_of
from tapewire.protocol.words import Format

REFERENCE = Path(__file__).parents[3] / "shared" / "protocol" / "http.json"

pytestmark = pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference is not beside the project")

MODELS: dict[str, type[Record]] = {
    "Security": Security,
    "Symbol": Quote,
    "OrderBook": Book,
    "AllTrade": Trade,
    "History": BarsHistory,
    "RiskRate": RiskRate,
    "CurrencyPair": CurrencyPair,
    "Order": Order,
    "StopOrder": StopOrder,
    "Trade": Fill,
    "Position": Position,
    "Summary": Summary,
    "Risk": Risk,
    "FortsRisk": DerivativesRisk,
    "EstimateOrder": OrderEstimate,
}
#: Seen on the wire by clients; the tables of HTTP do not have them.
BEYOND_THE_TABLES = {("Trade", "eid"), ("Summary", "derivativesDebt"), ("DerivativesRisk", "derivativesDebt")}


def load() -> Any:
    return json.loads(REFERENCE.read_text())


def keys(record: type[Record], message_format: Format) -> list[str]:
    """Return the keys of a record and of what is in its arrays, as the reference writes them."""
    found = []
    for field in fields_of(record):
        key = field.key(message_format)
        if key is None or (record.__name__, key) in BEYOND_THE_TABLES:
            continue
        found.append(key)
        inner = find_record(field.type)
        if inner is not None:
            dot = "[]." if get_origin(field.type) is tuple else "."
            found += [f"{key}{dot}{name}" for name in keys(inner, message_format)]
    return found


def find_record(annotation: Any) -> type[Record] | None:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    return next((found for part in get_args(annotation) if (found := find_record(part))), None)


@pytest.mark.parametrize("message_format", Format)
@pytest.mark.parametrize("name", MODELS)
def test_models_have_exactly_the_keys_of_the_reference(name: str, message_format: Format) -> None:
    rows = [key for row in load()["models"][name] if (key := row[message_format.lower()])]
    found = keys(MODELS[name], message_format)
    # The reference lists the fields in the order of its prose; only the set is the contract.
    assert sorted(found) == sorted(rows)


def entry_of(endpoint: Endpoint) -> dict[str, Any]:
    wanted = endpoint.method, endpoint.path
    return next(entry for entry in load()["endpoints"] if (entry["method"], entry["path"]) == wanted)


def operation_of(endpoint: Endpoint) -> Any:
    return describe([endpoint])["paths"][endpoint.path][endpoint.method.lower()]


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_endpoints_take_exactly_the_parameters_of_the_reference(endpoint: Endpoint) -> None:
    entry = entry_of(endpoint)
    described = operation_of(endpoint)["parameters"]
    rows = {row["name"]: row for row in entry["params"]}
    assert {row["name"]: row["in"] for row in described} == {name: row["in"] for name, row in rows.items()}
    for row in described:
        asked, schema = rows[row["name"]], row["schema"]
        # Programs leave it out, the broker's own among them.
        assert row["required"] == (asked["required"] and row["name"] != "X-REQID"), row["name"]
        if "enum" in asked:
            # The reference has one exchange for futures; the other one is answered with 404.
            assert set(schema["enum"]) >= set(asked["enum"]), row["name"]
        for bound in ("minimum", "maximum", "default"):
            if bound in asked:
                assert schema[bound] == asked[bound], row["name"]
        kind = re.sub(r"\d+", "", asked["type"])
        kinds = {"int": "integer", "decimal": "number", "boolean": "boolean", "string": "string"}
        assert schema["type"] == kinds[kind], row["name"]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_access_is_that_of_the_reference(endpoint: Endpoint) -> None:
    entry = entry_of(endpoint)
    expected = {"token": Access.TOKEN, "anonymous-delayed": Access.DELAYED}
    assert endpoint.access is expected[entry["access"]]
    assert endpoint.is_deprecated == entry["deprecated"]


def test_every_endpoint_is_served() -> None:
    wanted = {(entry["method"], entry["path"]) for entry in load()["endpoints"]}
    assert {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS} == wanted - {("POST", "/refresh")}


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.body is not None], ids=name_of)
def test_bodies_have_the_fields_of_the_reference(endpoint: Endpoint) -> None:
    (content,) = operation_of(endpoint)["requestBody"]["content"].values()
    schema = content["schema"]
    assert (schema["type"] == "array") == entry_of(endpoint).get("bodyIsArray", False)
    described = set(fields_in(schema["items"] if schema["type"] == "array" else schema))
    rows = {row["name"].casefold() for row in entry_of(endpoint)["body"]}
    # Old calls: the end has another name, the condition follows from side and call, margin came later.
    if endpoint.is_deprecated:
        rows = {row.replace("orderendunixtime", "stopendunixtime") for row in rows}
        rows -= {"user.account"} | ({"icebergvariance"} if endpoint.method == "PUT" else set())
    assert rows <= described


def fields_in(schema: Any) -> list[str]:
    """Return the names of all fields, folded, as the reference writes them."""
    found = []
    for name, value in schema["properties"].items():
        found.append(name.casefold())
        inner = value.get("items", value)
        if "properties" in inner:
            dot = "[]." if "items" in value else "."
            found += [f"{name.casefold()}{dot}{each}" for each in fields_in(inner)]
    return found
