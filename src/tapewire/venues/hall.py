"""The trading hall: everything of the venue that its entries decide. No loop, no chance, no clock of its own.

::

    entries ── begin ──── settings of a start ─┐
               command ── a user's ────────────┼─ desk ── exchange ─┬─ listings: book, tape, figures
               step ───── supervisor, market ──┘         (accounts) ├─ portfolios: orders, fills, money
                                                                    └─ streams: who has to be told

The same entries with the same times leave the same state, on every machine: that is how a journal brings it back.
"""

from __future__ import annotations

from collections.abc import Iterable

from tapewire.exchange import FIRST_ORDER_ID, Accounts, AccountTerms, Exchange
from tapewire.journal import StepRun
from tapewire.market import BOND_TERMS, Market, Past, SessionName, TradingHours, pace_of
from tapewire.model import Command, CommandKey, Done, Instrument, InstrumentKind, Refused, trading_day
from tapewire.ports.archive import Archive
from tapewire.ports.journal import JournalError
from tapewire.venues.desk import Desk
from tapewire.venues.directory import Directory
from tapewire.venues.guid_memory import GuidMemory
from tapewire.venues.hall_state import HallSettings, HallState, listed
from tapewire.venues.history import History
from tapewire.venues.keeper import Keeper
from tapewire.venues.listing import Listing
from tapewire.venues.market_query import MarketQuery
from tapewire.venues.marks import LastPrices
from tapewire.venues.past_bars import PastBars, id_at
from tapewire.venues.portfolio_query import PortfolioQuery
from tapewire.venues.portfolios import Portfolios
from tapewire.venues.revival import remember
from tapewire.venues.streams import Streams
from tapewire.venues.supervisor import Supervisor
from tapewire.venues.venue_clock import VenueClock

__all__ = ["Hall"]

#: Windows of usual trading that make up the open interest of the past: four hours of them.
_OPEN_INTEREST_WINDOWS = 48

#: Rows for the archive that may gather while entries are replayed; see ``Hall.is_crowded``.
_ROWS_AT_ONCE = 50_000


class Hall:
    """Participants, exchange, accounts and what is shown of them.

    A new one has empty books and stands at the moment of its making; one of a state stands where that was taken.
    What lies before it is remembered from the archive with ``look_back``, or is nothing but the seeded past.
    """

    def __init__(
        self,
        market: Market,
        hours: TradingHours,
        *,
        clock: VenueClock,
        streams: Streams,
        archive: Archive,
        accounts: Iterable[AccountTerms] = (),
        state: HallState | None = None,
    ) -> None:
        """Open the hall.

        Args:
            market: Participants and instruments; taken over.
            hours: When instruments are traded.
            clock: Says when things happen.
            streams: Who is told.
            archive: What lies before, and where prints and bars go.
            accounts: The portfolios of a new hall.
            state: Where to begin instead, settings and portfolios included; of ``market`` the instruments count.

        Raises:
            ValueError: Two instruments have the same name, or an account cannot be opened.
            JournalError: The state belongs to other instruments.
        """
        instruments = market.instruments
        if state is not None:
            _check_instruments(state, instruments)
            clock.event_ns = state.at_ns
            market, hours = _market_of(state.settings, instruments), _hours_of(state.settings)
            market.restore(state.market)
        at_ns = clock.now_ns()
        day = trading_day(at_ns // 1_000_000_000)
        self.market = market
        self.hours = hours
        self._clock = clock
        self._streams = streams
        self._archive = archive
        self.directory = Directory(instruments)
        self._marks = LastPrices()
        self.accounts = Accounts(
            instruments, accounts if state is None else state.terms, self._marks, day=day, bonds=BOND_TERMS
        )
        if state is not None:
            self.accounts.restore(state.accounts)
        self.exchange = _exchange(instruments, self.accounts, state, at_ns)
        self._marks.follow(self.exchange, self.accounts)
        # Positions in streams begin anew with each start of the program; of one width, so that later epochs are
        # larger texts.
        epoch = f"{at_ns:016x}"
        self.listings = tuple(
            Listing(one, self.exchange.book(position), BOND_TERMS.get(one.symbol), epoch=epoch, at_ns=at_ns)
            for position, one in enumerate(instruments)
        )
        self.keeper = Keeper(self.listings, archive)
        self.portfolios = Portfolios(
            self.exchange, self.accounts, self._marks, streams, epoch=epoch, now_ns=clock.now_ns
        )
        self.portfolio_query = PortfolioQuery(
            self.exchange, self.accounts, self._marks, self.directory, self.portfolios
        )
        self._desk = Desk(
            self.exchange, self.directory, self.listings, streams, self.keeper, self.portfolios, clock=clock
        )
        self.query = MarketQuery(self.directory, self.listings, (), now_ns=clock.now_ns)
        self.guids = GuidMemory(() if state is None else state.guids)
        self._supervisor = Supervisor(self._desk, self.listings, streams, market, hours)
        #: Steps that were journaled and are still to be made, as the state knew them.
        self.granted: list[StepRun] = [] if state is None else state.granted
        self._before = state
        if state is not None:
            self._take_over(state)

    def _take_over(self, state: HallState) -> None:
        self._supervisor.restore(state.supervisor)
        self._desk.passed_s = state.passed_s
        for listing, stood in zip(self.listings, state.listings, strict=True):
            listing.take_over(stood)
        self.keeper.restore(state.waiting_trades, state.waiting_bars)

    # --- what lies before -------------------------------------------------------------------------------

    def imagine_past(self, until_s: int) -> list[PastBars]:
        """Lay the seeded past before a moment (Unix s) and return each listing's view of it."""
        past = Past(self.market.instruments, seed=self.market.seed, until_s=until_s, hours=self.hours)
        views = [
            PastBars(past, position, open_interest=_open_interest_at_start(instrument))
            for position, instrument in enumerate(self.market.instruments)
        ]
        self.query.histories = [
            History(listing, view, self._archive, self.keeper)
            for listing, view in zip(self.listings, views, strict=True)
        ]
        return views

    def forget(self) -> None:
        """Begin with nothing but the seeded past: there is no archive."""
        now_ns = self._clock.now_ns()
        for listing, bars in zip(self.listings, self.imagine_past(now_ns // 1_000_000_000), strict=True):
            today = bars.today()
            listing.restore(bars, now_ns=now_ns, days=() if today is None else (today,))

    async def look_back(self) -> None:
        """Remember prices, tape and bars from the archive, up to where the hall stands.

        A new hall gives its trades numbers above those in the archive. The archive may know more than a state:
        what followed it will happen again.

        Raises:
            ArchiveError: It cannot be read, or does not take what the state has for it.
        """
        await self.keeper.flush()
        state = self._before
        now_ns = self._clock.now_ns()
        began_at_s = await self._archive.began_at_s(now_ns // 1_000_000_000)
        if state is None:
            # The past reaches up to now, later than the moment of the first numbers.
            self.exchange.skip_trade_ids(id_at(now_ns))
            last_id = await self._archive.last_trade_id()
            if last_id is not None:
                self.exchange.skip_trade_ids(last_id + 1)
        stands_at_s = now_ns // 1_000_000_000 if state is None else state.passed_s
        before_id = None if state is None else state.exchange.next_trade_id
        past = self.imagine_past(began_at_s)
        for position, (listing, bars) in enumerate(zip(self.listings, past, strict=True)):
            memory = await remember(listing, self._archive, bars.today(), stands_at_s, before_id=before_id)
            listing.restore(bars, now_ns=now_ns, prints=memory.prints, minutes=memory.minutes, days=memory.days)
            self.keeper.finished(position, memory.finished)
            if state is not None:
                listing.take_over(state.listings[position])

    # --- entries ----------------------------------------------------------------------------------------

    def open_trading(self) -> None:
        """Set the rules of the moment in a new hall; nobody has an order or a position yet."""
        self._supervisor.begin(self._clock.now_s())

    def begin(self, settings: HallSettings, at_ns: int) -> None:
        """Go on after a start of the program: other settings, and all that time has brought meanwhile."""
        before = self.market.state()
        self.granted = []
        self.hours = _hours_of(settings)
        self.market = _market_of(settings, self.market.instruments)
        self.market.restore(before)
        done = self._supervisor.state()
        self._supervisor = Supervisor(self._desk, self.listings, self._streams, self.market, self.hours)
        self._supervisor.restore(done)
        self._clock.stand(at_ns)
        try:
            now_s = self._clock.now_s()
            self._desk.pass_time(now_s)
            self._supervisor.resume(now_s)
        finally:
            self._clock.go_on()

    def step(self, at_ns: int) -> int:
        """Make one market step and return the number of the participants' events."""
        self._clock.stand(at_ns)
        try:
            now_s = self._clock.now_s()
            self._desk.pass_time(now_s)
            self._supervisor.watch(now_s)
            events = self.market.step(self._desk)
            self.portfolios.mark(self._clock.now_ns())
        finally:
            self._clock.go_on()
        return events

    def command(self, command: Command, key: CommandKey | None, at_ns: int) -> Done | Refused:
        """Carry out one command of a user, or refuse it and change nothing but what is remembered of it."""
        self._clock.stand(at_ns)
        try:
            outcome = self._desk.submit(command)
        finally:
            self._clock.go_on()
        if key is not None:
            self.guids.keep(key, outcome)
        return outcome

    def open_account(self, terms: AccountTerms) -> None:
        """Open a portfolio; one that is there already is left alone.

        Raises:
            ValueError: Its terms make no sense.
        """
        if terms.name not in self.accounts.names:
            self.accounts.open(terms)
            self.portfolios.add(terms.name)

    # --- state ------------------------------------------------------------------------------------------

    @property
    def settings(self) -> HallSettings:
        """What the operator has chosen."""
        return HallSettings(
            seed=self.market.seed,
            events_per_second=self.market.events_per_second,
            sessions=tuple(sorted(self.hours.sessions)),
            has_auctions=self.hours.has_auctions,
        )

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits for the archive that a replay should let it go there first."""
        return self.keeper.waiting > _ROWS_AT_ONCE

    def state(self) -> HallState:
        """Return all that the hall knows; what happens later does not reach it."""
        trades, bars = self.keeper.state()
        return HallState(
            instruments=tuple(listed(instrument) for instrument in self.market.instruments),
            settings=self.settings,
            at_ns=self._clock.event_ns,
            passed_s=self._desk.passed_s,
            exchange=self.exchange.snapshot(),
            terms=self.accounts.terms,
            accounts=self.accounts.snapshot(),
            market=self.market.state(),
            listings=tuple(listing.snapshot() for listing in self.listings),
            supervisor=self._supervisor.state(),
            guids=self.guids.all(),
            granted=list(self.granted),
            waiting_trades=trades,
            waiting_bars=bars,
        )


def _check_instruments(state: HallState, instruments: tuple[Instrument, ...]) -> None:
    here = tuple(listed(instrument) for instrument in instruments)
    if state.instruments == here:
        return
    if state.instruments[: len(here)] == here or here[: len(state.instruments)] == state.instruments:
        raise JournalError(
            f"it trades {len(state.instruments)} instruments, not {len(here)}: --symbols {len(state.instruments)}"
        )
    raise JournalError("it trades other instruments than this version of tapewire")


def _exchange(
    instruments: tuple[Instrument, ...], accounts: Accounts, state: HallState | None, at_ns: int
) -> Exchange:
    if state is not None:
        return Exchange.restored(instruments, state.exchange, clearing=accounts)
    # Numbers begin with the time: without a journal a restart has forgotten those it gave, and they grow
    # all the same, as long as there are fewer than 100,000 orders or 10,000 trades a second.
    first_order_id = FIRST_ORDER_ID + at_ns // 10_000
    return Exchange(instruments, clearing=accounts, first_order_id=first_order_id, first_trade_id=id_at(at_ns))


def _market_of(settings: HallSettings, instruments: tuple[Instrument, ...]) -> Market:
    return Market(instruments, seed=settings.seed, events_per_second=settings.events_per_second)


def _hours_of(settings: HallSettings) -> TradingHours:
    return TradingHours(map(SessionName, settings.sessions), has_auctions=settings.has_auctions)


def _open_interest_at_start(instrument: Instrument) -> int:
    """Return the contracts that accounts of the past hold: some hours of trading at the usual pace."""
    if instrument.kind not in (InstrumentKind.FUTURE, InstrumentKind.OPTION):
        return 0
    pace = pace_of(instrument.symbol)
    return round(pace.trades_per_window * pace.lots_per_trade * _OPEN_INTEREST_WINDOWS)
