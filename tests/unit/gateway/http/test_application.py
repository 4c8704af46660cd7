"""Paths, methods, browsers, faults: what all endpoints have in common."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tapewire.gateway.http import application
from tapewire.gateway.http.market import MARKET_ENDPOINTS
from tapewire.gateway.http.routes import ENDPOINTS
from tapewire.ports.archive import ArchiveError
from tapewire.ports.venue import UnknownTopicError
from tapewire.simulation import ScriptedVenue
from unit.gateway.http.hall import Hall, run

TIME = "/md/v2/time"


@pytest.mark.parametrize(
    "path",
    [
        "/md/v2/Securities/MOEX/SBER/availableBoards",
        "/MD/V2/securities/moex/SBER/AVAILABLEBOARDS",
        "/md/v2/securities/Moex/SBER/availableboards/",
        "/md/v2/Securities/MOEX/SBER/availableBoards?jsonResponse=TRUE&unknown=1",
        "/md/v2/Securities/MOEX/SBER/availableBoards?JSONRESPONSE=false",
        "/md/v2/Securities/MOEX/SBER/availableBoards?jsonResponse=",
    ],
)
def test_letter_case_slash_and_unknown_parameters_do_not_matter(path: str) -> None:
    async def scenario(hall: Hall) -> None:
        reply = await hall.raw(path)
        assert (reply.status, reply.value) == (200, ["TQBR", "SMAL"])
        assert reply.headers["content-type"] == "application/json"

    run(scenario)


@pytest.mark.parametrize(
    "path", ["/", "/md", "/md/v2", "/md/v2/time//", "/md/v2/time/x", "/md/v2/Securities/a/b/c"]
)
def test_what_is_not_there_is_not_found(path: str) -> None:
    async def scenario(hall: Hall) -> None:
        reply = await hall.raw(path)
        assert (reply.status, reply.value["code"]) == (404, "NotFound")

    run(scenario)


@pytest.mark.parametrize("path", ["/ws", "/cws", "/WS/", "/ws?token=x"])
def test_a_socket_asked_by_plain_http_says_what_it_is(path: str) -> None:
    async def scenario(hall: Hall) -> None:
        reply = await hall.raw(path, token=None)
        assert (reply.status, reply.value) == (426, {"code": "UpgradeRequired", "message": "This is a WebSocket"})
        assert (reply.headers["upgrade"], reply.headers["connection"]) == ("websocket", "Upgrade")
        assert (await hall.raw("/wss")).status == 404

    run(scenario)


@pytest.mark.parametrize("endpoint", MARKET_ENDPOINTS, ids=lambda endpoint: endpoint.path)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_and_told_the_right_ones(endpoint: Any, method: str) -> None:
    async def scenario(hall: Hall) -> None:
        reply = await hall.raw(endpoint.path, method)
        assert (reply.status, reply.value["code"]) == (405, "MethodNotAllowed")
        assert {word.strip() for word in reply.headers["allow"].split(",")} == {"GET", "HEAD"}

    run(scenario)


def test_options_says_the_methods() -> None:
    async def scenario(hall: Hall) -> None:
        reply = await hall.raw(TIME, "OPTIONS")
        assert (reply.status, reply.body) == (204, b"")
        assert "GET" in reply.headers["allow"]

    run(scenario)


def test_browsers_may_ask_from_any_page_with_any_header() -> None:
    async def scenario(hall: Hall) -> None:
        asked = {
            "Origin": "https://page.test",
            "Access-Control-Request-Method": "DELETE",
            "Access-Control-Request-Headers": "authorization,x-reqid,x-anything",
        }
        reply = await hall.raw("/md/v2/history", "OPTIONS", asked, token=None)
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "DELETE" in reply.headers["access-control-allow-methods"]
        allowed = reply.headers["access-control-allow-headers"].replace(" ", "").lower().split(",")
        assert set(allowed) >= {"authorization", "x-reqid", "x-anything"}
        for path in (TIME, "/nothing", "/md/v2/orderbooks/MOEX/SBER"):
            reply = await hall.raw(path, headers={"Origin": "https://page.test"}, token=None)
            assert reply.headers["access-control-allow-origin"] == "*", path

    run(scenario)


def test_head_is_a_get_without_the_body() -> None:
    async def scenario(hall: Hall) -> None:
        whole, head = await hall.raw(TIME), await hall.raw(TIME, "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers == whole.headers
        missing = await hall.raw("/md/v2/Securities/MOEX/NONE", "HEAD")
        assert missing.status == 404

    run(scenario)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (UnknownTopicError("no stream"), 404, "NotFound"),
        (ArchiveError("the disk is gone"), 503, "Unavailable"),
    ],
)
def test_faults_of_the_venue_have_their_answers(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, status: int, code: str
) -> None:
    async def fail(*arguments: object) -> object:
        raise fault

    async def scenario(hall: Hall) -> None:
        monkeypatch.setattr(ScriptedVenue, "trades", fail)
        assert await hall.ask("/md/v2/Securities/MOEX/SBER/alltrades") == (
            status,
            {"code": code, "message": "no stream" if status == 404 else "The past cannot be read now"},
        )

    run(scenario)


def test_a_venue_that_is_silent_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.page_delays_s = (application.QUERY_DEADLINE_S + 1, 0.0)
        began = asyncio.get_running_loop().time()
        status, error = await hall.ask("/md/v2/Securities/MOEX/SBER/alltrades")
        assert (status, error["code"]) == (504, "TimedOut")
        assert asyncio.get_running_loop().time() - began == pytest.approx(application.QUERY_DEADLINE_S, abs=0.1)

    run(scenario)


def test_a_fault_of_ours_comes_out_for_the_log_and_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*arguments: object) -> object:
        raise LookupError("secret detail")

    async def scenario(hall: Hall) -> None:
        monkeypatch.setattr(ScriptedVenue, "trades", fail)
        with pytest.raises(LookupError):
            await hall.raw("/md/v2/Securities/MOEX/SBER/alltrades")

    run(scenario)


def test_the_description_names_every_endpoint() -> None:
    async def scenario(hall: Hall) -> None:
        description = await hall.get("/openapi.json", token=None)
        served = {(path, method.upper()) for path, methods in description["paths"].items() for method in methods}
        assert served == {(endpoint.path, endpoint.method) for endpoint in ENDPOINTS}

    run(scenario)
