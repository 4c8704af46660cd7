"""What a message is about, as far as faults choose by it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from tapewire.protocol.errors import UNREADABLE, MalformedMessageError
from tapewire.protocol.requests import STREAMS
from tapewire.protocol.tokens import Claims, claims_of

__all__ = ["Subject", "read_claims", "read_subject"]

_SUBSCRIBING = frozenset(
    name.casefold() for stream in STREAMS.values() for name in (stream.opcode, *stream.aliases)
)
_read = msgspec.json.Decoder(dict[str, Any]).decode


class Subject(NamedTuple):
    """A request, or what data and answers belong to. Texts as the client wrote them, empty where it did not."""

    opcode: str = ""
    guid: str = ""
    exchange: str = ""
    symbol: str = ""
    board: str = ""
    portfolio: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return f"Subject(opcode={self.opcode!r}, guid={self.guid!r}, token={'***' if self.token else ''!r})"

    @property
    def subscribes(self) -> bool:
        """Whether it asks for a subscription."""
        return self.opcode.casefold() in _SUBSCRIBING

    @property
    def unsubscribes(self) -> bool:
        """Whether it cancels one."""
        return self.opcode.casefold() == "unsubscribe"

    @property
    def is_ping(self) -> bool:
        """Whether it only asks for an answer."""
        return self.opcode.casefold() == "ping"


def read_subject(message: bytes) -> Subject | None:
    """Read what a request of either socket is about; None if it is none that an answer could name."""
    try:
        fields = _read(message)
    except UNREADABLE:
        return None
    instrument = _table(fields.get("instrument"))
    subject = Subject(
        opcode=_text(fields.get("opcode")),
        guid=_text(fields.get("guid")),
        exchange=_text(fields.get("exchange") or instrument.get("exchange")),
        symbol=_text(fields.get("code") or instrument.get("symbol")),
        board=_text(fields.get("instrumentGroup") or instrument.get("instrumentGroup") or fields.get("board")),
        portfolio=_text(fields.get("portfolio") or _table(fields.get("user")).get("portfolio")),
        token=_text(fields.get("token")),
    )
    return subject if subject.opcode and subject.guid else None


def read_claims(token: str) -> Claims | None:
    """Read what a token says, good or not; None if it says nothing."""
    try:
        return claims_of(token)
    except MalformedMessageError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
