"""Rows of a portfolio's stream that come again: what was delivered is left out, what is new is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.client import sieve as sieve_module
from tapewire.client.sieve import Sieve, needs_sieve
from tapewire.model import Order, TopicKind
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format
from unit.client.rows import order_fields
from unit.client.stage import data

ORDERS = codec(Order, Format.SIMPLE)


def make() -> Sieve:
    return Sieve(TopicKind.ORDERS, ORDERS)


def row(number: str, filled: int, *, existing: bool) -> bytes:
    return data("g" * 32, order_fields(number, filled=filled, existing=existing))


def test_which_streams_begin_with_rows_that_may_have_been_seen() -> None:
    assert needs_sieve(TopicKind.ORDERS)
    assert not needs_sieve(TopicKind.TRADES)
    assert not needs_sieve(TopicKind.SUMMARY)


def test_a_row_that_has_not_changed_is_left_out_and_one_that_has_is_not() -> None:
    sieve = make()
    assert sieve.passes(row("A", 1, existing=False))
    assert not sieve.passes(row("A", 1, existing=True))
    assert sieve.passes(row("A", 2, existing=True))
    assert sieve.passes(row("B", 1, existing=True))
    assert sieve.left_out == 1


def test_live_rows_always_pass_equal_ones_too() -> None:
    sieve = make()
    assert [sieve.passes(row("A", 1, existing=False)) for _ in range(2)] == [True, True]


def test_what_cannot_be_read_passes_for_its_consumer_to_count() -> None:
    assert make().passes(b"{")


def test_the_row_that_changed_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve_module, "ROWS_KEPT_MAX", 2)
    sieve = make()
    for symbol, quantity in (("A", 1), ("B", 1), ("A", 2), ("C", 1)):
        sieve.passes(row(symbol, quantity, existing=False))
    assert not sieve.passes(row("A", 2, existing=True))
    assert not sieve.passes(row("C", 1, existing=True))
    assert sieve.passes(row("B", 1, existing=True)), "told again rather than never"


@pytest.mark.parametrize("price", ["NaN", "sNaN", "-Infinity", "1e999999", 2**70, "5.0"])
def test_a_row_is_known_whatever_its_numbers_are(price: object) -> None:
    sieve = make()
    first, again = (
        data("g" * 32, order_fields("A", filled=1, existing=existing) | {"price": price})
        for existing in (False, True)
    )
    assert [sieve.passes(message) for message in (first, again, first, again)] == [True, False, True, False]


def test_zeros_at_the_end_of_a_price_make_no_other_row() -> None:
    sieve = make()
    fields = order_fields("A", filled=1, existing=True)
    assert sieve.passes(data("g" * 32, fields | {"price": "5.0"}))
    assert not sieve.passes(data("g" * 32, fields | {"price": "5.00"}))
    assert sieve.passes(data("g" * 32, fields | {"price": "5.01"}))


def test_more_rows_than_are_remembered_do_not_make_all_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve_module, "ROWS_KEPT_MAX", 100)
    sieve = make()
    rows = [row(f"{number}", 1, existing=True) for number in range(110)]
    assert all(map(sieve.passes, rows))
    assert [sieve.passes(message) for message in rows] == [False] * 100 + [True] * 10


def test_twelve_thousand_rows_come_once() -> None:
    sieve = make()
    rows = [row(f"{number}", 1, existing=True) for number in range(12_000)]
    assert all(map(sieve.passes, rows))
    assert not any(map(sieve.passes, rows))


def test_rows_from_before_the_stream_that_did_not_want_its_past_stay_out() -> None:
    sieve = make()
    sieve.unseen_before = datetime(2026, 1, 12, 7, 0, 1, tzinfo=UTC)
    assert not sieve.passes(row("A", 1, existing=True))
    sieve.unseen_before = datetime(2026, 1, 12, 6, 59, tzinfo=UTC)
    assert sieve.passes(row("A", 1, existing=True))


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 2), st.booleans()), max_size=40))
def test_the_newest_row_of_each_key_has_always_been_delivered(rows: list[tuple[str, int, bool]]) -> None:
    sieve = make()
    newest: dict[str, int] = {}
    delivered: dict[str, int] = {}
    for symbol, quantity, existing in rows:
        newest[symbol] = quantity
        if sieve.passes(row(symbol, quantity, existing=existing)):
            assert not (existing and delivered.get(symbol) == quantity), "a row of the past came twice"
            delivered[symbol] = quantity
    assert delivered == newest
