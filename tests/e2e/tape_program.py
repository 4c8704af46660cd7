"""A program that collects a tape over real sockets, and the system that it is connected to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import tapewire
from tapewire.app import Settings, System
from tapewire.client import attended, backoff, heartbeat
from tapewire.client.broker import Broker
from tapewire.client.events import LostEvent, RestoredEvent
from tapewire.client.subscription import Subscription
from tapewire.faults import read_faults
from tapewire.model import Trade

__all__ = ["Tape", "fast", "port_of", "program", "restored", "run", "settings"]

DEADLINE_S = 30.0


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


def settings(port: int = 0, faults: str = "", data: Path | None = None) -> Settings:
    return Settings(
        port=port,
        data=data,
        symbols=1,
        events_per_second=2_000,
        http_requests_per_second=None,
        drain_s=0,
        faults=read_faults(faults) if faults else None,
    )


def port_of(system: System) -> int:
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
def fast(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Waits of seconds become tenths; nobody else's system is found."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(backoff, "FIRST_S", 0.1)
    monkeypatch.setattr(heartbeat, "PING_EVERY_S", 0.6)
    for module in (heartbeat, attended):
        monkeypatch.setattr(module, "PING_TIMEOUT_S", 0.4)


def run(main: Callable[[], object]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await main()  # type: ignore[misc]

    asyncio.run(bounded())
