"""The bare limit: frames from picows, decoded into the leanest types. No checks, no routing, no consumer."""

from __future__ import annotations

import msgspec

from bench.receivers.bare_listener import receive_with
from bench.receivers.load import Load, Meter, Reading, receive


class Level(msgspec.Struct, gc=False):
    p: float
    v: int


class Book(msgspec.Struct, gc=False):
    b: tuple[Level, ...]
    a: tuple[Level, ...]
    t: int
    h: bool


class Trade(msgspec.Struct, gc=False):
    id: int
    sym: str
    bd: str
    q: int
    px: float
    t: int
    oi: int
    h: bool
    s: str


class BookMessage(msgspec.Struct, gc=False):
    data: Book


class TradeMessage(msgspec.Struct, gc=False):
    data: Trade


async def _receive(load: Load, meter: Meter) -> Reading:
    message: type[BookMessage | TradeMessage] = BookMessage if load.kind == "books" else TradeMessage
    return await receive_with(msgspec.json.Decoder(message).decode, msgspec.MsgspecError, load, meter)


if __name__ == "__main__":
    receive(_receive)
