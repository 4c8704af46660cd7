"""picows as a ``ports.Transport``: what both ends share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from tapewire.ports.network import FrameListener
from tapewire.protocol.codes import CloseCode
from tapewire.protocol.frames import FrameOpcode

__all__ = ["PicowsListener", "PicowsTransport"]

#: How long the peer may take to answer our close frame before the connection is aborted.
CLOSE_TIMEOUT_S = 2.0

_TEXT = int(FrameOpcode.TEXT)
_PICOWS_TEXT = WSMsgType.TEXT
_TYPES = {
    FrameOpcode.CONTINUATION: WSMsgType.CONTINUATION,
    FrameOpcode.TEXT: WSMsgType.TEXT,
    FrameOpcode.BINARY: WSMsgType.BINARY,
    FrameOpcode.PING: WSMsgType.PING,
    FrameOpcode.PONG: WSMsgType.PONG,
}


class PicowsTransport:
    """One connection. A server may write many frames in one buffer; clients must mask, which picows does."""

    def __init__(self, websocket: WSTransport) -> None:
        self._websocket = websocket
        self._socket = websocket.underlying_transport
        # Tell us whenever the network has taken all that was written.
        self._socket.set_write_buffer_limits(high=0)
        name = self._socket.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)
        self._is_closing = False
        self._has_peer_closed = False
        self._abort_handle: asyncio.TimerHandle | None = None
        #: How the peer broke the protocol, if picows found that it did.
        self.failure = ""

    @property
    def unsent_bytes(self) -> int:
        """Bytes that were written and that the network has not taken yet."""
        return self._socket.get_write_buffer_size()

    def send(self, messages: Sequence[bytes]) -> None:
        """Send whole text messages in their order."""
        if not self._is_closed_to_us():
            for message in messages:
                self._websocket.send(WSMsgType.TEXT, message)

    def send_frames(self, frames: bytes) -> None:
        """Send whole unmasked frames that stand in one buffer, in one write. A server's end only."""
        if not self._is_closed_to_us():
            self._socket.write(frames)

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        """Send one frame as it stands."""
        if not self._is_closed_to_us():
            self._websocket.send(_TYPES[FrameOpcode(opcode)], payload, fin)

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame, wait for the peer's within a bound, end the connection."""
        if self._is_closing:
            return
        self._look_for_failure()
        self._is_closing = True
        self._websocket.send_close(code, reason)  # type: ignore[arg-type]  # any number will do
        if self._has_peer_closed:
            self._websocket.disconnect()
        # A peer that does not read would keep a graceful end waiting for ever.
        self._abort_handle = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        """End the connection now."""
        self._is_closing = True
        self._websocket.disconnect(graceful=False)

    def pause_reading(self) -> None:
        """Take no more bytes from the network."""
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes from the network again."""
        if not self._is_closing:
            self._socket.resume_reading()

    # --- for PicowsListener -----------------------------------------------------------------------------

    def peer_closed(self) -> None:
        """Note the peer's close frame: after ours the connection has nothing more to carry."""
        self._look_for_failure()
        self._has_peer_closed = True
        if self._is_closing or self.failure:
            self._websocket.disconnect()

    def gone(self) -> None:
        """Note that the connection has ended."""
        self._look_for_failure()
        self._is_closing = True
        if self._abort_handle is not None:
            self._abort_handle.cancel()

    def _is_closed_to_us(self) -> bool:
        # picows sends a close frame by itself when frames cannot be read; nothing may follow it.
        return self._is_closing or self._websocket.is_close_frame_sent

    def _look_for_failure(self) -> None:
        """Frames that cannot be read at all are picows' to refuse: it sends the close frame by itself."""
        if not self._is_closing and self._websocket.is_close_frame_sent:
            handshake = self._websocket.close_handshake
            assert handshake is not None
            assert handshake.sent is not None
            self.failure = handshake.sent.reason or ""


class PicowsListener(WSListener):
    """Hands what picows reports to a ``ports.FrameListener``."""

    def __init__(self, listener: FrameListener) -> None:
        self._listener = listener
        self._transport: PicowsTransport | None = None
        self._frame_received = listener.frame_received

    @property
    def transport(self) -> PicowsTransport:
        """The transport of the connection, which is open."""
        assert self._transport is not None
        return self._transport

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = PicowsTransport(transport)
        self._listener.connected(self._transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        opcode = frame.msg_type
        # Nearly all frames are whole texts. picows gives the same member of the enum each time.
        if opcode is _PICOWS_TEXT and frame.fin and not (frame.rsv1 or frame.rsv2 or frame.rsv3):
            self._frame_received(_TEXT, frame.get_payload_as_bytes(), True, 0)
            return
        if opcode == WSMsgType.CLOSE and self._transport is not None:
            self._transport.peer_closed()
            if self._transport.failure:
                # The answer to picows' refusal: not why the connection ends.
                return
        rsv = frame.rsv1 << 2 | frame.rsv2 << 1 | frame.rsv3
        self._frame_received(opcode, frame.get_payload_as_bytes(), frame.fin, rsv)  # type: ignore[arg-type]

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._transport is None:
            return
        self._transport.gone()
        handshake = transport.close_handshake
        received = handshake.recv if handshake is not None else None
        code, reason = int(CloseCode.ABNORMAL), ""
        if received is not None:
            reason = received.reason or ""
            has_code = received.code != WSCloseCode.NO_INFO
            code = int(received.code) if has_code else CloseCode.NO_STATUS  # type: ignore[call-overload]
        if self._transport.failure:
            assert handshake is not None
            assert handshake.sent is not None
            code = int(handshake.sent.code)  # type: ignore[call-overload]
            reason = f"the peer broke the protocol: {self._transport.failure}"
            # picows keeps the error for somebody who waits for the end, and asyncio complains if nobody does.
            asyncio.get_running_loop().call_soon(_retrieve_error, transport)
        self._listener.disconnected(code, reason)

    def pause_writing(self) -> None:
        """The network is full; the outbox asks ``unsent_bytes`` itself."""

    def resume_writing(self) -> None:
        self._listener.writable()


def _retrieve_error(transport: WSTransport) -> None:
    waiting = transport.wait_disconnected()
    try:
        waiting.send(None)
    except (Exception, StopIteration):  # noqa: BLE001  (it has been told to the listener)
        return
    waiting.close()
