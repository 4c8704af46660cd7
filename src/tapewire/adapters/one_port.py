"""One port for HTTP and WebSocket: uvicorn reads the request, picows takes over upgraded connections.

picows exports no class for a connection that somebody else has accepted, so this module uses its
``WSProtocol`` by its private place, and the server extra pins picows exactly (docs/decisions/0004-one-port.md).
Everything that depends on it is here.

What a peer may do before it is a peer is bounded here too: the bytes of a head, the time it takes. What it does
wrong is answered, never logged above DEBUG: otherwise anybody could fill the log of the program.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import httptools
import msgspec
from picows import WSAutoPingStrategy, WSListener, WSProtocolError, WSUpgradeRequest
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tapewire.adapters.picows_transport import PicowsListener
from tapewire.ports.network import FrameListener, HandshakeRefusedError
from tapewire.protocol.limits import MESSAGE_BYTES_MAX

__all__ = ["HEAD_BYTES_MAX", "HEAD_DEADLINE_S", "Acceptor", "OnePortProtocol", "one_port_protocol"]

#: Returns the listener for a handshake at a path from a peer, None if nothing is served there; raises
#: ``HandshakeRefusedError`` if it is served and not now.
Acceptor = Callable[[str, str], FrameListener | None]

#: The smallest that picows takes: an idle session costs half as much as with its default.
READ_BUFFER_BYTES = 2 * 1024
#: What one read of a WebSocket takes at most, and so what is handled before others have their turn. picows would
#: double its buffer as long as a peer fills it, to tens of megabytes.
READ_BYTES_MAX = 16 * 1024
HANDSHAKE_TIMEOUT_S = 5.0
#: Request line and headers of a request; as much again for what stands between the chunks of a body, and for its
#: trailers. h11 takes 16 KiB, nginx 32 KiB; cookies of browsers alone may be more.
HEAD_BYTES_MAX = 64 * 1024
#: How long a peer may take for the head of a request, and for the rest of a body that nobody waits for any more.
HEAD_DEADLINE_S = 10.0
#: Requests that a peer may send before the first of them is answered.
PIPELINED_MAX = 16
#: How long a peer may take nothing of an answer before it counts as gone.
STALL_S = 30.0
#: How long what a refused peer still sends is read and dropped. If it were closed at once,
#: a reset would overtake its answer.
LINGER_S = 1.0
#: What the parser gets at once. A head may begin anywhere in such a piece, so the count of its bytes is right to
#: within one. A header of 64 KiB in pieces costs the parser half a megabyte of copying.
_PIECE_BYTES = 4 * 1024
assert _PIECE_BYTES < HEAD_BYTES_MAX
_KEY_BYTES = 16
_VERSION = b"13"

log = logging.getLogger("tapewire.gateway.websocket")


class _Refusal(NamedTuple):
    """Why a peer is turned away; the code is that of the JSON error body."""

    status: HTTPStatus
    code: str
    message: str
    headers: Mapping[str, str] = {}


_MALFORMED = _Refusal(HTTPStatus.BAD_REQUEST, "BadRequest", "This is no HTTP request")
_TOO_LARGE = _Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "RequestHeaderFieldsTooLarge",
    f"Request line and headers, or trailers, are larger than {HEAD_BYTES_MAX} bytes",
)
_TOO_MANY = _Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "TooManyRequests",
    f"More than {PIPELINED_MAX} requests before an answer",
)
_NOT_SERVED = _Refusal(HTTPStatus.NOT_FOUND, "NotFound", "No WebSocket is served at this path")
_OTHER_VERSION = _Refusal(
    HTTPStatus.UPGRADE_REQUIRED,
    "UpgradeRequired",
    "Sec-WebSocket-Version is not 13",
    {"upgrade": "websocket", "sec-websocket-version": _VERSION.decode()},
)


class OnePortProtocol(HttpToolsProtocol):
    """HTTP until a request asks for a WebSocket, which is given to ``accept``.

    The peer owes bytes before its first request, and from the first byte of any request to the last one of its
    body. While it does, and no answer is being made, a deadline runs; an application that reads a body has one of
    its own.
    """

    # Class attributes, because the constructor belongs to uvicorn.
    accept: Acceptor
    #: Peers that were turned away, by the status of the answer; ``none`` for those that took too long.
    turned_away: Counter[str]
    _deadline: asyncio.TimerHandle | None = None
    #: Runs while the network takes nothing more of what is written.
    _stall: asyncio.TimerHandle | None = None
    #: The request that is being answered; ``cycle`` is the one that came last.
    _active: RequestResponseCycle | None = None
    #: Bytes since a head, a message or a part of a body was complete.
    _head_bytes = 0
    _is_in_request = False
    _is_in_head = False
    #: What the peer sends from now on is dropped.
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        self._end_stall()
        if self._is_answering():
            # uvicorn tells the request that came last, which is another one if requests were pipelined.
            self._drop(self._active)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_stall()

    def data_received(self, data: bytes) -> None:
        start = 0
        while start < len(data) and not self._is_refused and not self.transport.is_closing():
            if len(self.pipeline) >= PIPELINED_MAX:
                self._refuse(_TOO_MANY)
                return
            room = HEAD_BYTES_MAX - self._head_bytes
            if room <= 0:
                self._refuse(_TOO_LARGE)
                return
            piece = data[start : start + min(room, _PIECE_BYTES)]
            # The callbacks of the parser set it back.
            self._head_bytes += len(piece)
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                end: int = upgrade.args[0]
                if self._should_upgrade():
                    # What stands behind it are frames of a peer that did not wait for our answer.
                    self._become_websocket(data[start + end :])
                    return
                self._answer_as_plain_http()
                start += end
            except httptools.HttpParserError as error:
                self._report_own_fault(error)
                self._refuse(_MALFORMED)
                return
            else:
                start += len(piece)
        self._watch()

    def shutdown(self) -> None:
        """End this connection, after the answer to a request that has come whole."""
        if self._is_in_request or self._is_refused:
            # Nobody will wait for the rest: the application is told that the peer is gone.
            self.transport.abort()
        else:
            super().shutdown()

    # --- what the parser finds ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_in_request = self._is_in_head = True
        # Not at any byte, as uvicorn does: a line feed would end the timeout and begin nothing.
        self._unset_keepalive_if_required()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers do not become headers of a request that is being answered.
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head_bytes = 0
        self.url = _origin_form(self.url)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_in_request = False
        self._head_bytes = 0
        super().on_message_complete()

    # --- answers ----------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_in_request:
            self._unset_keepalive_if_required()
        self._watch()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, app)

    def _is_answering(self) -> bool:
        return self._active is not None and not self._active.response_complete

    def _drop(self, cycle: RequestResponseCycle | None) -> None:
        assert cycle is not None
        cycle.disconnected = True
        cycle.message_event.set()

    def _refuse(self, refusal: _Refusal) -> None:
        """Read nothing more; answer, unless the answer would land inside another one; end the connection."""
        self._is_refused = True
        self.turned_away[str(refusal.status.value)] += 1
        active = self._active
        if active is not None and self._is_answering():
            is_in_body = self._is_in_request and not self._is_in_head
            if not is_in_body or active is not self.cycle or active.response_started:
                # The answers to earlier requests go out, then the connection ends.
                if is_in_body and self.pipeline:
                    self.pipeline.popleft()
                (self.pipeline[0][0] if self.pipeline else active).keep_alive = False
                self._set_deadline(None)
                return
            self._drop(active)
            self.flow.resume_reading()
        self._unset_keepalive_if_required()
        self.transport.write(self._refusal_bytes(refusal))
        if not self.transport.is_closing():
            self.transport.write_eof()
            self._set_deadline(LINGER_S)

    def _refusal_bytes(self, refusal: _Refusal) -> bytes:
        body = msgspec.json.encode({"code": refusal.code, "message": refusal.message})
        lines = [f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}".encode()]
        lines += [name + b": " + value for name, value in self.server_state.default_headers]
        lines += [f"{name}: {value}".encode() for name, value in refusal.headers.items()]
        lines += [b"content-type: application/json", b"content-length: %d" % len(body)]
        # A peer that is told how to upgrade is told so in this header as well (RFC 9110, 7.8).
        lines += [b"connection: close, upgrade" if "upgrade" in refusal.headers else b"connection: close"]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def _report_own_fault(self, error: httptools.HttpParserError) -> None:
        """Log what was raised in a callback and is not about what the peer sent."""
        cause = error.__context__
        if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(
            cause, httptools.HttpParserError | UnicodeDecodeError
        ):
            log.error("A request could not be taken", exc_info=cause)

    # --- deadlines --------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Let the deadline run if the peer owes bytes and nothing else is going on."""
        if self._is_refused or self.transport.is_closing():
            return
        is_owing = self._is_in_request or self._active is None
        if not is_owing or self._is_answering():
            self._set_deadline(None)
        elif self._deadline is None:
            self._set_deadline(HEAD_DEADLINE_S, self._be_late)

    def _be_late(self) -> None:
        self.turned_away["none"] += 1
        self.transport.abort()

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _set_deadline(self, delay_s: float | None, late: Callable[[], None] | None = None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        late = late or self.transport.abort
        self._deadline = self.loop.call_later(delay_s, late) if delay_s is not None else None

    # --- upgrades ---------------------------------------------------------------------------------------------

    def _should_upgrade_to_ws(self) -> bool:
        return True

    def _answer_as_plain_http(self) -> None:
        """Let a request for another protocol (h2c) be answered as if it had not asked."""
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers):
            # The parser has not read its body, which must not be taken for the next request.
            self._is_refused = True
            self.cycle.keep_alive = False

    def _become_websocket(self, frames: bytes) -> None:
        if self._is_answering():
            # The answer to an earlier request would land among the frames: the connection ends with it.
            self.cycle.keep_alive = False
            self._is_refused = True
            return
        handshake = _handshake(self.scope["method"], self.headers)
        if isinstance(handshake, _Refusal):
            self._refuse(handshake)
            return
        peer = f"{self.client[0]}:{self.client[1]}" if self.client else ""
        try:
            listener = type(self).accept(self.url.decode("ascii", "replace"), peer)
        except HandshakeRefusedError as refused:
            self._refuse(_refusal(refused))
            return
        if listener is None:
            self._refuse(_NOT_SERVED)
            return
        self._set_deadline(None)
        self.connections.discard(self)
        protocol = _websocket_protocol(PicowsListener(listener))
        protocol.connection_made(self.transport)
        # From here on the loop talks to the new protocol, also while the handshake is being answered.
        self.transport.set_protocol(protocol)
        _feed(protocol, handshake + frames, self.transport)


def one_port_protocol(accept: Acceptor, turned_away: Counter[str]) -> type[OnePortProtocol]:
    """Return the uvicorn protocol class that gives WebSocket handshakes to ``accept``.

    ``turned_away`` counts peers by the status they were answered with; ``none``: without an answer, too late.
    """
    attributes = {"accept": staticmethod(accept), "turned_away": turned_away}
    return type("OnePortProtocol", (OnePortProtocol,), attributes)


def _refusal(refused: HandshakeRefusedError) -> _Refusal:
    later = {} if refused.retry_after_s is None else {"retry-after": str(refused.retry_after_s)}
    return _Refusal(HTTPStatus(refused.status), refused.code, refused.text, later)


def _origin_form(target: bytes) -> bytes:
    """Return path and query of a request target, which may name the server too (``http://x/ws``).

    Raises:
        httptools.HttpParserInvalidURLError: It has no path, as that of CONNECT.
    """
    scheme, separator, rest = target.partition(b"://")
    if separator and scheme.lower() in (b"http", b"https"):
        authority = rest.partition(b"/")[0].partition(b"?")[0]
        target = rest[len(authority) :]
        if not target.startswith(b"/"):
            target = b"/" + target
    if not target.startswith(b"/") and target != b"*":
        raise httptools.HttpParserInvalidURLError("no path")
    return target


def _handshake(method: str, headers: list[tuple[bytes, bytes]]) -> bytes | _Refusal:
    """Return the handshake that picows gets to see, or why it is refused (RFC 6455, 4.2.1 and 4.4).

    The rest of the headers may be long, and secret. Of the Connection header picows takes one word only, where
    Firefox sends "keep-alive, Upgrade"; uvicorn has found it.
    """
    values: dict[bytes, set[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, set()).add(value)
    versions = values.get(b"sec-websocket-version", set())
    if versions and versions != {_VERSION}:
        return _OTHER_VERSION
    keys = values.get(b"sec-websocket-key", set())
    faults = {
        "A handshake is a GET": method != "GET",
        "A handshake has no body": b"transfer-encoding" in values
        or any(value.strip(b"0") for value in values.get(b"content-length", ())),
        "Host is missing, or there are two": len(values.get(b"host", ())) != 1,
        "Sec-WebSocket-Version is missing": not versions,
        "Sec-WebSocket-Key is missing, or there are two": len(keys) != 1,
        "Sec-WebSocket-Key is not 16 bytes in base64": not all(map(_is_key, keys)),
    }
    for message, is_at_fault in faults.items():
        if is_at_fault:
            return _Refusal(HTTPStatus.BAD_REQUEST, "BadRequest", message)
    return b"\r\n".join(
        (
            b"GET / HTTP/1.1",
            b"connection: upgrade",
            b"upgrade: websocket",
            b"sec-websocket-version: " + _VERSION,
            b"sec-websocket-key: " + keys.pop(),
            b"\r\n",
        )
    )


def _is_key(text: bytes) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


class _PeersFaultsAside(logging.LoggerAdapter[logging.Logger]):
    """Logs what picows does, but a peer that comes, goes or breaks the protocol at DEBUG.

    picows writes an ERROR for each frame that it cannot read. It raises ``WSProtocolError`` for these, nothing of
    ours does, and it logs while it handles the exception. Errors of our listeners stay errors. As this is no
    ``Logger``, picows does not make one of its own for every connection either.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        # Who comes and goes is told by the gateway, within a bound.
        if level <= logging.INFO or isinstance(sys.exc_info()[1], WSProtocolError):
            level = logging.DEBUG
        super().log(level, msg, *args, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs


class _BoundedProtocol(WSProtocol):  # type: ignore[misc]
    """picows' protocol, which reads no more at a time than others may have to wait for."""

    def get_buffer(self, size_hint: int) -> memoryview:
        return memoryview(super().get_buffer(size_hint))[:READ_BYTES_MAX]


def _websocket_protocol(listener: WSListener) -> Any:
    def listen(request: WSUpgradeRequest) -> WSListener:
        return listener

    return _BoundedProtocol(
        None,  # host and path: a client's business
        None,
        False,  # server side
        listen,
        _PeersFaultsAside(log),
        True,  # an exception in a listener ends its connection
        HANDSHAKE_TIMEOUT_S,
        False,  # no pings of its own
        10,
        10,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,  # pongs are the connection's business
        MESSAGE_BYTES_MAX,
        None,
        READ_BUFFER_BYTES,
    )


def _feed(protocol: Any, data: bytes, transport: asyncio.BaseTransport) -> None:
    """Give bytes to a buffered protocol as its transport would."""
    rest = memoryview(data)
    while rest and not transport.is_closing():
        buffer = cast(memoryview, protocol.get_buffer(len(rest)))
        size = min(len(buffer), len(rest))
        buffer[:size] = rest[:size]
        protocol.buffer_updated(size)
        rest = rest[size:]


class NoWebSocket(asyncio.Protocol):
    """Stands where uvicorn wants a WebSocket implementation of its own; never made."""
