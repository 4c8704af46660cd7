"""How a command ended, as its caller is told: exactly one of these, for every command that was sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from tapewire.client.order_ticket import OrderTicket
from tapewire.model import Exchange, Order, OrderScope, StopOrder

__all__ = [
    "Accepted",
    "AllCanceled",
    "CommandResult",
    "GroupAccepted",
    "NotDone",
    "Rejected",
    "Resolution",
    "Unknown",
]


class Accepted(msgspec.Struct, frozen=True):
    """The broker took the command.

    Of a new order that is not yet the exchange's word: it may still reject it, which is told as the status
    ``rejected`` in ``Portfolio.watch_orders`` and ``Portfolio.orders``. Of a replaced order it is the new order,
    with a new number; of a cancelled one the cancelled order.
    """

    order: OrderTicket
    #: Of the command.
    guid: str

    @property
    def order_number(self) -> str:
        """The number by which later commands name the order."""
        return self.order.number


class AllCanceled(msgspec.Struct, frozen=True):
    """The broker took the command to cancel all working orders of a portfolio."""

    portfolio: str
    exchange: Exchange
    scope: OrderScope
    guid: str


class GroupAccepted(msgspec.Struct, frozen=True):
    """The broker took a command about an order group."""

    group_id: str
    guid: str


class Rejected(msgspec.Struct, frozen=True):
    """The broker did not take the command, and nothing has changed."""

    #: In terms of HTTP: 400, 401, 403, 404, 429, …
    code: int
    reason: str
    guid: str
    #: The trading system's code where the broker tells one: ``TradingCode.NOT_ENOUGH_CASH``, …
    trading_code: int | None = None

    def __str__(self) -> str:
        return f"rejected ({self.code}): {self.reason}"


class NotDone(msgspec.Struct, frozen=True):
    """A command of unknown outcome has certainly not done what it was for, and will not."""

    reason: str
    guid: str


@dataclass(frozen=True)
class Unknown:
    """The command was sent, and nobody has said what became of it: it may have been carried out or not.

    It is never repeated. :meth:`resolve` looks for what it has done.
    """

    guid: str
    why: str
    #: After :meth:`resolve`: orders that may be this command's, and may be others'.
    candidates: tuple[Order | StopOrder, ...] = ()
    #: The command in words: ``buy 1 SBER at 290``, ``cancelling limit order 7 of D1``.
    what: str = ""
    _inquire: Callable[[], Awaitable[Resolution]] | None = field(default=None, repr=False, compare=False)

    async def resolve(self) -> Resolution:
        """Find out what became of the command from a late answer or the broker's lists over HTTP.

        Up to four looks, with 0.5, 1 and 2 s between; after 15 s it ends however slowly they are answered. What
        comes is certain when it is ``Accepted`` (also ``AllCanceled``, ``GroupAccepted``) or ``NotDone``.
        ``Unknown`` says that it cannot be told, and why: no order in a list does not say that none will come, and
        one with a comment of the caller's own may be another command's. Ask again later, or look at
        ``candidates``. The lists hold the running session's orders. Many may ask at once: they share the readings
        of a portfolio.

        What the network does is no error here: no connection, no answer, too many requests (429), a fault of the
        server (5xx). If no look has succeeded, ``why`` of the ``Unknown`` says the last reason.

        Raises:
            RefusedError: The broker does not tell this at all: the token lacks the right.
            TokenRefusedError: The refresh token has ceased to be good.
        """
        return self if self._inquire is None else await self._inquire()

    def __str__(self) -> str:
        what = f"the outcome of {self.what} ({self.guid})" if self.what else "the outcome"
        return f"{what} is unknown: {self.why}"


#: How a command about one order ends.
CommandResult = Accepted | Rejected | Unknown
Resolution = Accepted | AllCanceled | GroupAccepted | Rejected | NotDone | Unknown
