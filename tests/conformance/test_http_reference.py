"""The HTTP side of the code against the machine-readable reference, where it lies beside the project."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from tapewire.gateway.http.endpoint import Access, Endpoint
from tapewire.gateway.http.market import MARKET_ENDPOINTS
from tapewire.gateway.http.openapi import describe
from tapewire.model import (
    BarsHistory,
    Book,
    CurrencyPair,
    Quote,
    Record,
    RiskRate,
    Security,
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
}
#: Seen on the data socket by two clients; the tables of HTTP do not have it.
BEYOND_THE_TABLES = {"eid"}


def load() -> Any:
    return json.loads(REFERENCE.read_text())


def keys(record: type[Record], message_format: Format) -> list[str]:
    """Return the keys of a record and of what is in its arrays, as the reference writes them."""
    found = []
    for field in fields_of(record):
        key = field.key(message_format)
        if key is None or key in BEYOND_THE_TABLES:
            continue
        found.append(key)
        inner = find_record(field.type)
        if inner is not None:
            found += [f"{key}[].{name}" for name in keys(inner, message_format)]
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


def endpoint_of(path: str) -> dict[str, Any]:
    return next(entry for entry in load()["endpoints"] if (entry["method"], entry["path"]) == ("GET", path))


@pytest.mark.parametrize("endpoint", MARKET_ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_endpoints_take_exactly_the_parameters_of_the_reference(endpoint: Endpoint) -> None:
    entry = endpoint_of(endpoint.path)
    described = describe([endpoint])["paths"][endpoint.path]["get"]["parameters"]
    rows = {row["name"]: row for row in entry["params"]}
    assert {row["name"]: row["in"] for row in described} == {name: row["in"] for name, row in rows.items()}
    for row in described:
        asked, schema = rows[row["name"]], row["schema"]
        assert row["required"] == asked["required"], row["name"]
        if "enum" in asked:
            # The reference has one exchange for futures; the other one is answered with 404.
            assert set(schema["enum"]) >= set(asked["enum"]), row["name"]
        for bound in ("minimum", "maximum", "default"):
            if bound in asked:
                assert schema[bound] == asked[bound], row["name"]
        kind = re.sub(r"\d+", "", asked["type"])
        kinds = {"int": "integer", "decimal": "number", "boolean": "boolean", "string": "string"}
        assert schema["type"] == kinds[kind], row["name"]


@pytest.mark.parametrize("endpoint", MARKET_ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_access_is_that_of_the_reference(endpoint: Endpoint) -> None:
    entry = endpoint_of(endpoint.path)
    expected = {"token": Access.TOKEN, "anonymous-delayed": Access.DELAYED}
    assert endpoint.access is expected[entry["access"]]
    assert endpoint.is_deprecated == entry["deprecated"]


def test_every_endpoint_of_the_market_is_served() -> None:
    wanted = re.compile(r"/md/v2/(Securities|orderbooks|time|risk/rates|history$)|/md/status/")
    paths = {entry["path"] for entry in load()["endpoints"] if wanted.match(entry["path"])}
    assert {endpoint.path for endpoint in MARKET_ENDPOINTS} == paths
