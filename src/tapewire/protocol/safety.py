"""The safety extension of the order socket: tapewire's own, docs/safety.md. The broker knows no such opcode."""

from __future__ import annotations

from tapewire.model import UNSET, Maybe
from tapewire.protocol.messages import SystemMessage
from tapewire.protocol.reading import WireRequest

__all__ = ["CANCEL_AFTER_SECONDS_MAX", "SAFETY_OPCODE", "AskSafety", "SafetyAnswer"]

SAFETY_OPCODE = "safety"
#: A day: orders that may outlive their owner's attention for longer need no timer.
CANCEL_AFTER_SECONDS_MAX = 86_400


class AskSafety(WireRequest, frozen=True, kw_only=True):
    """Ask that orders do not outlive their connection. What is absent stays as it is; with nothing: a question."""

    #: Cancel when the connection ends otherwise than by the client's own close frame.
    cancel_on_disconnect: Maybe[bool | None] = UNSET
    #: Cancel unless this comes again within so many seconds; 0 disarms.
    cancel_after_seconds: Maybe[int | None] = UNSET

    def problem(self) -> str | None:
        seconds = self.cancel_after_seconds
        if isinstance(seconds, int) and not 0 <= seconds <= CANCEL_AFTER_SECONDS_MAX:
            return "Invalid or unsupported cancelAfterSeconds"
        return None


class SafetyAnswer(SystemMessage, frozen=True, kw_only=True, rename="camel"):
    """What is agreed on a connection now."""

    cancel_on_disconnect: bool
    #: 0: the timer is not armed.
    cancel_after_seconds: int
    #: Until the timer runs out; 0 while it is not armed.
    seconds_left: float
    #: How often it has run out on this connection.
    timer_fired: int
    #: Orders that would be cancelled, as far as is known: some of them may be over.
    guarded_orders: int
