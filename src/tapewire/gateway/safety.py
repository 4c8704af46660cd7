"""What a connection of ``/cws`` has asked to be cancelled without it, and which orders that is. Pure: no I/O.

=============================  ==========================================================================
what happens                   what is doomed
=============================  ==========================================================================
the timer runs out             every guarded order, every command that has come and is not carried out yet
the connection is lost         the same, if cancelling on disconnect was asked for; else the timer goes on
the client closes in order     nothing, and the timer is disarmed
the server ends                the same as both at once: nobody will be there to do it later
=============================  ==========================================================================

Guarded are the orders that were placed through the connection after its first request. A replacement belongs to
the connection that sent it. A command of which the venue has not said how it ended is followed until it has: what
it has made is doomed if the command was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from tapewire.model import (
    CancelOrder,
    CancelStopOrder,
    Command,
    Done,
    Exchange,
    Outcome,
    PlaceOrder,
    PlaceStopOrder,
    ReplaceOrder,
    ReplaceStopOrder,
)

__all__ = ["GUARDED_ORDERS_MAX", "Cause", "GuardedOrder", "PortfolioRows", "Safety", "Ticket", "places"]

#: Working orders of one connection and commands under way that are guarded. The next order is answered 429.
GUARDED_ORDERS_MAX = 10_000
#: Orders guarded before the venue is first asked which of them still work; later at twice as many as were left.
_LOOK_FROM = 500


class Cause(StrEnum):
    """Why orders are cancelled; the value is the label of its counter."""

    TIMER = "timer"
    DISCONNECT = "disconnect"
    SHUTDOWN = "shutdown"


class GuardedOrder(NamedTuple):
    """Names an order; direct and conditional ones have numbers of their own."""

    portfolio: str
    exchange: Exchange
    number: str
    is_conditional: bool

    @property
    def cancellation(self) -> CancelOrder | CancelStopOrder:
        """The command that cancels it."""
        cancel = CancelStopOrder if self.is_conditional else CancelOrder
        return cancel(portfolio=self.portfolio, exchange=self.exchange, order_number=self.number)


class PortfolioRows(NamedTuple):
    """What a venue shows of the orders of one portfolio."""

    portfolio: str
    exchange: Exchange
    working: frozenset[str]
    working_conditional: frozenset[str]
    #: Conditional orders that have fired, and the direct order of each.
    placed: Mapping[str, str]


class Ticket:
    """A command from its arrival until its outcome is known."""

    __slots__ = ("command", "is_doomed", "is_given")

    def __init__(self, command: Command) -> None:
        self.command = command
        #: The venue has it.
        self.is_given = False
        #: What it makes is to be cancelled; while it waits it is not to be carried out.
        self.is_doomed = False


class Safety:
    """The state of one connection. Times are seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self.cancels_on_disconnect = False
        #: 0: the timer is not armed.
        self.after_s = 0
        self.deadline_s: float | None = None
        #: How often the timer has run out.
        self.fired = 0
        # Dicts, for their order.
        self._orders: dict[GuardedOrder, None] = {}
        self._doomed: dict[GuardedOrder, None] = {}
        self._tickets: dict[Ticket, None] = {}
        self._look_at = _LOOK_FROM

    # --- what is asked ----------------------------------------------------------------------------------

    def ask(self, *, cancels_on_disconnect: bool | None, after_s: int | None, now_s: float) -> None:
        """Agree on something new; None leaves it as it is, and a timer that is not named is not renewed."""
        if cancels_on_disconnect is not None:
            self.cancels_on_disconnect = cancels_on_disconnect
        if after_s is not None:
            self.after_s = after_s
            self.deadline_s = now_s + after_s if after_s else None

    @property
    def guarded(self) -> tuple[GuardedOrder, ...]:
        """Orders that may still work and are not to be cancelled yet, in the order of their coming."""
        return tuple(self._orders)

    @property
    def doomed(self) -> tuple[GuardedOrder, ...]:
        """Orders to be cancelled now."""
        return tuple(self._doomed)

    @property
    def is_full(self) -> bool:
        """Whether no more orders can be guarded."""
        return len(self._orders) + len(self._doomed) + len(self._tickets) >= GUARDED_ORDERS_MAX

    @property
    def wants_look(self) -> bool:
        """Whether so many orders are guarded that the venue should be asked which of them still work."""
        return len(self._orders) >= self._look_at

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left that the end of the connection has to wait for."""
        return not self._doomed and not self._tickets and (self.deadline_s is None or not self._orders)

    @property
    def unsettled(self) -> int:
        """How many orders work that should not, as far as is known."""
        return len(self._doomed) + sum(ticket.is_doomed and places(ticket.command) for ticket in self._tickets)

    # --- commands ---------------------------------------------------------------------------------------

    def arrived(self, command: Command) -> Ticket:
        """Follow a command from now on."""
        ticket = Ticket(command)
        self._tickets[ticket] = None
        return ticket

    def give(self, ticket: Ticket) -> bool:
        """Return whether a command may be given to the venue now; if not, it is over."""
        if ticket.is_doomed and places(ticket.command):
            del self._tickets[ticket]
            return False
        ticket.is_given = True
        return True

    def ended(self, ticket: Ticket, outcome: Outcome | None) -> None:
        """Take note of how a command has ended; None: nobody will ever say."""
        is_followed = self._tickets.pop(ticket, ticket) is None
        if not is_followed or not isinstance(outcome, Done):
            return  # refused, repeated (an order of another command), unavailable: it has made nothing
        command = ticket.command
        for order in _gone(command):
            self._orders.pop(order, None)
            self._doomed.pop(order, None)
        made = _made(command, outcome)
        if made is not None:
            (self._doomed if ticket.is_doomed else self._orders)[made] = None

    # --- what ends --------------------------------------------------------------------------------------

    def expire(self, now_s: float) -> bool:
        """Doom what is guarded if the timer has run out; return whether it has."""
        if self.deadline_s is None or now_s < self.deadline_s:
            return False
        self.fired += 1
        self._doom()
        return True

    def leave(self, *, is_clean: bool) -> bool:
        """The connection has ended: commands that the venue has not got are never given to it.

        Returns:
            Whether orders are doomed by that.
        """
        for ticket in [ticket for ticket in self._tickets if not ticket.is_given]:
            del self._tickets[ticket]
        if is_clean:
            self.release()
        elif self.cancels_on_disconnect:
            self.cancels_on_disconnect = False
            self._doom()
            return True
        elif self.deadline_s is None:
            self.release()
        return False

    def shut_down(self) -> bool:
        """The server ends; return whether orders are doomed by that."""
        if not self.cancels_on_disconnect and self.deadline_s is None:
            return False
        self.cancels_on_disconnect = False
        self._doom()
        return True

    def release(self) -> None:
        """Guard nothing any more; what is doomed already stays so."""
        self.cancels_on_disconnect = False
        self.after_s, self.deadline_s = 0, None
        self._orders.clear()
        for ticket in [ticket for ticket in self._tickets if not ticket.is_doomed]:
            del self._tickets[ticket]

    def abandon(self) -> None:
        """Nobody will do anything more."""
        self.release()
        self._doomed.clear()
        self._tickets.clear()

    def _doom(self) -> None:
        self.after_s, self.deadline_s = 0, None
        self._doomed |= self._orders
        self._orders.clear()
        self._look_at = _LOOK_FROM
        for ticket in self._tickets:
            ticket.is_doomed = True

    # --- what is over -----------------------------------------------------------------------------------

    def settled(self, order: GuardedOrder) -> None:
        """Forget an order that works no more."""
        self._doomed.pop(order, None)

    def look(self, rows: PortfolioRows, asked_about: Iterable[GuardedOrder]) -> None:
        """Forget what is over of the orders that were known when the venue was asked; follow what has fired."""
        for order in asked_about:
            if (order.portfolio, order.exchange) != (rows.portfolio, rows.exchange):
                continue
            where = next((held for held in (self._orders, self._doomed) if order in held), None)
            if where is None or order.number in (
                rows.working_conditional if order.is_conditional else rows.working
            ):
                continue
            del where[order]
            placed = rows.placed.get(order.number) if order.is_conditional else None
            if placed is not None and placed in rows.working:
                where[order._replace(number=placed, is_conditional=False)] = None
        self._look_at = max(_LOOK_FROM, 2 * len(self._orders))


def places(command: Command) -> bool:
    """Return whether a command makes an order."""
    return isinstance(command, PlaceOrder | PlaceStopOrder | ReplaceOrder | ReplaceStopOrder)


def _made(command: Command, done: Done) -> GuardedOrder | None:
    match command:
        case PlaceOrder() | PlaceStopOrder():
            order = command
        case ReplaceOrder() | ReplaceStopOrder():
            order = command.order
        case _:
            return None
    is_conditional = isinstance(order, PlaceStopOrder)
    return GuardedOrder(order.portfolio, order.exchange, done.order_number, is_conditional)


def _gone(command: Command) -> tuple[GuardedOrder, ...]:
    match command:
        case CancelOrder() | CancelStopOrder():
            is_conditional = isinstance(command, CancelStopOrder)
            return (GuardedOrder(command.portfolio, command.exchange, command.order_number, is_conditional),)
        case ReplaceOrder() | ReplaceStopOrder():
            order, is_conditional = command.order, isinstance(command, ReplaceStopOrder)
            return (GuardedOrder(order.portfolio, order.exchange, command.order_number, is_conditional),)
    return ()
