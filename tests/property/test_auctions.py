"""The one price of an auction against a search over all prices, and what an auction leaves behind."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.exchange import Auction, Exchange, OrderCancelled, SetRules, Traded
from tapewire.exchange.auction import uncrossing
from trading import BUY, SELL, instrument, place

LOW, HIGH = 990, 1010
LEVELS = st.lists(st.tuples(st.integers(LOW, HIGH), st.integers(1, 9)), max_size=8)


def searched(bids, asks, reference):
    """Try every price."""
    best = None
    for price in range(LOW, HIGH + 1):
        demand = sum(lots for limit, lots in bids if limit >= price)
        supply = sum(lots for limit, lots in asks if limit <= price)
        terms = (-min(demand, supply), abs(demand - supply), abs(price - reference), price)
        if min(demand, supply) and (best is None or terms < best):
            best = terms
    return None if best is None else (best[3], -best[0])


@settings(max_examples=400, deadline=None)
@given(LEVELS, LEVELS, st.integers(LOW - 5, HIGH + 5))
def test_the_price_is_the_best_of_all_prices(bids, asks, reference):
    assert uncrossing(bids, asks, reference) == searched(bids, asks, reference)


ORDERS = st.lists(
    st.tuples(
        st.sampled_from((BUY, SELL)),
        st.integers(2, 20),
        st.none() | st.integers(LOW, HIGH),
        st.none() | st.just(1),
    ),
    max_size=16,
)


@settings(max_examples=300, deadline=None)
@given(ORDERS, st.sampled_from(Auction))
def test_an_auction_trades_what_it_can_at_one_price_and_leaves_the_rest(orders, auction):
    exchange = Exchange([instrument(price_band_ticks=(LOW, HIGH))], first_order_id=1)
    rules = {"instrument": 0, "price_band_ticks": (LOW, HIGH), "is_open": True}
    exchange.apply(SetRules(**rules, auction=auction), at_ns=0)
    left = {}
    for number, (side, lots, price, visible) in enumerate(orders, start=1):
        command = place(side, lots, price, account=f"U{number}", visible_lots=None if price is None else visible)
        (accepted,) = exchange.apply(command, at_ns=0)
        left[accepted.order_id] = lots
    limits = {
        number: price if price is not None else (HIGH if side is BUY else LOW)
        for number, (side, _, price, _) in enumerate(orders, start=1)
    }
    expected = searched(
        [(limits[n], lots) for n, (side, lots, _, _) in enumerate(orders, start=1) if side is BUY],
        [(limits[n], lots) for n, (side, lots, _, _) in enumerate(orders, start=1) if side is SELL],
        1000,
    )
    assert exchange.uncrossing(0) == expected

    _, *events = exchange.apply(SetRules(**rules), at_ns=0)

    done = [event for event in events if isinstance(event, Traded)]
    assert sum(trade.lots for trade in done) == (expected[1] if expected else 0)
    for trade in done:
        assert trade.price_ticks == expected[0]
        for number in (trade.buy_order_id, trade.sell_order_id):
            left[number] -= trade.lots
        assert limits[trade.sell_order_id] <= trade.price_ticks <= limits[trade.buy_order_id]
    # Whoever has been passed over was worse, or came later.
    for side in (BUY, SELL):
        mine = [n for n, (whose, *_) in enumerate(orders, start=1) if whose is side and orders[n - 1][3] is None]
        rank = sorted(
            mine, key=lambda n: (orders[n - 1][2] is not None, limits[n] if side is SELL else -limits[n], n)
        )
        states = [left[n] / orders[n - 1][1] for n in rank]
        assert states == sorted(states)
    for event in events:
        if isinstance(event, OrderCancelled):
            assert orders[event.order_id - 1][2] is None
            assert left.pop(event.order_id) == event.remaining_lots
    book = exchange.book(0)
    resting = {order.id: order.remaining_lots for side in (BUY, SELL) for order in book.orders(side)}
    assert resting == {number: lots for number, lots in left.items() if lots}
    assert book.best_bid is None or book.best_ask is None or book.best_bid < book.best_ask
