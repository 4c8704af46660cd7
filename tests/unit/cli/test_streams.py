"""Streams as they are named on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from tapewire.cli.streams import StreamName, StreamOptions
from tapewire.protocol.words import Format


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        ("book:SBER", StreamName("book", "SBER"), "book:SBER"),
        ("QUOTES:gazp", StreamName("quotes", "gazp"), "quotes:gazp"),
        ("trades:LKOH@TQBR", StreamName("trades", "LKOH", "TQBR"), "trades:LKOH@TQBR"),
        ("trades:LKOH@", StreamName("trades", "LKOH"), "trades:LKOH"),
        ("book:CNYRUB_TOM", StreamName("book", "CNYRUB_TOM"), "book:CNYRUB_TOM"),
    ],
)
def test_a_name_is_read_and_shown(text: str, name: StreamName, shown: str) -> None:
    assert StreamName.parse(text) == name
    assert str(name) == shown
    assert StreamName.parse(shown) == name


@pytest.mark.parametrize("text", ["", "SBER", "book", "book:", "book:@TQBR", ":SBER", "bars:SBER", "books:SBER"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is not like book:SBER, quotes:SBER, trades:SBER") as caught:
        StreamName.parse(text)
    assert repr(text) in str(caught.value)


class Asked:
    """A broker that writes down what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, kind: str) -> Any:
        return lambda symbol, **chosen: self.calls.append((kind, symbol, chosen))


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        ("book", {"board": "", "format": Format.HEAVY, "frequency_ms": 50, "depth": 3}),
        ("quotes", {"board": "", "format": Format.HEAVY, "frequency_ms": 50}),
        ("trades", {"board": "", "format": Format.HEAVY, "depth": 3}),
    ],
)
def test_options_go_to_the_kinds_that_have_them(kind: str, chosen: dict[str, Any]) -> None:
    broker: Any = Asked()
    StreamName(kind, "SBER").subscription(broker, StreamOptions(format=Format.HEAVY, depth=3, frequency_ms=50))
    assert broker.calls == [(kind, "SBER", chosen)]


@pytest.mark.parametrize("kind", ["book", "quotes", "trades"])
def test_what_is_not_chosen_is_left_to_the_kind(kind: str) -> None:
    broker: Any = Asked()
    StreamName(kind, "SBER", "SMAL").subscription(broker, StreamOptions())
    assert broker.calls == [(kind, "SBER", {"board": "SMAL"})]


def test_zero_is_a_choice() -> None:
    broker: Any = Asked()
    StreamName("trades", "SBER").subscription(broker, StreamOptions(depth=0))
    StreamName("book", "SBER").subscription(broker, StreamOptions(frequency_ms=0))
    assert [chosen for _, _, chosen in broker.calls] == [
        {"board": "", "depth": 0},
        {"board": "", "frequency_ms": 0},
    ]
