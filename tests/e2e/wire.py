"""A wire between a program and a server that can be cut, held and refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Wire"]


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
        #: What is said to those who connect before they are hung up on; None: they are let through.
        self._refusal: bytes | None = None
        #: How many were hung up on.
        self.refused = 0

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

    def refuse(self, saying: bytes = b"") -> None:
        """Hang up on all who connect from now on, once they have asked for something."""
        self._refusal = saying

    def admit(self) -> None:
        """Let them through again."""
        self._refusal = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusal is not None:
            with contextlib.suppress(OSError):
                await reader.read(65_536)
                writer.write(self._refusal)
                writer.close()
            self.refused += 1
            return
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
