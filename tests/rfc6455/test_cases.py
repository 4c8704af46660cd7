"""The public cases of RFC 6455 against both ends, each built from the production connection classes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import kosoku

from tapewire.adapters.http_server import HttpServer, open_listener
from tapewire.adapters.picows_client import PicowsConnector
from tapewire.client.connection import Connection as ClientConnection
from tapewire.client.session import Session
from tapewire.gateway.connection import Connection as ServerConnection
from tapewire.gateway.pulse import Pulse
from tapewire.protocol.assembler import Message
from tapewire.protocol.frames import FrameOpcode

#: Framing, pings and pongs, reserved bits, opcodes, fragmentation, UTF-8, close, and fragments of all sizes.
#: Left out: 9 (messages up to 16 MB: our limit is 1 MiB) and 12, 13 (compression, which is declined).
#: How many cases the selection has.
CASES_COUNT = 246
CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]

#: picows reads one frame ahead, so it refuses a second close frame that came in the same segment before it hands
#: over the first one: the connection ends with 1002 where 1000 is expected.
LEFT_OUT = ["7.1.2"]


def frame_of(message: Message) -> FrameOpcode:
    return FrameOpcode.TEXT if message.is_text else FrameOpcode.BINARY


class ServerEcho:
    is_busy = False

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def receive(self, message: Message) -> None:
        transport = self._connection._transport
        assert transport is not None
        transport.send_frame(frame_of(message), message.payload)

    def close(self, *, is_clean: bool) -> None:
        pass


class ClientEcho(ClientConnection):
    def __init__(self, ended: asyncio.Event) -> None:
        super().__init__(Session(), lambda code, reason: ended.set())

    def _deliver(self, message: Message) -> None:
        assert self._transport is not None
        self._transport.send_frame(frame_of(message), message.payload)


def judge(run: Coroutine[Any, Any, list[Any]]) -> None:
    try:
        results = asyncio.run(run)
    except kosoku.FailureError as failure:
        lines = [
            f"{case.case_id}: {case.behavior} {case.behavior_close}: {case.result} {case.result_close}"
            f" {case.was_not_clean_reason} {case.expected_close} {case.remote_close_code}"
            for case in failure.results
            if not case.passed
        ]
        raise AssertionError("\n".join(lines)) from None
    assert len(results) == CASES_COUNT


def test_the_gateway_passes_the_cases() -> None:
    async def main() -> list[Any]:
        pulse = Pulse(asyncio.get_running_loop(), time.perf_counter)
        connections: set[ServerConnection] = set()

        def accept(path: str, peer: str) -> ServerConnection:
            connection = ServerConnection(ServerEcho, pulse, connections.discard)
            connections.add(connection)
            return connection

        async def no_http(scope: object, receive: object, send: object) -> None:
            raise AssertionError

        listener = open_listener("127.0.0.1", 0)
        server = HttpServer(no_http, accept, listener)
        await server.start()
        try:
            return await kosoku.run_fuzzingclient(
                f"ws://127.0.0.1:{listener.getsockname()[1]}", CASES, LEFT_OUT, concurrency=8
            )
        finally:
            await server.stop()

    judge(main())


def test_the_client_passes_the_cases() -> None:
    async def main() -> list[Any]:
        async with kosoku.run_fuzzingserver(CASES, LEFT_OUT, port=0) as server:
            base = f"ws://{server.address}:{server.port}"
            connector = PicowsConnector()

            async def visit(path: str) -> None:
                ended = asyncio.Event()
                await connector.connect(base + path, ClientEcho(ended), timeout_s=5)
                async with asyncio.timeout(30):
                    await ended.wait()

            for case in range(1, CASES_COUNT + 1):
                await visit(f"/runCase?case={case}&agent=tapewire")
            await visit("/updateReports?agent=tapewire")
            return await server.get_result()

    judge(main())
