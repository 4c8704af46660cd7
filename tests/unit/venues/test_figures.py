from datetime import UTC, datetime, timedelta

from tapewire.venues.figures import SessionFigures, trading_day

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def ns(time):
    return int(time.timestamp()) * 1_000_000_000


def test_before_the_first_trade_all_prices_are_the_close():
    figures = SessionFigures(1000, at_ns=ns(NOON))

    assert {figures.open_ticks, figures.high_ticks, figures.low_ticks, figures.last_ticks} == {1000}
    assert figures.prev_close_ticks == 1000
    assert figures.lots == 0
    assert figures.last_at_ns == ns(NOON)


def test_trades_make_open_high_low_last_and_volume():
    figures = SessionFigures(1000, at_ns=ns(NOON))
    for price, lots in ((1005, 2), (1009, 3), (1001, 4), (1004, 1)):
        figures.trade(price, lots, ns(NOON + timedelta(seconds=5)))

    assert (figures.open_ticks, figures.high_ticks, figures.low_ticks) == (1005, 1009, 1001)
    assert (figures.last_ticks, figures.lots) == (1004, 10)
    assert figures.last_at_ns == ns(NOON + timedelta(seconds=5))
    assert figures.prev_close_ticks == 1000


def test_the_first_trade_of_a_new_day_begins_a_session_and_closes_the_old_one():
    figures = SessionFigures(1000, at_ns=ns(NOON))
    figures.trade(1005, 2, ns(NOON))
    figures.trade(1020, 1, ns(NOON + timedelta(days=1)))
    figures.trade(1010, 1, ns(NOON + timedelta(days=1)))

    assert figures.prev_close_ticks == 1005
    assert (figures.open_ticks, figures.high_ticks, figures.low_ticks) == (1020, 1020, 1010)
    assert figures.lots == 2


def test_the_day_begins_at_midnight_in_moscow():
    late = datetime(2026, 11, 2, 20, 59, 59, tzinfo=UTC)

    assert trading_day(ns(late + timedelta(seconds=1))) == trading_day(ns(late)) + 1
    assert trading_day(0) == 0
