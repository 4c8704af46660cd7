"""Output that does not stop the program when its reader stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator

import pytest

from tapewire.cli.output import Output

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_writes_arrive_whole_and_in_the_order_of_the_calls(pipe: Pipe) -> None:
    reader, writer = pipe

    async def main() -> None:
        output = Output(writer)
        async with asyncio.timeout(10):
            await asyncio.gather(*(output.write(b"%d\n" % number) for number in range(100)))
            await output.write(b"")

    asyncio.run(main())
    assert os.read(reader, 10_000) == b"".join(b"%d\n" % number for number in range(100))


def test_a_reader_that_stops_holds_up_only_who_writes(pipe: Pipe) -> None:
    reader, writer = pipe
    much = b"x" * 1_000_000

    async def main() -> None:
        output = Output(writer)
        async with asyncio.timeout(10):
            writing = asyncio.create_task(output.write(much))
            for _ in range(1_000):  # the loop turns
                await asyncio.sleep(0)
            assert not writing.done()
            got = 0
            while got < len(much):
                got += len(await asyncio.to_thread(os.read, reader, 1 << 16))
            await writing

    asyncio.run(main())


def test_a_write_that_nobody_takes_can_be_given_up_and_the_program_ends(pipe: Pipe) -> None:
    reader, writer = pipe

    async def main() -> None:
        output = Output(writer)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await output.write(b"x" * 1_000_000)

    asyncio.run(main())
    os.close(reader)  # lets the thread go


def test_a_reader_that_has_gone_is_an_error_of_the_write(pipe: Pipe) -> None:
    reader, writer = pipe
    os.close(reader)

    async def main() -> None:
        output = Output(writer)
        async with asyncio.timeout(10):
            for _ in range(2):
                with pytest.raises(BrokenPipeError):
                    await output.write(b"x")

    asyncio.run(main())
