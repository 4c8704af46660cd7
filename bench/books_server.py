"""A gateway in front of a scripted venue with many instruments, as a process of its own.

Every instrument has a book of 20 levels a side. The first ``live`` of them get a new one every 10 ms; its due
time, seconds of the monotonic clock, is the first bid's price, so that a reader here can tell how late it is.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence

import msgspec
import uvloop

from tapewire.adapters.clock import SystemClock
from tapewire.adapters.collector import relax_collector
from tapewire.adapters.http_server import HttpServer, open_listener
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.limits import Limits
from tapewire.gateway.tokens import TokenAuthority, User, hash_refresh_token, new_signing_key
from tapewire.market.catalogue import catalogue
from tapewire.model import Book, BookLevel, Instrument
from tapewire.model.topic import Topic, TopicKind
from tapewire.simulation import ScriptedVenue

__all__ = [
    "BOARD",
    "PERIOD_S",
    "STILL_BID",
    "Books",
    "Serving",
    "authority",
    "book",
    "instruments",
    "keep_moving",
    "symbol",
    "tokens_for",
]

BOARD = "TQBR"
LEVELS = 20
PERIOD_S = 0.01
#: First bid of a book that has not moved; the clock does not stand there.
STILL_BID = 0.5
_LEVELS = tuple(BookLevel(price=300 + step / 100, volume=100 + step) for step in range(LEVELS))


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """How many instruments there are, and how many of them move."""

    instruments: int
    live: int = 0


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway listens."""

    port: int
    pid: int
    tokens: list[str]


def symbol(number: int) -> str:
    """Return the name of an instrument."""
    return f"S{number:05}"


def instruments(count: int) -> list[Instrument]:
    """Return so many shares that differ in their names."""
    share = catalogue(1)[0]
    return [msgspec.structs.replace(share, symbol=symbol(number), board=BOARD) for number in range(count)]


def book(first_bid: float) -> Book:
    """Return a book with the price of its first bid."""
    bids = (BookLevel(price=first_bid, volume=1), *_LEVELS[1:])
    return Book(bids=bids, asks=_LEVELS, time_ms=1_747_000_000_000, existing=False)


def authority(users: int) -> TokenAuthority:
    """Return an authority that knows so many users; each may have ten connections."""
    known = [
        User(
            login=f"P{number}",
            client_id=str(number),
            agreement=str(number),
            portfolios=(f"D{number}",),
            refresh_token_hashes=(hash_refresh_token(f"refresh-{number}"),),
        )
        for number in range(users)
    ]
    return TokenAuthority(new_signing_key(), known, SystemClock())


def tokens_for(users: TokenAuthority, count: int) -> list[str]:
    """Return an access token of each user."""
    tokens = [users.refresh(f"refresh-{number}") for number in range(count)]
    return [token for token in tokens if token is not None]


async def keep_moving(venue: ScriptedVenue, topics: Sequence[Topic]) -> None:
    """Give each of the topics a new book every 10 ms, one behind the other, until cancelled."""
    step_s = PERIOD_S / len(topics)
    due = time.monotonic()
    number = 0
    while True:
        # uvloop counts in milliseconds: a shorter sleep is none, and this would spin.
        await asyncio.sleep(max(0.001, due + step_s - time.monotonic()))
        # All that is due: one an iteration would fall behind when the loop is busy.
        while due + step_s <= time.monotonic():
            due += step_s
            venue.set_state(topics[number % len(topics)], book(due))
            number += 1


async def _serve(asked: Books) -> None:
    """Serve until standard input ends."""
    clock = SystemClock()
    listed = instruments(asked.instruments)
    venue = ScriptedVenue(listed, clock=clock)
    topics = [venue.topic(TopicKind.BOOK, instrument) for instrument in listed]
    for topic in topics:
        venue.set_state(topic, book(STILL_BID))
    users = authority(2)
    # Idle sessions are measured as they stand.
    gateway = Gateway(venue, venue, users, clock, commands=venue, limits=Limits(authorise_within_s=None))
    listener = open_listener("127.0.0.1", 0)
    server = HttpServer(gateway.http, gateway.accept, listener)
    await server.start()

    moving = asyncio.create_task(keep_moving(venue, topics[: asked.live])) if asked.live else None
    serving = Serving(port=listener.getsockname()[1], pid=os.getpid(), tokens=tokens_for(users, 2))
    relax_collector()  # as `tapewire up` does
    print(msgspec.json.encode(serving).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    if moving is not None:
        moving.cancel()
    await gateway.close()
    await server.stop()


if __name__ == "__main__":
    uvloop.run(_serve(msgspec.json.decode(sys.argv[1], type=Books)))
