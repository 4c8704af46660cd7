"""Topics and where they belong."""

from __future__ import annotations

from tapewire.model import Exchange, StreamPosition, Topic, TopicKind

EVENTS = {
    TopicKind.INSTRUMENT,
    TopicKind.TRADES,
    TopicKind.POSITIONS,
    TopicKind.FILLS,
    TopicKind.ORDERS,
    TopicKind.STOP_ORDERS,
    TopicKind.LEGACY_STOP_ORDERS,
}
MARKET = {
    TopicKind.BOOK,
    TopicKind.QUOTE,
    TopicKind.BAR,
    TopicKind.INSTRUMENT,
    TopicKind.TRADES,
    TopicKind.CLUSTER,
}


def test_orders_fills_trades_and_partial_updates_are_never_replaced() -> None:
    assert {kind for kind in TopicKind if not kind.is_state} == EVENTS


def test_streams_belong_to_an_instrument_or_to_a_portfolio() -> None:
    assert {kind for kind in TopicKind if not kind.of_portfolio} == MARKET


def test_a_topic_is_a_key_whether_its_exchange_is_a_word_or_a_text() -> None:
    one = Topic(TopicKind.BOOK, Exchange.MOEX, "GAZP", "TQBR")
    other = Topic(TopicKind("book"), "MOEX", "GAZP", "TQBR", 0)
    assert {one: 1}[other] == 1


def test_positions_of_one_epoch_are_ordered_by_sequence() -> None:
    assert StreamPosition("a", 1) < StreamPosition("a", 2)
