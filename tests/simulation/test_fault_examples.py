"""The examples of docs/faults.md do what they say, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from faulty import ROUND_S, FaultyWorld
from tapewire.faults import read_faults_file
from tapewire.ports.network import ConnectError
from tapewire.simulation import START, run_virtual
from unit.gateway.world import TRADES

EXAMPLES = Path(__file__).parents[2] / "examples" / "faults"
DEADLINE_S = 3_600.0


def play(name: str, scenario: Callable[[FaultyWorld], Coroutine[Any, Any, None]], start: datetime = START) -> None:
    async def main() -> None:
        async with FaultyWorld(read_faults_file(EXAMPLES / f"{name}.toml")) as world:
            await scenario(world)

    run_virtual(main, start=start, limit_s=DEADLINE_S)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_cut_every_minute() -> None:
    async def scenario(world: FaultyWorld) -> None:
        for minute in (1, 2, 3):
            peer = await world.connect()
            assert await peer.asked(TRADES, "t") == 200
            assert await peer.closed() == (1006, "")
            assert now_s() == pytest.approx(60 * minute, abs=minute * ROUND_S)

    play("cut-every-minute", scenario)


def test_friday_maintenance() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.closed() == (1012, "maintenance")
        assert now_s() == pytest.approx(300, abs=ROUND_S)
        await world.until_s(899)
        with pytest.raises(ConnectError) as refused:
            await world.connect()
        assert refused.value.status == 503
        assert [strike.name for strike in world.injector.plan.http("/refresh", "", now_s())] == [
            "no HTTP in maintenance"
        ]
        await world.until_s(901)
        assert world.injector.plan.http("/refresh", "", now_s()) == []
        again = await world.connect()
        assert await again.ask("ping", "p") == 200

    play("friday-maintenance", scenario, datetime(2026, 1, 16, 15, 45, tzinfo=UTC))


def test_slow_open() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        peer.subscribe(TRADES, "t")
        world.print_trade(0)
        await asyncio.sleep(0.01)
        for price in range(1, 50):
            world.print_trade(price)
        answer = await peer.answer("t")
        assert answer["httpCode"] == 200
        assert 1 <= now_s() <= 3.1
        # Data that were slow, and came before the answer.
        assert [trade["price"] for trade in peer.data("t")] == list(range(1, 50))
        assert world.struck["slow data"] == 49
        await world.until_s(301)
        began = now_s()
        assert await peer.ask("ping", "p") == 200
        assert now_s() - began < ROUND_S

    play("slow-open", scenario)


def test_token_ends_early() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t") == 200
        await world.until_s(89)
        assert await peer.asked(TRADES, "u") == 200
        await world.until_s(91)
        assert await peer.asked(TRADES, "v") == 401
        peer.token = world.token()
        assert await peer.asked(TRADES, "v") == 200

    play("token-ends-early", scenario)


def test_half_open() -> None:
    async def scenario(world: FaultyWorld) -> None:
        await world.connect("/cws")
        first, second = await world.connect(), await world.connect()
        for peer in (first, second):
            assert await peer.asked(TRADES, "t") == 200
        await world.until_s(31)
        world.print_trade(1)
        first.send("ping", "p")
        assert await second.ask("ping", "p") == 200
        assert (first.messages, len(second.data("t"))) == ([], 1)
        assert (first.end, second.end) == (None, None)

    play("half-open", scenario)


def test_rough_day() -> None:
    async def scenario(world: FaultyWorld) -> None:
        peer = await world.connect()
        for number in range(100):
            peer.subscribe(TRADES, f"t{number}")
            await asyncio.sleep(0.1)
        codes = [answer["httpCode"] for answer in peer.answers()]
        assert set(codes) == {200, 429}
        assert 80 <= len(codes) < 100
        await world.print_trades(1, 30)
        await world.until_s(119)
        assert sum(message == b'{"data":{"symbol":' for message in peer.messages) == world.struck["half a message"]
        await world.until_s(121)
        peer.send("ping", "p")
        await world.until_s(134)
        assert not any(answer["requestGuid"] == "p" for answer in peer.answers() if answer["httpCode"] == 200)
        await world.until_s(136)
        assert all(world.struck.values())

    play("rough-day", scenario)


def test_every_example_is_played_here() -> None:
    played = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    assert {file.stem for file in EXAMPLES.glob("*.toml")} <= played
