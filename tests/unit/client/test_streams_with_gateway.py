"""Bars and instrument changes through the gateway: said in parts by the venue, whole for the consumer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tapewire.client.bar_history import WIRE_BARS_MAX
from tapewire.client.errors import RefusedError
from tapewire.model import Bar, InstrumentUpdate, TopicKind
from tapewire.protocol.words import Format
from unit.client.test_with_gateway import TEST, World, run, take

MINUTE_S = 60


def bar(time_s: int, close: float = 10.0) -> Bar:
    return Bar(time_s=time_s, close=close, open=10.0, high=11.0, low=9.0, volume=1)


@pytest.mark.parametrize("form", list(Format))
def test_changes_of_an_instrument_arrive_whole_in_every_format_and_after_a_cut(form: Format) -> None:
    async def scenario(world: World) -> None:
        async with world.client() as broker, broker.instrument_changes("TEST", format=form) as changes:
            (whole,) = await take(changes, 1)
            world.venue.change_instrument(TEST, InstrumentUpdate(symbol="TEST", price_min=9.5))
            world.venue.change_instrument(TEST, InstrumentUpdate(symbol="TEST", trading_status_info=None))
            first, second = await take(changes, 2)
            assert (whole.price_min, first.price_min, second.price_min) == (9.0, 9.5, 9.5)
            assert (whole.price_max, first.price_max, second.price_max) == (11.0, 11.0, 11.0)
            assert (first.trading_status_info, second.trading_status_info) == ("нормальный период торгов", None)
            assert (second.symbol, second.board, second.trading_status) == ("TEST", "TQBR", whole.trading_status)
            world.network.cut()
            world.venue.change_instrument(TEST, InstrumentUpdate(symbol="TEST", price_max=10.5))
            (restored,) = await take(changes, 1)
            assert (restored.price_min, restored.price_max) == (9.5, 10.5)
            assert broker.gaps.left == 0

    run(scenario)


@pytest.mark.parametrize("count", [3, WIRE_BARS_MAX + 50])
def test_past_and_live_bars_are_one_run(count: int) -> None:
    async def scenario(world: World) -> None:
        topic = world.venue.topic(TopicKind.BAR, TEST, MINUTE_S)
        running_s = world.clock.wall_ns() // 10**9 // MINUTE_S * MINUTE_S
        first_s = running_s - MINUTE_S * (count - 1)
        times = list(range(first_s, running_s + 1, MINUTE_S))
        world.venue.set_past_bars(topic, [bar(time_s) for time_s in times])
        since = datetime.fromtimestamp(first_s, UTC)
        async with world.client() as broker:
            history = await broker.history("TEST", "1m", since=since)
            assert [one.time_s for one in history] == times
            async with broker.bars("TEST", "1m", since=since) as bars:
                assert [one.time_s for one in await take(bars, count)] == times
                world.venue.run_bar(topic, bar(running_s, 10.4))
                await asyncio.sleep(0.5)
                world.venue.finish_bar(topic, bar(running_s, 10.5))
                world.venue.run_bar(topic, bar(running_s + MINUTE_S))
                seen = [(one.time_s, one.close) for one in await take(bars, 3)]
                assert seen == [(running_s, 10.4), (running_s, 10.5), (running_s + MINUTE_S, 10.0)]

    run(scenario)


def test_bars_of_an_instrument_that_is_not_there_are_refused_by_http_and_wire_alike() -> None:
    async def scenario(world: World) -> None:
        async with world.client() as broker:
            for since in (timedelta(days=30), timedelta(minutes=5), None):
                with pytest.raises(RefusedError) as caught:
                    await broker.bars("NOPE", "1m", since=since).open()
                assert caught.value.code == 404

    run(scenario)
