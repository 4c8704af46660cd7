"""The blocking client has the names of the asynchronous one: whoever adds a method there adds a line here."""

from __future__ import annotations

import inspect

import pytest

import tapewire
from tapewire import sync
from tapewire.client.events import Events
from tapewire.client.order_groups import OrderGroups

PAIRS: list[tuple[type, type, set[str], set[str]]] = [
    # Asynchronous, blocking; names that only the first has, names that only the second has.
    (tapewire.Broker, sync.Broker, {"start"}, set()),
    (tapewire.Orders, sync.Orders, set(), {"resolve"}),
    (tapewire.Portfolio, sync.Portfolio, set(), set()),
    (OrderGroups, sync.OrderGroups, set(), set()),
    (Events, sync.Events, {"tell", "close"}, set()),
    (
        tapewire.Subscription,
        sync.Stream,
        {
            "named",
            "moved",
            "granted",
            "refused",
            "ended",
            "next_batch",
            "next_item",
            "next_nowait",
            "close_nowait",
        },
        {"next"},
    ),
]


def names(kind: type) -> set[str]:
    # Attributes that are set in the constructor are told by its source.
    source = inspect.getsource(kind.__init__)
    attributes = {
        line.split("self.")[1].split("=")[0].split(":")[0].strip()
        for line in source.splitlines()
        if "self." in line and "=" in line.split("self.", 1)[1]
    }
    return {name for name in (*vars(kind), *attributes) if not name.startswith("_") and name.isidentifier()}


@pytest.mark.parametrize(
    ("asynchronous", "blocking", "left_out", "added"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS]
)
def test_the_names_are_the_same(asynchronous: type, blocking: type, left_out: set[str], added: set[str]) -> None:
    # Functions that are called back have no place in a program that waits.
    public = {name for name in dir(asynchronous) if not name.startswith(("_", "on_"))}
    own = names(blocking)
    assert public - own == left_out
    assert {name for name in own if not hasattr(asynchronous, name)} - added <= names(asynchronous)


@pytest.mark.parametrize("name", ["time", "book"])
def test_a_method_keeps_its_signature_and_its_words(name: str) -> None:
    there, here = getattr(tapewire.Broker, name), vars(sync.Broker)[name]
    assert here.__doc__ == there.__doc__
    bound = here.__get__(None, sync.Broker)
    assert list(inspect.signature(bound).parameters) == list(inspect.signature(there).parameters)


@pytest.mark.parametrize("name", ["on_trades", "callbacks"])
def test_whoever_looks_for_callbacks_is_told_what_to_do(name: str) -> None:
    portfolio = sync.Portfolio(inner=None, loop=None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="iterate in a thread of your own"):
        getattr(portfolio, name)
    with pytest.raises(AttributeError, match="'Portfolio' has no attribute 'ordesr'"):
        portfolio.ordesr  # type: ignore[attr-defined]  # noqa: B018
