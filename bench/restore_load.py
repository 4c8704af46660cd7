"""The load of ``restore``: a tapewire client with thousands of streams whose connections are cut."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import msgspec
import uvloop

import tapewire
from bench.restore_server import Brokerage, Seen
from tapewire import Book, Endpoints, Risk, Subscription, SubscriptionState, Trade
from tapewire.client.gap import Gap
from tapewire.client.planner import DATA_LINKS_MAX
from tapewire.protocol.limits import SUBSCRIPTIONS_PER_CONNECTION_MAX

__all__ = ["RestoreLoad", "RestoreReading"]

#: Of the streams, so many are tapes, on which a lost trade shows; the others are states.
TAPES = 100
#: One of the connections for data is kept for what concerns portfolios: beyond this, streams are of risks.
MARKET_STREAMS_MAX = (DATA_LINKS_MAX - 1) * SUBSCRIPTIONS_PER_CONNECTION_MAX
TIMEOUT_S = 60.0
#: Trades that are read behind the restored ones, so that each tape is seen to go on.
TRADES_AFTER = 5
_LOOK_EVERY_S = 0.01


class RestoreLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How many streams, at whom."""

    brokerage: Brokerage
    streams: int


class RestoreReading(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen."""

    connections: int
    #: From the first call to the last grant.
    open_s: float
    #: From the cut until every stream flows again, the pause before connecting with it.
    restore_s: float
    #: The part of it from the cut until every connection had been opened and everything asked for was answered.
    answered_s: float
    cpu_seconds: float
    unanswered_max: int
    burst_max: int
    #: Streams of states whose state did not come again.
    without_state: int
    gaps_filled: int
    gaps_left: int
    #: Trades that did not come and that no gap tells of.
    lost_silently: int
    repeated: int


class Tape:
    """Reads one tape, and knows which numbers it has missed."""

    def __init__(self, stream: Subscription[Trade]) -> None:
        self._stream = stream
        self.newest = 0
        self.lost = 0
        self.repeated = 0

    async def read(self) -> None:
        """Take trades until cancelled."""
        is_told = False
        async for item in self._stream.with_gaps():
            if isinstance(item, Gap):
                is_told = True
                continue
            if self.newest and not is_told:
                self.lost += max(item.id - self.newest - 1, 0)
            self.repeated += item.id <= self.newest
            self.newest, is_told = item.id, False


async def _run(load: RestoreLoad) -> RestoreReading:
    where = load.brokerage
    endpoints = Endpoints(ws=where.ws, cws="", http=where.http, oauth=where.http)
    async with (
        tapewire.connect(endpoints=endpoints, refresh_token="bench") as broker,
        asyncio.timeout(TIMEOUT_S),
    ):
        tapes = min(TAPES, load.streams // 2)
        trades = [broker.trades(f"T{number}") for number in range(tapes)]
        risks = max(load.streams - MARKET_STREAMS_MAX, 0)
        states: list[Subscription[Book] | Subscription[Risk]] = [
            *(broker.portfolio(f"D{number}").watch_risk() for number in range(risks)),
            *(broker.book(f"B{number}") for number in range(load.streams - tapes - risks)),
        ]
        streams = [*trades, *states]
        began = time.monotonic()
        await asyncio.gather(*(stream.open() for stream in streams))
        open_s = time.monotonic() - began
        readers = [Tape(stream) for stream in trades]
        reading = [asyncio.create_task(reader.read()) for reader in readers]
        await _until(lambda: all(reader.newest for reader in readers))
        await _until(lambda: all(state.received for state in states))
        before = [state.received for state in states]
        cpu = time.process_time()
        seen = await _control(where, "cut")
        # A cut is known when the kernel says so, a moment later.
        await _until(lambda: all(stream.state is not SubscriptionState.ACTIVE for stream in streams))
        await _until(lambda: all(stream.state is SubscriptionState.ACTIVE for stream in streams))
        restore_s, cpu_seconds = time.monotonic() - seen.cut_at_s, time.process_time() - cpu
        await _until(lambda: not broker.gaps.open)
        newest = (await _control(where, "state")).trades
        await _until(lambda: all(reader.newest >= newest + TRADES_AFTER for reader in readers))
        seen = await _control(where, "state")
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        return RestoreReading(
            connections=seen.connections,
            open_s=open_s,
            restore_s=restore_s,
            answered_s=seen.answered_at_s - seen.cut_at_s,
            cpu_seconds=cpu_seconds,
            unanswered_max=seen.unanswered_max,
            burst_max=seen.burst_max,
            without_state=sum(state.received == count for state, count in zip(states, before, strict=True)),
            gaps_filled=broker.gaps.filled,
            gaps_left=broker.gaps.left,
            lost_silently=sum(reader.lost for reader in readers),
            repeated=sum(reader.repeated for reader in readers),
        )


async def _control(where: Brokerage, command: str) -> Seen:
    reader, writer = await asyncio.open_connection("127.0.0.1", where.control_port)
    writer.write(command.encode() + b"\n")
    seen = msgspec.json.decode(await reader.readline(), type=Seen)
    writer.close()
    return seen


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - what is looked at is the program's view, which has no bell
        await asyncio.sleep(_LOOK_EVERY_S)


if __name__ == "__main__":
    print(msgspec.json.encode(uvloop.run(_run(msgspec.json.decode(sys.argv[1], type=RestoreLoad)))).decode())
