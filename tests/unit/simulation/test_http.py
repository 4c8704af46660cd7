"""HTTP in process: a real framework answers, and every fault is a ``ConnectError``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tapewire.ports.network import ConnectError
from tapewire.simulation import HttpAddress, SimulatedHttp, run_virtual


async def echo(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "url": str(request.url),
            "token": request.headers.get("authorization"),
            "body": (await request.body()).decode(),
        },
        status_code=201,
    )


async def stream(request: Request) -> Response:
    async def rows() -> AsyncIterator[bytes]:
        for number in range(3):
            await asyncio.sleep(1)
            yield b"%d;" % number

    return StreamingResponse(rows())


async def fail(request: Request) -> Response:
    raise LookupError("a bug in the server")


def run(scenario: Callable[[SimulatedHttp, HttpAddress], Coroutine[object, object, None]]) -> None:
    async def main() -> None:
        app = Starlette(
            routes=[
                Route("/echo/{rest:path}", echo, methods=["GET", "POST"]),
                Route("/stream", stream),
                Route("/fail", fail),
            ]
        )
        http = SimulatedHttp()
        await scenario(http, http.listen("api.test:443", app))

    run_virtual(main)


def test_a_request_reaches_the_application_whole() -> None:
    async def scenario(http: SimulatedHttp, address: HttpAddress) -> None:
        url = "https://api.test/echo/a%20b?x=1&y=%D1%8F"
        answer = await http.request("POST", url, headers={"Authorization": "Bearer t"}, body=b"hello", timeout_s=1)
        assert answer.status == 201
        assert json.loads(answer.body) == {
            "method": "POST",
            "url": url.replace("%20", " "),
            "token": "Bearer t",
            "body": "hello",
        }
        (seen,) = address.requests
        assert (seen.method, seen.url, seen.body) == ("POST", url, b"hello")
        assert "y=" not in repr(seen)

    run(scenario)


def test_a_streamed_answer_is_gathered_in_virtual_time() -> None:
    async def scenario(http: SimulatedHttp, address: HttpAddress) -> None:
        answer = await http.request("GET", "https://api.test/stream", timeout_s=10)
        assert answer == (200, b"0;1;2;", None)
        assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.1)

    run(scenario)


def test_a_status_of_the_application_is_an_answer() -> None:
    async def scenario(http: SimulatedHttp, address: HttpAddress) -> None:
        answer = await http.request("GET", "https://api.test/nowhere", timeout_s=1)
        assert answer.status == 404

    run(scenario)


def test_a_bug_of_the_application_comes_out() -> None:
    async def scenario(http: SimulatedHttp, address: HttpAddress) -> None:
        with pytest.raises(LookupError, match="bug in the server"):
            await http.request("GET", "https://api.test/fail", timeout_s=1)

    run(scenario)


@pytest.mark.parametrize(
    ("fault", "reason", "reached"),
    [
        (lambda address: address.unreachable(), "refused", 0),
        (lambda address: address.swallow(), "no answer within 2 s", 1),
        (lambda address: setattr(address, "delay_s", 3.0), "no answer within 2 s", 1),
    ],
)
def test_faults_are_connect_errors_until_restored(fault, reason: str, reached: int) -> None:
    async def scenario(http: SimulatedHttp, address: HttpAddress) -> None:
        fault(address)
        with pytest.raises(ConnectError, match=reason) as caught:
            await http.request("GET", "https://api.test/echo/?token=secret", timeout_s=2)
        assert "secret" not in str(caught.value)
        assert len(address.requests) == reached
        address.restore()
        assert (await http.request("GET", "https://api.test/echo/", timeout_s=2)).status == 201

    run(scenario)


def test_a_delay_within_the_timeout_is_waited_for() -> None:
    async def scenario(http: SimulatedHttp, address: HttpAddress) -> None:
        address.delay_s = 1.5
        await http.request("GET", "https://api.test/echo/", timeout_s=2)
        assert asyncio.get_running_loop().time() > 1.5

    run(scenario)


def test_scripted_answers_come_first_and_once() -> None:
    async def scenario(http: SimulatedHttp, address: HttpAddress) -> None:
        address.answer_next(429, retry_after_s=2.0)
        address.answer_next(200, b"{}")
        answers = [await http.request("GET", "https://api.test/echo/", timeout_s=2) for _ in range(3)]
        assert answers[:2] == [(429, b"", 2.0), (200, b"{}", None)]
        assert answers[2].status == 201

    run(scenario)


def test_strangers_and_closed_clients_are_connect_errors() -> None:
    async def scenario(http: SimulatedHttp, address: HttpAddress) -> None:
        for url in ("https://elsewhere/", "http://api.test/", "mailto:api.test"):
            with pytest.raises(ConnectError):
                await http.request("GET", url, timeout_s=1)
        await http.close()
        with pytest.raises(ConnectError, match="closed"):
            await http.request("GET", "https://api.test/echo/", timeout_s=1)

    run(scenario)


def test_an_address_is_taken_once() -> None:
    http = SimulatedHttp()
    http.listen("api.test:443", Starlette())
    with pytest.raises(ValueError, match="taken"):
        http.listen("api.test:443", Starlette())
