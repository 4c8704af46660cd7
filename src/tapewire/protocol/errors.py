"""Errors of the wire.

::

    ProtocolError
    ├── MalformedMessageError   what came from the other end cannot be read
    └── BadRequestError         a request that a server answers with a code and lives on
        └── NotJsonError        it is no JSON at all
"""

from __future__ import annotations

import msgspec

__all__ = ["UNREADABLE", "BadRequestError", "MalformedMessageError", "NotJsonError", "ProtocolError"]

#: What reading JSON may raise: bad syntax or type, bytes that are no UTF-8, nesting without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class ProtocolError(Exception):
    """Something on the wire is not as the reference has it."""


class MalformedMessageError(ProtocolError):
    """A message from the other end cannot be read; ``reason`` says why. The connection is not harmed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadRequestError(ProtocolError):
    """A request must be refused: answer ``code`` and ``text`` to ``guid`` (empty where it has none)."""

    def __init__(self, guid: str, code: int, text: str) -> None:
        super().__init__(guid, code, text)
        self.guid = guid
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class NotJsonError(BadRequestError):
    """A message is no JSON at all: what nobody sends by a slip of a value."""
