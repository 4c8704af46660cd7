from random import Random

from tapewire.exchange import Auction, SetRules
from tapewire.market import MAKER_ORDERS_MAX, Maker
from tapewire.market.maker import LADDER_TICKS
from tapewire.model import Refused
from trading import BUY, SELL, ExchangeFloor, instrument, place, trades


def quoting(**rules):
    listed = instrument(**rules)
    return Maker(listed, ("~M1", "~M2"), lots_max=20), ExchangeFloor([listed]), Random(1)


def test_the_opening_fills_a_ladder_on_both_sides():
    maker, floor, random = quoting()

    assert maker.open(floor, random, 1000.5) == 4 * LADDER_TICKS
    book = floor.core.book(0)
    assert [ticks for ticks, _ in book.levels(BUY, 99)] == [1000 - step for step in range(LADDER_TICKS)]
    assert [ticks for ticks, _ in book.levels(SELL, 99)] == [1001 + step for step in range(LADDER_TICKS)]


def test_it_never_trades_on_its_own():
    maker, floor, random = quoting()
    maker.open(floor, random, 1000.0)
    for step in range(3_000):
        maker.act(floor, random, 1000.0 + step / 60)

    assert floor.trades == []


def test_its_orders_follow_the_fair_price():
    maker, floor, random = quoting()
    maker.open(floor, random, 1000.0)
    for step in range(6_000):
        maker.act(floor, random, 1000.0 + min(step / 100, 50))

    bid, ask = floor.best(floor.core.instruments[0])
    assert 1040 <= bid < ask <= 1060


def test_it_keeps_to_its_bound_and_forgets_what_is_gone():
    maker, floor, random = quoting()
    for _ in range(5_000):
        maker.act(floor, random, 1000.0)
        assert len(maker._own) <= MAKER_ORDERS_MAX
    # Everything is bought and sold away: the next cancels find out and the maker quotes again.
    floor.core.apply(place(BUY, 10**6, 1100, account="X"), at_ns=0)
    for _ in range(200):
        maker.act(floor, random, 1000.0)
        assert len(maker._own) <= MAKER_ORDERS_MAX
    resting = sum(1 for side in (BUY, SELL) for _ in floor.core.book(0).orders(side))
    assert resting <= len(maker._own) + 1


def auctioned(floor, auction):
    rules = SetRules(instrument=0, price_band_ticks=(900, 1100), is_open=True, auction=auction)
    return trades(floor.core.apply(rules, at_ns=0))


def test_in_an_auction_its_orders_cross_and_what_is_left_of_them_is_renewed():
    maker, floor, random = quoting()
    auctioned(floor, Auction.OPENING)
    placed = sum(maker.gather(floor, random, 1000.5) for _ in range(600))
    assert placed == 600
    assert len(maker._own) < MAKER_ORDERS_MAX
    bid, ask = floor.best(floor.core.instruments[0])
    assert bid > ask

    prints = auctioned(floor, None)
    assert prints
    assert {trade.price_ticks for trade in prints} <= {999, 1000, 1001, 1002}
    assert len({trade.price_ticks for trade in prints}) == 1
    for _ in range(3_000):
        maker.act(floor, random, 1030.0)
    bid, ask = floor.best(floor.core.instruments[0])
    assert 1025 <= bid < ask <= 1035


def test_a_few_orders_suffice_for_a_price():
    for seed in range(20):
        maker, floor, _ = quoting()
        random = Random(seed)
        auctioned(floor, Auction.CLOSING)
        for _ in range(40):
            maker.gather(floor, random, 1000.0)
        assert floor.core.uncrossing(0) is not None, seed


def test_it_quotes_no_price_outside_the_band():
    maker, floor, random = quoting(price_band_ticks=(995, 1005))
    accepted = sum(maker.act(floor, random, 1000.0) for _ in range(200))

    assert accepted > 50
    assert floor.counts["PlaceOrder refused"] == 0


def test_a_floor_that_refuses_everything_is_no_progress():
    class ClosedFloor(ExchangeFloor):
        def submit(self, command):
            return Refused(306, "no trading now")

    maker, _, random = quoting()
    assert not any(maker.act(ClosedFloor([instrument()]), random, 1000.0) for _ in range(50))
    assert maker._own == []
