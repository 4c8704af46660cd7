"""A server that grants every subscription and then sends prepared messages as fast as the socket takes them.

It is a process of its own, so that its work is not counted. When ``streams`` subscriptions have come in on a
connection, ``messages`` messages follow, the streams in turns; what and how many is in the query of the address.
Then every stream is ended with an answer that refuses it, and the connection with a close frame. It also answers
``POST /refresh``, so that a client may come in through its front door.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from urllib.parse import parse_qs, urlsplit

import msgspec
import uvloop
from aiohttp import web
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from bench.messages import Kind, data_messages
from tapewire.protocol.codes import CloseCode, ResultCode
from tapewire.protocol.frames import FrameOpcode, close_payload, frame_header
from tapewire.protocol.messages import SystemMessage

__all__ = ["Addresses", "refresh"]

#: Above this, writing waits until the network has taken what there is.
UNSENT_BYTES_MAX = 1024 * 1024
TOKEN_LIFE_S = 3600
#: A stream that ends in the moment in which it is granted was never open. Nobody computes meanwhile.
PAUSE_BEFORE_END_S = 0.05
THAT_WAS_ALL = "that was all"


class Addresses(msgspec.Struct, frozen=True):
    """Where the blaster listens."""

    ws: str
    oauth: str


class _Request(msgspec.Struct):
    opcode: str
    guid: str


class Blaster(WSListener):
    """One connection."""

    def __init__(self, request: WSUpgradeRequest) -> None:
        query = parse_qs(urlsplit(request.path.decode()).query)
        self._kind: Kind = query["kind"][0]  # type: ignore[assignment]
        self._streams = int(query["streams"][0])
        self._messages = int(query["messages"][0])
        self._guids: list[str] = []
        self._frames: list[bytes] = []
        self._sent = 0
        self._is_paused = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=UNSENT_BYTES_MAX)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        if frame.msg_type != WSMsgType.TEXT:
            return
        request = msgspec.json.decode(frame.get_payload_as_bytes(), type=_Request)
        if "Subscribe" not in request.opcode:
            return
        answer = SystemMessage(request.guid, ResultCode.OK, "Handled successfully")
        transport.underlying_transport.write(_text_frame(answer.encode()))
        self._guids.append(request.guid)
        if len(self._guids) == self._streams:
            self._frames = [_text_frame(message) for message in data_messages(self._kind, self._guids)]
            self._pump()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._pump()

    def _pump(self) -> None:
        whole = b"".join(self._frames)
        write = self._transport.underlying_transport.write
        while self._sent < self._messages and not self._is_paused:
            left = self._messages - self._sent
            write(whole if left >= len(self._frames) else b"".join(self._frames[:left]))
            self._sent += min(left, len(self._frames))
            if self._sent == self._messages:
                asyncio.get_running_loop().call_later(PAUSE_BEFORE_END_S, self._end)

    def _end(self) -> None:
        write = self._transport.underlying_transport.write
        # A connection that ends is opened again by a client that keeps its streams: they end first.
        for guid in self._guids:
            write(_text_frame(SystemMessage(guid, ResultCode.NOT_FOUND, THAT_WAS_ALL).encode()))
        payload = close_payload(CloseCode.NORMAL, THAT_WAS_ALL)
        write(frame_header(FrameOpcode.CLOSE, len(payload)) + payload)


def _text_frame(message: bytes) -> bytes:
    return frame_header(FrameOpcode.TEXT, len(message)) + message


async def refresh(request: web.Request) -> web.Response:
    """Answer with a token that nobody signs and that says what a client reads of it."""
    now_s = int(time.time())
    claims = msgspec.json.encode({"sub": "bench", "iat": now_s, "exp": now_s + TOKEN_LIFE_S})
    token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b"{}", claims, b"none"))
    return web.json_response({"AccessToken": token})


async def _serve() -> None:
    """Serve until standard input ends."""
    application = web.Application()
    application.router.add_post("/refresh", refresh)
    http = web.AppRunner(application)
    await http.setup()
    site = web.TCPSite(http, "127.0.0.1", 0)
    await site.start()
    server = await ws_create_server(Blaster, "127.0.0.1", 0)
    try:
        ws_port = server.sockets[0].getsockname()[1]
        http_port = http.addresses[0][1]
        addresses = Addresses(f"ws://127.0.0.1:{ws_port}/ws", f"http://127.0.0.1:{http_port}")
        print(msgspec.json.encode(addresses).decode(), flush=True)
        await asyncio.to_thread(sys.stdin.read)
    finally:
        server.close()
        await http.cleanup()


if __name__ == "__main__":
    uvloop.run(_serve())
