"""The states of a subscription: the table and its drawing."""

from __future__ import annotations

import re

import pytest

from tapewire.client import states
from tapewire.client.states import SubscriptionState, may_follow

FINAL = {SubscriptionState.REFUSED, SubscriptionState.CLOSED}


def followers(state: SubscriptionState) -> set[SubscriptionState]:
    return {other for other in SubscriptionState if may_follow(state, other)}


def test_every_state_can_be_reached_from_new() -> None:
    reached = {SubscriptionState.NEW}
    while more := set().union(*(followers(state) for state in reached)) - reached:
        reached |= more
    assert reached == set(SubscriptionState)


def test_exactly_the_final_states_are_final() -> None:
    assert {state for state in SubscriptionState if not followers(state)} == FINAL


@pytest.mark.parametrize("state", sorted(set(SubscriptionState) - FINAL, key=str))
def test_every_other_state_can_be_closed(state: SubscriptionState) -> None:
    assert may_follow(state, SubscriptionState.CLOSED)


def test_no_state_follows_itself_and_nothing_returns_to_new() -> None:
    for state in SubscriptionState:
        assert not may_follow(state, state)
        assert not may_follow(state, SubscriptionState.NEW)


def test_the_table_in_the_documentation_is_the_table_in_the_code() -> None:
    documented = {}
    for name, allowed in re.findall(r"^(\w+)  +(\S.*)$", states.__doc__ or "", re.MULTILINE):
        if name in {state.value for state in SubscriptionState}:
            documented[name] = set() if allowed.startswith("nothing") else set(allowed.split(", "))
    assert documented == {state.value: {other.value for other in followers(state)} for state in SubscriptionState}
