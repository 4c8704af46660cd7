from hypothesis import given
from hypothesis import strategies as st

from tapewire.venues.open_interest import OpenInterest


def test_two_newcomers_open_contracts_and_the_way_back_closes_them():
    interest = OpenInterest()

    interest.trade("A", "B", 5)
    assert interest.lots == 5
    interest.trade("C", "A", 2)
    assert interest.lots == 5
    interest.trade("B", "C", 2)
    assert interest.lots == 3
    interest.trade("B", "A", 3)
    assert interest.lots == 0


def test_a_trade_with_oneself_changes_nothing():
    interest = OpenInterest()
    interest.trade("A", "A", 5)

    assert interest.lots == 0


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("ABC"), st.integers(1, 9))))
def test_it_is_the_sum_of_all_long_positions(moves):
    interest, positions = OpenInterest(), dict.fromkeys("ABC", 0)
    for buyer, seller, lots in moves:
        interest.trade(buyer, seller, lots)
        positions[buyer] += lots
        positions[seller] -= lots

    assert interest.lots == sum(lots for lots in positions.values() if lots > 0)
