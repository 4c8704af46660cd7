"""The order socket as far as it goes: authorisation, pings, and honest refusals."""

from __future__ import annotations

import asyncio

from tapewire.simulation import START_NS
from unit.gateway.world import BINARY, FOREIGN_KEY, World, forged, run


def test_authorising_is_answered_once_and_may_be_repeated() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        peer.send("authorize", "a")
        assert await peer.answer("a") == {
            "requestGuid": "a",
            "httpCode": 200,
            "message": "The connection has been initialized.",
        }
        assert await peer.ask("authorize", "b", token=world.token()) == 200
        assert world.gateway._reception.quota._by_login == {"P1": 1}

    run(scenario)


def test_a_bad_token_or_none_is_answered_401() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        alien = forged({"sub": "P1", "exp": START_NS, "iat": 1}, FOREIGN_KEY)
        for token in (alien, "", "x"):
            assert await peer.ask("authorize", "a", token=token) == 401
        assert not world.gateway._reception.quota._by_login
        assert await peer.ask("authorize", "a") == 200

    run(scenario)


def test_a_ping_needs_nothing() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        assert await peer.ask("ping", "p", token=None) == 200

    run(scenario)


def test_garbage_and_unknown_commands_are_answered_400_and_the_session_lives() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        for garbage in ("", "x", "[]", "{}", '{"opcode":"ping"}', "[" * 50_000):
            peer.send_raw(garbage)
            assert (await peer.answer(""))["httpCode"] == 400
        peer.transport.send_frame(BINARY, b"\x00")
        assert (await peer.answer(""))["httpCode"] == 400
        assert await peer.ask("create:everything", "g") == 400
        assert await peer.ask("ping", "p") == 200

    run(scenario)


def test_orders_are_refused_401_before_authorising_and_501_after_it() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        fields = {"orderId": "1", "exchange": "MOEX", "user": {"portfolio": "D1"}}
        assert await peer.ask("delete:limit", "d", **fields) == 401
        assert await peer.ask("authorize", "a") == 200
        assert await peer.ask("delete:limit", "d", **fields) == 501
        await asyncio.sleep(1800)
        assert await peer.ask("delete:limit", "d", **fields) == 401

    run(scenario)


def test_nothing_unsolicited_is_sent() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect("/cws")
        assert await peer.ask("authorize", "a") == 200
        await asyncio.sleep(3000)
        assert peer.messages == []

    run(scenario)
