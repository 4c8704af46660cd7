from random import Random

from tapewire.market import FairPrice
from trading import instrument


def walk(seed, moves, **rules):
    fair, random = FairPrice(instrument(**rules)), Random(seed)
    return [fair.move(random) for _ in range(moves)]


def test_it_begins_at_the_close():
    assert FairPrice(instrument()).ticks == 1000


def test_the_same_seed_walks_the_same_way():
    assert walk(1, 100) == walk(1, 100)
    assert walk(1, 100) != walk(2, 100)


def test_it_moves_but_stays_in_the_inner_half_of_the_band():
    prices = walk(3, 50_000)

    assert max(prices) - min(prices) > 20
    assert min(prices) >= 950
    assert max(prices) <= 1050


def test_a_band_of_a_few_ticks_is_kept_too():
    prices = walk(4, 5_000, price_band_ticks=(998, 1002))

    assert min(prices) >= 999
    assert max(prices) <= 1001


def test_it_comes_back_to_the_close():
    prices = walk(5, 200_000)

    assert abs(sum(prices) / len(prices) - 1000) < 10
