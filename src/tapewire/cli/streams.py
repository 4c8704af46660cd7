"""Streams as they are named on the command line: ``book:SBER``, ``bars:GAZP@TQBR:5m``, ``orders:D70001``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from tapewire.client.broker import Broker
from tapewire.client.subscription import Subscription
from tapewire.client.timeframe import timeframe_of
from tapewire.model import Exchange
from tapewire.protocol.words import Format

__all__ = ["KINDS", "StreamName", "StreamOptions"]

#: Of bars and clusters where none is named.
TIMEFRAME = "1m"
#: Portfolios of examples: those of the demo user.
_PORTFOLIO, _DERIVATIVES = "D70001", "7500T01"


class StreamKind(NamedTuple):
    """What a word in front of the colon means."""

    #: Of the broker, or of one of its portfolios.
    method: str
    #: Options of the command that it takes beside ``format``.
    takes: frozenset[str] = frozenset()
    of_portfolio: bool = False
    has_timeframe: bool = False


_WINDOW, _DEPTH = frozenset({"frequency_ms"}), frozenset({"depth"})
KINDS: Mapping[str, StreamKind] = MappingProxyType(
    {
        "book": StreamKind("book", _WINDOW | _DEPTH),
        "quotes": StreamKind("quotes", _WINDOW),
        "trades": StreamKind("trades", _DEPTH),
        "bars": StreamKind("bars", _WINDOW | _DEPTH, has_timeframe=True),
        "clusters": StreamKind("clusters", _DEPTH, has_timeframe=True),
        "instrument": StreamKind("instrument_changes"),
        "orders": StreamKind("watch_orders", of_portfolio=True),
        "stop-orders": StreamKind("watch_stop_orders", of_portfolio=True),
        "legacy-stop-orders": StreamKind("watch_legacy_stop_orders", of_portfolio=True),
        "fills": StreamKind("watch_fills", of_portfolio=True),
        "positions": StreamKind("watch_positions", of_portfolio=True),
        "summary": StreamKind("watch_summary", of_portfolio=True),
        "risk": StreamKind("watch_risk", of_portfolio=True),
        "derivatives-risk": StreamKind("watch_derivatives_risk", of_portfolio=True),
    }
)


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How streams are asked for; None leaves it to the kind."""

    format: Format | None = None
    #: Levels of books, past trades, past intervals of bars and clusters.
    depth: int | None = None
    frequency_ms: int | None = None


class StreamName(msgspec.Struct, frozen=True):
    """One stream of one instrument or portfolio."""

    kind: str
    #: Ticker, or the portfolio's name.
    symbol: str
    #: Of an instrument; of a portfolio the exchange. Empty: the usual one.
    board: str = ""
    #: Of bars and clusters, empty for all else.
    timeframe: str = ""

    @classmethod
    def parse(cls, text: str) -> StreamName:
        """Read a name as it was typed.

        Raises:
            ValueError: It is not ``kind:SYMBOL`` or ``kind:SYMBOL@BOARD`` with a kind that exists; of bars and
                clusters a timeframe may follow, ``bars:SBER:5m``.
        """
        word, colon, rest = text.partition(":")
        kind = KINDS.get(word.lower().replace("_", "-"))
        timeframe = ""
        if kind is not None and kind.has_timeframe:
            rest, with_timeframe, timeframe = rest.partition(":")
            if not with_timeframe:
                timeframe = TIMEFRAME
            elif not timeframe:
                raise ValueError(f"{text!r} ends without its timeframe: {text}5m")
        symbol, _, board = rest.partition("@")
        if ":" in symbol:
            what = "an exchange" if kind is not None and kind.of_portfolio else "a board"
            raise ValueError(f"{text!r}: {what} is written behind an @, like {word}:{symbol.replace(':', '@', 1)}")
        if kind is None or not colon or not symbol:
            raise ValueError(f"{text!r} is not like {', '.join(map(_example, KINDS))}")
        return cls(word.lower().replace("_", "-"), symbol, board, timeframe)

    def __str__(self) -> str:
        text = f"{self.kind}:{self.symbol}" + (self.board and f"@{self.board}")
        return text + (self.timeframe and f":{self.timeframe}")

    def subscription(self, broker: Broker, options: StreamOptions) -> Subscription[Any]:
        """Return the stream, not opened yet.

        Raises:
            LimitError: An option is outside its limits, or there is no such timeframe.
        """
        kind = KINDS[self.kind]
        chosen: dict[str, Any] = {} if options.format is None else {"format": options.format}
        if options.frequency_ms is not None and "frequency_ms" in kind.takes:
            chosen["frequency_ms"] = options.frequency_ms
        if kind.of_portfolio:
            where = {"exchange": Exchange(self.board)} if self.board else {}
            return _made(getattr(broker.portfolio(self.symbol, **where), kind.method), **chosen)
        chosen["board"] = self.board
        depth = options.depth if "depth" in kind.takes else None
        if not kind.has_timeframe:
            if depth is not None:
                chosen["depth"] = depth
            return _made(getattr(broker, kind.method), self.symbol, **chosen)
        if depth is not None:
            chosen["since"] = timedelta(seconds=timeframe_of(self.timeframe).interval_s * max(depth, 0))
        return _made(getattr(broker, kind.method), self.symbol, self.timeframe, **chosen)


def _made(method: Callable[..., Subscription[Any]], *names: str, **chosen: Any) -> Subscription[Any]:
    return method(*names, **chosen)


def _example(word: str) -> str:
    kind = KINDS[word]
    if kind.of_portfolio:
        return f"{word}:{_DERIVATIVES if word == 'derivatives-risk' else _PORTFOLIO}"
    return f"{word}:SBER{':5m' if kind.has_timeframe else ''}"
