"""Requests a second, by caller: a token bucket for each of those who were here lately."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from tapewire.protocol.limits import HTTP_REQUESTS_PER_SECOND_MAX

__all__ = ["CALLERS_MAX", "Throttle"]

#: Callers that are remembered. The one that asked longest ago goes first: its bucket is the fullest.
CALLERS_MAX = 10_000


class _Bucket(NamedTuple):
    #: Requests that may come at once.
    room: float
    at_s: float


class Throttle:
    """Lets each caller make so many requests a second, and as many at once after a second of silence.

    Args:
        per_second: Requests of one caller; None: any number.

    Attributes:
        refused: Requests that were too many, since the start.
    """

    def __init__(self, per_second: int | None = HTTP_REQUESTS_PER_SECOND_MAX) -> None:
        if per_second is not None and per_second < 1:
            raise ValueError(f"{per_second} requests a second would refuse everybody")
        self.per_second = per_second
        self.refused = 0
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    @property
    def callers(self) -> int:
        """How many callers are remembered."""
        return len(self._buckets)

    def admit(self, caller: str, now_s: float) -> bool:
        """Count one request at a time of the loop's clock; return whether it is within the limit."""
        if self.per_second is None:
            return True
        room, at_s = self._buckets.get(caller, _Bucket(float(self.per_second), now_s))
        room = min(room + (now_s - at_s) * self.per_second, float(self.per_second))
        admitted = room >= 1
        self._buckets[caller] = _Bucket(room - 1 if admitted else room, now_s)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > CALLERS_MAX:
            self._buckets.popitem(last=False)
        self.refused += not admitted
        return admitted
