"""Words of the other end: what they may not hold when they are told, and that every door makes them so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.client.command_result import Rejected
from tapewire.client.errors import NotSentError, RefusedError, TapewireError
from tapewire.client.foreign_text import TEXT_CHARACTERS_MAX, shown
from tapewire.simulation import run_virtual
from unit.client.stage import REFRESH_TOKEN, FakeHttp, Request, Stage, access_token, answer, staged

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJQMSJ9.c2lnbmF0dXJlIQ"
TERMINAL = "bye\n2026 ERROR forged \x1b[2J"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Invalid JWT token!", "Invalid JWT token!"),
        ("Недостаточно средств: 1\xa0000,50 ₽", "Недостаточно средств: 1 000,50 ₽"),
        ("", ""),
        ("a\nb\r\x1b[2J\0\u202e", r"a\nb\r\x1b[2J\x00\u202e"),
        ("\ud800", r"\ud800"),
        (f"no such token {TOKEN}.", "no such token ***."),
        (f'{{"token":"{TOKEN}"}}', '{"token":"***"}'),
        (f"Bearer {TOKEN[:40]} and", "Bearer *** and"),
        (f"…{TOKEN[20:]} and", "*** and"),
        (f"a {TOKEN[:15]} b", f"a {TOKEN[:15]} b"),
        (TOKEN * 2, "******"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 300 + "…"),
        ("\n" * 300, r"\n" * 150 + "…"),
        (f"{'x ' * 149}{TOKEN}", f"{'x ' * 149}**…"),
        ("x" * 10_000_000, "x" * 300 + "…"),
    ],
)
def test_it_is_short_harmless_and_without_secrets(text: str, expected: str) -> None:
    assert shown(text, (TOKEN, "", "t")) == expected


@given(st.text(), st.text())
def test_whatever_is_said_the_secret_is_not_in_it(before: str, after: str) -> None:
    told = shown(before + TOKEN + after, ("", TOKEN))
    assert not any(TOKEN[start : start + 16] in told for start in range(len(TOKEN) - 15))
    assert told.isprintable()
    assert len(told) <= TEXT_CHARACTERS_MAX + 1


# --- every door -----------------------------------------------------------------------------------------


def run(scenario: Callable[[Stage, list[str]], Awaitable[None]], caplog: pytest.LogCaptureFixture) -> None:
    """Run with the events that are told, then look for what must be nowhere."""
    heard: list[str] = []

    async def main() -> None:
        async with staged() as stage:

            async def listen() -> None:
                async for event in stage.client.events:
                    heard.append(f"{event!r} {event}")  # noqa: PERF401  (read meanwhile)

            listening = asyncio.create_task(listen())
            await asyncio.sleep(0)
            await scenario(stage, heard)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    with caplog.at_level(logging.INFO):
        run_virtual(main)
    for text in (*heard, caplog.text.replace("\n", "")):
        assert access_token(1)[:30] not in text
        assert REFRESH_TOKEN not in text
        assert "\x1b" not in text
    # What is told begins no line of its own.
    assert not any(line.startswith("2026 ERROR forged") for line in caplog.text.splitlines())


def repeats(code: int) -> Callable[[Request], list[bytes]]:
    return lambda request: [answer(request["guid"], code, f"{request['token']} {REFRESH_TOKEN} {TERMINAL}")]


def is_clean(error: TapewireError) -> bool:
    text = f"{error} {error!r} {error.args}"
    return "***" in text and access_token(1)[:30] not in text and "\x1b" not in text and "\n" not in text


def test_refused_streams_and_lost_connections(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(stage: Stage, heard: list[str]) -> None:
        stage.broker.reply = repeats(403)
        with pytest.raises(RefusedError) as caught:
            await stage.client.trades("TEST").open()
        assert is_clean(caught.value)

        stage.broker.reply = lambda request: [answer(request["guid"])]
        books = await stage.client.book("OTHER").open()
        stage.broker.peer.transport.close(4000, f"{access_token(1)[:90]} {TERMINAL}"[:120])
        # Until it is restored.
        await asyncio.sleep(60)
        (lost,) = (each for each in heard if each.startswith("LostEvent"))
        assert "***" in lost
        # After the grant, too.
        guid = stage.broker.subscribed[-1]
        stage.broker.send(answer(guid, 400, f"{access_token(1)} {TERMINAL}"))
        with pytest.raises(RefusedError) as caught:
            await anext(books)
        assert is_clean(caught.value)

    run(scenario, caplog)


def test_commands_and_what_stands_in_their_way(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(stage: Stage, heard: list[str]) -> None:
        desk = stage.broker.desk
        stage.http.listen("broker.test:443", FakeHttp())
        desk.reply_authorize = repeats(403)
        with pytest.raises(NotSentError) as caught:
            await stage.client.orders.limit("TEST", "buy", lots=1, price=Decimal(1), portfolio="D1")
        assert is_clean(caught.value)
        desk.reply_authorize = lambda request: [answer(request["guid"])]
        said = f"NotEnoughCash (401): {access_token(1)} {TERMINAL}"
        desk.reply_command = lambda request: [answer(request["guid"], 400, said)]
        result = await stage.client.orders.limit("TEST", "buy", lots=1, price=Decimal(1), portfolio="D1")
        assert isinstance(result, Rejected)
        assert (result.trading_code, result.reason[:25]) == (401, "NotEnoughCash (401): *** ")
        assert "\x1b" not in result.reason

    run(scenario, caplog)


def test_answers_over_http(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(stage: Stage, heard: list[str]) -> None:
        http = FakeHttp()
        stage.http.listen("broker.test:443", http)
        said = {"code": "X", "message": f"your header: Bearer {access_token(1)} {TERMINAL}"}
        http.answers["GET /md/v2/Clients/MOEX/D1/positions"] = 400, said
        with pytest.raises(RefusedError) as caught:
            await stage.client.portfolio("D1").positions()
        assert is_clean(caught.value)

    run(scenario, caplog)
