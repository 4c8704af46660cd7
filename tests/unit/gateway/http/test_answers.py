"""Long answers: encoded in chunks, with other tasks between them."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import msgspec
import pytest

from tapewire.gateway.http.answers import ROWS_AT_ONCE_MAX, error_answer, made_answer, rows_answer
from tapewire.model import Bar, BarsHistory
from tapewire.protocol.words import Format
from tapewire.simulation import run_virtual
from unit.gateway.http.hall import FAR, GAZP, SBER, START_S, Hall, bar, run

COUNT = 10 * ROWS_AT_ONCE_MAX + 7


def test_other_tasks_run_between_the_chunks_of_a_long_answer() -> None:
    async def scenario(hall: Hall) -> None:
        topic = hall.minutes(SBER)
        hall.venue.set_past_bars(topic, [bar(START_S - 60 * n) for n in range(COUNT)])
        turns = 0

        async def live() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        feed = asyncio.create_task(live())
        path = f"/md/v2/history?symbol=SBER&exchange=MOEX&tf=60&from=0&to={START_S}"
        reply = await hall.raw(path)
        feed.cancel()
        assert len(reply.value["history"]) == COUNT
        assert turns >= COUNT // ROWS_AT_ONCE_MAX
        # A chunk a part, and what the rows stand in.
        assert len(reply.parts) == COUNT // ROWS_AT_ONCE_MAX + 1 + 2
        assert max(part.count(b'"time"') for part in reply.parts) == ROWS_AT_ONCE_MAX
        assert "content-length" not in reply.headers
        assert reply.headers["content-type"] == "application/json"
        head = await hall.raw(path, "HEAD")
        assert (head.status, head.body, "content-length" in head.headers) == (200, b"", False)

    run(scenario)


def test_long_answers_of_many_at_once_are_all_whole() -> None:
    async def scenario(hall: Hall) -> None:
        for index, listed in enumerate((SBER, GAZP, FAR)):
            hall.venue.set_past_bars(hall.minutes(listed), [bar(60 * n, 10.0 + index) for n in range(COUNT)])
        query = {"exchange": "MOEX", "tf": 60, "from": 0, "to": START_S}
        asked = [hall.get("/md/v2/history", symbol=listed.symbol, **query) for listed in (SBER, GAZP, FAR)]
        for index, answer in enumerate(await asyncio.gather(*asked)):
            assert {row["close"] for row in answer["history"]} == {10.0 + index}
            assert len(answer["history"]) == COUNT

    run(scenario)


@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE_MAX, ROWS_AT_ONCE_MAX + 1, 3 * ROWS_AT_ONCE_MAX])
@pytest.mark.parametrize("wrapper", [None, BarsHistory(bars=(), next_s=5, previous_s=None)])
def test_the_parts_make_the_whole(count: int, wrapper: BarsHistory | None) -> None:
    async def main() -> bytes:
        sent = bytearray()

        async def receive() -> dict[str, object]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: object) -> None:
            assert isinstance(message, dict)
            sent.extend(message.get("body", b""))

        rows = [bar(n) for n in range(count)]
        await rows_answer(Bar, rows, Format.SLIM, wrapper=wrapper)({"type": "http"}, receive, send)
        return bytes(sent)

    value = json.loads(run_virtual(main))
    if wrapper is not None:
        assert (value["next"], value["prev"]) == (5, None)
        value = value["history"]
    assert [row["t"] for row in value] == list(range(count))


@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE_MAX, ROWS_AT_ONCE_MAX + 1, 3 * ROWS_AT_ONCE_MAX])
def test_rows_that_are_made_while_they_are_sent_make_the_whole(count: int) -> None:
    async def main() -> tuple[list[int], list[int]]:
        made: list[int] = []
        made_before_part: list[int] = []
        sent = bytearray()

        async def make(number: int) -> Bar:
            made.append(number)
            return bar(number)

        async def receive() -> dict[str, object]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: object) -> None:
            assert isinstance(message, dict)
            if message["type"] == "http.response.body":
                made_before_part.append(len(made))
                sent.extend(message.get("body", b""))

        answer = await made_answer(Bar, range(count), make, Format.SLIM)
        await answer({"type": "http"}, receive, send)
        assert made == list(range(count))
        return [row["t"] for row in json.loads(bytes(sent))], made_before_part

    times, made_before_part = run_virtual(main)
    assert times == list(range(count))
    if count > ROWS_AT_ONCE_MAX:
        assert made_before_part[0] == 1
        steps = [newer - older for older, newer in pairwise(made_before_part)]
        assert max(steps) <= ROWS_AT_ONCE_MAX
    else:
        assert made_before_part == [count]


def test_large_rows_go_in_smaller_chunks() -> None:
    async def scenario(hall: Hall) -> None:
        listed = [
            msgspec.structs.replace(SBER, symbol=f"S{number}", description="x" * 5000) for number in range(600)
        ]
        hall.venue._instruments = {instrument.key: instrument for instrument in listed}
        reply = await hall.raw("/md/v2/Securities/MOEX")
        assert [row["symbol"] for row in reply.value] == [instrument.symbol for instrument in listed]
        assert max(map(len, reply.parts)) < 128 * 1024

    run(scenario)


def test_an_error_has_a_code_and_a_message() -> None:
    answer = error_answer(404, "Unknown thing")
    assert (answer.status_code, answer.body) == (404, b'{"code":"NotFound","message":"Unknown thing"}')
