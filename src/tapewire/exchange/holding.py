"""What an account has of one instrument, and what its working orders may make of it."""

from __future__ import annotations

import msgspec

__all__ = ["Holding"]


class Holding(msgspec.Struct, gc=False):
    """Lots and money of one instrument in one account. Only the account changes it.

    Lots and costs are negative in a short position. ``cost`` is what the open lots were bought for, interest
    included: their average price times their number. Closing a part takes the same part of the cost; where
    that does not come out even, it is cut to a unit of money towards zero and the rest stays with the lots that
    stay, so that nothing is lost and ``realised`` plus what is open is always exact.
    """

    #: With all that has still to settle.
    lots: int = 0
    #: Settled. Only what settles tomorrow makes it differ from ``lots``.
    settled_lots: int = 0
    #: When the trading day began.
    open_lots: int = 0
    cost: int = 0
    #: The part of ``cost`` that is accrued interest.
    interest: int = 0
    #: As ``cost``, had the day begun with a purchase at the settlement price.
    day_cost: int = 0
    #: What closing has brought, coupons included, since ever and since the day began (against ``day_cost``).
    realised: int = 0
    day_realised: int = 0
    #: Contracts: their value at the last clearing and all that was paid since; variation margin is what they
    #: are worth beyond it.
    cleared_cost: int = 0
    #: Contracts: what is blocked as collateral for them and for working orders.
    collateral: int = 0
    #: Working orders, and, outside derivatives, the money they would pay or bring at their limits,
    #: interest and commission included.
    buy_lots: int = 0
    buy_money: int = 0
    sell_lots: int = 0
    sell_money: int = 0
    has_traded: bool = False

    def trade(self, lots: int, lot_money: int, lot_interest: int) -> None:
        """Add lots, negative ones for a sale, each for ``lot_money``, of which ``lot_interest`` is interest."""
        self.has_traded = True
        held = self.lots
        if (held > 0) is (lots < 0) and held:
            closed = min(abs(held), abs(lots))
            self._close(closed, lot_money)
            lots -= -closed if held > 0 else closed
        self.lots += lots
        self.cost += lots * lot_money
        self.day_cost += lots * lot_money
        self.interest += lots * lot_interest

    def _close(self, closed: int, lot_money: int) -> None:
        held = abs(self.lots)
        cost, day_cost = _part(self.cost, closed, held), _part(self.day_cost, closed, held)
        signed = closed if self.lots > 0 else -closed
        self.realised += signed * lot_money - cost
        self.day_realised += signed * lot_money - day_cost
        self.cost -= cost
        self.day_cost -= day_cost
        if self.interest:
            self.interest -= _part(self.interest, closed, held)
        self.lots -= signed

    def pay_coupon(self, lot_coupon: int) -> None:
        """Take note of a coupon, which is a result since ever, and leaves the value of the day as it was."""
        self.realised += self.lots * lot_coupon
        self.day_cost -= self.lots * lot_coupon

    def begin_day(self, lot_money: int) -> None:
        """Settle all and count the results of the day from this worth of a lot."""
        self.settled_lots = self.open_lots = self.lots
        self.day_cost = self.lots * lot_money
        self.day_realised = 0


def _part(cost: int, closed: int, held: int) -> int:
    if closed == held:
        return cost
    return cost * closed // held if cost >= 0 else -(-cost * closed // held)
