"""The desk: the one place where commands reach the exchange, in one order."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from tapewire import exchange
from tapewire.exchange import (
    CancelRejected,
    ConditionalAccepted,
    ConditionalCancelled,
    Exchange,
    GroupChanged,
    GroupEnded,
    GroupMade,
    GroupRejected,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    Traded,
)
from tapewire.model import Command, Done, Instrument, Refused, TopicKind
from tapewire.venues.chart import FinishedBar
from tapewire.venues.directory import Directory
from tapewire.venues.keeper import Keeper
from tapewire.venues.listing import Listing
from tapewire.venues.portfolios import Portfolios
from tapewire.venues.streams import Streams
from tapewire.venues.translation import Translator
from tapewire.venues.venue_clock import VenueClock

__all__ = ["Desk"]

#: Events that may change what rests in the book of their instrument.
_CHANGES_BOOK = (OrderAccepted, OrderCancelled, Traded)


class Desk:
    """Translates commands into the exchange's units, applies them, and lets listings and streams know.

    It is the ``Floor`` of the market's participants, and users' commands go the same way.
    """

    def __init__(
        self,
        core: Exchange,
        directory: Directory,
        listings: tuple[Listing, ...],
        streams: Streams,
        keeper: Keeper,
        portfolios: Portfolios,
        *,
        clock: VenueClock,
    ) -> None:
        """Take over ``core``: nobody else may apply commands to it.

        ``directory`` and ``listings`` hold the same instruments as the exchange, in the same order.
        """
        self._core = core
        self._directory = directory
        self._listings = listings
        self._streams = streams
        self._keeper = keeper
        self._portfolios = portfolios
        self._translate = Translator(directory, core).translate
        self._clock = clock
        #: The second up to which time has passed for orders and bars.
        self.passed_s = 0

    def best(self, instrument: Instrument) -> tuple[int | None, int | None]:
        """Return the best bid and the best ask, ticks; None for an empty side."""
        position = self._directory.position(instrument.exchange, instrument.symbol, instrument.board)
        assert position is not None, "participants trade what the venue lists"
        return self._listings[position].best

    def submit(self, command: Command) -> Done | Refused:
        """Apply one command, or refuse it and change nothing; the streams hold what is to be told."""
        translated = self._translate(command)
        if isinstance(translated, Refused):
            return translated
        return _outcome(translated, self._apply(translated)[0])

    def set_rules(
        self,
        position: int,
        band_ticks: tuple[int, int],
        *,
        is_open: bool,
        auction: exchange.Auction | None = None,
    ) -> None:
        """Let other rules hold for an instrument; an auction that ends trades, orders outside the limits go."""
        self._apply(
            exchange.SetRules(instrument=position, price_band_ticks=band_ticks, is_open=is_open, auction=auction)
        )

    def clear(self) -> None:
        """Settle what derivatives have won and lost so far at the last prices."""
        self._apply(
            exchange.ClearDerivatives(settlement_ticks=tuple(listing.last_ticks for listing in self._listings))
        )

    def end_day(
        self, day: int, settlement_ticks: tuple[int, ...], margins: tuple[tuple[Decimal, Decimal] | None, ...]
    ) -> None:
        """Let the trading day end: it is settled, orders that are good for a day lapse, and ``day`` begins.

        Args:
            day: Days since 1970, Moscow.
            settlement_ticks: At what it is settled, one an instrument.
            margins: Collateral of the day that begins, to buy and to sell; None for what needs none.
        """
        self._apply(exchange.EndOfDay(day=day, settlement_ticks=settlement_ticks, margins=margins))

    def pass_time(self, now_s: int) -> None:
        """Finish the bars and end or fire the orders whose time has come; the streams hold what is to be told."""
        if now_s == self.passed_s:
            return
        self.passed_s = now_s
        due_at_ns = self._core.due_at_ns
        if due_at_ns is not None and due_at_ns <= self._clock.now_ns():
            self._apply(exchange.PassTime())
        for position, listing in enumerate(self._listings):
            self._tell_finished(position, listing.charts.expire(now_s))

    def _tell_finished(self, position: int, finished: list[FinishedBar]) -> None:
        self._keeper.finished(position, finished)
        listing = self._listings[position]
        for final in finished:
            self._streams.happened(
                position,
                listing.position(final.sequence),
                partial(listing.bar_record, final.bar),
                kind=TopicKind.BAR,
                interval_s=final.interval_s,
            )

    def _apply(self, command: exchange.Command) -> list[exchange.Event]:
        """Let a command take its place and its time: all that changes the exchange passes here, in order."""
        at_ns = self._clock.now_ns()
        events = self._core.apply(command, at_ns=at_ns)
        touched: dict[int, None] = {}  # a dict, for its order
        for event in events:
            if isinstance(event, Traded):
                self._print(event)
            if isinstance(event, _CHANGES_BOOK):
                touched[event.instrument] = None
        for position in touched:
            if self._listings[position].note_change(at_ns):
                self._streams.changed(position)
        self._portfolios.note(events)
        return events

    def _print(self, trade: Traded) -> None:
        position = trade.instrument
        listing = self._listings[position]
        printed = listing.note_trade(trade)
        self._keeper.trade(position, printed)
        self._streams.happened(position, listing.tape_position, partial(listing.trade, printed, existing=False))
        self._tell_finished(position, listing.charts.trade(printed))
        for interval_s in listing.charts.intervals:
            self._streams.state_changed(position, TopicKind.BAR, interval_s)
        for final in listing.clusters.trade(printed):
            self._streams.happened(
                position,
                listing.position(final.sequence),
                partial(listing.cluster_record, final),
                kind=TopicKind.CLUSTER,
                interval_s=final.interval_s,
            )
        for interval_s in listing.clusters.intervals:
            self._streams.state_changed(position, TopicKind.CLUSTER, interval_s)


def _outcome(command: exchange.Command, first: exchange.Event) -> Done | Refused:
    """Return how a command ended, which the first of its events tells."""
    match first:
        case OrderRejected() | CancelRejected() | GroupRejected():
            return Refused(int(first.code), first.reason)
        case GroupMade() | GroupChanged() | GroupEnded():
            return Done(str(first.group_id))
        case OrderAccepted() | ConditionalAccepted():
            return Done(str(first.order_id))
        case OrderCancelled() | ConditionalCancelled():
            if isinstance(command, exchange.CancelAll):
                return Done("")
            return Done(str(first.order_id if first.replaced_by is None else first.replaced_by))
    raise AssertionError(f"{type(first).__name__} does not tell how {type(command).__name__} ended")
