"""Ten thousand commands in one burst: each is answered once, in order, within bounds, and others are served."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tapewire.gateway.command_session import COMMANDS_AT_VENUE_MAX, COMMANDS_WAITING_MAX, CommandSession
from tapewire.gateway.connection import READING_PAUSED_AT, REQUESTS_PER_TURN_MAX
from tapewire.gateway.limits import Limits
from tapewire.protocol.limits import REQUEST_BACKLOG_BYTES_MAX
from two_doors import GOOD, TwoDoors, run
from unit.gateway.world import REFRESH, Peer

COUNT = 10_000


def command(number: int) -> bytes:
    """Return one of the commands: mostly orders that rest, now and then one that is refused."""
    fields: dict[str, Any] = GOOD["limit"] | {
        "price": round(9 + number % 100 / 100, 2),
        "user": {"portfolio": "D5"},
    }
    if number % 10 == 0:
        fields |= {"quantity": 0}
    elif number % 10 == 1:
        fields |= {"price": 9.005}
    return json.dumps({"opcode": "create:limit", "guid": f"c{number}"} | fields).encode()


def code(number: int) -> int:
    return 400 if number % 10 in (0, 1) else 200


async def burst(doors: TwoDoors, peer: Peer) -> dict[str, int]:
    """Send all in one go; return the most that ever waited, as others saw it whenever they had their turn."""
    (connection,) = [one for one in doors.gateway.connections if one.peer.startswith("10.0.0.9")]
    session = connection._handler
    assert isinstance(session, CommandSession)
    most = {"waiting": 0, "answers": 0, "bytes": 0, "turns": 0}
    peer.transport.send([command(number) for number in range(COUNT)])
    while len(peer.messages) < COUNT:
        # Mostly the next turn of the loop, and now and then the next moment.
        await asyncio.sleep(0 if most["turns"] % 10 else 0.0005)
        most["waiting"] = max(most["waiting"], len(session._under_way) + len(session._waiting))
        most["answers"] = max(most["answers"], connection.outbox.irreplaceable)
        most["bytes"] = max(most["bytes"], connection._backlog_bytes)
        most["turns"] += 1
    assert not session._waiting
    assert not session._under_way
    assert connection._backlog_bytes == 0
    return most


async def burster(doors: TwoDoors) -> Peer:
    peer = Peer(doors.token(REFRESH))
    await doors.network.connector("10.0.0.9").connect("ws://gateway/cws", peer, timeout_s=10)
    assert await peer.ask("authorize", "hello") == 200
    return peer


def test_each_is_answered_once_in_order_and_another_session_trades_meanwhile() -> None:
    async def scenario(doors: TwoDoors) -> None:
        peer = await burster(doors)
        theirs: list[int] = []

        async def trade() -> None:
            while True:
                number = await doors.placed(peer=doors.other, price=9.00, user={"portfolio": "D2"})
                fields = {"orderId": number, "exchange": "MOEX", "user": {"portfolio": "D2"}}
                assert (await doors.by_socket("delete:limit", fields, doors.other)).status == 200
                theirs.append(len(peer.messages))

        trading = asyncio.create_task(trade())
        most = await burst(doors, peer)
        trading.cancel()
        await asyncio.wait([trading])
        assert trading.cancelled()

        answers = peer.answers()
        assert [answer["requestGuid"] for answer in answers] == [f"c{number}" for number in range(COUNT)]
        assert [answer["httpCode"] for answer in answers] == [code(number) for number in range(COUNT)]
        numbers = [int(answer["orderNumber"]) for answer in answers if answer["httpCode"] == 200]
        assert numbers == sorted(set(numbers))
        working = [row.id for row in doors.venue._hall.exchange.orders.working.values() if row.account == "D5"]
        assert working == numbers
        # A turn of the loop handles a bounded part of what has come, and reads no more before it is answered.
        assert most["waiting"] <= COMMANDS_AT_VENUE_MAX + REQUESTS_PER_TURN_MAX
        assert most["answers"] <= READING_PAUSED_AT + REQUESTS_PER_TURN_MAX
        assert most["bytes"] <= REQUEST_BACKLOG_BYTES_MAX
        # The other one was served all along and not only in the end.
        assert any(0 < seen < COUNT for seen in theirs), theirs

    run(scenario, limits=Limits(requests_per_second=None))


def test_with_a_slow_venue_none_is_lost_or_doubled_and_what_waits_is_bounded() -> None:
    async def scenario(doors: TwoDoors) -> None:
        peer = await burster(doors)
        most = await burst(doors, peer)

        answers = peer.answers()
        assert sorted(answer["requestGuid"] for answer in answers) == sorted(
            f"c{number}" for number in range(COUNT)
        )
        taken = [answer for answer in answers if answer["httpCode"] != 429]
        assert [answer["httpCode"] for answer in taken] == [
            code(int(answer["requestGuid"][1:])) for answer in taken
        ]
        order = [int(answer["requestGuid"][1:]) for answer in taken]
        assert order == sorted(order)
        numbers = [int(answer["orderNumber"]) for answer in taken if answer["httpCode"] == 200]
        assert list(doors.venue._hall.exchange.orders.working) == numbers
        # The first of them, and all that wait behind it.
        assert most["waiting"] == COMMANDS_WAITING_MAX + 1
        # Where the venue could not follow, there is a refusal that says so.
        assert 0 < len(taken) < COUNT

    run(scenario, limits=Limits(requests_per_second=None), venue_takes_s=0.001)
