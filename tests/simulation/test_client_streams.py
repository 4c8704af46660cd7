"""Every kind of stream from a whole system, in every format; bars and instruments over cuts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tapewire.client.broker import Broker
from tapewire.client.command_result import Accepted
from tapewire.client.errors import ArgumentError, RefusedError
from tapewire.client.portfolio import Portfolio
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.model import (
    UNSET,
    Bar,
    Book,
    Cluster,
    DerivativesRisk,
    Fill,
    InstrumentUpdate,
    LegacyStopOrder,
    Order,
    Position,
    Quote,
    Record,
    Risk,
    Side,
    StopOrder,
    Summary,
    Topic,
    TopicKind,
    Trade,
    bar_opening_s,
)
from tapewire.protocol.formats import fields_of
from tapewire.protocol.requests import STREAMS
from tapewire.protocol.words import Format
from tapewire.simulation import SimulatedSystem, run_virtual

DEADLINE_S = 120
HOUR = timedelta(hours=1)

MARKET: dict[TopicKind, tuple[type[Record], str, Callable[[Broker], dict[str, Any]]]] = {
    TopicKind.BOOK: (Book, "book", lambda broker: {}),
    TopicKind.QUOTE: (Quote, "quotes", lambda broker: {}),
    TopicKind.TRADES: (Trade, "trades", lambda broker: {"depth": 3}),
    TopicKind.BAR: (Bar, "bars", lambda broker: {"timeframe": "1m", "since": HOUR}),
    TopicKind.INSTRUMENT: (InstrumentUpdate, "instrument_changes", lambda broker: {}),
    TopicKind.CLUSTER: (Cluster, "clusters", lambda broker: {"timeframe": "1m"}),
}
OWN: dict[TopicKind, tuple[type[Record], str]] = {
    TopicKind.POSITIONS: (Position, "positions"),
    TopicKind.SUMMARY: (Summary, "summary"),
    TopicKind.RISK: (Risk, "risk"),
    TopicKind.DERIVATIVES_RISK: (DerivativesRisk, "derivatives_risk"),
    TopicKind.FILLS: (Fill, "fills"),
    TopicKind.ORDERS: (Order, "orders"),
    TopicKind.STOP_ORDERS: (StopOrder, "stop_orders"),
    TopicKind.LEGACY_STOP_ORDERS: (LegacyStopOrder, "legacy_stop_orders"),
}


def test_there_is_a_name_for_every_kind() -> None:
    assert set(MARKET) | set(OWN) == set(STREAMS)
    assert all(hasattr(Broker, f"on_{name}") and hasattr(Broker, name) for _, name, _ in MARKET.values())
    assert all(
        hasattr(Portfolio, f"on_{name}") and hasattr(Portfolio, f"watch_{name}") for _, name in OWN.values()
    )


def _stream(broker: Broker, kind: TopicKind, form: Format) -> Subscription[Any]:
    if kind in MARKET:
        _, name, options = MARKET[kind]
        stream: Subscription[Any] = getattr(broker, name)("SBER", format=form, **options(broker))
        return stream
    portfolio = broker.portfolio("7500T01" if kind is TopicKind.DERIVATIVES_RISK else "D70001")
    stream = getattr(portfolio, f"watch_{OWN[kind][1]}")(format=form)
    assert stream.state is SubscriptionState.NEW
    return stream


async def _trade_and_stop(broker: Broker) -> None:
    """Leave an order, a fill, a position and a conditional order."""
    bought = await broker.orders.market("SBER", "buy", lots=1, portfolio="D70001")
    assert isinstance(bought, Accepted)
    stop = await broker.orders.stop("SBER", "sell", trigger_price=Decimal(200), lots=1, portfolio="D70001")
    assert isinstance(stop, Accepted), stop
    await asyncio.sleep(1)


def test_every_kind_comes_in_every_format_with_all_that_the_format_has() -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=1) as system, system.connect() as broker:
            await asyncio.sleep(2)
            await _trade_and_stop(broker)
            for kind in STREAMS:
                record_type = (MARKET | OWN)[kind][0]
                for form in Format:
                    async with asyncio.timeout(DEADLINE_S), _stream(broker, kind, form) as stream:
                        record = await anext(stream)
                        assert isinstance(record, record_type), (kind, form)
                        absent = {field.name for field in fields_of(record_type) if field.key(form) is None}
                        assert all(getattr(record, name) is UNSET for name in absent), (kind, form)
                        assert stream.malformed == 0
            assert broker.unclaimed == 0
            assert broker.streams == ()

    run_virtual(scenario())


def test_every_kind_calls_a_function() -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=1) as system, system.connect() as broker:
            await asyncio.sleep(2)
            await _trade_and_stop(broker)
            seen: dict[TopicKind, list[Record]] = {kind: [] for kind in STREAMS}
            for kind, (_, name, options) in MARKET.items():
                getattr(broker, f"on_{name}")("SBER", **options(broker))(seen[kind].append)
            for kind, (_, name) in OWN.items():
                portfolio = broker.portfolio("7500T01" if kind is TopicKind.DERIVATIVES_RISK else "D70001")
                getattr(portfolio, f"on_{name}")()(seen[kind].append)
            await asyncio.sleep(5)
            for kind, records in seen.items():
                assert records, kind
                assert isinstance(records[0], (MARKET | OWN)[kind][0])
            assert len(broker.callbacks) == len(broker.streams) == len(STREAMS)
            assert all(callback.failed == 0 for callback in broker.callbacks)
        assert len(broker.callbacks) == 0

    run_virtual(scenario())


# --- over cuts ------------------------------------------------------------------------------------------


async def _collect(stream: Subscription[Any], into: list[Any]) -> None:
    async for records in stream.batches():
        into += records


async def _until_whole(broker: Broker, *streams: Subscription[Any]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while broker.gaps.open or any(one.state is not SubscriptionState.ACTIVE for one in streams):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("timeframe", "since"), [("1s", timedelta(minutes=3)), ("1m", timedelta(days=3))])
def test_bars_are_one_run_over_any_cuts(seed: int, timeframe: str, since: timedelta) -> None:
    async def scenario() -> None:
        rng = random.Random(seed)
        async with (
            SimulatedSystem(seed=seed, events_per_second=500) as system,
            system.connect() as broker,
            broker.bars("SBER", timeframe, since=since) as stream,
        ):
            got: list[Bar] = []
            collecting = asyncio.create_task(_collect(stream, got))
            await asyncio.sleep(2)
            for _ in range(4):
                system.network.cut()
                await asyncio.sleep(rng.choice((0.1, 0.7, 5.0, 40.0)))
            await _until_whole(broker, stream)
            await asyncio.sleep(3)
            times = [bar.time_s for bar in got]
            assert times == sorted(times), "never back"
            assert all(one != other for one, other in pairwise(got)), "nothing twice in a row"
            final = {bar.time_s: bar for bar in got}
            interval_s = 1 if timeframe == "1s" else 60
            topic = Topic(TopicKind.BAR, "MOEX", "SBER", "TQBR", interval_s)
            happened = (await system.venue.bars(topic, times[0], times[-1] - 1, 100_000)).bars
            assert [bar.time_s for bar in happened] == list(final)[:-1], "none missed"
            shown = [_values(final[bar.time_s]) for bar in happened]
            assert shown == [_values(bar) for bar in happened], "each as it was in the end"
            assert broker.gaps.left == 0
            assert broker.gaps.filled >= 1
            collecting.cancel()

    run_virtual(scenario())


def _values(bar: Bar) -> tuple[float, ...]:
    return bar.time_s, bar.open, bar.high, bar.low, bar.close, bar.volume


def test_history_and_the_stream_say_the_same() -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=2) as system, system.connect() as broker:
            await asyncio.sleep(3)
            history = await broker.history("SBER", "1m", since=timedelta(days=2))
            assert len(history) > 1_000
            async with broker.bars("SBER", "1m", since=timedelta(days=2)) as stream:
                live = [await anext(stream) for _ in range(len(history) - 1)]
            assert [_values(bar) for bar in live] == [_values(bar) for bar in history[:-1]]
            days = await broker.history("SBER", "D", since=timedelta(days=10))
            assert all(bar.time_s % 86_400 == 0 for bar in days)
            assert 5 <= len(days) <= 12

    run_virtual(scenario())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", [Format.SIMPLE, Format.HEAVY])
def test_clusters_are_one_run_with_their_past_and_over_any_cuts(seed: int, form: Format) -> None:
    async def scenario() -> None:
        rng = random.Random(seed)
        async with (
            SimulatedSystem(seed=seed, symbols=2, events_per_second=100) as system,
            system.connect() as broker,
        ):
            await asyncio.sleep(60)
            async with broker.clusters("SBER", "10s", since=timedelta(seconds=35), format=form) as stream:
                got: list[Cluster] = []
                collecting = asyncio.create_task(_collect(stream, got))
                await asyncio.sleep(1)
                assert len({cluster.time_s for cluster in got}) >= 4, "the past, then the running one"
                for _ in range(4):
                    system.network.cut()
                    await asyncio.sleep(rng.choice((0.1, 0.7, 5.0, 25.0)))
                await _until_whole(broker, stream)
                await asyncio.sleep(15)
                times = [cluster.time_s for cluster in got]
                assert times == sorted(times), "never back"
                tape = await system.venue.recent_trades(Topic(TopicKind.TRADES, "MOEX", "SBER", "TQBR"), 5_000)
                assert tape.trades[0].time_ms < times[0] * 1_000, "all of it is on the tape"
                expected: dict[int, dict[float, list[int]]] = {}
                for one in tape.trades:
                    opening_s = bar_opening_s(one.time_ms // 1_000, 10)
                    level = expected.setdefault(opening_s, {}).setdefault(one.price, [0, 0])
                    level[0 if one.side is Side.BUY else 1] += one.quantity
                final = {cluster.time_s: cluster for cluster in got}
                for opening_s in range(times[0], times[-1], 10):
                    told = {
                        level.price: [level.buy_quantity, level.sell_quantity] for level in final[opening_s].levels
                    }
                    assert told == expected.get(opening_s, {}), "each as it was in the end"
                assert broker.gaps.left == 0
                collecting.cancel()

    run_virtual(scenario())


@pytest.mark.parametrize("seed", range(3))
def test_the_state_of_an_instrument_is_whole_after_any_cuts(seed: int) -> None:
    async def scenario() -> None:
        rng = random.Random(seed)
        async with (
            SimulatedSystem(seed=seed, symbols=33) as system,
            system.connect() as broker,
        ):
            symbol = next(one.symbol for one in system.venue.instruments() if one.option_side is not None)
            async with broker.instrument_changes(symbol) as stream:
                got: list[InstrumentUpdate] = []
                collecting = asyncio.create_task(_collect(stream, got))
                for _ in range(4):
                    await asyncio.sleep(rng.uniform(1, 20))
                    system.network.cut()
                    await asyncio.sleep(rng.choice((0.1, 0.7, 5.0)))
                await _until_whole(broker, stream)
                await asyncio.sleep(10)
                assert len(got) >= 5, "after each cut the whole state comes"
                first = _said(got[0])
                assert all(_said(record) == first for record in got), "each record has every field"
                async with broker.instrument_changes(symbol) as fresh:
                    now = await anext(fresh)
                    await asyncio.sleep(0.1)
                    assert [getattr(got[-1], name) for name in first] == [getattr(now, name) for name in first]
                assert broker.gaps.left == 0
                collecting.cancel()

    run_virtual(scenario())


def _said(record: InstrumentUpdate) -> list[str]:
    return [name for name in InstrumentUpdate.__struct_fields__ if getattr(record, name) is not UNSET]


# --- a past that is not wanted --------------------------------------------------------------------------


async def _buy(broker: Broker, lots: int = 1) -> None:
    bought = await broker.orders.market("SBER", "buy", lots=lots, portfolio="D70001")
    assert isinstance(bought, Accepted)
    await asyncio.sleep(1)


def test_a_stream_without_history_begins_with_what_happens_next() -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=1) as system, system.connect() as broker:
            await asyncio.sleep(2)
            await _trade_and_stop(broker)
            own = broker.portfolio("D70001")
            streams: list[Subscription[Any]] = [
                own.watch_orders(skip_history=True),
                own.watch_stop_orders(skip_history=True),
                own.watch_fills(skip_history=True),
                own.watch_positions(skip_history=True),
                own.watch_summary(skip_history=True),
                own.watch_risk(skip_history=True),
                broker.portfolio("7500T01").watch_derivatives_risk(skip_history=True),
            ]
            for stream in streams:
                await stream.open()
            await asyncio.sleep(0.1)
            assert [stream.received for stream in streams[:4]] == [0, 0, 0, 0]
            await _buy(broker, lots=2)
            order, fill = await anext(streams[0]), await anext(streams[2])
            assert (order.existing, fill.existing) == (False, False)
            assert fill.quantity_lots <= 2
            assert streams[1].received == 0, "no conditional order has changed"

    run_virtual(scenario())


@pytest.mark.parametrize("is_cut", [False, True])
def test_fills_without_history_are_all_from_then_on_and_each_once_also_over_a_cut(is_cut: bool) -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=1) as system, system.connect() as broker, system.connect() as other:
            await asyncio.sleep(2)
            await _buy(broker, lots=3)
            async with broker.portfolio("D70001").watch_fills(skip_history=True) as fills:
                got: list[Fill] = []
                collecting = asyncio.create_task(_collect(fills, got))
                await _buy(other, lots=4)
                if is_cut:
                    # Another program trades on while this one is away: its connection comes back first.
                    system.network.cut()
                    await asyncio.sleep(0.01)
                    await other.orders.open()
                    await other.orders.market("SBER", "buy", lots=5, portfolio="D70001")
                else:
                    await _buy(other, lots=5)
                await _until_whole(broker, fills)
                await asyncio.sleep(5)
                assert sum(fill.quantity_lots for fill in got) == 9, "not the three of before"
                assert len({fill.id for fill in got}) == len(got)
                collecting.cancel()

    run_virtual(scenario())


@pytest.mark.parametrize("is_cut", [False, True])
def test_chosen_statuses_choose_from_the_past_alone(is_cut: bool) -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=1) as system, system.connect() as broker, system.connect() as other:
            await asyncio.sleep(2)
            await _buy(broker)
            works = await broker.orders.limit("SBER", "buy", lots=1, price=Decimal(280), portfolio="D70001")
            assert isinstance(works, Accepted), works
            async with broker.portfolio("D70001").watch_orders(statuses=["working"]) as orders:
                got: list[Order] = []
                collecting = asyncio.create_task(_collect(orders, got))
                await asyncio.sleep(1)
                assert [(row.id, row.status, row.existing) for row in got] == [
                    (works.order.number, "working", True)
                ]
                got.clear()
                if is_cut:
                    system.network.cut()
                    await asyncio.sleep(0.01)
                    await other.orders.open()
                await other.orders.cancel(works.order)
                await _until_whole(broker, orders)
                await asyncio.sleep(5)
                assert [(row.id, row.status) for row in got] == [(works.order.number, "canceled")], (
                    "though not chosen"
                )
                collecting.cancel()

    run_virtual(scenario())


def test_a_state_without_history_is_told_after_a_cut_all_the_same() -> None:
    async def scenario() -> None:
        async with (
            SimulatedSystem(seed=1) as system,
            system.connect() as broker,
            broker.portfolio("7500T01").watch_derivatives_risk(skip_history=True) as risks,
        ):
            await asyncio.sleep(30)
            assert risks.received == 0, "nothing has changed"
            system.network.cut()
            assert isinstance(await anext(risks), DerivativesRisk)

    run_virtual(scenario())


def test_the_risk_of_derivatives_of_a_cash_portfolio_says_that_it_has_none() -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=1) as system, system.connect() as broker:
            cash = broker.portfolio("D70001")
            with pytest.raises(RefusedError, match="404 Portfolio MOEX:D70001 has no derivatives"):
                await cash.watch_derivatives_risk().open()
            with pytest.raises(RefusedError, match=r"404 .*Portfolio MOEX:D70001 has no derivatives"):
                await cash.derivatives_risk()
            with pytest.raises(RefusedError, match="403 The portfolio D1 is not in the token"):
                await broker.portfolio("D1").watch_orders().open()

    run_virtual(scenario())


@pytest.mark.parametrize("statuses", [[], ["done"], "done", 5, [5]])
def test_statuses_that_do_not_exist_are_refused_at_once(statuses: Any) -> None:
    async def scenario() -> None:
        async with SimulatedSystem(seed=1) as system, system.connect() as broker:
            with pytest.raises(ArgumentError, match="working, filled, canceled, rejected: nothing"):
                broker.portfolio("D70001").watch_orders(statuses=statuses)

    run_virtual(scenario())
