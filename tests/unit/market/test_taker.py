from random import Random

from tapewire.market import Taker
from trading import BUY, SELL, ExchangeFloor, instrument, place


def trading(bid=999, ask=1001):
    listed = instrument()
    floor = ExchangeFloor([listed])
    for side, price in ((BUY, bid), (SELL, ask)):
        if price is not None:
            floor.core.apply(place(side, 10_000, price, account="M"), at_ns=0)
    return Taker(listed, ("T1", "T2"), lots_max=20), floor


def test_it_trades_small_pieces_on_both_sides_and_leaves_no_order():
    taker, floor = trading()
    random = Random(1)

    assert all(taker.act(floor, random, 1000.0) for _ in range(200))
    assert {trade.aggressor for trade in floor.trades} == {BUY, SELL}
    assert len(floor.trades) == 200
    assert all(1 <= trade.lots <= 20 for trade in floor.trades)
    assert {trade.buyer for trade in floor.trades} == {"M", "T1", "T2"}


def test_it_mostly_buys_what_is_cheap_and_sells_what_is_dear():
    for fair, side in ((1010.0, BUY), (990.0, SELL)):
        taker, floor = trading()
        random = Random(2)
        for _ in range(200):
            taker.act(floor, random, fair)
        share = sum(trade.aggressor is side for trade in floor.trades) / len(floor.trades)
        assert 0.85 < share < 1


def test_an_empty_side_gives_nothing_to_take():
    taker, floor = trading(bid=None, ask=None)

    assert not taker.act(floor, Random(3), 1000.0)
    assert floor.counts.total() == 0
