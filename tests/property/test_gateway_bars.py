"""Bars and instrument rules through the gateway: history, then live, nothing lost and nothing stale."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.model import Bar, InstrumentUpdate, TopicKind
from tapewire.model.topic import Topic
from tapewire.simulation import run_virtual
from unit.gateway.world import SBER, World

BARS = "BarsGetAndSubscribe"
INSTRUMENT = "InstrumentsGetAndSubscribeV2"
MINUTE = Topic(TopicKind.BAR, "MOEX", "SBER", "TQBR", 60)
RULES = Topic(TopicKind.INSTRUMENT, "MOEX", "SBER", "TQBR")


def bar(minute: int, volume: int) -> Bar:
    return Bar(time_s=minute * 60, open=300.0, high=301.0, low=299.0, close=300.0 + volume / 100, volume=volume)


def seen(records: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(record["time"] // 60, record["volume"]) for record in records]


#: After each pause (ms) a trade: in the running minute, or as the first one of the next.
trades = st.lists(st.tuples(st.integers(0, 90), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(trades, st.integers(0, 12), st.integers(0, 120), st.booleans())
def test_every_bar_arrives_in_its_last_form_and_in_order(
    moments: list[tuple[int, bool]], joins_at: int, delay_ms: int, with_history: bool
) -> None:
    async def scenario() -> None:
        async with World() as world:
            world.venue.page_delays_s = (delay_ms / 2000, delay_ms / 2000)
            world.venue.set_past_bars(MINUTE, [bar(minute, 5) for minute in range(3)])
            minute, volume = 3, 1
            world.venue.run_bar(MINUTE, bar(minute, volume))
            peer = await world.connect()
            finals: list[tuple[int, int]] = []
            joined_with = len(finals)
            for number, (pause_ms, is_next) in enumerate(moments):
                if number == min(joins_at, len(moments) - 1):
                    peer.subscribe(BARS, "g", tf=60, **{"from": 0}, skipHistory=not with_history, frequency=25)
                    await peer.answer("g")
                    joined_with = len(finals)
                await asyncio.sleep(pause_ms / 1000)
                if is_next:
                    world.venue.finish_bar(MINUTE, bar(minute, volume))
                    finals.append((minute, volume))
                    minute, volume = minute + 1, 0
                volume += 1
                world.venue.run_bar(MINUTE, bar(minute, volume))
            await asyncio.sleep(1)
            got = seen(peer.data("g"))
            # A bar never comes again once a later one has, and never with less in it. Its last form may come
            # twice: as the state of a window, and as what is final.
            assert all(older <= newer for older, newer in pairwise(got)), got
            last_forms = dict(got)
            for final in finals[joined_with:]:
                assert last_forms.get(final[0]) == final[1], (final, got)
            if with_history:
                assert got[:3] == [(0, 5), (1, 5), (2, 5)]
                assert got[-1] == (minute, volume)
                assert list(last_forms) == list(range(minute + 1))
            peer.transport.abort()

    run_virtual(scenario)


def test_history_comes_from_the_time_that_was_asked_for() -> None:
    async def scenario() -> None:
        async with World() as world:
            world.venue.set_past_bars(MINUTE, [bar(minute, 5) for minute in range(10)])
            peer = await world.connect()
            assert await peer.asked(BARS, "g", tf="60", **{"from": 7 * 60}, format="slim") == 200
            await asyncio.sleep(1)
            assert [record["t"] // 60 for record in peer.data("g")] == [7, 8, 9]

    run_virtual(scenario)


def test_an_instrument_comes_full_and_then_in_parts() -> None:
    async def scenario() -> None:
        async with World() as world:
            peer = await world.connect()
            assert await peer.asked(INSTRUMENT, "g") == 200
            await peer.until(lambda: peer.data("g"))
            full = peer.data("g")[0]
            assert {"symbol", "exchange", "board", "tradingStatus", "priceMin", "priceMax"} <= set(full)
            world.venue.change_instrument(SBER, InstrumentUpdate(symbol="SBER", price_max=400.0))
            await peer.until(lambda: len(peer.data("g")) == 2)
            assert peer.data("g")[1] == {"symbol": "SBER", "priceMax": 400.0}

    run_virtual(scenario)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=20), st.integers(0, 10), st.integers(0, 200))
def test_rules_merged_over_the_full_state_are_the_rules(
    pauses_ms: list[int], joins_at: int, delay_ms: int
) -> None:
    async def scenario() -> None:
        async with World() as world:
            world.venue.page_delays_s = (delay_ms / 2000, delay_ms / 2000)
            peer = await world.connect()
            for number, pause_ms in enumerate(pauses_ms):
                if number == min(joins_at, len(pauses_ms) - 1):
                    peer.subscribe(INSTRUMENT, "g")
                    await peer.answer("g")
                await asyncio.sleep(pause_ms / 1000)
                change = {"price_max": 400.0 + number} if number % 2 else {"price_min": 200.0 + number}
                world.venue.change_instrument(SBER, InstrumentUpdate(symbol="SBER", **change))
            await asyncio.sleep(1)
            merged: dict[str, Any] = {}
            for record in peer.data("g"):
                merged |= record
            rules = (await world.venue.instrument_state(RULES)).record
            assert isinstance(rules, InstrumentUpdate)
            assert (merged["priceMin"], merged["priceMax"]) == (rules.price_min, rules.price_max)
            maxima = [record["priceMax"] for record in peer.data("g") if "priceMax" in record]
            assert all(older <= newer for older, newer in pairwise(maxima))

    run_virtual(scenario)
