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
from tapewire.client.events import LostEvent, RestoredEvent
from tapewire.client.states import SubscriptionState
from tapewire.client.subscription import Subscription
from tapewire.faults import read_faults
from tapewire.model import Trade

DEADLINE_S = 15.0


class Wire:
    """A TCP proxy on 127.0.0.1 that can be cut, and that can pass nothing on without a word."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
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
        self._flows.clear()

    def flow(self) -> None:
        """Pass everything on again; what was held is lost with its connections."""
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, there[1])
        self._pairs.add(pair)
        for source, sink in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._pass_on(source, sink, pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await self._flows.wait()
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
