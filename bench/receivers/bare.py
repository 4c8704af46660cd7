"""The bare limit: frames from picows, decoded into the leanest types. No checks, no routing, no consumer."""

from __future__ import annotations

import msgspec

from bench.messages import Kind
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


class Quote(msgspec.Struct, gc=False):
    sym: str
    ex: str
    desc: str
    c: float
    tst: int
    h: float
    l: float  # noqa: E741  (the word of the wire)
    acci: float
    v: float
    oi: int
    ask: float
    bid: float
    av: int
    bv: int
    tso: int
    o: float
    y: float | None
    lot: float
    lotv: float
    fv: float
    t: str
    tbv: int
    tav: int


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


class QuoteMessage(msgspec.Struct, gc=False):
    data: Quote


class TradeMessage(msgspec.Struct, gc=False):
    data: Trade


_MESSAGES: dict[Kind, type[msgspec.Struct]] = {
    "books": BookMessage,
    "narrow_books": BookMessage,
    "quotes": QuoteMessage,
    "trades": TradeMessage,
}


async def _receive(load: Load, meter: Meter) -> Reading:
    return await receive_with(msgspec.json.Decoder(_MESSAGES[load.kind]).decode, msgspec.MsgspecError, load, meter)


if __name__ == "__main__":
    receive(_receive)
