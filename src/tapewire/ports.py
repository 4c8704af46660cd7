"""The seams of tapewire: what its cores need from the world, each small and owned by its users.

========================  ==============================  ===========================================
port                      live                            simulated
========================  ==============================  ===========================================
``Clock``                 ``adapters.clock``              ``simulation.loop`` (virtual time)
``Transport``,            ``adapters.picows_server``,     ``simulation.network``
``Connector``             ``adapters.picows_client``
``HttpClient``            ``adapters.http_client``        ``simulation.http``
``FeedSource``,           ``venues.embedded``             ``simulation.venue`` (scripted)
``CommandSink``, ``Query``
``JournalFile``           ``adapters.journal_file``       ``simulation.disk`` (drops what is unsynced)
========================  ==============================  ===========================================

All callbacks run in the event loop's thread and must not block. Timers belong to the running loop
(``loop.call_at``), which is why virtual time needs no port of its own: a virtual loop supplies it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from tapewire.model import Command, Instrument, Outcome, Record, StreamPosition, Topic, Trade

__all__ = [
    "Clock",
    "CommandSink",
    "ConnectError",
    "Connector",
    "FeedSink",
    "FeedSource",
    "FrameListener",
    "HttpAnswer",
    "HttpClient",
    "JournalError",
    "JournalFile",
    "Query",
    "Snapshot",
    "TradesPage",
    "Transport",
    "UnknownTopicError",
]


class Clock(Protocol):
    """The time of day. Durations and timers come from the running loop instead."""

    def wall_ns(self) -> int:
        """Return the time since the Unix epoch, UTC, in nanoseconds."""


# --- the network ----------------------------------------------------------------------------------------


class ConnectError(Exception):
    """A connection or request could not be made: refused, unreachable, timed out, not a WebSocket.

    ``status`` is the HTTP status of a refused handshake, else None.
    """

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


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


# --- the venue ------------------------------------------------------------------------------------------


class UnknownTopicError(LookupError):
    """The venue has no such stream: the instrument, board or portfolio does not exist."""


class Snapshot(NamedTuple):
    """The newest state of a stream and where the stream stood."""

    position: StreamPosition
    record: Record


class TradesPage(NamedTuple):
    """Trades, oldest first, and where the tape stood: live records up to ``position`` are in the page."""

    position: StreamPosition
    trades: Sequence[Trade]


class FeedSink(Protocol):
    """What a source tells the subscriber of its topics, in the order of the stream."""

    def changed(self, topic: Topic) -> None:
        """The state of a topic of a state kind is new; ``FeedSource.current`` has it."""

    def happened(self, topic: Topic, position: StreamPosition, record: Record) -> None:
        """One more record of a topic of an event kind."""


class FeedSource(Protocol):
    """The streams of a venue. State is pulled when somebody's window ends, events are pushed."""

    def open(self, topic: Topic, sink: FeedSink) -> None:
        """Begin to tell ``sink`` about ``topic``.

        Raises:
            UnknownTopicError: There is no such stream.
        """

    def close(self, topic: Topic, sink: FeedSink) -> None:
        """Stop telling ``sink`` about ``topic``."""

    def current(self, topic: Topic) -> Snapshot | None:
        """Return the state of an open topic of a state kind; None while it is not known."""


class CommandSink(Protocol):
    """Takes commands in order."""

    async def submit(self, command: Command) -> Outcome:
        """Apply one command; what it caused is visible in the feeds only after it is durable."""


class Query(Protocol):
    """Reads what is no stream."""

    def instruments(self) -> Sequence[Instrument]:
        """Return all instruments, in a fixed order."""

    def instrument(self, exchange: str, symbol: str, board: str = "") -> Instrument | None:
        """Return an instrument; an empty ``board`` means the primary one. None: there is none."""

    async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
        """Return the last ``limit`` trades of an instrument and the position they reach up to."""


# --- the disk -------------------------------------------------------------------------------------------


class JournalError(Exception):
    """The journal's file cannot be opened, read or written; the text says why."""


class JournalFile(Protocol):
    """Numbered records on a disk, oldest first, without holes. Calls block: they belong in a thread."""

    def append(self, first_sequence: int, records: Sequence[bytes]) -> None:
        """Write records and return when they are durable: all of them or, after an error, none.

        Raises:
            JournalError: The disk refused, or ``first_sequence`` does not follow the last record.
        """

    def read(self, from_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield durable records with their sequences, from ``from_sequence`` on."""

    @property
    def next_sequence(self) -> int:
        """The sequence that the next record must have; 0 in a new file."""

    def drop_before(self, sequence: int) -> None:
        """Forget the records older than ``sequence``, durably."""

    def close(self) -> None:
        """Release the file."""
