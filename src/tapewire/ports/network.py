"""What carries frames and requests: WebSocket connections and HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

__all__ = [
    "ConnectError",
    "Connector",
    "FrameListener",
    "HandshakeRefusedError",
    "HttpAnswer",
    "HttpClient",
    "Transport",
]


class ConnectError(Exception):
    """A connection or request could not be made: refused, unreachable, timed out, not a WebSocket.

    ``status`` is the HTTP status of a refused handshake, else None; ``retry_after_s`` when the server wants to be
    asked again, None if it has not said so.
    """

    def __init__(self, reason: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.retry_after_s = retry_after_s


class Transport(Protocol):
    """One open WebSocket connection, seen frame by frame. After ``disconnected`` every call does nothing."""

    @property
    def peer(self) -> str:
        """Where the other end is, for people: ``host:port``."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes that were written and that the network has not taken yet."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Send whole text messages in their order, in one write."""

    def send_frames(self, frames: bytes) -> None:
        """Send whole unmasked frames that stand in one buffer, in one write. A server's end only."""

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        """Send one frame as it stands: pings, pongs, fragments."""

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind all that was written, then end the connection."""

    def abort(self) -> None:
        """End the connection now; what was not taken by the network is lost."""

    def pause_reading(self) -> None:
        """Take no more bytes from the network. Frames that are already here may still be delivered."""

    def resume_reading(self) -> None:
        """Take bytes from the network again."""


class FrameListener(Protocol):
    """The owner of a connection. ``connected`` comes first and once, ``disconnected`` last and once."""

    def connected(self, transport: Transport) -> None:
        """The handshake is done."""

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        """One frame has come, unmasked. ``rsv`` holds the three reserved bits."""

    def writable(self) -> None:
        """All that was written has been taken by the network."""

    def disconnected(self, code: int, reason: str) -> None:
        """The connection is gone. ``code`` is the peer's close code, or 1006 without one."""


class HandshakeRefusedError(Exception):
    """A server does not take a WebSocket connection now; what it answers instead.

    ``status`` is that of HTTP, ``code`` the word for programs in the JSON body, ``retry_after_s`` when to come
    back, if that is known.
    """

    def __init__(self, status: int, code: str, text: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.retry_after_s = retry_after_s


class Connector(Protocol):
    """Opens WebSocket connections."""

    async def connect(self, url: str, listener: FrameListener, *, timeout_s: float) -> Transport:
        """Open a connection to ``url`` for ``listener``.

        Raises:
            ConnectError: There is no connection; ``listener`` was not called.
        """


class HttpAnswer(NamedTuple):
    status: int
    body: bytes
    #: When the server wants to be asked again, from now on; None if it has not said so.
    retry_after_s: float | None = None

    def __repr__(self) -> str:
        # The body may be a token.
        return f"HttpAnswer(status={self.status}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        # What pretty printers ask for instead.
        return [("status", self.status), ("bytes", len(self.body))]


class HttpClient(Protocol):
    """Makes HTTP requests."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float,
    ) -> HttpAnswer:
        """Make one request and return its answer, whatever its status.

        Raises:
            ConnectError: No answer came.
        """

    async def close(self) -> None:
        """Release all connections."""
