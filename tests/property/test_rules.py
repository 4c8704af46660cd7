"""Partial updates of an instrument, merged in their order, are its state."""

from hypothesis import given
from hypothesis import strategies as st

from tapewire.model import UNSET, InstrumentUpdate, TradingStatus
from tapewire.venues.rules import Rules
from trading import instrument


def field(values):
    return st.one_of(st.just(UNSET), values)


UPDATES = st.lists(
    st.builds(
        InstrumentUpdate,
        symbol=st.just("TEST"),
        trading_status=field(st.sampled_from(TradingStatus)),
        trading_status_info=field(st.sampled_from(["a", "b", None])),
        price_min=field(st.floats(1, 9)),
        price_max=field(st.sampled_from([10.0, 11.0])),
        margin_buy=field(st.sampled_from([1.0, 2.0])),
        theoretical_price=field(st.sampled_from([0.0, 3.5])),
    ),
    max_size=12,
)


@given(UPDATES)
def test_what_is_told_merges_to_the_state_and_holds_changes_only(updates):
    rules = Rules(instrument())
    merged = rules.state
    told = 0
    for update in updates:
        before = rules.state
        news = rules.change(update)
        assert rules.state == before.merged(update)
        if news is None:
            assert rules.state == before
            continue
        told += 1
        merged = merged.merged(news)
        said = [name for name in news.__struct_fields__ if getattr(news, name) is not UNSET]
        assert all(name == "symbol" or getattr(news, name) != getattr(before, name) for name in said)

    assert merged == rules.state
    assert rules.sequence == told
