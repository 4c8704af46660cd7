"""What is left of a client without its client: a listener that decodes each frame and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.receivers.load import Load, Meter, Reading, requests

__all__ = ["Decode", "receive_with"]

Decode = Callable[[bytes], object]


class _Listener(WSListener):
    def __init__(self, decode: Decode, unreadable: type[Exception]) -> None:
        self._decode = decode
        self._unreadable = unreadable
        self.records = 0
        self.ended = asyncio.get_running_loop().create_future()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        try:
            self._decode(frame.get_payload_as_bytes())
        except self._unreadable:
            # An answer or the end.
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        self.records += 1

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.ended.set_result(None)


async def receive_with(decode: Decode, unreadable: type[Exception], load: Load, meter: Meter) -> Reading:
    """Decode each frame where it arrives; ``unreadable`` is what ``decode`` raises for other messages."""
    transport, listener = await ws_connect(lambda: _Listener(decode, unreadable), load.url)
    assert isinstance(listener, _Listener)
    meter.start()
    for request in requests(load).values():
        transport.send(WSMsgType.TEXT, request.encode())
    await listener.ended
    return meter.stop(load, [listener.records])
