"""docs/http.md against what is served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tapewire.gateway.http.endpoint import Endpoint
from tapewire.gateway.http.market import MARKET_ENDPOINTS
from tapewire.gateway.http.openapi import describe
from tapewire.protocol.codes import STATUS_WORDS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
#: Path → access and text of the query column.
ROWS = {
    path: (access, query)
    for access, path, query in re.findall(r"^\| ([AT]) \| `([^`]+)` \| (.*?) \| .* \|$", DOCUMENT, re.MULTILINE)
}


def test_the_table_holds_what_is_served_and_nothing_else() -> None:
    assert set(ROWS) == {endpoint.path for endpoint in MARKET_ENDPOINTS}


@pytest.mark.parametrize("endpoint", MARKET_ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_rows_say_access_and_parameters(endpoint: Endpoint) -> None:
    access, query = ROWS[endpoint.path]
    assert access == endpoint.access.value
    described = describe([endpoint])["paths"][endpoint.path]["get"]["parameters"]
    asked = [row for row in described if row["in"] == "query"]
    assert set(re.findall(r"`(\w+)`", query)) == {row["name"] for row in asked}
    assert set(re.findall(r"\*\*`(\w+)`\*\*", query)) == {row["name"] for row in asked if row["required"]}


def test_errors_have_the_codes_of_the_table() -> None:
    table = dict(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", DOCUMENT, re.MULTILINE))
    assert table == {str(status): word for status, word in STATUS_WORDS.items()}
