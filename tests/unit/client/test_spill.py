"""The policy that loses nothing: memory first, then a file, in order; bounded; nothing is left of it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.client import buffer as buffer_module
from tapewire.client import spill_file
from tapewire.client.buffer import Buffer, DropOldest, Fail, Spill
from tapewire.client.errors import ArgumentError, BufferOverflowError
from tapewire.client.events import Events, OverflowEvent
from tapewire.client.gap import Gap
from tapewire.client.losses import TELL_AFTER_S, TELL_EVERY_S, Losses
from tapewire.client.spill_file import SpillFile, SpillFullError
from tapewire.simulation import run_virtual


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill_file, "BLOCK_BYTES", 64)


def drained(buffer: Buffer) -> list[Any]:
    items = []
    while (item := buffer.pop_nowait()) is not None:
        items.append(item)
    return items


async def kept(buffer: Buffer, reason: str) -> list[Any]:
    """All that comes before the end, which has a reason."""
    taken: list[Any] = []
    try:
        while await buffer.wait():
            taken += buffer.take_nowait(3)
    except BufferOverflowError as error:
        if reason not in str(error):
            raise
        return taken
    raise AssertionError("it ended plainly")


def gap(cause: str = "cut") -> Gap:
    return Gap(stream="trades:A", since=datetime(2026, 1, 5, tzinfo=UTC), cause=cause)


def test_all_come_in_order_and_the_folder_shows_nothing(tmp_path: Path) -> None:
    buffer = Buffer(Spill(tmp_path, size=3), "trades:A")
    messages = [b"%d" % number * (number % 40 + 1) for number in range(500)]
    for message in messages:
        buffer.put(message)
    assert (len(buffer), buffer.spilled, buffer.dropped) == (500, 497, 0)
    assert not list(tmp_path.iterdir()), "the file has no name"
    assert drained(buffer) == messages
    assert buffer.spilled == 0
    buffer.put(b"next")
    assert buffer.spilled == 0, "memory is used again"
    buffer.discard()


def test_what_comes_while_the_consumer_catches_up_stays_behind_what_is_in_the_file(tmp_path: Path) -> None:
    buffer = Buffer(Spill(tmp_path, size=2), "trades:A")
    taken = []
    for number in range(300):
        buffer.put(b"%d" % number)
        if number % 3 == 2:
            taken.append(buffer.pop_nowait())
    assert taken + drained(buffer) == [b"%d" % number for number in range(300)]


def test_what_is_larger_than_a_block_comes_whole(tmp_path: Path) -> None:
    buffer = Buffer(Spill(tmp_path, size=1), "trades:A")
    messages = [bytes([number]) * (1 << 20) for number in range(4)]
    for message in messages:
        buffer.put(message)
    assert drained(buffer) == messages


def test_places_in_the_file_are_used_again(tmp_path: Path) -> None:
    spill = SpillFile(tmp_path, 1 << 20)
    for _ in range(40):
        spill.put(b"x" * 60)
    for _ in range(1_000):
        spill.put(b"x" * 60)
        assert spill.take() == [b"x" * 60]
    assert spill._places < 45
    spill.close()


def test_when_the_bound_is_reached_the_stream_ends_after_all_that_was_kept(tmp_path: Path) -> None:
    async def main() -> None:
        overflows = []
        buffer = Buffer(Spill(tmp_path, size=1, bytes_max=100), "trades:A", lambda: overflows.append(1))
        for number in range(20):
            buffer.put(b"%02d" % number * 5)
        assert (overflows, buffer.has_overflowed) == ([1], True)
        taken = await kept(buffer, "100 bytes are spilled")
        assert taken == [b"%02d" % number * 5 for number in range(11)]
        assert buffer.received == len(taken) + buffer.dropped
        buffer.discard()

    run_virtual(main)


class _FullDisk:
    """A file on a disk that has no room for more than a few bytes."""

    def __init__(self, room: int, *, raises: bool) -> None:
        self.room = room
        self.raises = raises

    def seek(self, place: int) -> None:
        pass

    def write(self, content: bytes) -> int:
        if self.raises:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return min(len(content), self.room)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("raises", [True, False])
def test_a_full_disk_ends_the_stream_clearly_and_loses_only_what_came_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    monkeypatch.setattr(spill_file.tempfile, "TemporaryFile", lambda **_: _FullDisk(5, raises=raises))

    async def main() -> None:
        buffer = Buffer(Spill(tmp_path, size=1), "trades:A")
        for number in range(5):
            buffer.put(b"%d" % number * 30)
        taken = await kept(buffer, "o space left")
        assert taken == [b"%d" % number * 30 for number in range(3)]
        assert buffer.dropped == 2
        buffer.discard()

    run_virtual(main)


def test_a_file_that_cannot_be_read_ends_the_stream_with_the_count(tmp_path: Path) -> None:
    async def main() -> None:
        buffer = Buffer(Spill(tmp_path, size=1), "trades:A")
        for number in range(9):
            buffer.put(b"%d" % number * 30)
        assert buffer._spill is not None
        buffer._spill._file.truncate(0)
        assert buffer.take_nowait() == [b"0" * 30]
        with pytest.raises(BufferOverflowError, match="cannot be read"):
            await buffer.wait()
        assert buffer.dropped == buffer.lost == 8

    run_virtual(main)


def test_a_folder_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"path: .* is not a folder"):
        Spill(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    with TemporaryDirectory() as name:
        yield name


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["spill", "fail", "drop"]),
    st.lists(st.sampled_from(["put", "put", "put", "long", "gap", "pop", "take", "all", "discard"]), max_size=80),
)
def test_any_use_with_marks_of_gaps_keeps_order_and_books(folder: str, kind: str, steps: list[str]) -> None:
    policy = {"spill": Spill(folder, size=2), "fail": Fail(6), "drop": DropOldest(3)}[kind]
    buffer = Buffer(policy, "trades:A")
    model: deque[Any] = deque()
    put = delivered = 0
    for step in steps:
        if step in ("put", "long"):
            message = b"%d" % put * (1 if step == "put" else 50)
            put += 1
            is_full = len(model) >= 6 and kind == "fail"
            buffer.put(message)
            if is_full or buffer.has_overflowed:
                continue
            # Marks of gaps take room and are never dropped for a message.
            while kind == "drop" and len(model) >= 3 and (old := [item for item in model if type(item) is bytes]):
                model.remove(old[0])
            model.append(message)
        elif step == "gap" and not buffer.has_overflowed:
            mark = gap()
            buffer.put_object(mark)
            model.append(mark)
        elif step in ("pop", "take", "all"):
            count = {"pop": 1, "take": 2, "all": None}[step]
            taken = [buffer.pop_nowait()] if step == "pop" and model else buffer.take_nowait(count)
            expected = [model.popleft() for _ in range(len(taken))]
            assert all(one is other or one == other for one, other in zip(taken, expected, strict=True))
            delivered += sum(type(item) is bytes for item in taken)
        elif step == "discard":
            buffer.discard()
            model.clear()
        waiting = sum(type(item) is bytes for item in model)
        assert len(buffer) == len(model)
        assert buffer.received == put == delivered + buffer.dropped + waiting
    buffer.discard()


def test_marks_of_gaps_are_bounded_and_the_newest_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_module, "GAPS_MAX", 3)
    buffer = Buffer(Fail(10), "trades:A")
    for number in range(6):
        buffer.put_object(gap(f"cut {number}"))
    marks = drained(buffer)
    assert [mark.cause for mark in marks] == ["cut 0", "cut 1", "cut 2"]
    assert "several gaps in one" in marks[-1].reason


# --- events ---------------------------------------------------------------------------------------------


def test_losses_are_told_soon_then_now_and_then_with_exact_counts() -> None:
    async def main() -> None:
        events = Events()
        listener = aiter(events)
        losses = Losses(events)
        buffer = Buffer(DropOldest(1), "trades:A")
        buffer.on_loss = losses.lost
        began = asyncio.get_running_loop().time()
        seconds = 35
        for _ in range(seconds * 10):
            buffer.put(b"x")
            await asyncio.sleep(0.1)
        losses.forget(buffer)
        events.close()
        told = [event async for event in listener]
        assert all(isinstance(event, OverflowEvent) and not event.has_ended for event in told)
        assert sum(event.dropped for event in told if isinstance(event, OverflowEvent)) == buffer.dropped
        assert len(told) <= 2 + (seconds - TELL_AFTER_S) / TELL_EVERY_S
        assert asyncio.get_running_loop().time() - began == pytest.approx(seconds)

    run_virtual(main)


def test_the_end_of_a_stream_is_told_at_once_and_conflating_is_no_loss() -> None:
    async def main() -> None:
        events = Events()
        losses = Losses(events)
        listener = aiter(events)
        buffer = Buffer(Fail(1), "trades:A")
        buffer.on_loss = losses.lost
        buffer.put(b"x")
        buffer.put(b"y")
        events.close()
        assert [event async for event in listener] == [OverflowEvent(stream="trades:A", dropped=1, has_ended=True)]

    run_virtual(main)


def test_a_full_spill_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    spill = SpillFile(tmp_path, 10)
    spill.put(b"12345678")
    with pytest.raises(SpillFullError):
        spill.put(b"123")
    assert (len(spill), spill.bytes, spill.take()) == (1, 8, [b"12345678"])
