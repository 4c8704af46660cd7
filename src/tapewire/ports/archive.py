"""A venue's own bars and trades across its restarts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tapewire.model import Bar, Side
from tapewire.ports.query import TradesFilter

__all__ = [
    "Archive",
    "ArchiveBatch",
    "ArchiveError",
    "ArchivedTrade",
    "InstrumentKey",
]


class ArchiveError(Exception):
    """The archive cannot be opened, read or written; the text says why and names the file."""


#: Exchange, symbol, board: ``Instrument.key``.
InstrumentKey = tuple[str, str, str]


class ArchivedTrade(NamedTuple):
    """A trade as it is kept: what the venue needs to make its record again."""

    id: int
    #: Event time, UTC ns.
    at_ns: int
    price: float
    #: Lots.
    quantity: int
    #: Of the aggressor.
    side: Side
    open_interest: int


class ArchiveBatch(NamedTuple):
    """What is kept together: final bars with their interval (s), and trades, oldest first."""

    bars: Sequence[tuple[InstrumentKey, int, Bar]]
    trades: Sequence[tuple[InstrumentKey, ArchivedTrade]]


class Archive(Protocol):
    """A venue's own bars and trades across its restarts. No call blocks the loop.

    Bars are keyed by instrument, interval and opening, trades by their id; ids grow over all instruments.
    How much is kept is the implementation's, stated bound: the oldest go first, bars of a day never.
    """

    async def began_at_s(self, now_s: int) -> int:
        """Return the first moment of the archive, Unix s: in a new one ``now_s``, and from then on the same.

        Raises:
            ArchiveError: It cannot be read or written.
        """

    async def append(self, batch: ArchiveBatch) -> None:
        """Keep a batch; on return it is durable, after an error nothing of it is kept.

        What is there already under the same key is replaced by the new one.

        Raises:
            ArchiveError: It could not be kept.
        """

    async def bars(
        self, key: InstrumentKey, interval_s: int, since_s: int, until_s: int, limit: int
    ) -> Sequence[Bar]:
        """Return the bars that open from ``since_s`` to ``until_s``, inclusive: the newest, oldest first.

        Raises:
            ArchiveError: It cannot be read.
        """

    async def trades(
        self, key: InstrumentKey, since_ns: int, before_id: int, limit: int
    ) -> Sequence[ArchivedTrade]:
        """Return the newest trades since a moment with ids below ``before_id``, oldest first.

        Raises:
            ArchiveError: It cannot be read.
        """

    async def find_trades(
        self, key: InstrumentKey, wanted: TradesFilter, before_id: int
    ) -> tuple[int, Sequence[ArchivedTrade]]:
        """Return how many trades with ids below ``before_id`` match, and those that are wanted of them.

        Raises:
            ArchiveError: It cannot be read.
        """

    async def last_trade_id(self) -> int | None:
        """Return the largest id of all trades that were ever kept; None: there was none.

        Raises:
            ArchiveError: It cannot be read.
        """
