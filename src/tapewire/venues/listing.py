"""One instrument on the venue: its book, tape and figures, and the records made of them."""

from __future__ import annotations

from collections.abc import Sequence

from tapewire.exchange import OrderBook, Traded
from tapewire.market import BondTerms, TickBar
from tapewire.model import (
    Bar,
    Book,
    BookLevel,
    Cluster,
    ClusterLevel,
    Instrument,
    InstrumentKind,
    Quote,
    Side,
    StreamPosition,
    Trade,
    to_iso,
)
from tapewire.ports.archive import ArchivedTrade
from tapewire.ports.venue import Snapshot
from tapewire.venues.bond_figures import BondFigures
from tapewire.venues.charts import Charts
from tapewire.venues.clusters import Clusters, FinishedCluster, TickCluster
from tapewire.venues.figures import SessionFigures
from tapewire.venues.hall_state import ListingState
from tapewire.venues.open_interest import OpenInterest
from tapewire.venues.past_bars import PastBars
from tapewire.venues.rules import Rules
from tapewire.venues.tape import Print, Tape

__all__ = ["BOOK_DEPTH_MAX", "Listing"]

#: Levels a side that a subscriber can ask for.
BOOK_DEPTH_MAX = 50

_DERIVATIVES = frozenset({InstrumentKind.FUTURE, InstrumentKind.OPTION})
_NS_IN_MS = 1_000_000
_NS_IN_S = 1_000_000_000


class Listing:
    """The public face of one instrument.

    The positions of its book and quote are the version of the exchange's book: whatever changes a quote, a
    trade included, changes what rests, but for the turn of a day, which counts as well. A record is made once
    for each version that somebody asks for.
    """

    def __init__(
        self, instrument: Instrument, book: OrderBook, terms: BondTerms | None, *, epoch: str, at_ns: int
    ) -> None:
        """List an instrument.

        Args:
            instrument: What is listed.
            book: The exchange's live book of it.
            terms: The coupons of a bond; None for everything else.
            epoch: Names this start of the venue in all positions.
            at_ns: Wall time of the start, UTC ns; the book's time until something happens.
        """
        self.instrument = instrument
        self.tape = Tape()
        self.charts = Charts(self.tape, at_ns // _NS_IN_S)
        self.clusters = Clusters(self.tape)
        self.rules = Rules(instrument)
        self._book = book
        self._epoch = epoch
        self._figures = SessionFigures(instrument.prev_close_ticks, at_ns=at_ns)
        self._open_interest = OpenInterest() if instrument.kind in _DERIVATIVES else None
        self._bond = None if terms is None else BondFigures(instrument, terms)
        # True division of whole numbers is correctly rounded, so this gives the very doubles of
        # ``Instrument.price_float`` without a Decimal on the hot path.
        self._tick_numerator, self._tick_denominator = instrument.tick_size.as_integer_ratio()
        self._noted_version = book.version
        self._changed_at_ns = at_ns
        #: Days that have turned: a quote changes with them though no order does.
        self._turns = 0
        self._book_snapshot: Snapshot | None = None
        self._quote_snapshot: Snapshot | None = None
        #: Where the last trade is to be found until one happens here.
        self._past: PastBars | None = None

    def restore(
        self,
        past: PastBars,
        *,
        now_ns: int,
        prints: Sequence[Print] = (),
        minutes: Sequence[TickBar] = (),
        days: Sequence[TickBar] = (),
    ) -> None:
        """Continue what was before this start of the venue; to be called before anything happens.

        Args:
            past: What lies before the venue's first start.
            now_ns: Wall time, UTC ns.
            prints: The last trades of earlier starts, oldest first.
            minutes: Their minute bars, oldest first; the last one may still run.
            days: Their days, oldest first; the first day ever includes its seeded part. The last one may run.
        """
        self.tape = Tape(prints)
        self.charts = Charts(self.tape, now_ns // _NS_IN_S, past, minutes=minutes, days=days)
        self.clusters = Clusters(self.tape)
        if self._open_interest is not None and prints:
            self._open_interest = OpenInterest(prints[-1].open_interest)
        self._past = None if prints else past
        if prints:
            self._figures.last_at_ns = prints[-1].at_ns
        if days:
            prev_close_ticks = days[-2].close_ticks if len(days) > 1 else self.instrument.prev_close_ticks
            self._figures.restore(days[-1], prev_close_ticks)
        self._quote_snapshot = None

    def snapshot(self) -> ListingState:
        """Return what is known beside the orders, the tape and the bars."""
        figures = self._figures
        held = self._open_interest
        return ListingState(
            day=figures.day,
            prev_close_ticks=figures.prev_close_ticks,
            open_ticks=figures.open_ticks,
            high_ticks=figures.high_ticks,
            low_ticks=figures.low_ticks,
            last_ticks=figures.last_ticks,
            lots=figures.lots,
            rules=self.rules.state,
            open_interest=None if held is None else (held.lots, held.positions),
        )

    def take_over(self, state: ListingState) -> None:
        """Stand where a listing of the same instrument stood; ``restore`` comes before it."""
        figures = self._figures
        figures.day, figures.prev_close_ticks = state.day, state.prev_close_ticks
        figures.open_ticks, figures.last_ticks = state.open_ticks, state.last_ticks
        figures.high_ticks, figures.low_ticks = state.high_ticks, state.low_ticks
        figures.lots = state.lots
        self.rules.state = state.rules
        if self._open_interest is not None and state.open_interest is not None:
            self._open_interest = OpenInterest(*state.open_interest)
        self._quote_snapshot = None

    def turn_day(self, at_ns: int) -> bool:
        """Begin a new day's figures if it is one, and return whether it is."""
        if not self._figures.turn(at_ns):
            return False
        self._turns += 1
        return True

    @property
    def band_ticks(self) -> tuple[int, int]:
        """The price limits of the day: as far from the last close as the listing's from its own."""
        listed, close = self.instrument.prev_close_ticks, self._figures.prev_close_ticks
        low, high = self.instrument.price_band_ticks
        return max(close - close * (listed - low) // listed, 1), close + close * (high - listed) // listed

    @property
    def last_ticks(self) -> int:
        """The last price, or the previous close before the first trade."""
        return self._figures.last_ticks

    @property
    def prev_close_ticks(self) -> int:
        """The last price of the day before."""
        return self._figures.prev_close_ticks

    @property
    def best(self) -> tuple[int | None, int | None]:
        """The best bid and the best ask, ticks; None for an empty side."""
        return self._book.best_bid, self._book.best_ask

    @property
    def tape_position(self) -> StreamPosition:
        """Where the tape stands: the position of its newest trade."""
        return StreamPosition(self._epoch, self.tape.sequence)

    def position(self, sequence: int) -> StreamPosition:
        """Return a position in the streams of this start of the venue."""
        return StreamPosition(self._epoch, sequence)

    def note_trade(self, trade: Traded) -> Print:
        """Take a trade of this instrument into tape and figures and return its print.

        Bars and clusters learn of it from the desk, which tells what it finishes.
        """
        open_interest = 0
        if self._open_interest is not None:
            self._open_interest.trade(trade.buyer, trade.seller, trade.lots)
            open_interest = self._open_interest.lots
        self._figures.trade(trade.price_ticks, trade.lots, trade.at_ns)
        self._past = None
        return self.tape.append(trade, open_interest)

    def note_change(self, at_ns: int) -> bool:
        """Return whether the book has changed since the last call, and date the change."""
        if self._book.version == self._noted_version:
            return False
        self._noted_version = self._book.version
        self._changed_at_ns = at_ns
        return True

    def book(self) -> Snapshot:
        """Return the book, at most ``BOOK_DEPTH_MAX`` levels a side, dated when it last changed."""
        position = StreamPosition(self._epoch, self._book.version)
        if self._book_snapshot is None or self._book_snapshot.position != position:
            record = Book(
                snapshot=False,
                bids=self._levels(Side.BUY),
                asks=self._levels(Side.SELL),
                time_s=self._changed_at_ns // _NS_IN_S,
                time_ms=self._changed_at_ns // _NS_IN_MS,
                existing=False,
            )
            self._book_snapshot = Snapshot(position, record)
        return self._book_snapshot

    def quote(self) -> Snapshot:
        """Return the quote with the figures of the trading day."""
        position = StreamPosition(self._epoch, self._book.version + self._turns)
        if self._quote_snapshot is None or self._quote_snapshot.position != position:
            self._quote_snapshot = Snapshot(position, self._quote())
        return self._quote_snapshot

    def trade(self, printed: Print, *, existing: bool) -> Trade:
        """Return the record of a trade on the tape; ``existing`` marks it as history."""
        return Trade(
            id=printed.id,
            order_number=0,
            symbol=self.instrument.symbol,
            board=self.instrument.board,
            quantity=printed.lots,
            price=self._price(printed.price_ticks),
            time=to_iso(printed.at_ns),
            time_ms=printed.at_ns // _NS_IN_MS,
            open_interest=printed.open_interest,
            existing=existing,
            side=printed.aggressor,
        )

    def bar(self, interval_s: int) -> Snapshot | None:
        """Return the newest bar that has trades; None before the first trade."""
        newest = self.charts.newest(interval_s)
        if newest is None:
            return None
        return Snapshot(self.tape_position, self.bar_record(newest))

    def bar_record(self, bar: TickBar) -> Bar:
        """Return the record of a bar of this instrument."""
        return Bar(
            time_s=bar.time_s,
            close=self._price(bar.close_ticks),
            open=self._price(bar.open_ticks),
            high=self._price(bar.high_ticks),
            low=self._price(bar.low_ticks),
            volume=bar.lots,
        )

    def tick_bar(self, record: Bar) -> TickBar:
        """Return the bar that a record of this instrument shows."""
        return TickBar(
            record.time_s,
            self._ticks(record.open),
            self._ticks(record.high),
            self._ticks(record.low),
            self._ticks(record.close),
            record.volume,
        )

    def archived(self, printed: Print) -> ArchivedTrade:
        """Return a trade as it is kept in the archive."""
        return ArchivedTrade(
            printed.id,
            printed.at_ns,
            self._price(printed.price_ticks),
            printed.lots,
            printed.aggressor,
            printed.open_interest,
        )

    def printed(self, trade: ArchivedTrade) -> Print:
        """Return a trade of the archive as it was printed."""
        return Print(
            trade.id, self._ticks(trade.price), trade.quantity, trade.side, trade.at_ns, trade.open_interest
        )

    def cluster(self, interval_s: int, now_s: int) -> Snapshot:
        """Return the running cluster, prices ascending."""
        cluster = self.clusters.newest(interval_s, now_s)
        return Snapshot(self.position(cluster.sequence), self.cluster_record(cluster))

    def cluster_record(self, cluster: TickCluster | FinishedCluster) -> Cluster:
        """Return a cluster as it is told, prices ascending."""
        levels = tuple(
            ClusterLevel(price=self._price(ticks), buy_quantity=bought, sell_quantity=sold)
            for ticks, (bought, sold) in sorted(cluster.lots.items())
        )
        return Cluster(time_s=cluster.opening_s, levels=levels)

    def state(self) -> Snapshot:
        """Return the full state of the instrument's rules."""
        return Snapshot(self.position(self.rules.sequence), self.rules.state)

    def _price(self, ticks: int) -> float:
        return ticks * self._tick_numerator / self._tick_denominator

    def _ticks(self, price: float) -> int:
        # What comes back was a whole number of ticks when it went: the nearest is the one.
        return round(price * self._tick_denominator / self._tick_numerator)

    def _levels(self, side: Side) -> tuple[BookLevel, ...]:
        levels = self._book.levels(side, BOOK_DEPTH_MAX)
        if self._bond is None:
            numerator, denominator = self._tick_numerator, self._tick_denominator
            return tuple([BookLevel(price=ticks * numerator / denominator, volume=lots) for ticks, lots in levels])
        at_ns = self._changed_at_ns
        return tuple(
            BookLevel(price=self._price(ticks), volume=lots, yield_percent=self._bond.yield_percent(ticks, at_ns))
            for ticks, lots in levels
        )

    def _quote(self) -> Quote:
        instrument, book, figures = self.instrument, self._book, self._figures
        bid, ask = self.best
        change_ticks = figures.last_ticks - figures.prev_close_ticks
        accrued_interest = 0.0 if self._bond is None else self._bond.accrued_interest(self._changed_at_ns)
        return Quote(
            symbol=instrument.symbol,
            exchange=instrument.exchange,
            description=instrument.description,
            currency=instrument.currency,
            prev_close_price=self._price(figures.prev_close_ticks),
            last_price=self._price(figures.last_ticks),
            last_price_time_s=self._last_at_ns() // _NS_IN_S,
            high_price=self._price(figures.high_ticks),
            low_price=self._price(figures.low_ticks),
            accrued_interest=accrued_interest,
            volume=float(figures.lots),
            open_interest=None if self._open_interest is None else self._open_interest.lots,
            ask=None if ask is None else self._price(ask),
            bid=None if bid is None else self._price(bid),
            ask_volume=book.best_lots(Side.SELL),
            bid_volume=book.best_lots(Side.BUY),
            book_time_ms=self._changed_at_ns // _NS_IN_MS,
            open_price=self._price(figures.open_ticks),
            yield_percent=self._yield_at_last(),
            lot_size=float(instrument.lot_size),
            lot_value=self._lot_value(),
            face_value=float(instrument.face_value),
            type=instrument.type_code,
            total_bid_volume=book.total_lots(Side.BUY),
            total_ask_volume=book.total_lots(Side.SELL),
            accrued_interest_old=accrued_interest,
            change=self._price(change_ticks),
            change_percent=round(100 * change_ticks / figures.prev_close_ticks, 2),
        )

    def _last_at_ns(self) -> int:
        """Return when the last trade was, UTC ns; if there never was one, the time of the start."""
        if self._past is not None:
            # Past trades are made when somebody looks: thirty instruments at once would hold up the start.
            last = self._past.last()
            if last is not None:
                self._figures.last_at_ns = last.at_ns
            self._past = None
        return self._figures.last_at_ns

    def _yield_at_last(self) -> float | None:
        if self._bond is None:
            return None
        return self._bond.yield_percent(self._figures.last_ticks, self._changed_at_ns)

    def _lot_value(self) -> float:
        value = self.instrument.price(self._figures.last_ticks) * self.instrument.lot_size
        if self.instrument.kind is InstrumentKind.BOND:
            # Quoted in per cent of the face value.
            value = value * self.instrument.face_value / 100
        return float(value)
