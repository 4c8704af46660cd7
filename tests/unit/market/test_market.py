import pytest

from tapewire.market import EVENTS_PER_SECOND_MAX, PARTICIPANT_MARK, Market, catalogue, pace_of
from tapewire.model import Refused
from trading import BUY, SELL, ExchangeFloor, instrument, place


@pytest.mark.parametrize("rate", [0, -1, EVENTS_PER_SECOND_MAX + 1])
def test_a_rate_outside_the_range_is_an_error_that_names_it(rate):
    with pytest.raises(ValueError, match=f"{rate}, not between 1 and 5000"):
        Market(catalogue(1), seed=1, events_per_second=rate)


def test_a_market_without_instruments_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        Market([], seed=1, events_per_second=10)


def test_the_first_step_opens_all_books_without_a_trade():
    instruments = catalogue(8)
    market, floor = Market(instruments, seed=1, events_per_second=1), ExchangeFloor(instruments)
    assert market.next_step == 0

    market.step(floor)

    assert market.next_step == 1
    assert floor.trades == []
    for position in range(len(instruments)):
        book = floor.core.book(position)
        assert len(book.levels(BUY, 99)) >= 20
        assert len(book.levels(SELL, 99)) >= 20


@pytest.mark.parametrize(("rate", "steps"), [(1, 300), (7, 500), (250, 400), (EVENTS_PER_SECOND_MAX, 50)])
def test_the_rate_is_met_exactly_while_nobody_disturbs(rate, steps):
    instruments = catalogue(6)
    market, floor = Market(instruments, seed=1, events_per_second=rate), ExchangeFloor(instruments)
    market.step(floor)

    events = sum(market.step(floor) for _ in range(steps))

    assert events == int(rate * steps * market.step_s)


def test_instruments_share_the_events_as_they_share_the_trades_of_the_real_exchange():
    instruments = catalogue(10)
    market, floor = Market(instruments, seed=1, events_per_second=2000), ExchangeFloor(instruments)
    for _ in range(200):
        market.step(floor)

    traded = [sum(trade.instrument == position for trade in floor.trades) for position in range(10)]
    paces = [pace_of(instrument.symbol).trades_per_window for instrument in instruments]
    assert traded.index(max(traded)) == paces.index(max(paces))
    assert min(traded) > 0


def test_the_calibrated_rate_grows_with_the_speed():
    usual = Market(catalogue(), seed=1).events_per_second

    assert 100 <= usual <= 300
    assert Market(catalogue(), seed=1, speed=10.0).events_per_second == pytest.approx(10 * usual, rel=0.01)
    assert Market(catalogue(1), seed=1, speed=0.001).events_per_second == 1


def test_an_explicit_rate_wins_over_the_speed():
    assert Market(catalogue(), seed=1, events_per_second=4_000, speed=0.5).events_per_second == 4_000


@pytest.mark.parametrize("speed", [0, -1.0, float("nan")])
def test_a_speed_that_is_not_above_zero_is_an_error(speed):
    with pytest.raises(ValueError, match="speed"):
        Market(catalogue(), seed=1, speed=speed)


def test_a_speed_beyond_the_largest_rate_is_an_error_that_names_the_rate():
    with pytest.raises(ValueError, match="not between 1 and 5000"):
        Market(catalogue(), seed=1, speed=1_000.0)


def test_participants_trade_under_their_mark_and_never_with_themselves():
    instruments = catalogue(3)
    market, floor = Market(instruments, seed=1, events_per_second=5000), ExchangeFloor(instruments)
    for _ in range(100):
        market.step(floor)

    assert floor.trades
    for trade in floor.trades:
        assert trade.buyer.startswith(PARTICIPANT_MARK)
        assert trade.seller.startswith(PARTICIPANT_MARK)
        assert trade.buyer != trade.seller


def test_a_user_who_buys_the_whole_book_to_the_edge_does_not_stop_the_market():
    listed = instrument()
    market, floor = Market([listed], seed=1, events_per_second=1000), ExchangeFloor([listed])
    market.step(floor)
    floor.core.apply(place(BUY, 100_000, 1100, account="whale"), at_ns=0)

    for _ in range(500):
        market.step(floor)

    assert {trade.seller[0] for trade in floor.trades[-10:]} == {PARTICIPANT_MARK}
    assert floor.core.book(0).best_bid is not None


def test_a_closed_floor_gives_steps_without_events():
    class ClosedFloor(ExchangeFloor):
        def submit(self, command):
            return Refused(306, "no trading now")

    instruments = catalogue(2)
    market = Market(instruments, seed=1, events_per_second=100)

    assert [market.step(ClosedFloor(instruments)) for _ in range(3)] == [0, 0, 0]
