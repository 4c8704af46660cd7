"""HTTP that is late, and clients that do not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from tapewire.faults import FaultInjector, read_faults
from tapewire.faults.application import refusal_word
from tapewire.protocol.codes import STATUS_WORDS
from tapewire.simulation import VirtualClock, run_virtual

YEAR = 'by = "366d"'
LATE = f'[[fault]]\nkind = "delay"\non = "http"\n{YEAR}\n'
REFUSED = '[[fault]]\nkind = "refused"\non = "http"\n'
EXPIRED = '[[fault]]\nkind = "token-expiry"\nlife = "1s"\n'
#: ``{"sub":"P070001","iat":0,…}``, unsigned: faults read what a token says, good or not.
TOKEN = "e30.eyJzdWIiOiJQMDcwMDAxIiwiaWF0IjowLCJleHAiOjF9.c2ln"

Message = MutableMapping[str, Any]


async def plain(scope: Message, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def ask(faults: str, gone_after_s: float) -> tuple[float, list[str]]:
    """Ask once, hang up, and return when the application had ended and what it sent."""
    loop = asyncio.get_running_loop()
    app = FaultInjector(read_faults(faults), VirtualClock(loop)).application(plain)
    body = [{"type": "http.request", "body": b"x", "more_body": True}] * 3
    sent: list[str] = []

    async def receive() -> Message:
        if body:
            return body.pop()
        await asyncio.sleep(gone_after_s - loop.time())
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    await app({"type": "http", "path": "/md/v2/time", "client": ("h", 1), "headers": headers}, receive, send)
    return loop.time(), sent


@pytest.mark.parametrize(("faults", "is_asked"), [(LATE, True), (LATE + REFUSED, False), (LATE + EXPIRED, False)])
def test_what_is_late_ends_with_its_client(faults: str, is_asked: bool) -> None:
    async def main() -> tuple[float, list[str]]:
        return await ask(faults, 5.0)

    ended_s, sent = run_virtual(main)
    assert ended_s == pytest.approx(5)
    # What the application sends to a client that has gone is the server's to drop.
    assert bool(sent) is is_asked


@pytest.mark.parametrize("faults", [LATE, LATE + REFUSED, LATE + EXPIRED])
def test_a_client_that_waits_gets_its_answer_when_it_is_due(faults: str) -> None:
    async def main() -> tuple[float, list[str]]:
        return await ask(faults.replace(YEAR, 'by = "7s"'), 60.0)

    assert run_virtual(main) == (pytest.approx(7), ["http.response.start", "http.response.body"])


def test_what_is_late_can_be_cancelled() -> None:
    async def main() -> bool:
        task = asyncio.create_task(ask(LATE, 60.0))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert run_virtual(main)


def test_refusals_say_the_words_of_the_gateway() -> None:
    assert {status: refusal_word(status) for status in STATUS_WORDS} == STATUS_WORDS
    assert (refusal_word(503), refusal_word(504), refusal_word(502)) == ("Unavailable", "TimedOut", "BadGateway")
