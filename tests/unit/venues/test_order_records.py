"""What the wire's records of orders say where only their kind makes a difference."""

from decimal import Decimal

import pytest

from accounting import BOND, BOND_TERMS, DAY, FUTURE, PAIR, SHARE, instruments
from tapewire.exchange import Accounts, Exchange, PlaceConditional
from tapewire.model import Condition, TimeInForce
from tapewire.venues.marks import LastPrices
from tapewire.venues.order_records import OrderRecords
from trading import BUY, SELL, place, rich

AT_NS = 1_793_602_800_000_000_000


class Stage:
    def __init__(self):
        listed = instruments()
        marks = LastPrices()
        self.accounts = Accounts(
            listed,
            rich("D1", "G1", "751"),
            marks,
            day=DAY + 1,  # interest begins to accrue
            bonds={"BOND": BOND_TERMS},
        )
        self.core = Exchange(listed, clearing=self.accounts, first_order_id=1, first_conditional_id=1)
        marks.follow(self.core, self.accounts)
        self.records = OrderRecords(self.core, self.accounts.instruments)

    def order(self, account, lots, ticks, **more):
        (accepted, *_) = self.core.apply(place(BUY, lots, ticks, account=account, **more), at_ns=AT_NS)
        return self.records.order(self.core.orders.get(accepted.order_id), existing=False)

    def fill(self, account, instrument, lots, ticks):
        self.core.apply(place(SELL, lots, ticks, account="~P", instrument=instrument), at_ns=AT_NS)
        self.core.apply(place(BUY, lots, ticks, account=account, instrument=instrument), at_ns=AT_NS)
        (row,) = self.accounts.fills.last(account, 1)
        return self.records.fill(row, existing=True)


@pytest.fixture
def stage():
    return Stage()


def test_an_iceberg_shows_its_visible_part_and_what_of_it_is_filled(stage):
    order = stage.order("D1", 10, 1000, visible_lots=4)
    assert (order.iceberg.creation_fixed_lots, order.iceberg.visible_lots, order.iceberg.visible_units) == (
        4,
        4,
        40,
    )
    assert order.iceberg.visible_filled_lots == 0

    stage.core.apply(place(SELL, 1, 1000, account="~P"), at_ns=AT_NS)
    shown = stage.records.order(stage.core.orders.get(int(order.id)), existing=False)
    assert (shown.iceberg.visible_lots, shown.iceberg.visible_filled_lots) == (4, 1)
    assert shown.filled_lots == 1


def test_a_market_order_has_no_price_and_no_value(stage):
    order = stage.order("D1", 1, None)
    assert (order.price, order.volume, order.type) == (0, None, "market")


def test_an_order_that_is_good_till_cancelled_ends_in_a_year(stage):
    order = stage.order("751", 1, 1000, instrument=FUTURE, time_in_force=TimeInForce.GOOD_TILL_CANCELLED)
    assert order.ends_at == "2027-11-02T07:00:00.0000000Z"


@pytest.mark.parametrize(
    ("account", "instrument", "ticks", "commission", "volume", "settles"),
    [
        ("D1", SHARE, 1000, Decimal("0.1"), 200, "2026-11-04"),
        ("D1", BOND, 10_000, Decimal("0.6"), 2000, "2026-11-04"),
        ("G1", PAIR, 1000, Decimal(8), 20_000, "2026-11-04"),
        ("751", FUTURE, 1000, None, 3000, "2026-11-03"),
    ],
)
def test_a_fill_shows_value_commission_and_settlement(
    stage, account, instrument, ticks, commission, volume, settles
):
    fill = stage.fill(account, instrument, 2, ticks)
    assert (fill.commission, fill.volume, fill.quantity_lots) == (commission, volume, 2)
    assert fill.settles_at == f"{settles}T23:59:59.0000000Z"
    assert fill.existing
    assert (fill.accrued_interest > 0) == (instrument == BOND)


def test_a_conditional_order_shows_what_it_will_place(stage):
    command = PlaceConditional(
        order=place(BUY, 3, 1010, account="D1", comment="mine", visible_lots=1),
        condition=Condition.MORE,
        trigger_ticks=1005,
        protecting_s=7,
        expires_at_ns=AT_NS + 10**9,
    )
    stage.core.apply(command, at_ns=AT_NS)
    record = stage.records.stop_order(stage.core.conditionals.get(1), existing=True)
    assert (record.price, record.stop_price, record.quantity_units) == (Decimal("10.10"), Decimal("10.05"), 30)
    assert (record.protecting_seconds, record.comment, record.exchange_order_id) == (7, "mine", None)
    assert record.ends_at == "2026-11-02T07:00:01.0000000Z"
    assert (record.iceberg.creation_fixed_lots, record.iceberg.visible_lots) == (1, 0)
