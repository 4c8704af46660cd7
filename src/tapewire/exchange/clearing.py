"""The seam between matching and accounts: who may place an order, what has happened, what things are worth."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Protocol

from tapewire.exchange.command import Place
from tapewire.exchange.event import Event
from tapewire.exchange.refusal import Refusal

__all__ = ["BondInterest", "Clearing", "Marks", "NoClearing"]


class Clearing(Protocol):
    """Accounts, positions and risk, as matching sees them."""

    def refusal(self, place: Place, limit_ticks: int, *, replaces: int | None = None) -> Refusal | None:
        """Return why the account may not place the order, or None; nothing changes.

        Never asked for participants.

        Args:
            place: An order that the rules of its instrument allow.
            limit_ticks: The worst price that it can trade at.
            replaces: A working order of the same account that it takes the place of; what that one blocks
                counts as free.
        """

    def conditional_refusal(self, place: Place) -> Refusal | None:
        """Return why the account may not leave a conditional order for this one, or None; nothing changes.

        It needs no money until it fires; then ``refusal`` is asked.
        """

    def apply(self, event: Event) -> None:
        """Take note of what has happened: working orders block, trades settle, endings release.

        Told every event that changed something, in order, before the next order is checked. Refusals that it is
        told of have changed nothing.
        """


class NoClearing:
    """The clearing of an exchange without accounts: everybody may do everything."""

    def refusal(self, place: Place, limit_ticks: int, *, replaces: int | None = None) -> Refusal | None:
        """Refuse nothing."""
        return None

    def conditional_refusal(self, place: Place) -> Refusal | None:
        """Refuse nothing."""
        return None

    def apply(self, event: Event) -> None:
        """Keep nothing."""


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
