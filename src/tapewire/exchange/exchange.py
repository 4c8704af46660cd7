"""The exchange: takes commands one after another, keeps the books, says what happened.

The same commands with the same times give the same events and the same state, always: there is no clock,
no chance and no I/O here, and a refused command leaves no trace. That is what lets a journal of commands be
the exchange's whole memory.

::

              ┌─ direct orders ─────── entry ─ matching ─ books ─┐
    command ──┼─ conditional orders ── conditionals ─ watch      ├─ events ── aftermath ─ more events
              └─ groups, rules, time, the end of a day ──────────┘

The aftermath tells clearing and register of every event and does what follows: groups, and what fires.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self, TypeVar

from tapewire.exchange.aftermath import Aftermath
from tapewire.exchange.auction import Uncrossing
from tapewire.exchange.book import OrderBook
from tapewire.exchange.clearing import Clearing, NoClearing
from tapewire.exchange.command import (
    Cancel,
    CancelAll,
    CancelConditional,
    CancelGroup,
    ChangeGroup,
    ClearDerivatives,
    Command,
    EndOfDay,
    MakeGroup,
    OrderRef,
    PassTime,
    Place,
    PlaceConditional,
    Replace,
    ReplaceConditional,
    SetRules,
)
from tapewire.exchange.conditional import ConditionalOrder
from tapewire.exchange.conditionals import Conditionals
from tapewire.exchange.entry import OrderEntry, rejected
from tapewire.exchange.event import CancelCause, CancelRejected, Cleared, DayTurned, Event, OrderRejected, RulesSet
from tapewire.exchange.groups import Groups, OrderGroup
from tapewire.exchange.matching import Matching
from tapewire.exchange.participant import PARTICIPANT_MARK
from tapewire.exchange.register import OrderRow, Register
from tapewire.exchange.replace import replacement
from tapewire.exchange.state import ExchangeState, digest, restore_trading, trading_state
from tapewire.model import Instrument, OrderScope, OrderStatus, TimeInForce, TradingCode

__all__ = ["FIRST_CONDITIONAL_ID", "FIRST_ORDER_ID", "FIRST_TRADE_ID", "Exchange"]

#: 19 digits, as the real numbers have, with room for seven quintillion more in a signed 64-bit integer.
FIRST_ORDER_ID = 2_030_000_000_000_000_000

#: Above 2^32, so that a client which keeps trade ids in 32 bits fails here and not in production.
FIRST_TRADE_ID = 10_000_000_000

#: Conditional orders are the broker's own: their numbers are short.
FIRST_CONDITIONAL_ID = 100_000

# On the hot path: reading a member from its class costs ten times a global in Python 3.11.
_ASKED = CancelCause.ASKED

_Row = TypeVar("_Row", OrderRow, ConditionalOrder)


class Exchange:
    """Order books of a fixed list of instruments, the rules by which orders meet, and the broker's part of it."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        clearing: Clearing | None = None,
        first_order_id: int = FIRST_ORDER_ID,
        first_trade_id: int = FIRST_TRADE_ID,
        first_conditional_id: int = FIRST_CONDITIONAL_ID,
        state: ExchangeState | None = None,
    ) -> None:
        """Open empty books, or those of a state.

        Args:
            instruments: Commands and events name an instrument by its position in this list.
            clearing: Asked before an order is accepted, told of every event; None: everybody may do everything.
            first_order_id: Given to the first order; later ones grow by one.
            first_trade_id: Given to the first trade; later ones grow by one.
            first_conditional_id: Given to the first conditional order; later ones grow by one.
            state: Where to begin, numbers included; see ``restored``.
        """
        if state is None:
            state = ExchangeState(
                next_order_id=first_order_id,
                next_trade_id=first_trade_id,
                next_conditional_id=first_conditional_id,
            )
        clearing = NoClearing() if clearing is None else clearing
        matching = Matching(instruments, state.next_order_id, state.next_trade_id)
        for trading, trading_before in zip(matching.trading, state.trading, strict=bool(state.trading)):
            matching.resting.update((order.id, order) for order in restore_trading(trading, trading_before))
        self._matching = matching
        #: Direct orders of users, with their whole life.
        self.orders: Register[OrderRow] = Register(state.orders, session=state.session)
        self._conditionals = Conditionals(
            matching.trading,
            clearing,
            next_id=state.next_conditional_id,
            orders=state.conditionals,
            session=state.session,
        )
        self._groups = Groups(self._status, state.groups, next_id=state.next_group_id)
        self._entry = OrderEntry(matching, self.orders, clearing)
        self._follow = Aftermath(
            matching, self._entry, self.orders, self._conditionals, self._groups, clearing
        ).follow
        # What the hot path asks each time, at hand.
        self._refusal, self._accept = self._entry.exchange_refusal, matching.accept
        self._tell = None if isinstance(clearing, NoClearing) else clearing.apply
        self._working = self.orders.working
        self._waiting = self._conditionals.register.working
        self._rare: dict[type, Callable[[Any, int], list[Event]]] = {
            Replace: self._replace,
            CancelAll: self._cancel_all,
            PlaceConditional: self._conditionals.place,
            ReplaceConditional: self._conditionals.replace,
            CancelConditional: self._conditionals.cancel,
            MakeGroup: self._groups.make,
            ChangeGroup: self._groups.change,
            CancelGroup: self._groups.cancel,
            SetRules: self._set_rules,
            PassTime: self._pass_time,
            EndOfDay: self._end_day,
            ClearDerivatives: self._clear,
        }

    @classmethod
    def restored(
        cls, instruments: Sequence[Instrument], state: ExchangeState, *, clearing: Clearing | None = None
    ) -> Self:
        """Return an exchange that goes on where another one stood when its ``snapshot`` was taken.

        Args:
            instruments: The list that the other one was made with.
            state: Its snapshot; taken over.
            clearing: One that stands where the other one's stood; it is told nothing of what has been.

        Raises:
            ValueError: The snapshot is of another number of instruments.
        """
        if len(state.trading) != len(instruments):
            raise ValueError(f"the snapshot has {len(state.trading)} instruments, the list {len(instruments)}")
        return cls(instruments, clearing=clearing, state=state)

    # --- reading ----------------------------------------------------------------------------------------

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The list of instruments as they were listed."""
        return tuple(trading.instrument for trading in self._matching.trading)

    def band_ticks(self, instrument: int) -> tuple[int, int]:
        """Return the lowest and the highest price that an order may carry now."""
        return self._matching.trading[instrument].band_ticks

    @property
    def conditionals(self) -> Register[ConditionalOrder]:
        """Conditional orders, with their whole life."""
        return self._conditionals.register

    @property
    def due_at_ns(self) -> int | None:
        """When ``PassTime`` has something to do next, UTC ns; None: never, as things are.

        It may be early: a moment that turns out to change nothing.
        """
        moments = (self.orders.expiries.first_ns(), self._conditionals.first_ns)
        return min((moment for moment in moments if moment is not None), default=None)

    def book(self, instrument: int) -> OrderBook:
        """Return the live book of the instrument at this position, for reading."""
        return self._matching.trading[instrument].book

    def last_ticks(self, instrument: int) -> int | None:
        """Return the price of the last trade, which conditional orders are compared with; None before it."""
        return self._matching.trading[instrument].last_ticks

    def uncrossing(self, instrument: int) -> Uncrossing | None:
        """Return what the running auction would come to now; None without one, or if nothing would trade."""
        trading = self._matching.trading[instrument]
        return None if trading.auction is None else trading.uncrossing()

    def group(self, group_id: int) -> OrderGroup | None:
        """Return a group that is active or still remembered; live: read, do not keep."""
        return self._groups.get(group_id)

    def groups(self, owner: str) -> list[OrderGroup]:
        """Return what is known of an owner's groups, by number."""
        return list(self._groups.of(owner))

    # --- state ------------------------------------------------------------------------------------------

    def skip_trade_ids(self, next_id: int) -> None:
        """Give the next trade ``next_id`` or more: numbers up to it were given by an earlier exchange."""
        self._matching.next_trade_id = max(self._matching.next_trade_id, next_id)

    def snapshot(self) -> ExchangeState:
        """Return a copy of everything that this exchange knows; the clearing's state is its own.

        Takes time in proportion to the number of orders, resting and remembered.
        """
        return ExchangeState(
            next_order_id=self._matching.next_order_id,
            next_trade_id=self._matching.next_trade_id,
            next_conditional_id=self._conditionals.next_id,
            next_group_id=self._groups.next_id,
            session=self.orders.session,
            trading=[trading_state(trading) for trading in self._matching.trading],
            orders=[copy(row) for row in self.orders.all()],
            conditionals=[copy(order) for order in self.conditionals.all()],
            groups=[group.copy() for group in self._groups.all()],
        )

    def state_digest(self) -> str:
        """Return a hash of everything that decides what this exchange will do next, and of what it remembers."""
        return digest(self.snapshot())

    # --- commands ---------------------------------------------------------------------------------------

    def apply(self, command: Command, *, at_ns: int) -> list[Event]:
        """Execute one command completely, or refuse it and change nothing.

        Args:
            command: What to do.
            at_ns: Wall time of the command, UTC ns, never less than that of the one before. It stamps the
                events, and the times for which conditional orders wait begin and end with it.

        Returns:
            What happened, in order; which events to expect is in ``exchange.event``. Only ``PassTime`` may
            leave it empty. An order of another account and one that does not exist are refused in the same
            words.
        """
        if type(command) is Place:
            refusal = self._refusal(command, at_ns)
            if refusal is not None:
                return [rejected(command, refusal, at_ns)]
            if command.account[:1] == PARTICIPANT_MARK:
                events = self._accept(command, at_ns)
                if len(events) > 1 and (self._working or self._waiting):
                    self._follow(events, at_ns)
                elif self._tell is not None:
                    for event in events:
                        self._tell(event)
                return events
            refusal = self._entry.clearing_refusal(command)
            if refusal is not None:
                return [rejected(command, refusal, at_ns)]
            events = self._entry.enter(command, at_ns)
        elif type(command) is Cancel:
            events = self._cancel(command, at_ns)
            if command.account[:1] == PARTICIPANT_MARK:
                if self._tell is not None:
                    self._tell(events[0])
                return events
        else:
            events = self._rare[type(command)](command, at_ns)
        self._follow(events, at_ns)
        return events

    def _cancel(self, cancel: Cancel, at_ns: int) -> list[Event]:
        order = self._matching.resting.get(cancel.order_id)
        if order is not None and order.account == cancel.account:
            return [self._matching.cancel(order, _ASKED, at_ns)]
        return [
            CancelRejected(
                account=cancel.account,
                order_id=cancel.order_id,
                code=TradingCode.ORDER_TO_CANCEL_NOT_FOUND,
                reason=f"the account has no working order {cancel.order_id}",
                at_ns=at_ns,
            )
        ]

    def _replace(self, replace: Replace, at_ns: int) -> list[Event]:
        row = self.orders.working.get(replace.order_id)
        if row is None or row.account != replace.account:
            refused = OrderRejected(
                account=replace.account,
                instrument=replace.instrument,
                code=TradingCode.ORDER_TO_MODIFY_NOT_FOUND,
                reason=f"the account has no working order {replace.order_id}",
                at_ns=at_ns,
            )
            return [refused]
        place = replacement(replace, row, self._matching.trading[row.instrument].instrument)
        refusal = self._refusal(place, at_ns) or self._entry.clearing_refusal(place, replaces=row.id)
        if refusal is not None:
            return [rejected(place, refusal, at_ns)]
        ended = self._matching.cancel(
            self._matching.resting[row.id],
            CancelCause.REPLACED,
            at_ns,
            replaced_by=self._matching.next_order_id,
        )
        return [ended, *self._entry.enter(place, at_ns, replaces=row.id)]

    def _cancel_all(self, cancel: CancelAll, at_ns: int) -> list[Event]:
        events: list[Event] = []
        if cancel.scope is not OrderScope.CONDITIONAL:
            resting = [self._matching.resting[row.id] for row in self._meant(self.orders, cancel)]
            events += [self._matching.cancel(order, CancelCause.ASKED, at_ns) for order in resting]
        if cancel.scope is not OrderScope.DIRECT:
            kept = self._meant(self.conditionals, cancel)
            events += [self._conditionals.end(order, CancelCause.ASKED, at_ns) for order in kept]
        if events:
            return events
        return [
            CancelRejected(
                account=cancel.account,
                order_id=None,
                code=TradingCode.ORDER_TO_CANCEL_NOT_FOUND,
                reason="Orders to cancel not found",
                at_ns=at_ns,
            )
        ]

    def _meant(self, register: Register[_Row], cancel: CancelAll) -> list[_Row]:
        trading = self._matching.trading
        return [
            row
            for row in register.of(cancel.account)
            if row.status is OrderStatus.WORKING
            and cancel.exchange in (None, trading[row.instrument].instrument.exchange)
        ]

    def _set_rules(self, rules: SetRules, at_ns: int) -> list[Event]:
        opens = rules.is_open and not self._matching.trading[rules.instrument].is_open
        told = RulesSet(
            instrument=rules.instrument,
            price_band_ticks=rules.price_band_ticks,
            is_open=rules.is_open,
            auction=rules.auction,
            at_ns=at_ns,
        )
        events = [told, *self._matching.set_rules(rules, at_ns)]
        if opens:
            self._conditionals.open(rules.instrument, at_ns)
        return events

    def _pass_time(self, _command: PassTime, at_ns: int) -> list[Event]:
        resting = self._matching.resting
        events: list[Event] = [
            self._matching.cancel(resting[order_id], CancelCause.LAPSED, at_ns)
            for order_id in self.orders.expiries.pop_until(at_ns)
        ]
        events += self._conditionals.lapse(at_ns)
        self._conditionals.ripen(at_ns)
        return events

    def _end_day(self, end: EndOfDay, at_ns: int) -> list[Event]:
        resting = self._matching.resting
        events: list[Event] = [
            self._matching.cancel(resting[row.id], CancelCause.DAY_ENDED, at_ns)
            for row in self._working.values()
            if row.time_in_force is not TimeInForce.GOOD_TILL_CANCELLED
        ]
        settlement_ticks = end.settlement_ticks or self._reference_ticks()
        events.append(DayTurned(day=end.day, settlement_ticks=settlement_ticks, margins=end.margins, at_ns=at_ns))
        return events

    def _clear(self, clear: ClearDerivatives, at_ns: int) -> list[Event]:
        return [Cleared(settlement_ticks=clear.settlement_ticks or self._reference_ticks(), at_ns=at_ns)]

    def _reference_ticks(self) -> tuple[int, ...]:
        return tuple(trading.reference_ticks for trading in self._matching.trading)

    def _status(self, ref: OrderRef) -> OrderStatus | None:
        row = (self.conditionals if ref.is_conditional else self.orders).get(ref.order_id)
        return row.status if row is not None and row.account == ref.account else None
