"""Streams as they are named on the command line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tapewire.cli.streams import KINDS, StreamName, StreamOptions
from tapewire.client.broker import Broker
from tapewire.client.portfolio import Portfolio
from tapewire.protocol.words import Format


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        ("book:SBER", StreamName("book", "SBER"), "book:SBER"),
        ("QUOTES:gazp", StreamName("quotes", "gazp"), "quotes:gazp"),
        ("trades:LKOH@TQBR", StreamName("trades", "LKOH", "TQBR"), "trades:LKOH@TQBR"),
        ("trades:LKOH@", StreamName("trades", "LKOH"), "trades:LKOH"),
        ("book:CNYRUB_TOM", StreamName("book", "CNYRUB_TOM"), "book:CNYRUB_TOM"),
        ("bars:SBER:5m", StreamName("bars", "SBER", "", "5m"), "bars:SBER:5m"),
        ("bars:SBER", StreamName("bars", "SBER", "", "1m"), "bars:SBER:1m"),
        ("clusters:SBER@TQBR:300", StreamName("clusters", "SBER", "TQBR", "300"), "clusters:SBER@TQBR:300"),
        ("instrument:SBER", StreamName("instrument", "SBER"), "instrument:SBER"),
        ("orders:D70001", StreamName("orders", "D70001"), "orders:D70001"),
        ("stop_orders:E1@UNITED", StreamName("stop-orders", "E1", "UNITED"), "stop-orders:E1@UNITED"),
        ("Derivatives-Risk:7500T01", StreamName("derivatives-risk", "7500T01"), "derivatives-risk:7500T01"),
    ],
)
def test_a_name_is_read_and_shown(text: str, name: StreamName, shown: str) -> None:
    assert StreamName.parse(text) == name
    assert str(name) == shown
    assert StreamName.parse(shown) == name


@pytest.mark.parametrize(
    "text", ["", "SBER", "book", "book:", "book:@TQBR", ":SBER", "bars:", "bars::5m", "books:SBER"]
)
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is not like book:SBER, quotes:SBER, trades:SBER") as caught:
        StreamName.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("book:SBER:TQBR", "a board is written behind an @, like book:SBER@TQBR"),
        ("orders:E1:UNITED", "an exchange is written behind an @, like orders:E1@UNITED"),
        ("bars:SBER:", "ends without its timeframe: bars:SBER:5m"),
    ],
)
def test_a_mistake_is_told_with_what_was_meant(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        StreamName.parse(text)


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
        ("instrument", {"board": "", "format": Format.HEAVY}),
    ],
)
def test_options_go_to_the_kinds_that_have_them(kind: str, chosen: dict[str, Any]) -> None:
    broker: Any = Asked()
    StreamName(kind, "SBER").subscription(broker, StreamOptions(format=Format.HEAVY, depth=3, frequency_ms=50))
    assert broker.calls == [(KINDS[kind].method, "SBER", chosen)]


def test_bars_and_clusters_take_depth_as_intervals_of_the_past() -> None:
    broker = Timed()
    options = StreamOptions(depth=3, frequency_ms=50)
    for kind in ("bars", "clusters"):
        StreamName(kind, "SBER", "", "5m").subscription(broker, options)
        StreamName(kind, "SBER", "SMAL", "D").subscription(broker, StreamOptions())
    past, window = {"since": timedelta(minutes=15)}, {"frequency_ms": 50}
    assert broker.calls == [
        ("bars", "SBER", "5m", {"board": ""} | past | window),
        ("bars", "SBER", "D", {"board": "SMAL"}),
        ("clusters", "SBER", "5m", {"board": ""} | past),
        ("clusters", "SBER", "D", {"board": "SMAL"}),
    ]


class Timed:
    """As ``Asked``, of streams that have a timeframe."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, dict[str, Any]]] = []

    def __getattr__(self, kind: str) -> Any:
        return lambda symbol, timeframe, **chosen: self.calls.append((kind, symbol, timeframe, chosen))


class Owned:
    """A broker whose portfolios write down what they are asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def portfolio(self, name: str, **where: Any) -> Any:
        outer = self

        class Portfolio:
            def __getattr__(self, method: str) -> Any:
                return lambda **chosen: outer.calls.append((name, where, method, chosen))

        return Portfolio()


@pytest.mark.parametrize("kind", [kind for kind, each in KINDS.items() if each.of_portfolio])
def test_streams_of_portfolios_are_asked_of_theirs_with_a_format_only(kind: str) -> None:
    broker: Any = Owned()
    StreamName(kind, "D1").subscription(broker, StreamOptions(format=Format.SLIM, depth=3, frequency_ms=50))
    StreamName(kind, "E1", "UNITED").subscription(broker, StreamOptions())
    assert broker.calls == [
        ("D1", {}, KINDS[kind].method, {"format": Format.SLIM}),
        ("E1", {"exchange": "UNITED"}, KINDS[kind].method, {}),
    ]
    assert hasattr(Portfolio, KINDS[kind].method)


def test_every_kind_of_the_client_has_a_word() -> None:
    methods = {each.method for each in KINDS.values()}
    market = {name.removeprefix("on_") for name in dir(Broker) if name.startswith("on_")}
    own = {name for name in dir(Portfolio) if name.startswith("watch_")}
    assert methods == market | own


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
