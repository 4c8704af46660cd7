"""A gateway with much to ask for over HTTP, as a process of its own; some of its books move, as in ``join``."""

from __future__ import annotations

import asyncio
import os
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec
import uvloop

from bench.books_server import (
    STILL_BID,
    Serving,
    authority,
    book,
    instruments,
    keep_moving,
    symbol,
    tokens_for,
)
from tapewire.adapters.clock import SystemClock
from tapewire.adapters.http_server import HttpServer, open_listener
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.http import Throttle
from tapewire.model import Bar, Instrument, StreamPosition, Topic, TopicKind
from tapewire.ports.clock import Clock
from tapewire.ports.query import BarNeighbours, BarsPage
from tapewire.ports.venue import Snapshot
from tapewire.simulation import ScriptedVenue

__all__ = ["BARS", "TARGETS", "Shelf"]

BARS = 5_000
#: Nobody is refused, and every request is counted as it is with the documented limit.
REQUESTS_PER_SECOND = 1_000_000
#: What is asked for, by the name of its figures.
TARGETS = {
    "quotes": f"/md/v2/Securities/MOEX:{symbol(0)}/quotes",
    "book": f"/md/v2/orderbooks/MOEX/{symbol(0)}?depth=20",
    "bars": f"/md/v2/history?symbol={symbol(0)}&exchange=MOEX&tf=60&from=0&to=9999999999",
}


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """How many instruments there are, and how many of their books move."""

    instruments: int = 1
    live: int = 0


class _ShelfVenue(ScriptedVenue):
    """Answers at once, from indexes, as the embedded venue does: the gateway is measured, not its venue."""

    def __init__(self, listed: Sequence[Instrument], clock: Clock) -> None:
        super().__init__(listed, clock=clock)
        self._listed = tuple(listed)
        self._by_symbol = {(instrument.key[:2]): instrument for instrument in listed}
        self._minutes = tuple(
            Bar(time_s=60 * number, open=300.1, high=301.25, low=299.5, close=300.75, volume=1_000 + number)
            for number in range(BARS)
        )

    def instruments(self) -> Sequence[Instrument]:
        return self._listed

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        found = self._by_symbol.get((exchange, symbol))
        return found if found is not None and board in ("", found.board) else None

    async def instrument_state(self, topic: Topic) -> Snapshot:
        return Snapshot(StreamPosition("epoch-1", 0), self._rules_of(topic))

    async def bars(self, topic: Topic, since_s: int, until_s: int, limit: int) -> BarsPage:
        first = bisect_left(self._minutes, since_s, key=_opening_s)
        behind = bisect_right(self._minutes, until_s, key=_opening_s)
        return BarsPage(StreamPosition("epoch-1", 0), self._minutes[max(first, behind - limit) : behind])

    async def bar_neighbours(self, topic: Topic, since_s: int, until_s: int) -> BarNeighbours:
        return BarNeighbours(None, None)


def _opening_s(bar: Bar) -> int:
    return bar.time_s


async def _serve(asked: Shelf) -> None:
    """Serve until standard input ends."""
    clock = SystemClock()
    listed = instruments(asked.instruments)
    venue = _ShelfVenue(listed, clock)
    topics = [venue.topic(TopicKind.BOOK, instrument) for instrument in listed[: max(1, asked.live)]]
    for topic in topics:
        venue.set_state(topic, book(STILL_BID))
    venue.set_quote(listed[0], 300.75, bid=300.7, ask=300.8)
    users = authority(2)
    gateway = Gateway(venue, venue, users, clock, commands=venue, throttle=Throttle(REQUESTS_PER_SECOND))
    listener = open_listener("127.0.0.1", 0)
    server = HttpServer(gateway.http, gateway.accept, listener)
    await server.start()
    moving = asyncio.create_task(keep_moving(venue, topics)) if asked.live else None
    serving = Serving(port=listener.getsockname()[1], pid=os.getpid(), tokens=tokens_for(users, 2))
    print(msgspec.json.encode(serving).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    if moving is not None:
        moving.cancel()
    await gateway.close()
    await server.stop()


if __name__ == "__main__":
    uvloop.run(_serve(msgspec.json.decode(sys.argv[1], type=Shelf)))
