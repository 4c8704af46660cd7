"""The market as a whole: reproducible from its seed, alive, and never beside itself."""

from tapewire.market import Market, catalogue
from trading import BUY, SELL, ExchangeFloor


def run(seed, steps, *, rate, count=26):
    instruments = catalogue(count)
    market, floor = Market(instruments, seed=seed, events_per_second=rate), ExchangeFloor(instruments)
    market.step(floor)
    events = sum(market.step(floor) for _ in range(steps))
    return floor, events


def test_the_same_seed_gives_the_same_market():
    first, first_events = run(42, 200, rate=3000)
    second, second_events = run(42, 200, rate=3000)

    assert first.core.state_digest() == second.core.state_digest()
    assert first.trades == second.trades
    assert first_events == second_events


def test_another_seed_gives_another_market():
    first, _ = run(1, 50, rate=3000)
    second, _ = run(2, 50, rate=3000)

    assert first.core.state_digest() != second.core.state_digest()
    assert first.trades != second.trades


def test_a_long_run_keeps_books_filled_and_uncrossed_and_prices_inside():
    instruments = catalogue(26)
    market, floor = Market(instruments, seed=7, events_per_second=5000), ExchangeFloor(instruments)
    market.step(floor)
    events, spreads = 0, []
    for step in range(1, 3_001):
        events += market.step(floor)
        if step % 50:
            continue
        for position, instrument in enumerate(instruments):
            book = floor.core.book(position)
            assert book.best_bid < book.best_ask
            spreads.append(book.best_ask - book.best_bid)
            low, high = instrument.price_band_ticks
            assert low + (high - low) // 8 < book.best_bid < high - (high - low) // 8
            assert len(book.levels(BUY, 99)) >= 15
            assert len(book.levels(SELL, 99)) >= 15
            if position < 3:
                assert len(book.levels(BUY, 99)) >= 20
                assert len(book.levels(SELL, 99)) >= 20

    assert abs(events - 150_000) <= 150
    assert sum(spreads) / len(spreads) < 3
    assert max(spreads) <= 15
    # Trades come steadily: between a twentieth and a half of all events, on every instrument.
    assert events / 20 < len(floor.trades) < events / 2
    assert {trade.instrument for trade in floor.trades} == set(range(26))
    # What participants leave behind is bounded: nothing rests that its maker has forgotten.
    for position in range(26):
        resting = sum(1 for side in (BUY, SELL) for _ in floor.core.book(position).orders(side))
        assert resting <= 400
