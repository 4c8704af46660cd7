"""Streams as they are named on the command line: ``book:SBER``, ``quotes:GAZP``, ``trades:LKOH@TQBR``."""

from __future__ import annotations

from typing import Any

import msgspec

from tapewire.client.broker import Broker
from tapewire.client.subscription import Subscription
from tapewire.protocol.words import Format

__all__ = ["StreamName", "StreamOptions"]

_KINDS = ("book", "quotes", "trades")


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How streams are asked for; None leaves it to the kind."""

    format: Format | None = None
    #: Levels of books and past trades.
    depth: int | None = None
    frequency_ms: int | None = None


class StreamName(msgspec.Struct, frozen=True):
    """One stream of one instrument."""

    kind: str
    symbol: str
    board: str = ""

    @classmethod
    def parse(cls, text: str) -> StreamName:
        """Read a name as it was typed.

        Raises:
            ValueError: It is not ``kind:SYMBOL`` or ``kind:SYMBOL@BOARD`` with a kind that exists.
        """
        kind, colon, rest = text.partition(":")
        symbol, _, board = rest.partition("@")
        if ":" in symbol:
            raise ValueError(
                f"{text!r}: a board is written behind an @, like {kind}:{symbol.replace(':', '@', 1)}"
            )
        if not colon or not symbol or kind.lower() not in _KINDS:
            raise ValueError(f"{text!r} is not like {', '.join(f'{kind}:SBER' for kind in _KINDS)}")
        return cls(kind.lower(), symbol, board)

    def __str__(self) -> str:
        return f"{self.kind}:{self.symbol}" + (self.board and f"@{self.board}")

    def subscription(self, broker: Broker, options: StreamOptions) -> Subscription[Any]:
        """Return the stream, not opened yet.

        Raises:
            LimitError: An option is outside its limits.
        """
        chosen: dict[str, Any] = {"board": self.board}
        if options.format is not None:
            chosen["format"] = options.format
        if options.frequency_ms is not None and self.kind != "trades":
            chosen["frequency_ms"] = options.frequency_ms
        if options.depth is not None and self.kind != "quotes":
            chosen["depth"] = options.depth
        match self.kind:
            case "book":
                return broker.book(self.symbol, **chosen)
            case "quotes":
                return broker.quotes(self.symbol, **chosen)
            case _:
                return broker.trades(self.symbol, **chosen)
