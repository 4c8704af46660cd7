"""The whole state of a trading hall as plain values: what a snapshot and the first entry of a journal hold."""

from __future__ import annotations

from hashlib import blake2b
from typing import Self

import msgspec

from tapewire.exchange import AccountsState, AccountTerms, ExchangeState
from tapewire.journal import SnapshotRefusedError, StepRun
from tapewire.market import MarketState
from tapewire.model import Instrument, InstrumentUpdate
from tapewire.venues.chart import FinishedBar
from tapewire.venues.guid_memory import Remembered
from tapewire.venues.tape import Print

__all__ = ["HallSettings", "HallState", "ListingState", "SupervisorState", "listed"]

#: Grows with every change that an older or newer tapewire would misread.
VERSION = 1


def listed(instrument: Instrument) -> str:
    """Return what a state must agree on with the list of instruments: its name, and in what it is counted."""
    return ":".join((*instrument.key, str(instrument.tick_size), str(instrument.lot_size)))


class HallSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator chooses anew at each start and what decides, with the state, how the market goes on."""

    seed: int
    events_per_second: int
    #: Names of the trading sessions; none: around the clock.
    sessions: tuple[str, ...] = ()
    has_auctions: bool = False


class ListingState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one instrument beside its orders: figures of the day in ticks and lots, and its rules."""

    day: int
    prev_close_ticks: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    last_ticks: int
    lots: int
    rules: InstrumentUpdate
    #: Contracts in all, and of each account; None for what has no open interest.
    open_interest: tuple[int, dict[str, int]] | None


class SupervisorState(msgspec.Struct, frozen=True, kw_only=True):
    """What of a day has been done. Moments are Unix s."""

    day: int
    is_cleared: bool
    options_at_s: int
    seen_s: int


class HallState(msgspec.Struct, kw_only=True):
    """Two halls with equal states do the same with the same entries of a journal."""

    #: All that is traded, in the order by which everything else names it; see ``listed``.
    instruments: tuple[str, ...]
    settings: HallSettings
    #: Time of what happened last, UTC ns.
    at_ns: int
    #: The second up to which time has passed for orders and bars.
    passed_s: int
    exchange: ExchangeState
    terms: tuple[AccountTerms, ...]
    accounts: AccountsState
    market: MarketState
    listings: tuple[ListingState, ...]
    supervisor: SupervisorState
    guids: list[Remembered]
    #: Steps that were journaled and are still to be made.
    granted: list[StepRun] = []
    #: What the archive has not got yet. It decides nothing, so it is not part of the hash.
    waiting_trades: list[tuple[int, Print]] = []
    waiting_bars: list[tuple[int, FinishedBar]] = []

    def encode(self) -> bytes:
        """Return the state as bytes, its version in front."""
        return bytes((VERSION,)) + msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what ``encode`` wrote.

        Raises:
            SnapshotRefusedError: Another version wrote it, or it is no state.
        """
        if data[:1] != bytes((VERSION,)):
            raise SnapshotRefusedError(
                f"the state has format {data[0] if data else 'none'}; this tapewire knows {VERSION}"
            )
        try:
            return msgspec.msgpack.decode(data[1:], type=cls)
        except (msgspec.MsgspecError, ValueError) as error:
            raise SnapshotRefusedError(f"the state cannot be read: {error}") from error

    def hash(self) -> bytes:
        """Return a hash of all that decides what happens next, and of what is remembered."""
        decisive = msgspec.structs.replace(self, terms=(), waiting_trades=[], waiting_bars=[])
        found = blake2b(msgspec.msgpack.encode(decisive), digest_size=16)
        # Terms have sets, whose order is another one in every process.
        found.update(msgspec.msgpack.encode(self.terms, order="deterministic"))
        return found.digest()
