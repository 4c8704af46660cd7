"""docs/http.md against what is served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tapewire.gateway.http.endpoint import Endpoint
from tapewire.gateway.http.openapi import describe
from tapewire.gateway.http.routes import ENDPOINTS
from tapewire.protocol.codes import STATUS_WORDS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
#: Method and path → access, text of the query column, right.
ROWS = {
    (method or "GET", path): (access, query, right)
    for access, method, path, query, right in re.findall(
        r"^\| ([AT]) \| (?:([A-Z]+) \| )?`([^`]+)` \| (.*?) \| (?:(\w+) \| )?[^|]* \|$", DOCUMENT, re.MULTILINE
    )
}


def test_the_table_holds_what_is_served_and_nothing_else() -> None:
    assert set(ROWS) == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_rows_say_access_and_parameters(endpoint: Endpoint) -> None:
    access, query, right = ROWS[endpoint.method, endpoint.path]
    assert access == endpoint.access.value
    assert right == (endpoint.scope or "")
    described = describe([endpoint])["paths"][endpoint.path][endpoint.method.lower()]["parameters"]
    asked = [row for row in described if row["in"] == "query"]
    assert set(re.findall(r"`(\w+)`", query)) == {row["name"] for row in asked}
    assert set(re.findall(r"\*\*`(\w+)`\*\*", query)) == {row["name"] for row in asked if row["required"]}


def test_errors_have_the_codes_of_the_table() -> None:
    table = dict(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", DOCUMENT, re.MULTILINE))
    assert table == {str(status): word for status, word in STATUS_WORDS.items()}
