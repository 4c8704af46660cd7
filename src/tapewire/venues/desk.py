"""The desk: the one place where commands reach the exchange, in one order."""

from __future__ import annotations

from functools import partial

from tapewire import exchange
from tapewire.exchange import (
    CancelRejected,
    Exchange,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    Traded,
)
from tapewire.model import (
    CancelOrder,
    Command,
    Done,
    Instrument,
    OrderType,
    PlaceOrder,
    Refused,
    TopicKind,
    TradingCode,
)
from tapewire.ports import Clock
from tapewire.venues.chart import FinishedBar
from tapewire.venues.directory import Directory
from tapewire.venues.keeper import Keeper
from tapewire.venues.listing import Listing
from tapewire.venues.streams import Streams

__all__ = ["Desk"]

#: More digits than any order id has; a longer text is not worth turning into a number.
_ORDER_NUMBER_DIGITS_MAX = 19

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
        *,
        clock: Clock,
    ) -> None:
        """Take over ``core``: nobody else may apply commands to it.

        ``directory`` and ``listings`` hold the same instruments as the exchange, in the same order.
        """
        self._core = core
        self._directory = directory
        self._listings = listings
        self._streams = streams
        self._keeper = keeper
        self._clock = clock
        self._last_ns = 0
        self._passed_s = 0

    def best(self, instrument: Instrument) -> tuple[int | None, int | None]:
        """Return the best bid and the best ask, ticks; None for an empty side."""
        position = self._directory.position(instrument.exchange, instrument.symbol, instrument.board)
        assert position is not None, "participants trade what the venue lists"
        return self._listings[position].best

    def submit(self, command: Command) -> Done | Refused:
        """Apply one command, or refuse it and change nothing; the streams hold what is to be told."""
        translated: exchange.Place | exchange.Cancel | Refused
        match command:
            case PlaceOrder():
                translated = self._place(command)
            case CancelOrder():
                translated = _cancel(command)
            case _:
                translated = _refused(
                    TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED,
                    f"{type(command).__name__} is not served by this version",
                )
        if isinstance(translated, Refused):
            return translated
        first = self._apply(translated)[0]
        if isinstance(first, OrderRejected | CancelRejected):
            return Refused(int(first.code), first.reason)
        assert isinstance(first, OrderAccepted | OrderCancelled), "an order is accepted before it trades"
        return Done(str(first.order_id))

    def set_rules(self, position: int, band_ticks: tuple[int, int], *, is_open: bool) -> None:
        """Let other rules hold for an instrument; orders outside the new limits are cancelled."""
        self._apply(exchange.SetRules(instrument=position, price_band_ticks=band_ticks, is_open=is_open))

    def end_day(self, day: int) -> None:
        """Let the trading day end: orders that are good for a day lapse, and ``day`` begins."""
        settlement_ticks = tuple(listing.last_ticks for listing in self._listings)
        self._apply(exchange.EndOfDay(day=day, settlement_ticks=settlement_ticks))

    def now_ns(self) -> int:
        """Return the event time of now: the wall clock, which may be set back, but never going back."""
        self._last_ns = max(self._clock.wall_ns(), self._last_ns)
        return self._last_ns

    def pass_time(self, now_s: int) -> None:
        """Finish the bars and end or fire the orders whose time has come; the streams hold what is to be told."""
        if now_s == self._passed_s:
            return
        self._passed_s = now_s
        due_at_ns = self._core.due_at_ns
        if due_at_ns is not None and due_at_ns <= self.now_ns():
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
        at_ns = self.now_ns()
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
        for interval_s in listing.clusters.trade(printed):
            self._streams.state_changed(position, TopicKind.CLUSTER, interval_s)

    def _place(self, command: PlaceOrder) -> exchange.Place | Refused:
        position = self._directory.position(command.exchange, command.symbol, command.board)
        if position is None:
            where = f"{command.exchange} {command.board}".rstrip()
            return _refused(
                TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, f"{command.symbol} is not traded on {where}"
            )
        if not command.type.known:
            return _refused(
                TradingCode.FORBIDDEN_ORDER_TYPE, f"order type {command.type} is neither limit nor market"
            )
        price_ticks = None
        if command.type is OrderType.LIMIT:
            if command.price is None:
                return _refused(TradingCode.INTERNAL_ERROR_WITH_PRICES, "a limit order needs a price")
            try:
                price_ticks = self._directory.instruments[position].ticks(command.price)
            except ValueError as error:
                return _refused(TradingCode.INTERNAL_ERROR_WITH_PRICES, str(error))
        elif command.price is not None:
            return _refused(TradingCode.INTERNAL_ERROR_WITH_PRICES, "a market order has no price")
        return exchange.Place(
            account=command.portfolio,
            instrument=position,
            side=command.side,
            lots=command.quantity_lots,
            price_ticks=price_ticks,
            time_in_force=command.time_in_force,
            comment=command.comment,
        )


def _cancel(command: CancelOrder) -> exchange.Cancel | Refused:
    number = command.order_number
    if not (number.isascii() and number.isdecimal() and len(number) <= _ORDER_NUMBER_DIGITS_MAX):
        return _refused(TradingCode.ORDER_TO_CANCEL_NOT_FOUND, f"the account has no working order {number}")
    return exchange.Cancel(account=command.portfolio, order_id=int(number))


def _refused(code: TradingCode, reason: str) -> Refused:
    return Refused(int(code), reason)
