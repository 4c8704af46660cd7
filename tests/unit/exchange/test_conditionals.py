"""What the examples of docs/execution.md do not show of conditional orders."""

import pytest

from tapewire.exchange import (
    CancelConditional,
    CancelRejected,
    ConditionalAccepted,
    ConditionalFired,
    Exchange,
    OrderAccepted,
    OrderRejected,
    PassTime,
    PlaceConditional,
    Refusal,
    ReplaceConditional,
    SetRules,
    conditionals,
)
from tapewire.model import Condition, InstrumentKind, OrderStatus, TimeInForce, TradingCode
from trading import BUY, SELL, instrument, place

SECOND = 10**9
DAY = 86_400 * SECOND
BAND = (900, 1100)


def stop(side=BUY, lots=1, price=None, condition=Condition.MORE_OR_EQUAL, trigger=1000, account="A", **more):
    order = {
        name: more.pop(name) for name in ("instrument", "visible_lots", "time_in_force", "comment") if name in more
    }
    return PlaceConditional(
        order=place(side, lots, price, account=account, **order),
        condition=condition,
        trigger_ticks=trigger,
        **more,
    )


@pytest.fixture
def exchange():
    return Exchange([instrument(), instrument("FUT", kind=InstrumentKind.FUTURE)], first_order_id=1)


def apply(exchange, *commands, at_ns=0):
    return [event for command in commands for event in exchange.apply(command, at_ns=at_ns)]


def trade(exchange, ticks, at_ns=0):
    """Let others trade at a price; return what follows from it."""
    apply(exchange, place(SELL, 1, ticks, account="S"), at_ns=at_ns)
    return apply(exchange, place(BUY, 1, ticks, account="B", time_in_force=TimeInForce.FILL_OR_KILL), at_ns=at_ns)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (stop(instrument=2), TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED),
        (stop(account="~maker"), TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED),
        (stop(condition=Condition("about")), TradingCode.UNSUPPORTED_STOP_ORDER_TYPE),
        (stop(trigger=0), TradingCode.INTERNAL_ERROR_WITH_PRICES),
        (stop(price=0), TradingCode.INTERNAL_ERROR_WITH_PRICES),
        (stop(protecting_s=0), TradingCode.UNSUPPORTED_STOP_ORDER_TYPE),
        (stop(protecting_s=301), TradingCode.UNSUPPORTED_STOP_ORDER_TYPE),
        (stop(expires_at_ns=7), TradingCode.UNSUPPORTED_STOP_ORDER_TYPE),
        (stop(expires_at_ns=7 + 365 * DAY + 1), TradingCode.UNSUPPORTED_STOP_ORDER_TYPE),
        (stop(lots=0), TradingCode.EXCHANGE_INCORRECT_QUANTITY),
        (stop(price=1000, visible_lots=1), TradingCode.EXCHANGE_INCORRECT_QUANTITY),
        (stop(time_in_force=TimeInForce.BOOK_OR_CANCEL), TradingCode.FORBIDDEN_ORDER_TYPE),
        (ReplaceConditional(order_id=9, by=stop()), TradingCode.ORDER_TO_MODIFY_NOT_FOUND),
    ],
)
def test_a_bad_conditional_order_is_refused_and_leaves_no_trace(exchange, command, code):
    digest = exchange.state_digest()

    (refused,) = apply(exchange, command, at_ns=7)

    assert isinstance(refused, OrderRejected)
    assert (refused.code, bool(refused.reason), refused.order_id) == (code, True, None)
    assert exchange.state_digest() == digest


def test_an_end_may_be_a_year_away_or_none_at_all(exchange):
    for command in (stop(expires_at_ns=7 + 365 * DAY), stop()):
        (accepted,) = apply(exchange, command, at_ns=7)
        assert isinstance(accepted, ConditionalAccepted)


def test_a_price_outside_the_limits_is_no_reason_to_refuse_before_it_fires(exchange):
    assert isinstance(apply(exchange, stop(price=1200, trigger=1300))[0], ConditionalAccepted)


def test_the_broker_keeps_only_so_many(exchange, monkeypatch):
    monkeypatch.setattr(conditionals, "CONDITIONAL_ORDERS_MAX", 1)
    apply(exchange, stop())

    (refused,) = apply(exchange, stop())

    assert refused.code is TradingCode.CANT_WRITE_STOP_ORDER_TO_STORAGE


def test_another_account_s_conditional_order_is_refused_like_an_unknown_one(exchange):
    (kept,) = apply(exchange, stop())

    foreign, unknown = apply(
        exchange,
        CancelConditional(account="B", order_id=kept.order_id),
        CancelConditional(account="B", order_id=7),
    )
    (replaced,) = apply(exchange, ReplaceConditional(order_id=kept.order_id, by=stop(account="B")))

    assert isinstance(foreign, CancelRejected)
    assert foreign.reason.replace(str(kept.order_id), "7") == unknown.reason
    assert replaced.code is TradingCode.ORDER_TO_MODIFY_NOT_FOUND


def test_on_derivatives_a_replacement_keeps_side_and_instrument(exchange):
    (kept,) = apply(exchange, stop(instrument=1))

    _, share = apply(exchange, ReplaceConditional(order_id=kept.order_id, by=stop(SELL, 3, trigger=1010)))

    assert (share.instrument, share.side, share.lots, share.trigger_ticks) == (1, BUY, 3, 1010)


def test_what_a_fired_order_places_carries_comment_and_both_numbers(exchange):
    apply(exchange, stop(price=1000, comment="mine"))

    fired, placed = trade(exchange, 1000)[2:]

    assert isinstance(fired, ConditionalFired)
    assert isinstance(placed, OrderAccepted)
    assert fired.placed_id == placed.order_id
    assert placed.conditional_id == fired.order_id
    row, kept = exchange.orders.get(placed.order_id), exchange.conditionals.get(fired.order_id)
    assert (row.comment, row.conditional_id) == ("mine", kept.id)
    assert (kept.status, kept.placed_id) == (OrderStatus.FILLED, row.id)


def test_a_stop_fires_another(exchange):
    apply(exchange, place(BUY, 9, 950, account="C"), place(BUY, 9, 940, account="C"))
    apply(exchange, stop(SELL, 9, condition=Condition.LESS_OR_EQUAL, trigger=980))
    apply(exchange, stop(SELL, 2, condition=Condition.LESS, trigger=960, account="D"))

    events = trade(exchange, 980)

    kinds = [type(event).__name__ for event in events]
    assert kinds.count("ConditionalFired") == 2
    assert exchange.book(0).levels(BUY, 9) == [(940, 7)]


def test_while_the_instrument_is_closed_nothing_fires_and_at_the_opening_what_is_due_does(exchange):
    trade(exchange, 1000)
    apply(exchange, SetRules(instrument=0, price_band_ticks=BAND, is_open=False))
    apply(exchange, stop(price=990))
    apply(exchange, stop(price=980, protecting_s=5))
    assert apply(exchange, PassTime(), at_ns=6 * SECOND) == []

    opened = SetRules(instrument=0, price_band_ticks=BAND, is_open=True)
    events = apply(exchange, opened, at_ns=7 * SECOND)

    assert [type(event).__name__ for event in events[1:]] == ["ConditionalFired", "OrderAccepted"] * 2
    assert exchange.book(0).levels(BUY, 9) == [(990, 1), (980, 1)]


def test_time_is_due_when_the_next_order_fires_or_lapses(exchange):
    trade(exchange, 1000)
    assert exchange.due_at_ns is None
    apply(exchange, stop(condition=Condition.LESS, trigger=950, expires_at_ns=90 * SECOND))
    assert exchange.due_at_ns == 90 * SECOND
    apply(exchange, stop(protecting_s=30), at_ns=SECOND)
    assert exchange.due_at_ns == 31 * SECOND

    fired, *_ = apply(exchange, PassTime(), at_ns=31 * SECOND)

    assert isinstance(fired, ConditionalFired)
    assert exchange.due_at_ns == 90 * SECOND


class Poor:
    def conditional_refusal(self, place):
        return Refusal(TradingCode.LOW_RISK_MARGINAL_FORBIDDEN, "no consent") if place.account == "L" else None

    def refusal(self, place, limit_ticks, *, replaces=None):
        return (
            Refusal(TradingCode.NOT_ENOUGH_CASH, f"no money for {limit_ticks}") if place.account == "A" else None
        )

    def apply(self, event):
        pass


def test_money_is_asked_for_when_it_fires_and_its_lack_is_the_error():
    exchange = Exchange([instrument()], clearing=Poor(), first_order_id=1)
    (kept,) = apply(exchange, stop())

    cancelled = trade(exchange, 1000)[-1]

    assert cancelled.error == "NotEnoughCash (401): no money for 1100"
    assert exchange.conditionals.get(kept.order_id).placed_id is None
    assert list(exchange.orders.of("A")) == []


def test_the_clearing_may_refuse_to_keep_it_at_all():
    exchange = Exchange([instrument()], clearing=Poor())

    (refused,) = apply(exchange, stop(account="L"))

    assert refused.code is TradingCode.LOW_RISK_MARGINAL_FORBIDDEN
