"""The description against what is served."""

from __future__ import annotations

from typing import Any

import pytest

from tapewire.gateway.http.endpoint import Access
from tapewire.gateway.http.openapi import describe
from tapewire.gateway.http.routes import ENDPOINTS
from tapewire.protocol.tokens import Scope

DESCRIPTION = describe(ENDPOINTS)


def parameters(path: str) -> dict[str, Any]:
    return {row["name"]: row for row in DESCRIPTION["paths"][path]["get"]["parameters"]}


def test_parameters_say_bounds_defaults_and_words() -> None:
    book = parameters("/md/v2/orderbooks/{exchange}/{symbol}")
    assert book["depth"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 50, "default": 20}
    assert book["exchange"] == {
        "name": "exchange",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": ["MOEX", "SPBX"]},
    }
    assert book["format"]["schema"] == {"type": "string", "enum": ["Heavy", "Simple", "Slim"], "default": "Simple"}
    assert not book["instrumentGroup"]["required"]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_every_endpoint_says_who_may_ask_and_what_can_go_wrong(endpoint: Any) -> None:
    operation = DESCRIPTION["paths"][endpoint.path][endpoint.method.lower()]
    assert ({} in operation["security"]) == (endpoint.access is Access.DELAYED)
    assert {"200", "400", "401", "429"} <= operation["responses"].keys()
    assert all(row["required"] for row in operation["parameters"] if row["in"] == "path")


def test_every_reference_has_its_schema() -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                assert value["$ref"].removeprefix("#/components/schemas/") in DESCRIPTION["components"]["schemas"]
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(DESCRIPTION)
    assert {"SecuritySlim", "BarsHistoryHeavy", "BarSlim", "BookLevelSimple"} <= DESCRIPTION["components"][
        "schemas"
    ].keys()


@pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if each.method != "GET"], ids=lambda each: f"{each.method} {each.path}"
)
def test_whatever_changes_something_needs_the_right_to_trade(endpoint: Any) -> None:
    # Estimates are asked for with a body and change nothing.
    is_question = "/estimate" in endpoint.path
    assert endpoint.scope == (Scope.PERSONAL if is_question else Scope.ORDERS_CREATE)
