"""Faults under any traffic: what is not struck passes as it is, what is struck is struck as ordered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.faults import FaultInjector, FaultKind, FaultPlan, FaultRule, Faults, Trigger
from tapewire.faults.subject import Subject
from tapewire.ports.network import FrameListener, Transport
from tapewire.protocol.messages import DATA_PREFIX
from tapewire.simulation import VirtualClock, run_virtual

#: Faults that wrap everything and are never due.
IDLE = Faults(
    (
        FaultRule(kind=FaultKind.CUT, after_s=86_400),
        FaultRule(kind=FaultKind.REFUSED, after_s=86_400),
        FaultRule(kind=FaultKind.DELAY, on=Trigger.MESSAGE, by_s=1, nth=1_000_000),
        FaultRule(kind=FaultKind.NO_ANSWER, guid="nobody's"),
    )
)
GUIDS = st.sampled_from(["a", "b", "c"])
DATA = st.builds(
    lambda guid, number: b'{"data":{"n":%d},"guid":"%b"}' % (number, guid.encode()), GUIDS, st.integers(0)
)
ANSWERS = st.builds(
    lambda guid, code: b'{"requestGuid":"%b","httpCode":%d,"message":""}' % (guid.encode(), code),
    GUIDS,
    st.sampled_from([200, 404]),
)
MESSAGES = st.lists(st.one_of(DATA, ANSWERS, st.binary(max_size=20)), max_size=20)
REQUESTS = st.one_of(
    st.builds(lambda guid: b'{"opcode":"AllTradesSubscribe","guid":"%b","code":"X"}' % guid.encode(), GUIDS),
    st.text(max_size=10).map(str.encode),
    st.binary(max_size=10),
)


class Ends:
    """Server and network in one: writes down what reaches each of them."""

    peer = "client:1"
    unsent_bytes = 0

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.heard: list[tuple[int, bytes, bool, int]] = []
        self.transport: Transport | None = None
        self.end: tuple[int, str] | None = None

    # The network.

    def send(self, messages: Sequence[bytes]) -> None:
        self.sent += messages

    def send_frames(self, frames: bytes) -> None:
        raise AssertionError("messages leave one by one")

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        self.sent.append((opcode, payload, fin))

    def close(self, code: int, reason: str = "") -> None:
        self.sent.append((code, reason))

    def abort(self) -> None:
        self.sent.append("abort")

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    # The server.

    def connected(self, transport: Transport) -> None:
        self.transport = transport

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        self.heard.append((opcode, payload, fin, rsv))

    def writable(self) -> None:
        pass

    def disconnected(self, code: int, reason: str) -> None:
        self.end = code, reason


def join(faults: Faults) -> tuple[Ends, FrameListener, Transport]:
    ends = Ends()
    listener = FaultInjector(faults, VirtualClock()).acceptor(lambda path, peer: ends)("/ws", "client:1")
    assert listener is not None
    assert listener is not ends
    listener.connected(ends)
    assert ends.transport is not None
    return ends, listener, ends.transport


@given(st.lists(MESSAGES, max_size=5), st.lists(st.lists(REQUESTS, min_size=1, max_size=3), max_size=10))
@settings(deadline=None)
def test_without_a_due_fault_every_frame_passes_as_it_is(
    batches: list[list[bytes]], requests: list[list[bytes]]
) -> None:
    async def main() -> None:
        ends, listener, transport = join(IDLE)
        frames = []
        for pieces in requests:
            for index, piece in enumerate(pieces):
                frames.append((1 if index == 0 else 0, piece, index == len(pieces) - 1, 0))
                listener.frame_received(*frames[-1])
        sent: list[Any] = []
        for messages in batches:
            transport.send(messages)
            transport.send_frame(10, b"p")
            sent += [*messages, (10, b"p", True)]
        transport.close(1000, "end")
        listener.disconnected(1006, "")
        assert ends.heard == frames
        assert ends.sent == [*sent, (1000, "end")]
        assert ends.end == (1006, "")

    run_virtual(main)


@given(MESSAGES, st.integers(1, 4))
@settings(deadline=None)
def test_duplicates_are_exactly_doubled(messages: list[bytes], each: int) -> None:
    async def main() -> None:
        ends, listener, transport = join(Faults((FaultRule(kind=FaultKind.DUPLICATE, each=each),)))
        transport.send(messages)
        expected, count = [], 0
        for message in messages:
            expected.append(message)
            if message.startswith(DATA_PREFIX):
                count += 1
                expected += [message] * (count % each == 0)
        assert ends.sent == expected
        listener.disconnected(1006, "")

    run_virtual(main)


@given(st.lists(MESSAGES, max_size=6), st.integers(0, 1_000), st.floats(0.01, 1), st.booleans())
@settings(deadline=None)
def test_a_delay_loses_nothing_and_keeps_the_order_of_each_guid(
    batches: list[list[bytes]], seed: int, probability: float, is_everything: bool
) -> None:
    async def main() -> None:
        rule = FaultRule(
            kind=FaultKind.DELAY,
            on=Trigger.MESSAGE if is_everything else None,
            by_s=0.1,
            jitter_s=1,
            probability=probability,
        )
        ends, listener, transport = join(Faults((rule,), seed))
        for messages in batches:
            transport.send(messages)
            await asyncio.sleep(0.2)
        await asyncio.sleep(5)
        sent = [message for messages in batches for message in messages]
        assert sorted(ends.sent) == sorted(sent)
        for guid in (b"a", b"b", b"c"):
            tail = b',"guid":"' + guid + b'"}'
            assert [m for m in ends.sent if m.endswith(tail)] == [m for m in sent if m.endswith(tail)]
        listener.disconnected(1006, "")

    run_virtual(main)


@given(st.integers(), st.lists(st.tuples(GUIDS, st.floats(0, 100)), max_size=50))
def test_the_same_seed_and_traffic_give_the_same_strikes(seed: int, traffic: list[tuple[str, float]]) -> None:
    rules = (
        FaultRule(kind=FaultKind.DUPLICATE, probability=0.5, guid="[ab]"),
        FaultRule(kind=FaultKind.DELAY, by_s=1, jitter_s=5, each=2, after_s=10, for_s=20, every_s=50),
        FaultRule(kind=FaultKind.CUT, every_s=7, probability=0.3),
    )

    def once() -> list[Any]:
        plan = FaultPlan(
            Faults(rules, seed),
            now_s=0,
            wall_s=0,
            draws=lambda name: random.Random(f"{seed}/{name}").random,
        )
        session = plan.session("/ws", 0)
        assert session is not None
        strikes: list[Any] = []
        for guid, now_s in sorted(traffic, key=lambda event: event[1]):
            found = session.due(now_s) + session.event(Trigger.DATA, Subject(guid=guid), now_s)
            strikes += [(now_s, strike.name, strike.by_s) for strike in found]
        return [*strikes, plan.struck]

    first = once()
    assert first == once()
    assert sum(first[-1].values()) == len(first) - 1
