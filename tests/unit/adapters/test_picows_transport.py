"""What a connection over picows sends, and when it is silent."""

from __future__ import annotations

from typing import Any

import pytest

from tapewire.adapters.picows_transport import PicowsTransport
from tapewire.protocol.frames import FrameOpcode


class FakeSocket:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 1)

    def write(self, content: bytes) -> None:
        self.written.append(content)


class FakeWebsocket:
    """picows' transport, as far as ours uses it to send."""

    def __init__(self, *, is_client: bool) -> None:
        self.underlying_transport = FakeSocket()
        self.is_client_side = is_client
        self.is_close_frame_sent = False
        self.sent: list[bytes] = []

    def send(self, kind: object, payload: bytes, fin: bool = True) -> None:
        self.sent.append(payload)


@pytest.mark.parametrize("is_client", [True, False])
def test_nothing_follows_the_close_frame_that_picows_sends_by_itself(is_client: bool) -> None:
    websocket: Any = FakeWebsocket(is_client=is_client)
    transport = PicowsTransport(websocket)
    transport.send([b"text"])
    transport.send_frame(FrameOpcode.PONG, b"pong")
    sent = (list(websocket.sent), list(websocket.underlying_transport.written))
    assert b"pong" in sent[0]
    websocket.is_close_frame_sent = True
    transport.send([b"late"])
    transport.send_frame(FrameOpcode.PONG, b"late")
    assert (websocket.sent, websocket.underlying_transport.written) == sent
