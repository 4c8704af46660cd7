"""What matching asks of accounts, and what accounts ask of the market."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Protocol

from tapewire.exchange.command import Place
from tapewire.exchange.event import Cleared, DayTurned, Event
from tapewire.exchange.refusal import Refusal

__all__ = ["PARTICIPANT_MARK", "BondInterest", "Clearing", "Marks"]

#: Names of the market's own participants begin with it: they are neither cleared nor refused for money.
PARTICIPANT_MARK = "~"


class Clearing(Protocol):
    """Money and securities behind the orders: asked before one is accepted, told what has happened."""

    def refusal(self, place: Place, limit_ticks: int) -> Refusal | None:
        """Return why the account may not place the order, or None; nothing changes.

        Args:
            place: An order that the rules of its instrument allow.
            limit_ticks: The worst price that it can trade at.
        """

    def apply(self, event: Event | Cleared | DayTurned) -> None:
        """Take note of what has happened: working orders block, trades settle, endings release."""


class Marks(Protocol):
    """What instruments are worth now. Part of the exchange's state: equal histories give equal marks."""

    def last_ticks(self, instrument: int) -> int | None:
        """Return the price of the last trade, ticks; None: there is no price to value anything with."""


class BondInterest(Protocol):
    """The coupons of one bond, which fall every ``period_days`` before ``matures_on``."""

    @property
    def coupon(self) -> Decimal:
        """Paid at the end of each period, for one bond."""

    @property
    def period_days(self) -> int:
        """Length of a period."""

    @property
    def matures_on(self) -> date:
        """The day of the last coupon."""

    def accrued_interest(self, on: date) -> Decimal:
        """Return the interest that a buyer owes the seller, for one bond."""
