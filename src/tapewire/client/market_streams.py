"""Streams of the market by name, to be iterated or to call functions."""

from __future__ import annotations

from typing import TypeVar

from tapewire.client.arguments import AHEAD_MAX_S, Since, flag, listed, moment_s, whole, within, word
from tapewire.client.bar_history import WIRE_BARS_MAX, BarHistory, bars_between
from tapewire.client.bar_subscription import BarSubscription
from tapewire.client.bars import Bars
from tapewire.client.buffer import BufferPolicy, Conflate, Fail
from tapewire.client.callback import Callbacks, calling
from tapewire.client.errors import ArgumentError
from tapewire.client.instrument_changes import InstrumentChanges
from tapewire.client.subscription import Subscription, SubscriptionOwner
from tapewire.client.timeframe import Timeframe, timeframe_of
from tapewire.model import (
    DAY_S,
    Bar,
    Book,
    Cluster,
    Exchange,
    InstrumentUpdate,
    Quote,
    Record,
    Trade,
    bar_opening_s,
)
from tapewire.protocol.formats import codec
from tapewire.protocol.limits import (
    BOOK_DEPTH_DEFAULT,
    BOOK_DEPTH_MAX,
    FREQUENCY_DEFAULT_MS,
    TRADES_HISTORY_MAX,
)
from tapewire.protocol.requests import (
    SubscribeBars,
    SubscribeBook,
    SubscribeClusters,
    SubscribeInstrument,
    SubscribeQuotes,
    SubscribeRequest,
    SubscribeTrades,
)
from tapewire.protocol.words import Format

__all__ = ["MarketStreams", "Since"]

R = TypeVar("R", bound=Record)


class MarketStreams:
    """Makes streams of instruments; they are opened, iterated and closed by whoever asked.

    Each stream has a decorator beside it, ``on_…``, that takes the same options and calls a function instead.
    """

    def __init__(self, owner: SubscriptionOwner, callbacks: Callbacks, past: BarHistory) -> None:
        self._owner = owner
        #: Functions that are called with the records of streams.
        self.callbacks = callbacks
        self._past = past

    def book(
        self,
        symbol: str,
        *,
        depth: int = BOOK_DEPTH_DEFAULT,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        frequency_ms: int = FREQUENCY_DEFAULT_MS,
        format: Format = Format.SLIM,  # noqa: A002  (the word of the wire)
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Book]:
        """Return the stream of an instrument's order book: at once its state, then each change.

        Every record is the complete book. Several changes within one window of ``frequency_ms`` arrive as one;
        so do, by default, books that a slow consumer did not take in time (``Conflate``).

        Args:
            symbol: Ticker.
            depth: Levels a side, 1..50.
            exchange: Where the instrument is listed.
            board: Board code; empty: the primary board.
            frequency_ms: Width of the window; below the floor of the format the floor is used.
            format: Spelling on the wire. Slim is the shortest and lacks nothing but deprecated fields.
            buffer: What happens when the consumer is slower than the stream.

        Raises:
            LimitError: ``depth`` is outside 1..50.
            ArgumentError: An argument is what it cannot be, as of all streams.
        """
        within("depth of a book", depth, 1, BOOK_DEPTH_MAX)
        request = SubscribeBook(
            guid="",
            **listed(symbol, exchange, board),
            depth=depth,
            frequency=_frequency(frequency_ms),
            format=_known(format),
        )
        return self._subscription(request, Book, buffer or Conflate(), f"book:{symbol}")

    def quotes(
        self,
        symbol: str,
        *,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        frequency_ms: int = FREQUENCY_DEFAULT_MS,
        format: Format = Format.SIMPLE,  # noqa: A002
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Quote]:
        """Return the stream of an instrument's quote: at once its state, then each change.

        Every record is complete. Conflation as in :meth:`book`. Slim lacks the previous close and the change.
        """
        request = SubscribeQuotes(
            guid="",
            **listed(symbol, exchange, board),
            frequency=_frequency(frequency_ms),
            format=_known(format),
        )
        return self._subscription(request, Quote, buffer or Conflate(), f"quotes:{symbol}")

    def trades(
        self,
        symbol: str,
        *,
        depth: int = 0,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        format: Format = Format.SLIM,  # noqa: A002
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Trade]:
        """Return an instrument's trade tape: the last ``depth`` trades, oldest first, then every new one.

        Nothing is conflated. By default nothing is lost either: a consumer that falls 100,000 trades behind gets
        ``BufferOverflowError`` (``Fail``). Past trades have ``existing`` set.

        Raises:
            LimitError: ``depth`` is outside 0..5,000.
        """
        within("past trades", depth, 0, TRADES_HISTORY_MAX)
        request = SubscribeTrades(
            guid="",
            **listed(symbol, exchange, board),
            depth=depth,
            format=_known(format),
        )
        return self._subscription(request, Trade, buffer or Fail(), f"trades:{symbol}")

    def bars(
        self,
        symbol: str,
        timeframe: str | int | Timeframe,
        *,
        since: Since | None = None,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        split_adjust: bool = True,
        frequency_ms: int = FREQUENCY_DEFAULT_MS,
        format: Format = Format.SLIM,  # noqa: A002
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Bar]:
        """Return the stream of an instrument's bars: those since a moment, oldest first, then the running one.

        The running bar comes again, with the same ``time_s``, each time it has changed; the first with a later
        ``time_s`` says that the one before is final. Bars without trades are not there. A past that is longer than
        a stream should carry (1,000 bars) is fetched over HTTP; the two join without a hole or a repetition.

        Args:
            symbol: Ticker.
            timeframe: ``"1m"``, ``"5m"``, ``"1h"``, ``"D"``, ``"W"``, ``"M"``, ``"Y"``, or seconds.
            since: Opening of the first bar wanted: a moment with its zone, or how long ago. None: no past.
            exchange: Where the instrument is listed.
            board: Board code; empty: the primary board.
            split_adjust: Whether past bars are corrected for splits.
            frequency_ms: Width of the window, as of :meth:`book`.
            format: Spelling on the wire. All hold the same; Slim is the shortest.
            buffer: By default a consumer that falls 100,000 bars behind gets ``BufferOverflowError``. With
                ``Conflate`` a slow one misses bars, also final ones. The past comes whole, whatever it is.

        Raises:
            ArgumentError: There is no such timeframe, or ``since`` is no moment of the past.
        """
        frame = timeframe_of(timeframe)
        now_s = int(self._owner.now().timestamp())
        since_s = now_s if since is None else self._unix_s("since", since, frame)
        request = SubscribeBars(
            guid="",
            **listed(symbol, exchange, board),
            timeframe=frame.wire,
            since_s=since_s,
            skip_history=since is None,
            split_adjust=flag("split_adjust", split_adjust),
            frequency=_frequency(frequency_ms),
            format=_known(format),
        )
        is_long = bars_between(since_s, now_s, frame.interval_s) > WIRE_BARS_MAX
        return BarSubscription(
            request,
            codec(Bar, request.format),
            buffer or Fail(),
            f"bars:{symbol}:{frame}",
            self._owner,
            self._until_now if is_long else None,
        )

    def instrument_changes(
        self,
        symbol: str,
        *,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        format: Format = Format.SLIM,  # noqa: A002
        buffer: BufferPolicy | None = None,
    ) -> Subscription[InstrumentUpdate]:
        """Return the stream of what a trading day changes of an instrument: status, price limits, margins.

        The broker sends the state once and then what has changed; every record here is the whole state. A field
        that was never said is ``UNSET``. All formats hold the same.

        Nothing is conflated, as each message holds what others do not: a consumer that falls 100,000 changes
        behind gets ``BufferOverflowError``.

        Raises:
            ArgumentError: ``buffer`` is a policy that drops messages.
        """
        request = SubscribeInstrument(guid="", **listed(symbol, exchange, board), format=_known(format))
        return InstrumentChanges(
            request,
            codec(InstrumentUpdate, request.format),
            buffer or Fail(),
            f"instrument_changes:{symbol}",
            self._owner,
        )

    def clusters(
        self,
        symbol: str,
        timeframe: str | int | Timeframe,
        *,
        since: Since | None = None,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        format: Format = Format.SIMPLE,  # noqa: A002
        buffer: BufferPolicy | None = None,
    ) -> Subscription[Cluster]:
        """Return the stream of what was bought and sold at each price, interval by interval.

        The broker does not document it; its terminal alone asks for it, in Simple. The running interval comes
        again each time it has changed, and once more when the next one begins. ``timeframe`` as of :meth:`bars`;
        ``since`` asks for the intervals from that moment on, as far back as the broker has them, oldest first;
        None: from the running one. By default nothing is lost, as of :meth:`bars`.

        Raises:
            ArgumentError: There is no such timeframe, or ``since`` is no moment of the past.
        """
        frame = timeframe_of(timeframe)
        now_s = int(self._owner.now().timestamp())
        request = SubscribeClusters(
            guid="",
            **listed(symbol, exchange, board),
            # The terminal sends seconds only.
            timeframe=str(frame.interval_s),
            since_s=bar_opening_s(now_s, frame.interval_s)
            if since is None
            else self._unix_s("since", since, frame),
            format=_known(format),
        )
        return self._subscription(request, Cluster, buffer or Fail(), f"clusters:{symbol}:{frame}")

    # --- called with every record: ``@broker.on_trades("GAZP")`` -----------------------------------------

    on_book = calling(book)
    on_quotes = calling(quotes)
    on_trades = calling(trades)
    on_bars = calling(bars)
    on_instrument_changes = calling(instrument_changes)
    on_clusters = calling(clusters)

    # --- the past -----------------------------------------------------------------------------------------

    async def history(
        self,
        symbol: str,
        timeframe: str | int | Timeframe,
        *,
        since: Since,
        until: Since | None = None,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        split_adjust: bool = True,
    ) -> Bars:
        """Return the bars that open from ``since`` to ``until``, both included, over HTTP, in pages.

        At most 500,000. The newest may be unfinished. An instrument without trades then has none.

        Args:
            symbol: Ticker, also of an instrument that has come to its end.
            timeframe: As of :meth:`bars`.
            since: A moment with its zone, or how long ago.
            until: The same; None: now.
            exchange: Where the instrument is listed.
            board: Board code; empty: the primary board.
            split_adjust: Whether bars are corrected for splits.

        Raises:
            ArgumentError: There is no such timeframe, ``since`` or ``until`` is no moment of the past, or the
                range is empty.
            LimitError: There are more bars.
            RefusedError: The broker does not answer this: no such instrument.
            ConnectError: The broker cannot be reached.
            TokenRefusedError: The refresh token has ceased to be good.
            TokenServiceError: A new token was needed and could not be had.
        """
        frame = timeframe_of(timeframe)
        asked = SubscribeBars(
            guid="",
            **listed(symbol, exchange, board),
            timeframe=frame.wire,
            since_s=self._unix_s("since", since, frame),
            split_adjust=flag("split_adjust", split_adjust),
        )
        if until is None:
            return Bars(symbol, frame, await self._until_now(asked))
        until_s = self._unix_s("until", until, frame)
        if until_s < asked.since_s:
            raise ArgumentError(f"until: {until} is before since: {since}: nothing was sent")
        return Bars(symbol, frame, await self._past.fetch(asked, until_s))

    # --- inside -------------------------------------------------------------------------------------------

    async def _until_now(self, asked: SubscribeBars) -> list[Bar]:
        # Bars of a day have the name of a midnight that may be ahead; the broker's clock may be ahead, too.
        return await self._past.fetch(asked, int(self._owner.now().timestamp()) + DAY_S)

    def _unix_s(self, what: str, moment: Since, frame: Timeframe) -> int:
        # The bar of a day has the name of a midnight that may be ahead.
        ahead_max_s = DAY_S if frame.interval_s >= DAY_S else AHEAD_MAX_S
        return moment_s(what, moment, self._owner.now(), ahead_max_s)

    def _subscription(
        self, request: SubscribeRequest, record: type[R], policy: BufferPolicy, name: str
    ) -> Subscription[R]:
        return Subscription(request, codec(record, request.format), policy, name, self._owner)


def _frequency(asked_ms: int) -> int:
    return max(whole("frequency_ms", asked_ms), 0)


def _known(form: Format) -> Format:
    return word("format", Format, form)
