"""The gateway as a whole: who is let in, and how it ends."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tapewire.gateway.connection import Connection
from tapewire.model import Exchange, Fill, Side, Topic, TopicKind
from tapewire.ports.network import ConnectError
from tapewire.simulation import run_virtual
from unit.gateway.world import BOOK, SBER, TRADES, World, run

FILL = Fill(
    id="1",
    order_number="2",
    comment=None,
    symbol="SBER",
    broker_symbol="MOEX:SBER",
    exchange=Exchange.MOEX,
    time="2026-01-12T07:00:00.0000000Z",
    board="TQBR",
    quantity_units=10,
    quantity_lots=1,
    price=Decimal("300.1"),
    accrued_interest=Decimal(0),
    side=Side.BUY,
    existing=False,
    commission=None,
    repo=None,
    volume=Decimal(3001),
)


@pytest.mark.parametrize("path", ["/ws", "/WS", "/ws/", "/ws?token=x", "/cws", "/cws/?x=y"])
def test_the_two_sockets_are_served(path: str) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect(path)
        assert await peer.ask("ping", "p") == 200

    run(scenario)


@pytest.mark.parametrize("path", ["", "/", "/wss", "/ws/x", "/x/ws", "/?/ws"])
def test_nothing_else_is(path: str) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(ConnectError) as refused:
            await world.connect(path)
        assert refused.value.status == 404
        assert world.gateway.connections == set()

    run(scenario)


def test_a_closing_gateway_lets_nobody_in_and_ends_although_a_peer_stalls() -> None:
    async def main() -> None:
        async with World() as world:
            healthy, stalled = await world.connect(), await world.connect()
            for peer in (healthy, stalled):
                assert await peer.asked(TRADES, "t", depth=5) == 200
                assert await peer.asked(BOOK, "b") == 200
            stalled.transport.pause_reading()
            loop = asyncio.get_running_loop()
            began = loop.time()
            closing = asyncio.create_task(world.gateway.close())
            assert await healthy.closed() == (1001, "the server is going away")
            with pytest.raises(ConnectError):
                await world.connect()
            await closing
            assert loop.time() - began <= 0.6
            await asyncio.sleep(0)
            world.check_nothing_is_left()
            world.venue.publish_trade(SBER, 1)
            world.venue.set_book(SBER, [(1, 1)])

    run_virtual(main)


def test_a_past_that_is_being_read_does_not_hold_the_end_up() -> None:
    async def main() -> None:
        async with World() as world:
            peer = await world.connect()
            world.venue.page_delays_s = (5.0, 0.0)
            assert await peer.asked(TRADES, "t", depth=5) == 200
            await world.gateway.close()
            assert asyncio.get_running_loop().time() < 1

    run_virtual(main)


def test_what_happens_in_a_portfolio_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurried: list[Connection] = []
    hurry = Connection.hurry

    def noted(self: Connection) -> None:
        hurried.append(self)
        hurry(self)

    async def scenario(world: World) -> None:
        monkeypatch.setattr(Connection, "hurry", noted)
        peer = await world.connect()
        assert await peer.ask("TradesGetAndSubscribeV2", "f", exchange="MOEX", portfolio="D1") == 200
        assert await peer.asked(TRADES, "t") == 200
        hurried.clear()
        world.venue.publish_trade(SBER, 1)
        world.venue.publish(Topic(TopicKind.FILLS, "MOEX", "D1"), FILL)
        assert len(hurried) == 1
        await peer.until(lambda: len(peer.messages) == 2)
        assert [fill["id"] for fill in peer.data("f")] == ["1"]

    run(scenario)
