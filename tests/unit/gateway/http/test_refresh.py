"""The token service over HTTP, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

import pytest

from tapewire.gateway.http import http_application
from tapewire.gateway.order_entry import OrderEntry
from tapewire.gateway.tokens import TokenAuthority
from tapewire.ports.network import HttpAnswer
from tapewire.protocol.limits import HTTP_BODY_BYTES_MAX
from tapewire.protocol.tokens import claims_of
from tapewire.simulation import ScriptedVenue, SimulatedHttp, VirtualClock, run_virtual
from unit.gateway.world import KEY, OTHER_REFRESH, REFRESH, USERS

Ask = Callable[..., Coroutine[Any, Any, HttpAnswer]]


def application(clock: VirtualClock) -> Any:
    venue = ScriptedVenue([])
    return http_application(TokenAuthority(KEY, USERS, clock), clock, venue, orders=OrderEntry(venue))


def asked(method: str, path: str, body: object = b"", *, headers: dict[str, str] | None = None) -> HttpAnswer:
    """Make one request of a fresh application; a body that is no bytes is sent as JSON."""

    async def main() -> HttpAnswer:
        clock = VirtualClock()
        http = SimulatedHttp()
        http.listen("gateway:80", application(clock))
        await asyncio.sleep(0.9)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await http.request(method, f"http://gateway{path}", body=raw, headers=headers, timeout_s=5)

    return run_virtual(main)


def query(**fields: str) -> str:
    return "/refresh?" + urlencode(fields)


def portfolios(answer: HttpAnswer) -> tuple[str, ...]:
    assert answer.status == 200
    body = json.loads(answer.body)
    assert list(body) == ["AccessToken"]
    return claims_of(body["AccessToken"]).portfolio_list


def refused(answer: HttpAnswer, status: int) -> str:
    """Return the text of a refusal, which never holds what was sent."""
    assert answer.status == status
    body = json.loads(answer.body)
    assert set(body) == {"code", "message"}
    assert REFRESH.encode() not in answer.body
    return str(body["code"])


BOTH, NONE = ("D1", "G1"), ()


@pytest.mark.parametrize(
    ("path", "body", "granted"),
    [
        (query(token=REFRESH), b"", BOTH),
        (query(token=REFRESH), b" \r\n", BOTH),
        (query(token=REFRESH), {}, BOTH),
        (query(token=REFRESH), {"token": ""}, BOTH),
        (query(token=REFRESH), {"token": None}, BOTH),
        ("/refresh", {"token": REFRESH}, BOTH),
        ("/refresh", {"Token": REFRESH}, BOTH),
        ("/refresh", {"TOKEN": REFRESH, "other": [1]}, BOTH),
        ("/refresh?token=", {"Token": REFRESH}, BOTH),
        (query(token="wrong"), {"token": REFRESH}, BOTH),
        (query(token=OTHER_REFRESH), {"token": REFRESH}, BOTH),
        (query(token=REFRESH, allowedPortfolios='["D1"]'), b"", ("D1",)),
        (query(token=REFRESH, allowedPortfolios='["D2","G1"]'), b"", ("G1",)),
        (query(token=REFRESH, allowedPortfolios="[]"), b"", NONE),
        (query(token=REFRESH, allowedPortfolios=""), b"", BOTH),
        ("/refresh", {"token": REFRESH, "allowedPortfolios": ["D1"]}, ("D1",)),
        ("/refresh", {"Token": REFRESH, "AllowedPortfolios": ["G1", "D1"]}, BOTH),
        ("/refresh", {"token": REFRESH, "allowedPortfolios": []}, NONE),
        ("/refresh", {"token": REFRESH, "allowedPortfolios": None}, BOTH),
        # The token in one place, its limit in the other: never more is granted than was asked for.
        (query(token=REFRESH), {"allowedPortfolios": ["D1"]}, ("D1",)),
        (query(token=REFRESH), {"AllowedPortfolios": []}, NONE),
        (query(allowedPortfolios='["D1"]'), {"token": REFRESH}, ("D1",)),
        (query(allowedPortfolios='["D1"]'), {"token": REFRESH, "allowedPortfolios": ["G1"]}, ("G1",)),
    ],
)
def test_a_good_refresh_token_gets_an_access_token(path: str, body: object, granted: tuple[str, ...]) -> None:
    assert portfolios(asked("POST", path, body)) == granted


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/refresh", b""),
        ("/refresh", {}),
        ("/refresh?token=", {"token": ""}),
        ("/refresh", b"{"),
        ("/refresh", b"[]"),
        ("/refresh", b'"text"'),
        ("/refresh", b"\xff"),
        ("/refresh", b"[" * 50_000),
        (query(token=REFRESH), b"{"),
        (query(token=REFRESH), b"x=1"),
        ("/refresh", {"token": 5}),
        ("/refresh", {"token": [REFRESH]}),
        ("/refresh", {"token": REFRESH, "allowedPortfolios": "D1"}),
        ("/refresh", {"token": REFRESH, "allowedPortfolios": [1]}),
        (query(token=REFRESH), {"allowedPortfolios": "D1"}),
        (query(token=REFRESH, allowedPortfolios="D1"), b""),
        (query(token=REFRESH, allowedPortfolios="[1]"), b""),
        (query(token=REFRESH, allowedPortfolios="["), b""),
        (query(token=REFRESH, allowedPortfolios="[" * 20_000), b""),
        (query(allowedPortfolios="["), {"token": REFRESH}),
    ],
)
def test_what_cannot_be_read_or_names_no_token_is_a_bad_request(path: str, body: object) -> None:
    assert refused(asked("POST", path, body), 400) == "BadRequest"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (query(token="wrong"), b""),
        ("/refresh", {"token": "wrong"}),
        (query(token=REFRESH), {"token": "wrong"}),
        (query(token="\x00\udcff".encode("utf-8", "surrogatepass").decode("utf-8", "replace")), b""),
        ("/refresh?token=%ff%fe", b""),
    ],
)
def test_a_wrong_refresh_token_is_forbidden(path: str, body: object) -> None:
    assert refused(asked("POST", path, body), 403) == "Forbidden"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(method: str) -> None:
    assert refused(asked(method, query(token=REFRESH)), 405) == "MethodNotAllowed"


def test_a_refused_method_says_which_one_is_taken() -> None:
    async def main() -> dict[bytes, bytes]:
        clock = VirtualClock()
        started: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            started.append(message)

        scope = {"type": "http", "method": "GET", "path": "/refresh", "headers": [], "query_string": b""}
        await application(clock)(scope, receive, send)
        return dict(started[0]["headers"])

    assert run_virtual(main)[b"allow"] == b"POST"


def test_a_body_that_is_too_large_is_refused() -> None:
    body = {"token": REFRESH, "x": "x" * HTTP_BODY_BYTES_MAX}
    assert refused(asked("POST", "/refresh", body), 413) == "RequestTooLarge"


def test_an_unknown_path_is_not_found() -> None:
    assert refused(asked("GET", "/md/v2/nothing"), 404) == "NotFound"


def test_content_type_does_not_matter() -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
        assert portfolios(asked("POST", "/refresh", {"token": REFRESH}, headers={"Content-Type": kind})) == BOTH
