"""The door to the broker's HTTP, on virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tapewire.client.errors import ClosedError, LimitError
from tapewire.client.http_gate import REQUESTS_AT_ONCE_MAX, REQUESTS_WAITING_MAX, HttpGate
from tapewire.ports.network import ConnectError, HttpAnswer
from tapewire.simulation import run_virtual


class Server:
    """Answers after a second, and knows how many it was asked at once."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.at_once = self.at_once_max = 0
        self.answers: list[HttpAnswer] = []
        self.is_closed = False

    async def request(self, method: str, url: str, **more: Any) -> HttpAnswer:
        self.asked.append((asyncio.get_running_loop().time(), f"{method} {url}"))
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            await asyncio.sleep(1)
        finally:
            self.at_once -= 1
        return self.answers.pop(0) if self.answers else HttpAnswer(200, b"")

    async def close(self) -> None:
        self.is_closed = True


def run(scenario: Callable[[HttpGate, Server], Awaitable[None]]) -> None:
    async def main() -> None:
        server = Server()
        gate = HttpGate(server, random.Random(1))
        await scenario(gate, server)
        assert repr(gate) == "<HttpGate 0 under way, 0 waiting>"

    run_virtual(main)


def ask(gate: HttpGate, url: str = "/", method: str = "GET") -> asyncio.Task[HttpAnswer]:
    return asyncio.create_task(gate.request(method, url, timeout_s=10))


def test_few_are_asked_at_once_and_all_are_answered_in_their_order() -> None:
    async def scenario(gate: HttpGate, server: Server) -> None:
        asking = [ask(gate, f"/{number}") for number in range(50)]
        assert {answer.status for answer in await asyncio.gather(*asking)} == {200}
        assert server.at_once_max == REQUESTS_AT_ONCE_MAX
        assert [what for _, what in server.asked] == [f"GET /{number}" for number in range(50)]

    run(scenario)


def test_what_changes_something_goes_before_what_waits_and_is_made_once() -> None:
    async def scenario(gate: HttpGate, server: Server) -> None:
        asking = [ask(gate) for _ in range(30)]
        await asyncio.sleep(0.5)
        server.answers = [HttpAnswer(200, b"")] * REQUESTS_AT_ONCE_MAX + [HttpAnswer(429, b"", 1.0)]
        answer = await ask(gate, "/all", "DELETE")
        assert answer.status == 429
        assert server.asked[REQUESTS_AT_ONCE_MAX][1] == "DELETE /all"
        await asyncio.gather(*asking)
        assert sum("DELETE" in what for _, what in server.asked) == 1

    run(scenario)


@pytest.mark.parametrize(
    ("said", "pause_s"),
    [(HttpAnswer(429, b"", 3.0), 3.0), (HttpAnswer(429, b""), 1.0), (HttpAnswer(503, b"", 2.0), 2.0)],
)
def test_a_reading_is_made_again_when_the_broker_wants_it(said: HttpAnswer, pause_s: float) -> None:
    async def scenario(gate: HttpGate, server: Server) -> None:
        server.answers = [said]
        asking = [ask(gate, "/a")]
        await asyncio.sleep(1.1)
        asking.append(ask(gate, "/b"))
        assert {answer.status for answer in await asyncio.gather(*asking)} == {200}
        (began_s, _), *later = server.asked
        # The other reading leaves the broker alone as well; its answer had come after a second.
        assert all(began_s + 1 + pause_s <= at_s <= began_s + 1.5 + pause_s for at_s, _ in later)
        assert len(later) == 2

    run(scenario)


@pytest.mark.parametrize(
    ("said", "asked"),
    [(HttpAnswer(429, b"", 600.0), 1), (HttpAnswer(503, b""), 1), (HttpAnswer(429, b"", 1.0), 4)],
)
def test_what_does_not_pass_soon_is_the_callers_to_wait_for(said: HttpAnswer, asked: int) -> None:
    async def scenario(gate: HttpGate, server: Server) -> None:
        server.answers = [said] * 10
        assert await ask(gate) == said
        assert len(server.asked) == asked

    run(scenario)


def test_too_many_that_wait_are_refused_and_it_passes() -> None:
    async def scenario(gate: HttpGate, server: Server) -> None:
        asking = [ask(gate) for _ in range(REQUESTS_AT_ONCE_MAX + REQUESTS_WAITING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(LimitError, match="requests over HTTP that wait: 1001") as caught:
            await ask(gate)
        assert caught.value.retriable
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert (await ask(gate)).status == 200

    run(scenario)


def test_who_gives_up_gives_its_turn_to_the_next() -> None:
    async def scenario(gate: HttpGate, server: Server) -> None:
        first = [ask(gate, "/first") for _ in range(REQUESTS_AT_ONCE_MAX)]
        second, third = ask(gate, "/second"), ask(gate, "/third")
        await asyncio.wait([first[0]])
        # Its turn has just come, or is just about to.
        second.cancel()
        assert (await third).status == 200
        await asyncio.gather(*first, second, return_exceptions=True)

    run(scenario)


@pytest.mark.parametrize(("method", "kind"), [("GET", ClosedError), ("DELETE", ConnectError)])
def test_a_reading_that_is_under_way_is_closed_and_a_change_has_got_no_answer(
    method: str, kind: type[Exception]
) -> None:
    class Cut(Server):
        async def request(self, method: str, url: str, **more: Any) -> HttpAnswer:
            await super().request(method, url, **more)
            raise ConnectError("the HTTP client is closed")

    async def main() -> None:
        gate = HttpGate(Cut(), random.Random(1))
        asking = ask(gate, method=method)
        await asyncio.sleep(0.5)
        await gate.close()
        with pytest.raises(kind):
            await asking

    run_virtual(main)


def test_closed_it_lets_nobody_wait() -> None:
    async def scenario(gate: HttpGate, server: Server) -> None:
        asking = [ask(gate) for _ in range(REQUESTS_AT_ONCE_MAX + 1)]
        await asyncio.sleep(0.5)
        await gate.close()
        for refused in (asking[-1], ask(gate)):
            with pytest.raises(ClosedError, match="closed"):
                await refused
        assert server.is_closed
        await asyncio.gather(*asking[:-1])

    run(scenario)
