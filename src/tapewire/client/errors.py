"""Errors of the client. Two questions decide what a program does: whose fault was it, and may it try again.

::

    TapewireError
    ├── ConfigurationError   it is not clear where to connect to, or as whom    caller    final
    ├── ConnectError         no connection could be made                        network   retriable
    ├── ConnectionLostError  a connection ended and took its streams with it    network   retriable
    ├── TokenRefusedError    the refresh token is not good                      caller    final
    ├── TokenServiceError    the token service gave no usable answer            broker    retriable
    ├── RefusedError         the broker refused a request                       broker    by code
    ├── AnswerTimeoutError   the broker did not answer a request in time        broker    retriable
    ├── LimitError           a documented limit would be passed                 caller    final
    ├── InvalidOrderError    an order has a value that none can have            caller    final
    ├── NotSentError         a command was not sent: nothing has happened       network   retriable
    ├── BufferOverflowError  a consumer was too slow for a lossless stream      caller    final
    ├── GapError             a stream has missed something for good             network   retriable
    └── ClosedError          used after it was closed                           caller    final
"""

from __future__ import annotations

from enum import Enum
from typing import Self
from urllib.parse import urlsplit

from tapewire.client.gap import Gap
from tapewire.protocol.codes import ResultCode

__all__ = [
    "AnswerTimeoutError",
    "BufferOverflowError",
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
]


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
    """No connection could be made."""

    fault = Fault.NETWORK
    retriable = True

    def __init__(self, url: str, reason: str) -> None:
        url = _shown(url)
        super().__init__(url, reason)
        #: Without user and query, which may hold secrets.
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot connect to {self.url}: {self.reason}"


class ConnectionLostError(TapewireError):
    """A connection ended, and the streams on it with it. What was received before is delivered first."""

    fault = Fault.NETWORK
    retriable = True

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"the connection was lost ({self.code}{': ' + _printable(self.reason) if self.reason else ''})"


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


class RefusedError(TapewireError):
    """The broker refused a request: ``code`` in terms of HTTP, ``text`` for people."""

    fault = Fault.BROKER

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    @property
    def retriable(self) -> bool:  # type: ignore[override]
        """Too many requests or connections, and faults of the server, may pass."""
        return self.code == ResultCode.TOO_MANY or self.code >= 500

    def __str__(self) -> str:
        return f"the broker refused: {self.code} {_printable(self.text)}"


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
    """A documented limit would be passed; nothing was sent."""

    def __init__(self, what: str, asked: object, limit: object, advice: str = "") -> None:
        super().__init__(what, asked, limit, advice)
        self.what = what
        self.asked = asked
        self.limit = limit
        #: What can be done about it, where that is not plain.
        self.advice = advice

    def __str__(self) -> str:
        text = f"{self.what}: {self.asked} asked for, the limit is {self.limit}"
        return f"{text}; {self.advice}" if self.advice else text


class InvalidOrderError(TapewireError):
    """A command has a value that none can have, or names an order that is not there; nothing was sent."""


class NotSentError(TapewireError):
    """There was no authorized connection to send a command on: nothing was sent, nothing has happened."""

    fault = Fault.NETWORK
    retriable = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the command was not sent: {_printable(self.reason)}"


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
    """A stream has missed something that could not be fetched. It goes on: iterate again to go on with it."""

    fault = Fault.NETWORK
    retriable = True

    def __init__(self, gap: Gap) -> None:
        super().__init__(gap)
        self.gap = gap

    def __str__(self) -> str:
        return str(self.gap)


class ClosedError(TapewireError):
    """Used after it was closed, or before it was opened."""


def _shown(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(a malformed URL)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _printable(text: str) -> str:
    """Return a text of the other end as it may be shown: it could hold what a terminal obeys."""
    return "".join(character if character.isprintable() else " " for character in text)
