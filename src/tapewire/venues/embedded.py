"""The embedded venue: an exchange with its own market, in this process.

::

    users' commands ─┐                       ┌─ listings: book, tape, figures ──── current, recent_trades
                     ├─ desk ──── exchange ──┤
    participants ────┘  (one order)          └─ streams: who has to be told ────── changed, happened
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tapewire.exchange import FIRST_ORDER_ID, FIRST_TRADE_ID, Exchange, TradingCode
from tapewire.market import BOND_TERMS, PARTICIPANT_MARK, Market
from tapewire.model import Command, Instrument, Outcome, Refused, Topic, TopicKind, Trade
from tapewire.ports import Clock, FeedSink, Snapshot, TradesPage, UnknownTopicError
from tapewire.venues.desk import Desk
from tapewire.venues.directory import Directory
from tapewire.venues.listing import Listing
from tapewire.venues.streams import SERVED_KINDS, Streams

__all__ = ["STEPS_AT_ONCE_MAX", "EmbeddedVenue"]

#: Steps made without a pause after the loop was late. What is more is left out: a venue that cannot keep up
#: gives less market, not a longer and longer pause.
STEPS_AT_ONCE_MAX = 20

#: Wake-ups come at the edge of a step; the part of a step by which rounding may make them look early.
_EARLY_PART = 1e-3

#: Trades turned into records before other tasks get their turn.
_TRADES_AT_ONCE = 500


class EmbeddedVenue:
    """Implements ``FeedSource``, ``CommandSink`` and ``Query`` over an exchange in this process.

    All calls belong to one event loop's thread. Records carry event time: the wall clock at the command that
    caused them, never going back. A new venue starts empty with a new epoch, and with order and trade
    numbers above those of the one before.
    """

    def __init__(self, market: Market, *, clock: Clock) -> None:
        """Open the venue; its books are empty until ``run`` or ``step``.

        Args:
            market: Participants and instruments; the venue takes it over.
            clock: Stamps what happens.

        Raises:
            ValueError: Two instruments have the same exchange, symbol and board.
        """
        at_ns = clock.wall_ns()
        epoch = f"{at_ns:x}"
        self._market = market
        self._directory = Directory(market.instruments)
        # Without a journal a restart forgets the numbers it has given. Starting from the time keeps them
        # growing all the same, as long as there are fewer than 100,000 orders or 10,000 trades a second.
        core = Exchange(
            market.instruments,
            first_order_id=FIRST_ORDER_ID + at_ns // 10_000,
            first_trade_id=FIRST_TRADE_ID + at_ns // 100_000,
        )
        self._listings = tuple(
            Listing(instrument, core.book(position), BOND_TERMS.get(instrument.symbol), epoch=epoch, at_ns=at_ns)
            for position, instrument in enumerate(market.instruments)
        )
        self._streams = Streams(len(self._listings))
        self._desk = Desk(core, self._directory, self._listings, self._streams, clock=clock)
        #: Market steps that were left out because the loop was late.
        self.steps_skipped = 0

    # --- the market -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the market going on the running loop's time until cancelled.

        Steps fall on a fixed grid that begins with the call, so lateness does not add up. After a delay at
        most ``STEPS_AT_ONCE_MAX`` steps are made up; the others are counted in ``steps_skipped``.

        Raises:
            ExceptionGroup: A sink has failed; the venue's state is sound and ``run`` may be called again.
        """
        loop = asyncio.get_running_loop()
        step_s = self._market.step_s
        origin_s = loop.time()
        if not self._market.next_step:
            self.step()
        steps = 0
        while True:
            due = int((loop.time() - origin_s) / step_s + _EARLY_PART) - steps
            if due > STEPS_AT_ONCE_MAX:
                self.steps_skipped += due - STEPS_AT_ONCE_MAX
                steps += due - STEPS_AT_ONCE_MAX
                due = STEPS_AT_ONCE_MAX
            for _ in range(due):
                steps += 1
                self.step()
            await asyncio.sleep(origin_s + (steps + 1) * step_s - loop.time())

    def step(self) -> int:
        """Make one market step, tell the sinks, and return the number of the participants' events.

        The first one opens the market and fills the books.

        Raises:
            ExceptionGroup: A sink has failed; all others were told.
        """
        events = self._market.step(self._desk)
        self._streams.flush()
        return events

    # --- CommandSink ------------------------------------------------------------------------------------

    async def submit(self, command: Command) -> Outcome:
        """Apply one command after all that came before it.

        Returns:
            ``Done`` with the number of the order that was made or cancelled, or ``Refused`` and nothing has
            changed. An order may be done and already cancelled: fill-or-kill that could not be filled,
            book-or-cancel that would have traded, a market order in an empty book.

        Raises:
            ExceptionGroup: A sink has failed; the command is applied, all other sinks were told.
        """
        if command.portfolio.startswith(PARTICIPANT_MARK):
            return Refused(
                int(TradingCode.OPERATION_NOT_SUPPORTED), f"portfolio {command.portfolio} is the market's own"
            )
        outcome = self._desk.submit(command)
        self._streams.flush()
        return outcome

    # --- FeedSource -------------------------------------------------------------------------------------

    def open(self, topic: Topic, sink: FeedSink) -> None:
        """Begin to tell ``sink`` about ``topic``; opening it twice is opening it once.

        Of a state, ``changed`` comes once and then not again until ``current`` was called. Of trades,
        ``happened`` comes for each one that follows, in order and without a hole in the sequence.

        Raises:
            UnknownTopicError: There is no such instrument, or the venue has no streams of that kind.
        """
        self._streams.open(topic, self._position(topic), sink)

    def close(self, topic: Topic, sink: FeedSink) -> None:
        """Stop telling ``sink`` about ``topic``; a topic that it has not opened changes nothing."""
        self._streams.close(topic, sink)

    def current(self, topic: Topic) -> Snapshot | None:
        """Return the book or quote as it stands, open or not; never None.

        Raises:
            UnknownTopicError: There is no such instrument, or the kind has no state.
        """
        listing = self._listings[self._position(topic)]
        self._streams.pulled(topic)
        if topic.kind is TopicKind.BOOK:
            return listing.book()
        if topic.kind is TopicKind.QUOTE:
            return listing.quote()
        raise UnknownTopicError(f"{topic.kind} is a stream of events and has no state")

    # --- Query ------------------------------------------------------------------------------------------

    def instruments(self) -> Sequence[Instrument]:
        """Return all instruments, most active first."""
        return self._directory.instruments

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        """Return an instrument; an empty ``board`` means the primary one. None: there is none."""
        position = self._directory.position(exchange, symbol, board)
        return None if position is None else self._directory.instruments[position]

    async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
        """Return the last ``limit`` trades of an instrument, oldest first, and the position they reach.

        At most ``venues.tape.TAPE_TRADES_MAX`` are kept. The page is that of the moment of the call, though
        other tasks get their turn while a long one is made.

        Raises:
            UnknownTopicError: There is no such instrument, or the topic is not one of trades.
            ValueError: ``limit`` is negative.
        """
        if limit < 0:
            raise ValueError(f"limit is {limit}, not 0 or more")
        listing = self._listings[self._position(topic)]
        if topic.kind is not TopicKind.TRADES:
            raise UnknownTopicError(f"{topic.kind} is not the kind of the trade tape")
        prints = listing.tape.last(limit)
        position = listing.tape_position
        trades: list[Trade] = []
        for start in range(0, len(prints), _TRADES_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            chunk = prints[start : start + _TRADES_AT_ONCE]
            trades.extend(listing.trade(printed, existing=True) for printed in chunk)
        return TradesPage(position, trades)

    def _position(self, topic: Topic) -> int:
        if topic.kind not in SERVED_KINDS:
            raise UnknownTopicError(f"this venue has no streams of kind {topic.kind}")
        position = self._directory.position(topic.exchange, topic.subject, topic.board)
        if position is None or topic.interval_s:
            raise UnknownTopicError(
                f"this venue has no stream {topic.kind} {topic.exchange} {topic.subject} {topic.board}".rstrip()
                + (f" of interval {topic.interval_s} s" if topic.interval_s else "")
            )
        return position
