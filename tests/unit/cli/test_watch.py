"""Streams written as JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tapewire.cli.streams import StreamName, StreamOptions
from tapewire.cli.watch import write_lines
from tapewire.client.buffer import Fail
from tapewire.client.errors import ConnectionLostError, RefusedError
from tapewire.client.gap import Gap, GapState
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.model import Book, Exchange, Trade
from tapewire.protocol.formats import codec
from tapewire.protocol.requests import SubscribeBook, SubscribeTrades
from tapewire.protocol.words import Format

BOOK, TRADES = StreamName("book", "SBER"), StreamName("trades", "SBER", "TQBR")


class Owner:
    """Grants everything, or refuses everything."""

    def __init__(self, refusal: RefusedError | None = None) -> None:
        self.refusal = refusal

    async def open(self, subscription: Subscription[Any]) -> None:
        subscription.moved(SubscriptionState.PENDING)
        if self.refusal is not None:
            subscription.refused(self.refusal)
            raise self.refusal
        subscription.moved(SubscriptionState.ACTIVE)

    def release(self, subscription: Subscription[Any]) -> None:
        pass

    def now(self) -> datetime:
        return datetime(2026, 1, 12, tzinfo=UTC)


class FakeBroker:
    """One book and one tape, filled by the test."""

    def __init__(self, refusal: RefusedError | None = None) -> None:
        owner = Owner(refusal)
        book = SubscribeBook(guid="", code="SBER", exchange=Exchange.MOEX)
        tape = SubscribeTrades(guid="", code="SBER", exchange=Exchange.MOEX)
        self.books: Subscription[Book] = Subscription(book, codec(Book, Format.SLIM), Fail(), "book:SBER", owner)
        self.tape: Subscription[Trade] = Subscription(
            tape, codec(Trade, Format.SLIM), Fail(), "trades:SBER", owner
        )

    def book(self, symbol: str, **chosen: object) -> Subscription[Book]:
        return self.books

    def trades(self, symbol: str, **chosen: object) -> Subscription[Trade]:
        return self.tape


class Lines:
    """Standard output, read back."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)

    def all(self) -> list[Any]:
        return [msgspec.json.decode(line) for line in os.read(self._reader, 1 << 20).splitlines()]

    def close(self) -> None:
        os.close(self._reader)
        os.close(self.writer)

    def fileno(self) -> int:
        return self.writer


@pytest.fixture
def lines() -> Iterator[Lines]:
    output = Lines()
    yield output
    output.close()


def trade(number: int) -> bytes:
    return b'{"data":{"id":%d,"px":10.5,"q":1,"s":"buy"},"guid":"x"}' % number


def write(lines: Any, broker: Any, names: list[StreamName], count: int | None) -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await write_lines(broker, names, StreamOptions(), count)

    with contextlib.redirect_stdout(lines):
        asyncio.run(main())


def test_a_line_is_the_name_and_the_fields_in_the_simple_spelling(lines: Lines) -> None:
    broker = FakeBroker()
    broker.tape.buffer.put(trade(1))
    write(lines, broker, [TRADES], 1)
    assert lines.all() == [{"stream": "trades:SBER@TQBR", "id": 1, "price": 10.5, "qty": 1, "side": "buy"}]


@pytest.mark.parametrize("count", [1, 5, 150])
def test_exactly_as_many_lines_as_asked_for_are_written(lines: Lines, count: int) -> None:
    broker = FakeBroker()
    for number in range(400):
        broker.tape.buffer.put(trade(number))
    write(lines, broker, [TRADES], count)
    assert [line["id"] for line in lines.all()] == list(range(count))


def test_a_record_without_any_field_is_still_a_line_of_json(lines: Lines) -> None:
    broker = FakeBroker()
    broker.tape.buffer.put(b'{"data":{},"guid":"x"}')
    write(lines, broker, [TRADES], 1)
    assert lines.all() == [{"stream": "trades:SBER@TQBR"}]


def test_a_name_with_odd_characters_is_escaped(lines: Lines) -> None:
    broker = FakeBroker()
    broker.tape.buffer.put(trade(1))
    write(lines, broker, [StreamName("trades", 'S"я\n')], 1)
    assert lines.all()[0]["stream"] == 'trades:S"я\n'


def test_several_streams_share_the_count(lines: Lines) -> None:
    broker = FakeBroker()
    for number in range(5):
        broker.tape.buffer.put(trade(number))
        broker.books.buffer.put(b'{"data":{"b":[],"a":[],"t":%d,"h":false},"guid":"x"}' % number)
    write(lines, broker, [BOOK, TRADES], 7)
    assert len(lines.all()) == 7


def test_what_could_not_be_fetched_is_a_line_in_its_place(lines: Lines) -> None:
    broker = FakeBroker()
    missed = Gap(
        stream="trades:SBER",
        since=datetime(2026, 1, 12, 7, tzinfo=UTC),
        until=datetime(2026, 1, 12, 7, 0, 3, tzinfo=UTC),
        cause="the connection was lost (1006)",
        state=GapState.LEFT,
        reason="no answer",
    )
    for item in (trade(1), missed, missed, trade(2)):
        (broker.tape.buffer.put if isinstance(item, bytes) else broker.tape.buffer.put_object)(item)
    write(lines, broker, [TRADES], 4)
    first, gap, again, last = lines.all()
    assert (first["id"], last["id"]) == (1, 2)
    assert (
        gap
        == again
        == {
            "stream": "trades:SBER@TQBR",
            "gap": {
                "since": "2026-01-12T07:00:00Z",
                "until": "2026-01-12T07:00:03Z",
                "cause": "the connection was lost (1006)",
                "reason": "no answer",
            },
        }
    )


def test_a_stream_that_is_lost_ends_the_program_after_what_was_received(lines: Lines) -> None:
    broker = FakeBroker()
    broker.tape.buffer.put(trade(1))
    broker.tape.buffer.end(ConnectionLostError(1006, ""))
    with pytest.raises(ExceptionGroup) as caught:
        write(lines, broker, [BOOK, TRADES], None)
    assert caught.group_contains(ConnectionLostError)
    assert [line["id"] for line in lines.all()] == [1]
    assert broker.books.state is SubscriptionState.CLOSED


def test_a_refused_stream_ends_the_program_before_any_line(lines: Lines) -> None:
    with pytest.raises(RefusedError):
        write(lines, FakeBroker(RefusedError(404, "no")), [BOOK, TRADES], None)
