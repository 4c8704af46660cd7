"""A program that means the system of this machine goes on when that is started anew, with other tokens."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

import tapewire
from tapewire.client.broker import Broker
from tapewire.client.events import WaitingEvent

DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("URL", "REFRESH_TOKEN", "PROFILE", "PROXY"):
        monkeypatch.delenv(f"TAPEWIRE_{name}", raising=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(port: int) -> AsyncIterator[str]:
    """Run a system without ``--data`` and give its refresh token; Ctrl-C ends it."""
    program = Path(sys.executable).with_name("tapewire")
    options = ("--port", str(port), "--symbols", "1", "--events-per-second", "500")
    process = await asyncio.create_subprocess_exec(
        program, "up", *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        yield json.loads(await process.stdout.readline())["refresh_token"]
        process.send_signal(signal.SIGINT)
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def told(broker: Broker, kind: type[tapewire.Event], text: str = "") -> tapewire.Event:
    """Return the next event of a kind."""
    async for event in broker.events:
        if isinstance(event, kind) and text in str(event):
            return event
    raise AssertionError("the broker was closed")


def test_streams_and_orders_go_on_with_the_new_token(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()

    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S), AsyncExitStack() as stack:
            async with running(port) as first:
                broker = await stack.enter_async_context(tapewire.connect())
                trades = await broker.trades("SBER").open()
                orders = await broker.portfolio("D70001").watch_orders().open()
                await anext(trades)
                await broker.orders.open()
                events = aiter(broker.events)
            async with running(port) as second:
                assert second != first
                began_ms = time.time_ns() // 1_000_000
                while broker.gaps.open or len(broker.gaps) < 2:
                    await anext(events)
                assert {stream.state for stream in broker.streams} == {tapewire.SubscriptionState.ACTIVE}
                assert {gap.stream for gap in broker.gaps} == {trades.name, orders.name}
                async for item in trades.with_gaps():
                    if isinstance(item, tapewire.Trade) and item.time_ms > began_ms:
                        break
                assert await broker.portfolio("D70001").positions()
                await broker.orders.open()
                result = await broker.orders.market("SBER", "buy", lots=1, portfolio="D70001")
                assert isinstance(result, tapewire.Accepted)
        assert first not in caplog.text
        assert second not in caplog.text

    asyncio.run(main())
    assert "started anew and has forgotten its tokens" in caplog.text


def test_a_system_elsewhere_is_named_and_not_taken() -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S), AsyncExitStack() as stack:
            async with running(free_port()):
                broker = await stack.enter_async_context(tapewire.connect())
            elsewhere = free_port()
            waiting = asyncio.create_task(told(broker, WaitingEvent, "the system of this machine is at"))
            await asyncio.sleep(0)
            async with running(elsewhere):
                event = await waiting
                assert f"is at http://127.0.0.1:{elsewhere} now: connect anew" in str(event)

    asyncio.run(main())
