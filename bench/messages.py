"""The messages that the benches send, as a broker writes them in Slim: books of 20 levels, quotes, trades."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import mean
from typing import Literal

from tapewire.model import Book, BookLevel, Exchange, Quote, Record, Side, Trade
from tapewire.protocol.formats import codec
from tapewire.protocol.messages import DATA_PREFIX, data_tail
from tapewire.protocol.words import Format

__all__ = ["OPCODES", "Kind", "data_messages", "mean_bytes"]

Kind = Literal["books", "narrow_books", "quotes", "trades"]

OPCODES: dict[Kind, str] = {
    "books": "OrderBookGetAndSubscribe",
    "narrow_books": "OrderBookGetAndSubscribe",
    "quotes": "QuotesSubscribe",
    "trades": "AllTradesGetAndSubscribe",
}

SEED = 20_250_512
#: Different records a stream, fewer if there are many streams; after these come the same again.
RECORDS_MAX, RECORDS_MIN = 64, 2
MESSAGES_MAX = 1_000
BOOK_LEVELS = 20
#: Levels of a side of a narrow book whose volume has two digits.
WIDE_VOLUMES = 4


def data_messages(kind: Kind, guids: Sequence[str]) -> list[bytes]:
    """Return messages of all streams, the streams in turns."""
    rng = random.Random(SEED)
    make = _MAKERS[kind]
    messages = []
    records = min(RECORDS_MAX, max(RECORDS_MIN, MESSAGES_MAX // len(guids)))
    for number in range(records):
        for guid in guids:
            record = make(rng, number)
            messages.append(DATA_PREFIX + codec(type(record), Format.SLIM).encode(record) + data_tail(guid))
    return messages


def mean_bytes(kind: Kind) -> float:
    """Return the mean size of a message."""
    return mean(len(message) for message in data_messages(kind, ["0" * 32]))


def _book(rng: random.Random, number: int) -> Record:
    best_bid_cents = rng.randint(29_000, 31_000)
    return Book(
        bids=tuple(_level(rng, best_bid_cents - step) for step in range(BOOK_LEVELS)),
        asks=tuple(_level(rng, best_bid_cents + 1 + step) for step in range(BOOK_LEVELS)),
        time_ms=1_747_000_000_000 + number,
        existing=False,
    )


def _level(rng: random.Random, cents: int) -> BookLevel:
    return BookLevel(price=cents / 100, volume=int(10 ** rng.uniform(0, 3)))


def _narrow_book(rng: random.Random, number: int) -> Record:
    """Return a book with short numbers, 780 bytes with its envelope."""
    best_bid_tenths = rng.randint(250, 750)

    def level(tenths: int, step: int) -> BookLevel:
        return BookLevel(
            price=tenths / 10, volume=rng.randint(10, 99) if step < WIDE_VOLUMES else rng.randint(1, 9)
        )

    return Book(
        bids=tuple(level(best_bid_tenths - step, step) for step in range(BOOK_LEVELS)),
        asks=tuple(level(best_bid_tenths + 1 + step, step) for step in range(BOOK_LEVELS)),
        time_ms=1_747_000_000_000 + number,
        existing=False,
    )


def _quote(rng: random.Random, number: int) -> Record:
    last_cents = rng.randint(29_000, 31_000)
    return Quote(
        symbol="SBER",
        exchange=Exchange.MOEX,
        description="Сбербанк России ПАО ао",
        last_price=last_cents / 100,
        last_price_time_s=1_747_000_000 + number,
        high_price=310.55,
        low_price=289.9,
        accrued_interest=0.0,
        volume=float(rng.randint(10_000_000, 50_000_000)),
        open_interest=0,
        ask=(last_cents + 1) / 100,
        bid=last_cents / 100,
        ask_volume=int(10 ** rng.uniform(0, 3)),
        bid_volume=int(10 ** rng.uniform(0, 3)),
        book_time_ms=1_747_000_000_000 + number,
        open_price=301.2,
        yield_percent=None,
        lot_size=10.0,
        lot_value=last_cents / 10,
        face_value=3.0,
        type="CS",
        total_bid_volume=rng.randint(100_000, 900_000),
        total_ask_volume=rng.randint(100_000, 900_000),
    )


def _trade(rng: random.Random, number: int) -> Record:
    return Trade(
        id=10_457_712_001 + number,
        symbol="SBER",
        board="TQBR",
        quantity=int(10 ** rng.uniform(0, 3)),
        price=rng.randint(29_000, 31_000) / 100,
        time_ms=1_747_000_000_000 + number,
        open_interest=0,
        existing=False,
        side=rng.choice((Side.BUY, Side.SELL)),
    )


_MAKERS: dict[Kind, Callable[[random.Random, int], Record]] = {
    "books": _book,
    "narrow_books": _narrow_book,
    "quotes": _quote,
    "trades": _trade,
}
