"""The client over real sockets on bad days: a wire that is cut, a server that goes and comes, faults."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

import tapewire
from tapewire.app import Settings, System
from tapewire.client import backoff, heartbeat, link
from tapewire.client.broker import Broker
from tapewire.client.buffer import DropOldest, Fail, Spill
from tapewire.client.errors import BufferOverflowError
from tapewire.client.events import LostEvent, OverflowEvent, RestoredEvent
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.connect import admin
from tapewire.faults import read_faults
from tapewire.model import Trade

DEADLINE_S = 30.0


class Wire:
    """A TCP proxy on 127.0.0.1 that can be cut, and that can pass nothing on without a word.

    ``window_bytes`` is what the server may have under way; None: what the system thinks right.
    """

    def __init__(self, port: int, window_bytes: int | None = None) -> None:
        self._port = port
        self._window_bytes = window_bytes
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        #: Whether anything is passed on to the server, and from it.
        self._up, self._down = asyncio.Event(), asyncio.Event()
        self.flow()
        self.url = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    def cut(self) -> None:
        """Reset all connections."""
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()

    def hold(self) -> None:
        """Pass nothing on from now on; both ends stay."""
        self._up.clear()
        self._down.clear()

    def hold_down(self) -> None:
        """Take nothing from the server any more: to it, the program has ceased to read."""
        self._down.clear()

    def flow(self) -> None:
        """Pass everything on again; what was held is lost with its connections."""
        self._up.set()
        self._down.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, there[1])
        self._pairs.add(pair)
        for source, sink, flows in ((reader, there[1], self._up), (there[0], writer, self._down)):
            task = asyncio.create_task(self._pass_on(source, sink, flows, pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._window_bytes is None:
            return await asyncio.open_connection("127.0.0.1", self._port)
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._window_bytes)
        wire.setblocking(False)
        await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", self._port))
        return await asyncio.open_connection(sock=wire, limit=self._window_bytes)

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        flows: asyncio.Event,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await flows.wait()
                sink.write(data)
                await sink.drain()
        self._pairs.discard(pair)
        for writer in pair:
            writer.transport.abort()


class Tape:
    """Collects a stream of trades."""

    def __init__(self, stream: Subscription[Trade]) -> None:
        self.stream = stream
        self.ids: list[int] = []
        self._news = asyncio.Event()

    async def run(self) -> None:
        async for trades in self.stream.batches():
            self.ids += [trade.id for trade in trades]
            self._news.set()

    async def more(self, count: int = 20) -> None:
        """Wait for so many more."""
        wanted = len(self.ids) + count
        while len(self.ids) < wanted:
            self._news.clear()
            await self._news.wait()

    async def check(self, broker: Broker) -> None:
        """None twice, none out of order, and none missing of those that the broker tells over HTTP."""
        assert self.ids == sorted(set(self.ids))
        rows = await broker._reader.rows(
            Trade, "/md/v2/Securities/MOEX/SBER/alltrades", fromId=str(self.ids[0]), take="50000"
        )
        happened = [trade.id for trade in rows]
        assert self.ids[: len(happened)] == happened[: len(self.ids)]


@asynccontextmanager
async def program(url: str, token: str) -> AsyncIterator[tuple[Broker, Tape]]:
    """A program that collects a tape, and has got something."""
    async with tapewire.connect(url, refresh_token=token) as broker, broker.trades("SBER") as stream:
        tape = Tape(stream)
        running = asyncio.create_task(tape.run())
        await tape.more()
        yield broker, tape
        running.cancel()
        await asyncio.wait([running])


def _settings(port: int = 0, faults: str = "", data: Path | None = None) -> Settings:
    return Settings(
        port=port,
        data=data,
        symbols=1,
        events_per_second=2_000,
        http_requests_per_second=None,
        drain_s=0,
        faults=read_faults(faults) if faults else None,
    )


def _port(system: System) -> int:
    return int(system.url.rpartition(":")[2])


async def restored(events: AsyncIterator[object]) -> str:
    """Wait until all streams are back; return why the connection was lost."""
    why = ""
    async for event in events:
        if isinstance(event, LostEvent):
            why = why or f"{event.code}: {event.reason}"
        elif isinstance(event, RestoredEvent):
            return why
    raise AssertionError("the events have ended")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Waits of seconds become tenths; nobody else's system is found."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(backoff, "FIRST_S", 0.1)
    monkeypatch.setattr(heartbeat, "PING_EVERY_S", 0.6)
    for module in (heartbeat, link):
        monkeypatch.setattr(module, "PING_TIMEOUT_S", 0.4)


def run(main: Callable[[], object]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await main()  # type: ignore[misc]

    asyncio.run(bounded())


def test_a_wire_that_is_cut_again_and_again_costs_no_trade() -> None:
    async def main() -> None:
        async with (
            System(_settings()) as system,
            Wire(_port(system)).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            for _ in range(4):
                wire.cut()
                assert await restored(events)
                await tape.more()
            await tape.check(broker)
            assert broker.gaps.left == 0

    run(main)


def test_a_wire_that_passes_nothing_on_is_noticed_and_left() -> None:
    async def main() -> None:
        async with (
            System(_settings()) as system,
            Wire(_port(system)).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            wire.hold()
            assert "silent" in str(await anext(events))
            wire.flow()
            await restored(events)
            await tape.more()
            await tape.check(broker)

    run(main)


def test_a_server_that_comes_back_on_its_port_is_found_again(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = _settings(port, data=tmp_path / "data")
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(System(settings))
            async with program(first.url, first.refresh_token) as (broker, tape):
                events = aiter(broker.events)
                await stack.aclose()
                assert isinstance(await anext(events), LostEvent)
                async with System(settings):
                    await restored(events)
                    assert tape.stream.state is SubscriptionState.ACTIVE
                    await tape.more()
                    assert tape.ids == sorted(set(tape.ids))

    run(main)


def test_consumers_that_stall_keep_what_they_may_and_harm_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            System(_settings()) as system,
            program(system.url, system.refresh_token) as (broker, tape),
            broker.trades("SBER", buffer=DropOldest(50)) as newest,
            broker.trades("SBER", buffer=Fail(50)) as strict,
            broker.trades("SBER", buffer=Spill(tmp_path, size=50)) as spilling,
            broker.quotes("SBER", frequency_ms=25) as quotes,
        ):
            events = aiter(broker.events)
            opened_with = len(tape.ids)
            await tape.more(400)
            assert (newest.waiting, strict.waiting, quotes.waiting) == (50, 50, 1)
            assert newest.dropped == newest.received - 50
            assert spilling.dropped == quotes.buffer.lost == 0
            assert spilling.buffer.spilled == spilling.received - 50 > 0
            tape_of = {
                "newest": [trade.id for trade in await anext(newest.batches())],
                "strict": await _until_the_end(strict),
                "spilling": [(await anext(spilling)).id for _ in range(spilling.waiting)],
            }
            assert len(tape_of["newest"]) == len(tape_of["strict"]) == 50
            assert (await anext(quotes)).last_price > 0
            told = await _overflows(events)
            assert told == {True, False}, "one stream has ended, the other has dropped"
            await tape.more(100)
            for ids in tape_of.values():
                start = tape.ids.index(ids[0])
                assert ids == tape.ids[start : start + len(ids)]
            assert tape.ids.index(tape_of["spilling"][0]) <= opened_with + 1
            await tape.check(broker)
            assert not len(broker.gaps), "the connection was never lost"

    run(main)


async def _until_the_end(stream: Subscription[Trade]) -> list[int]:
    ids: list[int] = []
    try:
        async for trade in stream:
            ids.append(trade.id)  # noqa: PERF401  (what came before the error counts)
    except BufferOverflowError:
        return ids
    raise AssertionError("it has not overflowed")


async def _overflows(events: AsyncIterator[object]) -> set[bool]:
    """Wait until a stream has said that it dropped something, and one that it has ended for it."""
    told: set[bool] = set()
    while len(told) < 2:
        event = await anext(events)
        if isinstance(event, OverflowEvent):
            told.add(event.has_ended)
    return told


def test_a_reader_that_stops_is_cut_at_the_bound_and_another_program_notices_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The client would leave a silent connection long before.
    monkeypatch.setattr(heartbeat, "PING_EVERY_S", 60.0)

    async def main() -> None:
        async with (
            System(_settings()) as system,
            Wire(_port(system), window_bytes=8_192).open() as wire,
            program(wire.url, system.refresh_token) as (broker, tape),
            program(system.url, system.refresh_token) as (other, other_tape),
            admin(system.url, admin_token=system.admin_token.reveal()) as operator,
        ):
            # A stream with a past is not shared: each is one more message for every trade.
            pasts = [broker.trades("SBER", depth=1, buffer=DropOldest(10)) for _ in range(80)]
            for stream in pasts:
                await stream.open()
            events = aiter(broker.events)
            wire.hold_down()
            while 1013 not in [one["code"] for one in (await operator.sessions()).ended]:
                await other_tape.more(50)
            wire.flow()
            assert await restored(events)
            await tape.more()
            await tape.check(broker)
            assert all(stream.waiting <= 10 for stream in pasts)
            await other_tape.check(other)
            assert not len(other.gaps)

    run(main)


FORCED = """
[[fault]]
kind = "overflow"
path = "/ws"
after = "700ms"
times = 2
"""


def test_a_forced_cut_costs_no_trade() -> None:
    async def main() -> None:
        async with (
            System(_settings(faults=FORCED)) as system,
            program(system.url, system.refresh_token) as (broker, tape),
        ):
            events = aiter(broker.events)
            assert "1013" in await restored(events)
            assert "1013" in await restored(events)
            await tape.more()
            await tape.check(broker)

    run(main)


LOST = """
[[fault]]
kind = "half-open"
path = "/ws"
after = "500ms"
connection = 1

[[fault]]
kind = "late-answer"
opcode = "AllTrades*"
by = "300ms"
connection = 2
"""


def test_a_half_open_connection_and_an_answer_behind_its_data_cost_no_trade() -> None:
    async def main() -> None:
        async with (
            System(_settings(faults=LOST)) as system,
            program(system.url, system.refresh_token) as (broker, tape),
        ):
            assert "silent" in await restored(aiter(broker.events))
            await tape.more()
            await tape.check(broker)

    run(main)
