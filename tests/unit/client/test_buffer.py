"""The buffer: bounds, counts, the end, one consumer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.client.buffer import Buffer, BufferPolicy, Conflate, DropOldest, Fail
from tapewire.client.errors import ArgumentError, BufferOverflowError, BusyError, ClosedError, ConnectionLostError
from tapewire.simulation import run_virtual

ALL = 1_000
Policies = st.one_of(
    st.just(Conflate()), st.builds(DropOldest, st.integers(1, 4)), st.builds(Fail, st.integers(1, 4))
)


def filled(policy: BufferPolicy, count: int) -> Buffer:
    buffer = Buffer(policy, "trades:TEST")
    for number in range(count):
        buffer.put(b"%d" % number)
    return buffer


def test_conflate_keeps_the_newest_message_and_counts_the_others() -> None:
    buffer = filled(Conflate(), 3)
    assert buffer.take_nowait(ALL) == [b"2"]
    assert (buffer.received, buffer.dropped) == (3, 2)


def test_drop_oldest_keeps_the_last_ones_in_order() -> None:
    buffer = filled(DropOldest(2), 5)
    assert buffer.take_nowait(ALL) == [b"3", b"4"]
    assert (buffer.received, buffer.dropped) == (5, 3)


def test_fail_delivers_what_fitted_and_then_the_error_every_time() -> None:
    buffer = filled(Fail(2), 3)

    async def main() -> None:
        assert await buffer.wait()
        assert buffer.take_nowait(ALL) == [b"0", b"1"]
        for _ in range(2):
            with pytest.raises(BufferOverflowError) as caught:
                await buffer.wait()
        assert (caught.value.stream, caught.value.size) == ("trades:TEST", 2)

    run_virtual(main)


def test_messages_after_an_overflow_are_dropped_and_counted_though_there_is_room_again() -> None:
    buffer = filled(Fail(2), 3)
    buffer.take_nowait(ALL)
    buffer.put(b"later")
    assert len(buffer) == 0
    assert (buffer.received, buffer.dropped) == (4, 2)


def test_messages_after_the_end_are_dropped_and_counted() -> None:
    buffer = filled(DropOldest(2), 1)
    buffer.end()
    buffer.put(b"later")
    assert buffer.take_nowait(ALL) == [b"0"]
    assert (buffer.received, buffer.dropped) == (2, 1)


def test_what_is_discarded_is_counted() -> None:
    buffer = filled(DropOldest(5), 3)
    buffer.discard()
    assert (len(buffer), buffer.received, buffer.dropped) == (0, 3, 3)


@pytest.mark.parametrize("policy", [DropOldest, Fail])
@pytest.mark.parametrize("size", [0, -1, 1.5, "5", True, None])
def test_a_buffer_without_room_is_refused(policy: Callable[[int], BufferPolicy], size: int) -> None:
    with pytest.raises(ArgumentError, match=r"size: .* is not (1 or more|a whole number)") as caught:
        policy(size)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("policy", [Conflate(), DropOldest(3), Fail(3)])
@pytest.mark.parametrize("error", [None, ConnectionLostError(1006, "")])
def test_what_is_inside_is_delivered_before_the_end(
    policy: BufferPolicy, error: ConnectionLostError | None
) -> None:
    async def main() -> None:
        buffer = filled(policy, 1)
        buffer.end(error)
        assert await buffer.wait()
        assert buffer.pop_nowait() == b"0"
        for _ in range(2):  # the end stays
            if error is None:
                assert not await buffer.wait()
            else:
                with pytest.raises(ConnectionLostError):
                    await buffer.wait()

    run_virtual(main)


def test_the_first_end_counts() -> None:
    async def main() -> None:
        buffer = filled(Conflate(), 0)
        buffer.end(ConnectionLostError(1006, "first"))
        buffer.end()
        buffer.end(ClosedError("third"))
        with pytest.raises(ConnectionLostError, match="first"):
            await buffer.wait()

    run_virtual(main)


def test_an_error_is_raised_anew_each_time_so_that_its_traceback_does_not_grow() -> None:
    async def main() -> None:
        buffer = filled(Conflate(), 0)
        buffer.end(ConnectionLostError(1001, "gone"))
        raised = []
        for _ in range(2):
            with pytest.raises(ConnectionLostError) as caught:
                await buffer.wait()
            raised.append(caught.value)
        assert raised[0] is not raised[1]
        assert raised[0].args == raised[1].args == (1001, "gone")

    run_virtual(main)


@pytest.mark.parametrize("policy", [Conflate(), DropOldest(3), Fail(3)])
def test_a_waiting_consumer_is_woken_by_a_message(policy: BufferPolicy) -> None:
    async def main() -> None:
        buffer = filled(policy, 0)
        waiting = asyncio.create_task(buffer.wait())
        await asyncio.sleep(1)
        buffer.put(b"x")
        assert await waiting
        assert buffer.pop_nowait() == b"x"

    run_virtual(main)


def test_a_second_consumer_is_refused_and_the_first_goes_on() -> None:
    async def main() -> None:
        buffer = filled(Fail(), 0)
        first = asyncio.create_task(buffer.wait())
        await asyncio.sleep(1)
        with pytest.raises(BusyError, match="one consumer"):
            await buffer.wait()
        buffer.put(b"x")
        assert await first
        assert buffer.take_nowait(ALL) == [b"x"]

    run_virtual(main)


@pytest.mark.parametrize("message_first", [True, False])
def test_cancelling_a_waiting_consumer_loses_nothing(message_first: bool) -> None:
    async def main() -> None:
        buffer = filled(Fail(), 0)
        waiting = asyncio.create_task(buffer.wait())
        await asyncio.sleep(1)
        # In the same turn: the consumer is woken and cancelled before it has run.
        for step in (buffer.put, None) if message_first else (None, buffer.put):
            if step is None:
                waiting.cancel()
            else:
                step(b"x")
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await buffer.wait()
        assert buffer.take_nowait(ALL) == [b"x"]

    run_virtual(main)


@given(Policies, st.lists(st.sampled_from(["put", "put", "put", "pop", "take", "discard", "end"]), max_size=40))
def test_any_use_keeps_the_books_straight(policy: BufferPolicy, steps: list[str]) -> None:
    """Against a slow and obvious model: nothing is lost without a count, and the order stays."""
    buffer = Buffer(policy, "model")
    size = 1 if isinstance(policy, Conflate) else policy.size
    model: deque[bytes] = deque()
    put = delivered = 0
    is_shut = False
    for step in steps:
        if step == "put":
            message = b"%d" % put
            put += 1
            buffer.put(message)
            if not is_shut and len(model) == size and isinstance(policy, Fail):
                is_shut = True
            elif not is_shut:
                model.append(message)
                if len(model) > size:
                    model.popleft()
        elif step == "pop":
            expected = model.popleft() if model else None
            delivered += expected is not None
            assert buffer.pop_nowait() == expected
        elif step == "take":
            taken = buffer.take_nowait(2)
            delivered += len(taken)
            assert taken == [model.popleft() for _ in range(min(2, len(model)))]
        elif step == "discard":
            buffer.discard()
            model.clear()
        else:
            buffer.end()
            is_shut = True
        assert len(buffer) == len(model) <= size
        assert buffer.received == put == delivered + buffer.dropped + len(buffer)


def test_large_messages_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapewire.client.buffer.BUFFER_BYTES_MAX", 100)
    lossy, lossless = Buffer(DropOldest(1_000), "lossy"), Buffer(Fail(1_000), "lossless")
    for buffer in (lossy, lossless):
        for number in range(5):
            buffer.put(b"%d" % number * 40)
    assert (lossy.take_nowait(), lossy.dropped) == ([b"3" * 40, b"4" * 40], 3)
    assert (lossless.take_nowait(), lossless.has_overflowed) == ([b"0" * 40, b"1" * 40], True)
    lossy.put(b"x" * 101)  # larger than all the room there is: it is taken, alone
    assert lossy.pop_nowait() == b"x" * 101
    for _ in range(50):
        lossy.put(b"y" * 2)
    assert len(lossy) == 50
