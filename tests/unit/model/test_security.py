"""Prices on the step of an instrument: exact, whatever the step."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.model import Security
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format


def security(step: str) -> Security:
    return codec(Security, Format.SIMPLE).decode(f'{{"symbol":"TEST","minstep":{step}}}'.encode())


@pytest.mark.parametrize(
    ("step", "price", "down", "up", "nearest"),
    [
        ("0.01", 290.1, "290.10", "290.10", "290.10"),
        ("0.01", Decimal("290.104"), "290.10", "290.11", "290.10"),
        ("0.01", Decimal("290.105"), "290.10", "290.11", "290.11"),
        ("0.05", 10.07, "10.05", "10.10", "10.05"),
        ("10", 84_996, "84990", "85000", "85000"),
        ("0.0000001", 0.0000123, "0.0000123", "0.0000123", "0.0000123"),
        ("2.5", Decimal(-4), "-5.0", "-2.5", "-5.0"),
        ("0.1", 0, "0", "0", "0"),
    ],
)
def test_a_price_is_put_on_the_step(step: str, price: Any, down: str, up: str, nearest: str) -> None:
    listed = security(step)
    found = listed.price_down(price), listed.price_up(price), listed.price_nearest(price)
    assert found == (Decimal(down), Decimal(up), Decimal(nearest))
    assert all(isinstance(each, Decimal) for each in found)


@given(
    st.sampled_from(["0.01", "0.05", "0.0025", "1", "2.5", "10"]),
    st.one_of(
        st.decimals(-(10**9), 10**9, places=6),
        st.integers(-(10**9), 10**9),
        st.floats(-1e9, 1e9, width=32).filter(lambda price: price == 0 or abs(price) > 1e-9),
    ),
)
def test_it_is_the_next_one_on_the_step(step: str, price: Any) -> None:
    listed, width = security(step), Decimal(step)
    exact = Decimal(repr(price)) if isinstance(price, float) else Decimal(price)
    down, up, nearest = listed.price_down(price), listed.price_up(price), listed.price_nearest(price)
    assert down <= exact <= up
    assert up - down == (0 if exact % width == 0 else width)
    assert down % width == up % width == 0
    assert nearest in (down, up)
    assert abs(nearest - exact) <= width / 2


@pytest.mark.parametrize("price", [float("nan"), Decimal("Infinity"), Decimal("1e40"), "290", True, None])
def test_what_is_no_price_is_an_error(price: Any) -> None:
    with pytest.raises(ValueError, match="price"):
        security("0.01").price_nearest(price)


def test_without_a_step_there_is_no_price_on_it() -> None:
    with pytest.raises(ValueError, match="TEST: the broker tells no price step"):
        security("0").price_down(5)
