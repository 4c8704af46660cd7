"""What a gateway has done since its start, as plain numbers: whoever wants to know reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from tapewire.gateway.limits import Limit
from tapewire.gateway.safety import Cause

__all__ = ["Counters"]


class Counters:
    """Numbers that only grow, and the requests of now. What open sessions have done is counted with them.

    Attributes:
        opened: Sessions by path.
        ended: Sessions by the code they ended with; ``3xxx`` and ``4xxx`` for private ones.
        cuts: Sessions that were ended for a limit.
        refusals: Requests and handshakes that were refused for a limit.
        handshakes_refused: By the status of the answer; ``none`` for a head that took too long.
        http_answers: By class of the status: ``2xx``.
        http_requests: One object for each request over HTTP that is being answered.
        messages: That were handed to the sockets of sessions which have ended.
        bytes: Of these messages.
        requests: Of sessions that have ended.
        safety_fired: Times that orders of a connection were to be cancelled without it, by cause.
        safety_cancelled: Orders that were cancelled so.
        safety_left: Orders that should have been, and of which the venue did not say so.
        faults_struck: Faults committed on command, by name; whoever commits them counts.
        journal: Returns the figures of the venue's journal, empty without one: ``records`` and ``syncs`` written,
            entries ``refused`` and ``waiting``, its ``bytes`` on the disk, and whether it is ``usable``, 1 or 0.
    """

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.cuts: Counter[Limit] = Counter()
        self.refusals: Counter[Limit] = Counter()
        self.handshakes_refused: Counter[str] = Counter()
        self.http_answers: Counter[str] = Counter()
        self.http_requests: set[object] = set()
        self.messages = 0
        self.bytes = 0
        self.requests = 0
        self.safety_fired: Counter[Cause] = Counter()
        self.safety_cancelled = 0
        self.safety_left = 0
        self.faults_struck: Mapping[str, int] = {}
        self.journal: Callable[[], Mapping[str, int]] = dict
