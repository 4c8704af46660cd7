"""The words of the vocabulary: kinds of faults, what sets them off, and which settings each kind takes."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["KINDS", "FaultKind", "KindRules", "Since", "Trigger", "Whose"]


class FaultKind(StrEnum):
    """What goes wrong."""

    CUT = "cut"
    MUTE = "mute"
    HALF_OPEN = "half-open"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    LATE_ANSWER = "late-answer"
    NO_ANSWER = "no-answer"
    REFUSED = "refused"
    TOKEN_EXPIRY = "token-expiry"  # noqa: S105  (a word, not a secret)
    OVERFLOW = "overflow"
    MAINTENANCE = "maintenance"
    GARBAGE = "garbage"


class Trigger(StrEnum):
    """What is counted, and what a fault strikes when it is due."""

    #: A moment, not an event: what ``after``, ``every`` and ``at`` say.
    TIME = "time"
    #: A handshake, before it is answered.
    CONNECT = "connect"
    #: A message of the client.
    REQUEST = "request"
    #: The answer to one.
    ANSWER = "answer"
    #: A data message of the server.
    DATA = "data"
    #: Any message of the server.
    MESSAGE = "message"
    #: An HTTP request.
    HTTP = "http"


class Since(StrEnum):
    """From when times are counted."""

    #: The handshake of each connection.
    CONNECTION = "connection"
    #: The start of the system.
    START = "start"


class Whose(StrEnum):
    """Whose tokens end."""

    #: The connection's: another one may go on with the same token.
    CONNECTION = "connection"
    #: The login's, on all of its connections and over HTTP.
    LOGIN = "login"


class KindRules(NamedTuple):
    """What one kind takes: its triggers, the first being the default, and its own keys."""

    triggers: tuple[Trigger, ...]
    keys: frozenset[str] = frozenset()


_MOMENTS = (Trigger.TIME, Trigger.REQUEST, Trigger.ANSWER, Trigger.DATA, Trigger.MESSAGE)

KINDS = {
    FaultKind.CUT: KindRules(_MOMENTS),
    FaultKind.MUTE: KindRules(_MOMENTS, frozenset({"lost"})),
    FaultKind.HALF_OPEN: KindRules(_MOMENTS),
    FaultKind.DELAY: KindRules((Trigger.DATA, Trigger.MESSAGE, Trigger.HTTP), frozenset({"by", "jitter"})),
    FaultKind.DUPLICATE: KindRules((Trigger.DATA,)),
    FaultKind.LATE_ANSWER: KindRules((Trigger.ANSWER,), frozenset({"by", "jitter", "behind"})),
    FaultKind.NO_ANSWER: KindRules((Trigger.ANSWER, Trigger.HTTP)),
    FaultKind.REFUSED: KindRules(
        (Trigger.REQUEST, Trigger.CONNECT, Trigger.HTTP), frozenset({"code", "text", "retry_after"})
    ),
    FaultKind.TOKEN_EXPIRY: KindRules((Trigger.TIME, Trigger.REQUEST), frozenset({"whose", "life"})),
    FaultKind.OVERFLOW: KindRules(_MOMENTS),
    FaultKind.MAINTENANCE: KindRules((Trigger.TIME,), frozenset({"code", "text", "retry_after"})),
    FaultKind.GARBAGE: KindRules(_MOMENTS, frozenset({"text"})),
}
