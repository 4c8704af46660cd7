"""What the exchange asks of a clearing and tells it."""

from tapewire.exchange import (
    Cancel,
    Exchange,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    Refusal,
    Replace,
    Traded,
)
from tapewire.model import TradingCode
from trading import BUY, SELL, instrument, place


class OneOrder:
    """Lets everybody have one order at a time."""

    def __init__(self):
        self.working = {}
        self.asked = []
        self.told = []

    def refusal(self, place, limit_ticks, *, replaces=None):
        self.asked.append((place.account, limit_ticks, replaces))
        if self.working.get(place.account, replaces) != replaces:
            return Refusal(TradingCode.NOT_ENOUGH_CASH, "one is enough")
        return None

    def conditional_refusal(self, place):
        return None

    def apply(self, event):
        self.told.append(type(event))
        if isinstance(event, OrderAccepted):
            self.working[event.account] = event.order_id
        elif isinstance(event, OrderCancelled):
            del self.working[event.account]


def test_it_is_asked_with_the_worst_price_and_may_refuse():
    clearing = OneOrder()
    exchange = Exchange([instrument()], clearing=clearing, first_order_id=1)
    exchange.apply(place(BUY, 1, 1000), at_ns=0)
    digest = exchange.state_digest()

    (refused,) = exchange.apply(place(SELL, 1, None), at_ns=0)

    assert isinstance(refused, OrderRejected)
    assert refused.code is TradingCode.NOT_ENOUGH_CASH
    assert clearing.asked == [("A", 1000, None), ("A", 900, None)]
    assert exchange.state_digest() == digest


def test_what_the_exchange_itself_refuses_is_not_asked_about():
    clearing = OneOrder()
    Exchange([instrument()], clearing=clearing).apply(place(BUY, 1, 1101), at_ns=0)

    assert clearing.asked == []


def test_a_replaced_order_blocks_nothing_for_the_new_one():
    clearing = OneOrder()
    exchange = Exchange([instrument()], clearing=clearing, first_order_id=1)
    exchange.apply(place(BUY, 1, 1000), at_ns=0)

    replace = Replace(account="A", order_id=1, instrument=0, side=BUY, lots=1, price_ticks=1001)
    exchange.apply(replace, at_ns=0)

    assert clearing.asked[-1] == ("A", 1001, 1)
    assert clearing.working == {"A": 2}
    assert exchange.book(0).levels(BUY, 9) == [(1001, 1)]


def test_participants_are_not_asked_about_but_told_of():
    clearing = OneOrder()
    exchange = Exchange([instrument()], clearing=clearing, first_order_id=1)
    exchange.apply(place(BUY, 2, 1000, account="~one"), at_ns=0)
    exchange.apply(place(SELL, 1, 1000, account="~two"), at_ns=0)
    exchange.apply(Cancel(account="~one", order_id=1), at_ns=0)

    assert clearing.asked == []
    assert clearing.told == [OrderAccepted, OrderAccepted, Traded, OrderCancelled]
