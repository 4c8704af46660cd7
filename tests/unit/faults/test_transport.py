"""The transport that holds back: order, bounds, ends."""

from __future__ import annotations

import asyncio
import math
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from tapewire.faults.transport import CLOSE_S_MAX, HELD_BYTES_MAX, ITEM_BYTES, FaultyTransport, Outgoing
from tapewire.protocol.frames import frame_header
from tapewire.protocol.limits import REQUEST_BACKLOG_BYTES_MAX
from tapewire.simulation import run_virtual

Judge = Callable[[bytes, float], Iterable[Outgoing]]


class Wire:
    """The network behind it: writes down what comes, and when."""

    peer = "client:1"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.unsent_bytes = 0

    def send(self, messages: Sequence[bytes]) -> None:
        self.calls += [(now_s(), message) for message in messages]

    def send_frames(self, frames: bytes) -> None:
        raise AssertionError("messages leave one by one")

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        self.calls.append((now_s(), opcode, payload, fin))

    def close(self, code: int, reason: str = "") -> None:
        self.calls.append((now_s(), "close", code, reason))

    def abort(self) -> None:
        self.calls.append((now_s(), "abort"))

    def pause_reading(self) -> None:
        self.calls.append((now_s(), "pause"))

    def resume_reading(self) -> None:
        self.calls.append((now_s(), "resume"))


def now_s() -> float:
    return asyncio.get_running_loop().time()


def late(**seconds: float) -> Judge:
    """Hold messages back by their first letter, which is their lane, too."""

    def judge(message: bytes, now: float) -> list[Outgoing]:
        lane = message[:1].decode()
        return [Outgoing(message, lane, now + seconds.get(lane, 0.0))]

    return judge


def run(judge: Judge, scenario: Callable[[FaultyTransport, Wire, list[float]], Any]) -> list[tuple[Any, ...]]:
    async def main() -> list[tuple[Any, ...]]:
        wire = Wire()
        told: list[float] = []
        transport = FaultyTransport(wire, judge, lambda: told.append(now_s()))
        await scenario(transport, wire, told)
        return wire.calls

    return run_virtual(main)


def test_what_is_late_keeps_its_order_within_its_lane_only() -> None:
    delays = iter([5.0, 1.0, 0.0])

    def judge(message: bytes, now: float) -> list[Outgoing]:
        lane = message[:1].decode()
        return [Outgoing(message, lane, now + (next(delays) if lane == "a" else 0))]

    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        transport.send([b"a1", b"a2", b"b1", b"a3"])
        transport.send_frame(10, b"!")
        await asyncio.sleep(6)

    assert run(judge, scenario) == [(0, b"b1"), (0, 10, b"!", True), (5, b"a1"), (5, b"a2"), (5, b"a3")]


def test_messages_of_one_buffer_are_judged_one_by_one() -> None:
    long = b"a" * 70_000

    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        transport.send_frames(b"".join(frame_header(1, len(text)) + text for text in (b"b1", long, b"b2")))
        await asyncio.sleep(2)

    assert run(late(a=1.0), scenario) == [(0, b"b1"), (0, b"b2"), (1, long)]


def test_nothing_overtakes_what_is_due_in_the_same_instant() -> None:
    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        # This timer is older than that of the transport and comes first.
        asyncio.get_running_loop().call_at(1.0, lambda: transport.send([b"b"]))
        transport.send([b"a"])
        await asyncio.sleep(2)

    assert run(late(a=1.0), scenario) == [(1, b"a"), (1, b"b")]


def test_behind_a_barrier_everything_waits_but_the_past() -> None:
    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        transport.send([b"a1"])
        transport.put_barrier(3)
        transport.send([b"b1"])
        transport.send_frame(10, b"")
        await asyncio.sleep(5)
        transport.send([b"b2"])

    assert run(late(a=1.0), scenario) == [(1, b"a1"), (3, b"b1"), (3, 10, b"", True), (5, b"b2")]


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_close_waits_for_what_is_held_and_for_the_end_of_silence(is_lost: bool) -> None:
    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        transport.send([b"a1"])
        transport.mute(1.9, is_lost=is_lost)
        transport.send([b"b1"])
        transport.close(1000, "bye")
        transport.send([b"b2"])
        transport.send_frame(9, b"")
        await asyncio.sleep(5)

    close = (1.9, "close", 1000, "bye")
    # In the order in which they would have gone; afterwards the network has a bound of its own.
    assert run(late(a=1.0), scenario) == ([close] if is_lost else [(1.9, b"b1"), (1.9, b"a1"), close])


@pytest.mark.parametrize(
    "hold",
    [
        lambda transport: transport.lose_all(),
        lambda transport: transport.mute(math.inf, is_lost=True),
        lambda transport: transport.mute(1_800, is_lost=False),
        lambda transport: transport.mute(1_800, is_lost=True),
        lambda transport: transport.put_barrier(1_800),
        lambda transport: transport.send([b"a"]),
    ],
)
def test_a_close_that_is_held_back_for_long_ends_in_an_abort(hold: Callable[[FaultyTransport], None]) -> None:
    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        await asyncio.sleep(1)
        hold(transport)
        transport.send([b"b"] if not transport.is_over else [])
        wire.calls.clear()
        transport.close(1008, "ended by the operator")
        # A fault that comes now does not keep it either.
        transport.lose_all()
        await asyncio.sleep(600)

    assert run(late(a=1_800.0), scenario) == [(1 + CLOSE_S_MAX, "abort")]


def test_a_connection_that_ends_while_its_close_is_held_back_is_not_aborted() -> None:
    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        transport.lose_all()
        transport.close(1008)
        transport.forget()
        await asyncio.sleep(600)

    assert run(late(), scenario) == []


def test_a_close_of_a_passing_transport_comes_at_once_behind_what_was_sent() -> None:
    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        transport.send([b"b"])
        transport.close(1000)
        transport.close(1001)

    assert run(late(), scenario) == [(0, b"b"), (0, "close", 1000, "")]


def test_an_end_in_the_servers_place_loses_what_is_held_and_hears_the_peer() -> None:
    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        transport.pause_reading()
        transport.send([b"b", b"a"])
        transport.end(1013, "x")
        transport.end(1001, "y")
        transport.send([b"b"])
        assert transport.is_over
        await asyncio.sleep(5)

    calls = run(late(a=1.0), scenario)
    assert calls == [(0, "pause"), (0, b"b"), (0, "resume"), (0, "close", 1013, "x")]


def test_a_cut_and_a_loss_leave_nothing_behind() -> None:
    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        transport.send([b"a"])
        transport.lose_all()
        transport.send([b"b"])
        transport.send_frame(10, b"")
        await asyncio.sleep(5)
        assert wire.calls == []
        transport.abort()

    assert run(late(a=1.0), scenario) == [(5, "abort")]


def test_much_that_is_held_counts_as_unsent_and_the_server_is_told_when_there_is_room() -> None:
    half = b"a" * (HELD_BYTES_MAX // 2 - ITEM_BYTES)

    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        transport.send([half])
        assert transport.unsent_bytes == 0
        transport.send([half])
        assert transport.unsent_bytes == HELD_BYTES_MAX
        assert not transport.is_choked
        await asyncio.sleep(0.5)
        assert told == []
        await asyncio.sleep(1)
        assert told == [1]
        assert transport.unsent_bytes == 0
        # With bytes unsent the network tells by itself.
        transport.send([half, half])
        wire.unsent_bytes = 1
        await asyncio.sleep(2)
        wire.unsent_bytes = REQUEST_BACKLOG_BYTES_MAX + 1
        assert transport.is_choked
        assert told == [1]

    run(late(a=1.0), scenario)


@pytest.mark.parametrize("kind", ["message", "frame"])
def test_small_things_that_are_held_cost_no_more_memory_than_is_said(kind: str) -> None:
    def judge(message: bytes, now: float) -> list[Outgoing]:
        # The worst: each in a lane of its own.
        return [Outgoing(message, f"data {message.decode()}", now + 1)]

    async def scenario(transport: FaultyTransport, wire: Wire, told: list[float]) -> None:
        tracemalloc.start()
        try:
            transport.put_barrier(1.0)
            for number in range(HELD_BYTES_MAX // ITEM_BYTES + 1):
                if kind == "message":
                    transport.send([b"%020d" % number])
                else:
                    transport.send_frame(10, b"%020d" % number)
            assert transport.unsent_bytes >= HELD_BYTES_MAX
            assert tracemalloc.get_traced_memory()[0] < HELD_BYTES_MAX * 1.1
        finally:
            tracemalloc.stop()

    run(judge, scenario)
