"""The care of one connection: signs of life, an end that takes too long, who is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tapewire.client.attended import CLOSE_TIMEOUT_S, Attended
from tapewire.client.heartbeat import PING_EVERY_S, PING_TIMEOUT_S
from tapewire.client.session import Session
from tapewire.simulation import run_virtual
from unit.client.test_connection import FakeTransport


class EndingTransport(FakeTransport):
    """Ends when it is told to, in the next turn of the loop."""

    def __init__(self, attended: Attended[Session]) -> None:
        super().__init__()
        self._attended = attended

    def abort(self) -> None:
        super().abort()
        asyncio.get_running_loop().call_soon(self._attended.connection.disconnected, 1006, "")


class Ward:
    """An open connection, and what its owner was told."""

    def __init__(self) -> None:
        self.pings: list[float] = []
        self.silences: list[float] = []
        self.lost: list[tuple[int, str]] = []
        self.attended = Attended(
            Session(),
            lambda: self.pings.append(now()),
            self.silences.append,
            lambda code, reason: self.lost.append((code, reason)),
        )
        self.transport = EndingTransport(self.attended)
        self.attended.connection.connected(self.transport)


def now() -> float:
    return asyncio.get_running_loop().time()


def run(scenario: Callable[[Ward], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(Ward())

    run_virtual(main)


def test_a_silent_connection_is_dropped_with_the_reason_and_told_once() -> None:
    async def scenario(ward: Ward) -> None:
        began_s = now()
        ward.attended.begin()
        while not ward.attended.connection.is_closed:
            await ward.attended.wait()
        assert now() - began_s == pytest.approx(PING_EVERY_S + PING_TIMEOUT_S)
        assert ward.pings == [began_s + PING_EVERY_S]
        assert ward.silences == [PING_TIMEOUT_S]
        assert ward.lost == [(1006, "silent for 5 s after a ping")]

    run(scenario)


def test_a_wait_ends_at_its_moment_or_when_it_is_woken_before_or_in_it() -> None:
    async def scenario(ward: Ward) -> None:
        began_s = now()
        await ward.attended.wait(began_s + 3)
        assert now() == began_s + 3
        ward.attended.wake()
        await ward.attended.wait()
        asyncio.get_running_loop().call_later(1, ward.attended.wake)
        await ward.attended.wait()
        assert now() == began_s + 4
        assert ward.pings == [], "nobody has begun to ask"

    run(scenario)


def test_doubt_has_a_ping_sent_at_once_by_whoever_waits() -> None:
    async def scenario(ward: Ward) -> None:
        ward.attended.hurry()
        ward.attended.begin()
        asyncio.get_running_loop().call_later(2, ward.attended.hurry)
        await ward.attended.wait()
        assert ward.pings == [now()]

    run(scenario)


@pytest.mark.parametrize("is_ending", [False, True])
def test_an_open_connection_is_dropped_at_once_and_one_that_is_ending_after_a_second(is_ending: bool) -> None:
    async def scenario(ward: Ward) -> None:
        began_s = now()
        if is_ending:
            ward.attended.connection.close()
        await ward.attended.ended()
        assert ward.transport.aborted
        assert now() - began_s == pytest.approx(CLOSE_TIMEOUT_S if is_ending else 0)

    run(scenario)
