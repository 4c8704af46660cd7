"""A session that reads as cheaply as Python can: a plain socket whose messages are counted, not taken apart."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterable

import msgspec

from tapewire.protocol.frames import FrameOpcode

__all__ = ["RawSession", "client_frames", "drain", "pump", "subscribe_book", "subscribe_trades"]

READ_BYTES = 256 * 1024
CONNECT_TIMEOUT_S = 10.0
DATA = b'{"data":'
ANSWER = b'"httpCode":200'
#: What may be the beginning of a marker that the next read completes.
_TAIL_BYTES = max(len(DATA), len(ANSWER)) - 1
_FIN, _MASKED = 0x80, 0x80


class RawSession:
    """One connection. What it has read is in ``answers`` and ``data``, and in ``kept`` if asked for."""

    def __init__(self, port: int, *, is_kept: bool = False, path: str = "/ws") -> None:
        self.answers = 0
        self.data = 0
        self.reads = 0
        self.is_cut = False
        #: Each read with its time on the monotonic clock, for those who look into the messages.
        self.kept: list[tuple[float, bytes]] = []
        self._is_kept = is_kept
        self._tail = b""
        self._unsent = memoryview(b"")
        self.socket = socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            b"GET " + path.encode() + b" HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(4096)
            if not piece:
                raise SystemExit("the connection ended during the handshake")
            head += piece
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise SystemExit(f"no WebSocket: {head[:80]!r}")
        self.socket.setblocking(False)

    def send(self, *messages: bytes) -> None:
        """Send texts, as much as the socket takes now; the rest goes with the next read."""
        self.send_frames(client_frames(messages))

    def send_frames(self, frames: bytes) -> None:
        """Send what :func:`client_frames` has made."""
        self._unsent = memoryview(bytes(self._unsent) + frames)
        self._write()

    def read(self) -> None:
        """Take what has come and count it."""
        if self._unsent:
            self._write()
        try:
            piece = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            piece = b""
        if not piece:
            self.is_cut = True
            return
        if self._is_kept:
            self.kept.append((time.monotonic(), piece))
        self.reads += 1
        whole = self._tail + piece
        # A marker that stood whole in the tail has been counted.
        self.data += whole.count(DATA) - self._tail.count(DATA)
        self.answers += whole.count(ANSWER) - self._tail.count(ANSWER)
        self._tail = whole[-_TAIL_BYTES:]

    @property
    def is_sent(self) -> bool:
        """Whether the socket has taken all requests."""
        return not self._unsent

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def _write(self) -> None:
        try:
            sent = self.socket.send(self._unsent)
        except BlockingIOError:
            return
        except ConnectionError:
            self.is_cut = True
            return
        self._unsent = self._unsent[sent:]


def drain(selector: selectors.BaseSelector, timeout_s: float) -> None:
    """Read once from every session that has something; those that were cut are read no more."""
    for key, _ in selector.select(timeout_s):
        session = key.data
        if not isinstance(session, RawSession):
            continue
        session.read()
        if session.is_cut:
            selector.unregister(session.socket)


def pump(selector: selectors.BaseSelector, sessions: list[RawSession], deadline_s: float) -> None:
    """Read until every session has sent its requests; raises SystemExit when that takes too long.

    Sessions whose requests the socket has not taken are written to between the reads.
    """
    until = time.monotonic() + deadline_s
    while not all(session.is_sent or session.is_cut for session in sessions):
        if time.monotonic() > until:
            raise SystemExit("the gateway does not read its requests")
        drain(selector, 0.001)
        for session in sessions:
            if not session.is_sent:
                session.read()


def subscribe_book(guid: str, token: str, code: str, board: str, *, window_ms: int) -> bytes:
    """Return a request for a book in Slim."""
    return _request("OrderBookGetAndSubscribe", guid, token, code, board, depth=20, frequency=window_ms)


def subscribe_trades(guid: str, token: str, code: str, board: str) -> bytes:
    """Return a request for a tape in Slim, without its past."""
    return _request("AllTradesGetAndSubscribe", guid, token, code, board, depth=0)


def _request(opcode: str, guid: str, token: str, code: str, board: str, **fields: int) -> bytes:
    return msgspec.json.encode(
        {
            "opcode": opcode,
            "guid": guid,
            "token": token,
            "exchange": "MOEX",
            "code": code,
            "instrumentGroup": board,
            "format": "Slim",
            **fields,
        }
    )


def client_frames(messages: Iterable[bytes]) -> bytes:
    """Return texts as one run of frames."""
    return b"".join(map(_masked_frame, messages))


def _masked_frame(payload: bytes) -> bytes:
    """Return a frame as clients send them; a mask of zeros leaves the payload as it is."""
    length = len(payload)
    assert length < 65_536
    size = bytes((_MASKED | length,)) if length < 126 else bytes((_MASKED | 126,)) + length.to_bytes(2, "big")
    return bytes((_FIN | FrameOpcode.TEXT,)) + size + bytes(4) + payload
