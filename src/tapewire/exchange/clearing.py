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

    def refusal(self, place: Place, limit_ticks: int) -> Refusal | None:
        """Whether the account may place the order; ``limit_ticks`` is the worst price it can trade at.

        Changes nothing. Never asked for participants. An order with ``place.replaces`` takes the place of that
        working order of the same account: what the old one blocks is free for the new one.
        """

    def conditional_refusal(self, place: Place) -> Refusal | None:
        """Whether the account may leave a conditional order for this one, which needs no money until it fires.

        Changes nothing. When it fires, ``refusal`` is asked of the order that it places.
        """

    def apply(self, event: Event) -> None:
        """Take note of what has happened: working orders block, trades settle, endings release.

        Told every event that changed something, in order, before the next order is checked. Refusals that it is
        told of have changed nothing.
        """


class NoClearing:
    """The clearing of an exchange without accounts: everybody may do everything."""

    def refusal(self, place: Place, limit_ticks: int) -> Refusal | None:
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
