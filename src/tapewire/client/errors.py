"""Errors of the client. Two questions decide what a program does: whose fault was it, and may it try again.

::

    TapewireError
    ├── ConfigurationError   it is not clear where to connect to, or as whom    caller    final
    ├── ConnectError         no connection could be made                        network   retriable
    ├── ConnectionLostError  a connection ended before the broker had answered  network   retriable
    ├── TokenRefusedError    the refresh token is not good                      caller    final
    ├── TokenServiceError    the token service gave no usable answer            broker    retriable
    ├── RefusedError         the broker refused a request                       by code   by code
    ├── AnswerTimeoutError   the broker did not answer a request in time        broker    retriable
    ├── LimitError           a limit would be passed                            caller    by limit
    ├── ArgumentError        an argument is what it cannot be (a ValueError)    caller    final
    │   └── InvalidOrderError    an order has a value that none can have        caller    final
    ├── NotSentError         a command was not sent: nothing has happened       by cause  by cause
    ├── BufferOverflowError  a consumer was too slow for a lossless stream      caller    final
    ├── GapError             a stream has missed something for good             network   retriable
    ├── BusyError            used by two at once (a RuntimeError)               caller    final
    └── ClosedError          used after it was closed                           caller    final

A refusal with 400..499 is the caller's fault, but for 408; all others are the broker's. 408, 429 and all from 500
on may pass. Of limits those pass that count what is under way: commands, requests. That a token service cannot be
reached is the network's fault, that an answer cannot be read the broker's. A command that was not sent has
fault and hope of what stood in its way.
"""

from __future__ import annotations

from enum import Enum
from typing import Self
from urllib.parse import urlsplit

from tapewire.client.foreign_text import printable
from tapewire.client.gap import Gap
from tapewire.protocol.codes import ResultCode

__all__ = [
    "AnswerTimeoutError",
    "ArgumentError",
    "BufferOverflowError",
    "BusyError",
    "ClosedError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "Fault",
    "GapError",
    "InvalidOrderError",
    "LimitError",
    "NotSentError",
    "RefusedError",
    "TapewireError",
    "TokenRefusedError",
    "TokenServiceError",
    "shown_url",
]


_REQUEST_TIMEOUT = 408


class Fault(Enum):
    """Whose fault an error is."""

    CALLER = "caller"
    NETWORK = "network"
    BROKER = "broker"


class TapewireError(Exception):
    """Root of all errors of the client."""

    fault = Fault.CALLER
    #: Whether the same call may succeed later.
    retriable = False

    def again(self) -> Self:
        """Return an equal error to raise, for one that is told to many or more than once.

        An error that is raised twice gathers the tracebacks of both, and keeps what their frames hold alive.
        """
        return type(self)(*self.args)


class ConfigurationError(TapewireError):
    """It is not clear where to connect to, or as whom."""


class ConnectError(TapewireError):
    """No connection could be made, or what answers is not what was asked: then it is the broker's fault."""

    fault = Fault.NETWORK
    retriable = True

    def __init__(self, url: str, reason: str, fault: Fault = Fault.NETWORK) -> None:
        url = shown_url(url)
        super().__init__(url, reason, fault)
        #: Without user and query, which may hold secrets.
        self.url = url
        self.reason = reason
        self.fault = fault

    def __str__(self) -> str:
        what = "cannot connect to" if self.fault is Fault.NETWORK else "cannot read the answer of"
        return f"{what} {self.url}: {printable(self.reason)}"


class ConnectionLostError(TapewireError):
    """A connection ended before the broker had answered. Streams that flow are restored and raise nothing."""

    fault = Fault.NETWORK
    retriable = True

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"the connection was lost ({self.code}{': ' + printable(self.reason) if self.reason else ''})"


class TokenRefusedError(TapewireError):
    """The token service does not know the refresh token: a person has to issue a new one."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"the refresh token was refused ({self.status})"


class TokenServiceError(TapewireError):
    """The token service gave no usable answer."""

    fault = Fault.BROKER
    retriable = True

    def __init__(self, reason: str, fault: Fault = Fault.BROKER) -> None:
        super().__init__(reason, fault)
        self.reason = reason
        #: The network's where the service cannot be reached.
        self.fault = fault

    def __str__(self) -> str:
        return printable(self.reason)


class RefusedError(TapewireError):
    """The broker refused a request: ``code`` in terms of HTTP, ``text`` for people.

    ``retry_after_s`` is when the broker wants to be asked again, None if it has not said so.
    """

    def __init__(self, code: int, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(code, text, retry_after_s)
        self.code = code
        self.text = text
        self.retry_after_s = retry_after_s

    @property
    def fault(self) -> Fault:  # type: ignore[override]
        """What cannot be answered is the caller's fault, what the server could not do the broker's."""
        return Fault.CALLER if 400 <= self.code < 500 and self.code != _REQUEST_TIMEOUT else Fault.BROKER

    @property
    def retriable(self) -> bool:  # type: ignore[override]
        """Too many requests or connections, and faults of the server, may pass."""
        return self.code in (ResultCode.TOO_MANY, _REQUEST_TIMEOUT) or self.code >= 500

    def __str__(self) -> str:
        return f"the broker refused: {self.code} {printable(self.text)}"


class AnswerTimeoutError(TapewireError):
    """The broker did not answer a request in time; whether it took it is not known."""

    fault = Fault.BROKER
    retriable = True

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"no answer within {self.seconds:g} s"


class LimitError(TapewireError):
    """A limit would be passed; nothing was sent. ``passes``: it counts what is under way, and that ends."""

    def __init__(self, what: str, asked: object, limit: object, advice: str = "", passes: bool = False) -> None:
        super().__init__(what, asked, limit, advice, passes)
        self.what = what
        self.asked = asked
        self.limit = limit
        #: What can be done about it, where that is not plain.
        self.advice = advice
        self.retriable = passes

    def __str__(self) -> str:
        text = f"{self.what}: {self.asked} asked for, the limit is {self.limit}"
        return f"{text}; {self.advice}" if self.advice else text


class ArgumentError(TapewireError, ValueError):
    """An argument is of a kind or has a value that it cannot have; nothing was sent."""


class InvalidOrderError(ArgumentError):
    """A command has a value that none can have, or names an order that is not there; nothing was sent."""


class NotSentError(TapewireError):
    """There was no authorized connection to send a command on: nothing was sent, nothing has happened.

    Whose fault that is, and whether the same command may be sent later, is that of what stood in the way.
    """

    fault = Fault.NETWORK
    retriable = True

    def __init__(self, reason: str, fault: Fault = Fault.NETWORK, retriable: bool = True) -> None:
        super().__init__(reason, fault, retriable)
        self.reason = reason
        self.fault = fault
        self.retriable = retriable

    @classmethod
    def because(cls, cause: TapewireError, reason: str = "") -> Self:
        """Return the error of a command that was not sent because of another error; raise it ``from`` that."""
        return cls(reason or str(cause), cause.fault, cause.retriable)

    def __str__(self) -> str:
        return f"the command was not sent: {printable(self.reason)}"


class BufferOverflowError(TapewireError):
    """A consumer was too slow for a stream that must not lose anything. What fitted was delivered first."""

    def __init__(self, stream: str, size: int, reason: str = "") -> None:
        super().__init__(stream, size, reason)
        self.stream = stream
        self.size = size
        #: Why no more could be kept, where it was not the number of records: a full disk.
        self.reason = reason

    def __str__(self) -> str:
        text = f"{self.stream}: the consumer fell {self.size} records behind"
        return f"{text} ({self.reason})" if self.reason else text


class GapError(TapewireError):
    """A stream has missed something that could not be fetched. It goes on: iterate again to go on with it.

    ``with_gaps()`` gives the gap in its place instead.
    """

    fault = Fault.NETWORK
    retriable = True

    def __init__(self, gap: Gap) -> None:
        super().__init__(gap)
        self.gap = gap

    def __str__(self) -> str:
        return str(self.gap)


class BusyError(TapewireError, RuntimeError):
    """A stream is read by two at once; the first goes on, the second has taken nothing."""


class ClosedError(TapewireError):
    """Used after it was closed, or before it was opened."""


def shown_url(url: str) -> str:
    """Return an address without user and query, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(a malformed URL)"
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.scheme else ""
    return where + parts.path
