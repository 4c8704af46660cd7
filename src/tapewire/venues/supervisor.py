"""The exchange's own acts: it opens and closes trading, clears, turns the day, sets limits and collateral."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from tapewire.exchange import Auction
from tapewire.market import OPTION_TERMS, Market, OptionTerms, Phase, TradingHours
from tapewire.model import (
    DAY_S,
    MOSCOW_OFFSET_S,
    UNSET,
    Instrument,
    InstrumentUpdate,
    Maybe,
    TopicKind,
    TradingStatus,
    trading_day,
)
from tapewire.venues.desk import Desk
from tapewire.venues.hall_state import SupervisorState
from tapewire.venues.listing import Listing
from tapewire.venues.rules import STATUS_TEXTS
from tapewire.venues.streams import Streams

__all__ = ["CLEARING_AT_S", "OPTIONS_EVERY_S", "Supervisor"]

#: Theoretical prices are reckoned anew so often.
OPTIONS_EVERY_S = 60

#: When derivatives are cleared in the middle of the day, seconds of the day in Moscow.
CLEARING_AT_S = 14 * 3600

#: What participants may do by the phase of trading, and which auction is held; in all others nothing.
_PHASES: Mapping[TradingStatus, tuple[Phase, Auction | None]] = MappingProxyType(
    {
        TradingStatus.NORMAL: (Phase.CONTINUOUS, None),
        TradingStatus.OPENING_AUCTION: (Phase.GATHERING, Auction.OPENING),
        TradingStatus.CLOSING_AUCTION: (Phase.GATHERING, Auction.CLOSING),
    }
)

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_CENT = Decimal("0.01")


class Supervisor:
    """Watches the clock; what it changes is told on the instruments' streams as partial updates."""

    def __init__(
        self,
        desk: Desk,
        listings: tuple[Listing, ...],
        streams: Streams,
        market: Market,
        hours: TradingHours,
    ) -> None:
        """Take over the rules of all listings; nothing changes before ``begin``."""
        self._desk = desk
        self._listings = listings
        self._streams = streams
        self._market = market
        self._hours = hours
        self._day = 0
        self._is_cleared = False
        self._options_at_s = 0
        self._seen_s = 0
        self._by_symbol = {listing.instrument.symbol: listing for listing in listings}

    def begin(self, now_s: int) -> None:
        """Set status, limits and collateral of the moment; the market goes on from the last prices.

        Nobody has an order or a position yet.
        """
        self._seen_s = now_s
        self._day = trading_day(now_s)
        self._is_cleared = _second_of_day(now_s) >= CLEARING_AT_S
        for position, listing in enumerate(self._listings):
            listing.turn_day(now_s * 1_000_000_000)
            self._market.anchor(position, listing.prev_close_ticks, listing.band_ticks, listing.last_ticks)
            self._set_rules(position, now_s)
        self._reckon_options(now_s)
        closes = tuple(listing.prev_close_ticks for listing in self._listings)
        self._desk.end_day(self._day, closes, self._margins(closes))

    def state(self) -> SupervisorState:
        """Return what of the day has been done."""
        return SupervisorState(
            day=self._day, is_cleared=self._is_cleared, options_at_s=self._options_at_s, seen_s=self._seen_s
        )

    def restore(self, state: SupervisorState) -> None:
        """Go on where a supervisor of the same listings stood, instead of ``begin``."""
        self._day, self._is_cleared = state.day, state.is_cleared
        self._options_at_s, self._seen_s = state.options_at_s, state.seen_s

    def resume(self, now_s: int) -> None:
        """Do what has become due while nobody watched, and set the rules of the moment. Orders keep working."""
        self._seen_s = now_s
        if trading_day(now_s) != self._day:
            self._turn_day(now_s)
        else:
            for position in range(len(self._listings)):
                self._set_rules(position, now_s)
        self._watch_clearing(now_s)
        self._reckon_options(now_s)

    def watch(self, now_s: int) -> None:
        """Do what has become due; cheap while nothing has."""
        if now_s == self._seen_s:
            return
        self._seen_s = now_s
        if trading_day(now_s) != self._day:
            self._turn_day(now_s)
        elif not self._hours.is_around_the_clock:
            for position, listing in enumerate(self._listings):
                status = self._hours.phase(listing.instrument, now_s)
                if status != listing.rules.state.trading_status:
                    self._set_rules(position, now_s)
        self._watch_clearing(now_s)
        if now_s >= self._options_at_s:
            self._reckon_options(now_s)

    def _watch_clearing(self, now_s: int) -> None:
        if not self._is_cleared and _second_of_day(now_s) >= CLEARING_AT_S:
            self._is_cleared = True
            self._desk.clear()

    def _turn_day(self, now_s: int) -> None:
        self._day = trading_day(now_s)
        self._is_cleared = False
        closes = tuple(listing.last_ticks for listing in self._listings)
        self._desk.end_day(self._day, closes, self._margins(closes))
        for position, listing in enumerate(self._listings):
            if listing.turn_day(now_s * 1_000_000_000):
                self._streams.changed(position)
            self._market.anchor(position, listing.prev_close_ticks, listing.band_ticks)
            self._set_rules(position, now_s)

    def _margins(self, closes: tuple[int, ...]) -> tuple[tuple[Decimal, Decimal] | None, ...]:
        """Return the collateral of a day that begins after these closes; of options as it was last reckoned."""
        margins: list[tuple[Decimal, Decimal] | None] = []
        for listing, close_ticks in zip(self._listings, closes, strict=True):
            instrument, told = listing.instrument, listing.rules.state
            if instrument.margin_buy is None or instrument.margin_sell is None:
                margins.append(None)
            elif instrument.symbol not in OPTION_TERMS:
                buy, sell = (
                    _grown(instrument, listed, close_ticks)
                    for listed in (instrument.margin_buy, instrument.margin_sell)
                )
                margins.append((buy, sell))
            elif isinstance(told.margin_buy, float) and isinstance(told.margin_sell, float):
                margins.append((Decimal(str(told.margin_buy)), Decimal(str(told.margin_sell))))
            else:  # its future is not in a short list of instruments
                margins.append((instrument.margin_buy, instrument.margin_sell))
        return tuple(margins)

    def _set_rules(self, position: int, now_s: int) -> None:
        listing = self._listings[position]
        instrument = listing.instrument
        status = self._hours.phase(instrument, now_s)
        phase, auction = _PHASES.get(status, (Phase.CLOSED, None))
        band_ticks = listing.band_ticks
        self._desk.set_rules(position, band_ticks, is_open=phase is not Phase.CLOSED, auction=auction)
        self._market.enter(position, phase)
        margins = instrument.symbol not in OPTION_TERMS
        self._tell(
            position,
            InstrumentUpdate(
                symbol=instrument.symbol,
                trading_status=status,
                trading_status_info=STATUS_TEXTS[status],
                price_min=instrument.price_float(band_ticks[0]),
                price_max=instrument.price_float(band_ticks[1]),
                margin_buy=_margin(listing, instrument.margin_buy) if margins else UNSET,
                margin_sell=_margin(listing, instrument.margin_sell) if margins else UNSET,
            ),
        )

    def _reckon_options(self, now_s: int) -> None:
        self._options_at_s = now_s // OPTIONS_EVERY_S * OPTIONS_EVERY_S + OPTIONS_EVERY_S
        on = date.fromordinal(_EPOCH_ORDINAL + trading_day(now_s))
        for position, listing in enumerate(self._listings):
            terms = OPTION_TERMS.get(listing.instrument.symbol)
            if terms is not None:
                self._reckon_option(position, listing.instrument, terms, on)

    def _reckon_option(self, position: int, instrument: Instrument, terms: OptionTerms, on: date) -> None:
        future = self._by_symbol.get(terms.underlying)
        if future is None:
            return  # a short list of instruments may end before the future
        price = future.instrument.price_float(future.last_ticks)
        margin = _margin(future, future.instrument.margin_sell)
        figures = terms.figures(price, 0.0 if margin is UNSET else margin, on)
        self._tell(
            position,
            InstrumentUpdate(
                symbol=instrument.symbol,
                margin_buy=figures.margin_buy,
                margin_sell=figures.margin_sell,
                margin_synthetic=figures.margin_synthetic,
                theoretical_price=figures.theoretical_price,
                theoretical_price_limit=figures.price_limit,
                volatility=figures.volatility,
            ),
        )

    def _tell(self, position: int, update: InstrumentUpdate) -> None:
        listing = self._listings[position]
        news = listing.rules.change(update)
        if news is not None:
            stood = listing.position(listing.rules.sequence)
            self._streams.happened(position, stood, lambda: news, kind=TopicKind.INSTRUMENT)


def _margin(listing: Listing, listed: Decimal | None) -> Maybe[float]:
    """Return the collateral of the day: that of the listing, in proportion to the close."""
    if listed is None:
        return UNSET
    return float(_grown(listing.instrument, listed, listing.prev_close_ticks))


def _grown(instrument: Instrument, listed: Decimal, close_ticks: int) -> Decimal:
    return (listed * close_ticks / instrument.prev_close_ticks).quantize(_CENT)


def _second_of_day(now_s: int) -> int:
    return (now_s + MOSCOW_OFFSET_S) % DAY_S
