import pytest

from tapewire import exchange as exchange_module
from tapewire.exchange import (
    FIRST_ORDER_ID,
    FIRST_TRADE_ID,
    LOTS_MAX,
    Auction,
    Cancel,
    CancelAll,
    CancelCause,
    CancelRejected,
    ClearDerivatives,
    Cleared,
    DayTurned,
    EndOfDay,
    Exchange,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    Replace,
    RulesSet,
    SetRules,
)
from tapewire.model import Exchange as Where
from tapewire.model import InstrumentKind, OrderScope, Side, TimeInForce, TradingCode
from trading import BUY, SELL, instrument, place, trades

IOC = TimeInForce.IMMEDIATE_OR_CANCEL
FOK = TimeInForce.FILL_OR_KILL
BOC = TimeInForce.BOOK_OR_CANCEL


@pytest.fixture
def exchange():
    return Exchange([instrument("TEST"), instrument("OTHER")])


def apply(exchange, *commands):
    return [event for command in commands for event in exchange.apply(command, at_ns=5)]


def test_the_first_order_gets_the_first_number_and_rests(exchange):
    assert apply(exchange, place(BUY, 3, 1000)) == [
        OrderAccepted(
            order_id=FIRST_ORDER_ID,
            account="A",
            instrument=0,
            side=BUY,
            lots=3,
            price_ticks=1000,
            time_in_force=TimeInForce.ONE_DAY,
            at_ns=5,
        )
    ]
    assert exchange.book(0).levels(BUY, 9) == [(1000, 3)]
    assert exchange.book(1).levels(BUY, 9) == []


def test_numbers_fit_the_wire():
    assert len(str(FIRST_ORDER_ID)) == 19
    assert FIRST_ORDER_ID + 10**18 < 2**63
    assert 2**32 < FIRST_TRADE_ID < 2**53


def test_numbers_can_start_elsewhere():
    exchange = Exchange([instrument()], first_order_id=7, first_trade_id=9)

    accepted, *_ = exchange.apply(place(SELL, 1, 1000, account="S"), at_ns=0)
    (trade,) = trades(exchange.apply(place(BUY, 1, 1000), at_ns=0))

    assert (accepted.order_id, trade.sell_order_id, trade.buy_order_id, trade.trade_id) == (7, 7, 8, 9)


def test_a_trade_happens_at_the_resting_price_and_names_both_sides(exchange):
    apply(exchange, place(SELL, 5, 1001, account="S"))

    (trade,) = trades(apply(exchange, place(BUY, 2, 1005, account="B")))

    assert (trade.trade_id, trade.price_ticks, trade.lots, trade.aggressor) == (FIRST_TRADE_ID, 1001, 2, BUY)
    assert (trade.buyer, trade.seller) == ("B", "S")
    assert (trade.buy_order_id, trade.sell_order_id) == (FIRST_ORDER_ID + 1, FIRST_ORDER_ID)
    assert exchange.book(0).levels(SELL, 9) == [(1001, 3)]


def test_a_limit_order_eats_levels_up_to_its_price_and_its_rest_waits(exchange):
    apply(exchange, place(BUY, 2, 1000), place(BUY, 2, 999), place(BUY, 2, 998))

    filled = trades(apply(exchange, place(SELL, 5, 999, account="S")))

    assert [(trade.price_ticks, trade.lots) for trade in filled] == [(1000, 2), (999, 2)]
    assert [trade.trade_id for trade in filled] == [FIRST_TRADE_ID, FIRST_TRADE_ID + 1]
    assert exchange.book(0).levels(BUY, 9) == [(998, 2)]
    assert exchange.book(0).levels(SELL, 9) == [(999, 1)]


@pytest.mark.parametrize(
    ("time_in_force", "price", "traded", "cause"),
    [
        (TimeInForce.ONE_DAY, None, 4, CancelCause.NOT_RESTING),
        (IOC, None, 4, CancelCause.NOT_RESTING),
        (IOC, 1001, 4, CancelCause.NOT_RESTING),
        (IOC, 1000, 0, CancelCause.NOT_RESTING),
        (FOK, None, 0, CancelCause.NOT_FILLABLE),
        (FOK, 1001, 0, CancelCause.NOT_FILLABLE),
        (FOK, 1000, 0, CancelCause.NOT_FILLABLE),
        (BOC, 1001, 0, CancelCause.WOULD_TRADE),
    ],
)
def test_what_may_not_rest_is_cancelled_with_its_cause(exchange, time_in_force, price, traded, cause):
    apply(exchange, place(SELL, 4, 1001, account="S"))

    events = apply(exchange, place(BUY, 6, price, time_in_force=time_in_force))

    assert isinstance(events[0], OrderAccepted)
    assert sum(trade.lots for trade in trades(events)) == traded
    last = events[-1]
    assert isinstance(last, OrderCancelled)
    assert (last.order_id, last.remaining_lots, last.cause) == (events[0].order_id, 6 - traded, cause)
    assert exchange.book(0).levels(BUY, 9) == []
    assert (
        apply(exchange, Cancel(account="A", order_id=last.order_id))[0].code
        == TradingCode.ORDER_TO_CANCEL_NOT_FOUND
    )


@pytest.mark.parametrize("price", [None, 1001, 1050])
def test_fill_or_kill_trades_all_when_the_book_holds_enough(exchange, price):
    apply(exchange, place(SELL, 4, 1001, account="S"), place(SELL, 4, 1001, account="S"))

    events = apply(exchange, place(BUY, 6, price, time_in_force=FOK))

    assert [trade.lots for trade in trades(events)] == [4, 2]
    assert len(events) == 3


def test_book_or_cancel_rests_when_it_does_not_trade(exchange):
    apply(exchange, place(SELL, 4, 1001))

    assert len(apply(exchange, place(BUY, 6, 1000, time_in_force=BOC))) == 1
    assert exchange.book(0).levels(BUY, 9) == [(1000, 6)]


def test_a_market_order_in_an_empty_book_is_accepted_and_cancelled(exchange):
    accepted, cancelled = apply(exchange, place(SELL, 1, None))

    assert accepted.price_ticks is None
    assert cancelled.remaining_lots == 1


def test_a_market_order_reaches_the_edge_of_the_band(exchange):
    apply(exchange, place(SELL, 1, 1100, account="B"), place(BUY, 1, 900, account="B"))

    assert trades(apply(exchange, place(BUY, 1, None)))[0].price_ticks == 1100
    assert trades(apply(exchange, place(SELL, 1, None)))[0].price_ticks == 900


def test_a_cancel_reports_what_was_left(exchange):
    (accepted,) = apply(exchange, place(SELL, 5, 1001))
    apply(exchange, place(BUY, 2, 1001, account="B"))

    assert apply(exchange, Cancel(account="A", order_id=accepted.order_id)) == [
        OrderCancelled(
            order_id=accepted.order_id,
            account="A",
            instrument=0,
            remaining_lots=3,
            cause=CancelCause.ASKED,
            at_ns=5,
        )
    ]
    assert exchange.book(0).levels(SELL, 9) == []


def test_foreign_filled_and_unknown_orders_are_refused_in_the_same_words(exchange):
    foreign, filled = apply(exchange, place(SELL, 5, 1002, account="B"), place(SELL, 1, 1001))
    apply(exchange, place(BUY, 1, 1001, account="B"))
    digest = exchange.state_digest()

    refusals = apply(
        exchange,
        *(Cancel(account="A", order_id=number) for number in (foreign.order_id, filled.order_id, 4)),
    )

    assert all(isinstance(refusal, CancelRejected) for refusal in refusals)
    assert {refusal.code for refusal in refusals} == {TradingCode.ORDER_TO_CANCEL_NOT_FOUND}
    assert len({refusal.reason.replace(str(refusal.order_id), "…") for refusal in refusals}) == 1
    assert exchange.state_digest() == digest


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (place(BUY, 1, 1000, instrument=2), TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED),
        (place(BUY, 1, 1000, instrument=-1), TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED),
        (place(Side("short"), 1, 1000), TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED),
        (place(BUY, 0, 1000), TradingCode.EXCHANGE_INCORRECT_QUANTITY),
        (place(BUY, -5, None), TradingCode.EXCHANGE_INCORRECT_QUANTITY),
        (place(BUY, LOTS_MAX + 1, 1000), TradingCode.EXCHANGE_INCORRECT_QUANTITY),
        (place(BUY, 1, 899), TradingCode.EXCHANGE_LIMIT_EXCEEDED),
        (place(SELL, 1, 1101), TradingCode.EXCHANGE_LIMIT_EXCEEDED),
        (place(SELL, 1, 10**40), TradingCode.EXCHANGE_LIMIT_EXCEEDED),
        (place(BUY, 1, None, time_in_force=BOC), TradingCode.FORBIDDEN_ORDER_TYPE),
        (
            place(BUY, 1, 1000, time_in_force=TimeInForce.GOOD_TILL_CANCELLED),
            TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED,
        ),
        (place(BUY, 1, 1000, time_in_force=TimeInForce("forever")), TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED),
    ],
)
def test_a_bad_order_is_refused_and_leaves_no_trace(exchange, command, code):
    apply(exchange, place(BUY, 1, 950), place(SELL, 1, 1050))
    digest = exchange.state_digest()

    (refusal,) = apply(exchange, command)

    assert isinstance(refusal, OrderRejected)
    assert refusal.code == code
    assert refusal.reason
    assert exchange.state_digest() == digest


@pytest.mark.parametrize("price", [0, -1])
def test_a_price_below_one_tick_is_refused_even_inside_the_band(price):
    exchange = Exchange([instrument(price_band_ticks=(-10, 10), prev_close_ticks=1)])

    (refusal,) = exchange.apply(place(BUY, 1, price), at_ns=0)

    assert refusal.code == TradingCode.EXCHANGE_LIMIT_EXCEEDED


def test_a_full_exchange_takes_no_more_orders(monkeypatch):
    monkeypatch.setattr(exchange_module.entry, "RESTING_ORDERS_MAX", 2)
    exchange = Exchange([instrument()])
    first, _ = apply(exchange, place(BUY, 1, 999), place(BUY, 1, 998))

    assert isinstance(apply(exchange, place(BUY, 1, 997))[0], OrderRejected)
    apply(exchange, Cancel(account="A", order_id=first.order_id))
    assert isinstance(apply(exchange, place(BUY, 1, 997))[0], OrderAccepted)


def test_the_digest_knows_priority_sizes_and_numbers():
    def digest(*commands):
        exchange = Exchange([instrument()])
        apply(exchange, *commands)
        return exchange.state_digest()

    base = digest(place(BUY, 1, 999, account="A"), place(BUY, 1, 999, account="B"))
    assert base == digest(place(BUY, 1, 999, account="A"), place(BUY, 1, 999, account="B"))
    assert base != digest(place(BUY, 1, 999, account="B"), place(BUY, 1, 999, account="A"))
    assert base != digest(place(BUY, 1, 999, account="A"), place(BUY, 2, 999, account="B"))
    assert digest() != digest(place(BUY, 1, None))


def test_new_limits_hold_at_once_and_cancel_what_rests_outside_of_them(exchange):
    apply(exchange, place(BUY, 3, 950), place(BUY, 2, 1000), place(SELL, 4, 1050))
    digest = exchange.state_digest()

    rules, *cancelled = apply(exchange, SetRules(instrument=0, price_band_ticks=(960, 1040), is_open=True))

    assert rules == RulesSet(instrument=0, price_band_ticks=(960, 1040), is_open=True, at_ns=5)
    assert [(event.remaining_lots, event.cause) for event in cancelled] == [
        (3, CancelCause.OUTSIDE_LIMITS),
        (4, CancelCause.OUTSIDE_LIMITS),
    ]
    assert exchange.book(0).levels(BUY, 9) == [(1000, 2)]
    assert exchange.state_digest() != digest
    [refused] = apply(exchange, place(BUY, 1, 1041))
    assert refused.code is TradingCode.EXCHANGE_LIMIT_EXCEEDED
    assert isinstance(apply(exchange, place(BUY, 1, 1041, instrument=1))[0], OrderAccepted)


def test_a_closed_instrument_takes_cancellations_only(exchange):
    [accepted] = apply(exchange, place(BUY, 3, 1000))
    apply(exchange, SetRules(instrument=0, price_band_ticks=(900, 1100), is_open=False))

    [refused] = apply(exchange, place(SELL, 3, 1000))
    assert refused.code is TradingCode.EXCHANGE_TRADING_IS_STOPPED
    assert isinstance(apply(exchange, Cancel(account="A", order_id=accepted.order_id))[0], OrderCancelled)
    apply(exchange, SetRules(instrument=0, price_band_ticks=(900, 1100), is_open=True))
    assert isinstance(apply(exchange, place(SELL, 3, 1000))[0], OrderAccepted)


def test_all_orders_of_an_account_are_cancelled_on_one_exchange_or_all():
    exchange = Exchange([instrument(), instrument("SPB", exchange=Where.SPBX)], first_order_id=1)
    apply(exchange, place(BUY, 1, 999), place(BUY, 1, 999, instrument=1), place(BUY, 1, 998, account="B"))

    events = apply(exchange, CancelAll(account="A", exchange=Where.SPBX))
    assert [(event.order_id, event.instrument) for event in events] == [(2, 1)]
    assert isinstance(apply(exchange, CancelAll(account="A", scope=OrderScope.CONDITIONAL))[0], CancelRejected)
    assert [event.order_id for event in apply(exchange, CancelAll(account="A"))] == [1]
    assert apply(exchange, CancelAll(account="A"))[0].order_id is None


def test_the_end_of_a_day_settles_at_the_last_prices_or_those_that_it_is_told(exchange):
    apply(exchange, place(BUY, 1, 1003, account="B"), place(SELL, 1, 1003), place(BUY, 1, 999, account="~maker"))

    assert apply(exchange, EndOfDay(day=3)) == [DayTurned(day=3, settlement_ticks=(1003, 1000), at_ns=5)]
    assert apply(exchange, EndOfDay(day=4, settlement_ticks=(7, 8)))[0].settlement_ticks == (7, 8)
    # Participants' orders stay.
    assert exchange.book(0).levels(BUY, 9) == [(999, 1)]


def test_an_iceberg_on_derivatives_keeps_its_visible_part_when_it_is_replaced():
    exchange = Exchange([instrument(kind=InstrumentKind.FUTURE)], first_order_id=1)
    apply(exchange, place(SELL, 50, 1000, visible_lots=10, visible_variance_percent=20))

    apply(exchange, Replace(account="A", order_id=1, instrument=0, side=SELL, lots=40, price_ticks=1001))
    row = exchange.orders.get(2)
    assert (row.visible_lots, row.visible_variance_percent, row.replaces) == (10, 20, 1)
    assert exchange.orders.get(1).replaced_by == 2

    # Too small to hide anything: all of it shows.
    apply(exchange, Replace(account="A", order_id=2, instrument=0, side=SELL, lots=10, price_ticks=1001))
    assert exchange.orders.get(3).visible_lots is None


def test_an_iceberg_of_a_share_is_replaced_as_asked(exchange):
    (accepted,) = apply(exchange, place(SELL, 50, 1000, visible_lots=10))

    replace = {"account": "A", "instrument": 0, "side": SELL, "price_ticks": 1001}
    *_, second = apply(exchange, Replace(order_id=accepted.order_id, lots=40, visible_lots=5, **replace))
    assert exchange.book(0).levels(SELL, 9) == [(1001, 5)]
    apply(exchange, Replace(order_id=second.order_id, lots=40, **replace))
    assert exchange.book(0).levels(SELL, 9) == [(1001, 40)]


def test_the_clearing_in_the_middle_of_a_day_changes_no_order(exchange):
    apply(exchange, place(BUY, 1, 999))
    digest = exchange.state_digest()

    assert apply(exchange, ClearDerivatives()) == [Cleared(settlement_ticks=(1000, 1000), at_ns=5)]
    assert apply(exchange, ClearDerivatives(settlement_ticks=(7, 8)))[0].settlement_ticks == (7, 8)
    assert exchange.state_digest() == digest


def test_participants_trade_among_themselves_and_have_no_ends_of_their_own(exchange):
    apply(exchange, place(SELL, 5, 1000, account="~one"))

    assert trades(apply(exchange, place(BUY, 5, 1000, account="~one")))
    (refused,) = apply(exchange, place(SELL, 5, 1000, account="~one", expires_at_ns=99))
    assert isinstance(refused, OrderRejected)


def test_a_state_of_other_instruments_is_not_taken(exchange):
    with pytest.raises(ValueError, match="2 instruments, the list 1"):
        Exchange.restored([instrument()], exchange.snapshot())


def test_trade_numbers_of_an_earlier_exchange_are_skipped(exchange):
    exchange.skip_trade_ids(FIRST_TRADE_ID + 10)
    exchange.skip_trade_ids(3)
    apply(exchange, place(SELL, 1, 1000))

    assert trades(apply(exchange, place(BUY, 1, 1000, account="B")))[0].trade_id == FIRST_TRADE_ID + 10


def test_an_order_for_the_close_that_would_meet_its_own_leaves_when_the_auction_begins():
    exchange = Exchange([instrument(exchange=Where.SPBX)], first_order_id=1)
    close = {"time_in_force": TimeInForce.AT_THE_CLOSE}
    apply(exchange, place(BUY, 2, None, **close), place(BUY, 3, None, account="~maker", **close))
    apply(exchange, place(SELL, 4, 1000), place(SELL, 1, 1001, account="~maker"))

    auction = SetRules(instrument=0, price_band_ticks=(900, 1100), is_open=True, auction=Auction.CLOSING)
    _, *cancelled = apply(exchange, auction)

    assert [(event.order_id, event.cause) for event in cancelled] == [(1, CancelCause.SELF_TRADE)]
    _, *events = apply(exchange, SetRules(instrument=0, price_band_ticks=(900, 1100), is_open=False))
    assert [(trade.buyer, trade.seller, trade.lots) for trade in trades(events)] == [("~maker", "A", 3)]
