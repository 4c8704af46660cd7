"""A keep-alive HTTP connection that reads as cheaply as Python can: whole answers, not what they say."""

from __future__ import annotations

import socket
import time

__all__ = ["HttpConnection", "get", "whole_body"]

READ_BYTES = 256 * 1024
CONNECT_TIMEOUT_S = 10.0
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"


def get(target: str, token: str = "") -> bytes:
    """Return a request as it is sent."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {target} HTTP/1.1\r\nHost: bench\r\n{authorization}\r\n".encode()


class HttpConnection:
    """One request at a time; ``is_kept`` keeps the bytes of answers, for those who compare them."""

    def __init__(self, port: int, *, is_kept: bool = False) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.asked_at = 0.0
        self.bytes = 0
        self.kept = b""
        self._is_kept = is_kept
        self._tail = b""
        #: Bytes of the whole answer; None while the head has not come, or if the last chunk will tell.
        self._size: int | None = None
        self._has_head = False

    def ask(self, request: bytes) -> None:
        """Send a request; it is short enough for any socket."""
        self.bytes, self.kept, self._tail = 0, b"", b""
        self._size, self._has_head = None, False
        self.asked_at = time.monotonic()
        sent = self.socket.send(request)
        assert sent == len(request)

    def read(self) -> bool:
        """Take what has come; return whether the answer is whole.

        Raises:
            SystemExit: The connection has ended, or the answer is not 200.
        """
        try:
            piece = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return False
        if not piece:
            raise SystemExit("the connection ended before the answer")
        self.bytes += len(piece)
        if self._is_kept:
            self.kept += piece
        self._tail = (self._tail + piece)[-READ_BYTES:]
        if not self._has_head:
            head, end, _ = self._tail.partition(_HEAD_END)
            if not end:
                return False
            self._has_head = True
            self._read_head(head)
        return self._tail.endswith(_LAST_CHUNK) if self._size is None else self.bytes >= self._size

    def _read_head(self, head: bytes) -> None:
        status, *lines = head.split(b"\r\n")
        if status.split(b" ")[1] != b"200":
            raise SystemExit(f"not answered: {status!r}")
        for line in lines:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                self._size = len(head) + len(_HEAD_END) + int(value)

    def close(self) -> None:
        """End the connection."""
        self.socket.close()


def whole_body(answer: bytes) -> bytes:
    """Return the body of an answer, its chunks joined."""
    head, _, body = answer.partition(_HEAD_END)
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    whole = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return whole
        whole += body[:length]
        body = body[length + 2 :]
