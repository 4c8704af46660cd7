"""The misuse score: points for what costs the server, a block for whoever has too many (decision 0031).

A score falls as steadily as it may rise: the whole bound in an hour. Who is charged has a name, ``login P1`` or
``address 10.0.0.1``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

__all__ = ["CHARGED_MAX", "POINTS", "Misuse", "Offence", "address_name", "login_name"]

#: Names that are remembered; the one that was charged longest ago goes first.
CHARGED_MAX = 10_000
_HOUR_S = 3_600.0


class Offence(Enum):
    """What is charged."""

    CONNECTION = "a connection"
    SUBSCRIPTION = "a subscription"
    UNKNOWN_ORDER = "a command about an order that does not exist"
    UNREADABLE = "a message that is no JSON"


#: As the broker is said to count (reference of subscriptions, 8.1).
POINTS = {
    Offence.CONNECTION: 1,
    Offence.SUBSCRIPTION: 1,
    Offence.UNKNOWN_ORDER: 100,
    Offence.UNREADABLE: 5_000,
}


class _Score:
    __slots__ = ("at_s", "blocked_until_s", "points")

    def __init__(self, at_s: float) -> None:
        self.points = 0.0
        self.at_s = at_s
        self.blocked_until_s = 0.0


class Misuse:
    """Scores by name.

    Args:
        points_max: Points of an hour above which a name is blocked; None: nobody is charged or blocked.
        block_s: How long a block lasts. It is not made longer by what is refused meanwhile.
    """

    def __init__(self, points_max: int | None, block_s: float, now: Callable[[], float]) -> None:
        self._points_max = points_max
        self._block_s = block_s
        self._now = now
        self._scores: OrderedDict[str, _Score] = OrderedDict()

    @property
    def blocked(self) -> int:
        """How many names are blocked now."""
        now = self._now()
        return sum(score.blocked_until_s > now for score in self._scores.values())

    def points(self, name: str) -> float:
        """Return the points that a name has now."""
        score = self._scores.get(name)
        return 0.0 if score is None else self._fallen(score)

    def charge(self, name: str, offence: Offence) -> None:
        """Add points to a name; above the bound it is blocked, and begins at nothing when the block is over."""
        if self._points_max is None:
            return
        now = self._now()
        score = self._scores.get(name)
        if score is None:
            score = self._scores[name] = _Score(now)
            if len(self._scores) > CHARGED_MAX:
                self._scores.popitem(last=False)
        self._scores.move_to_end(name)
        if score.blocked_until_s > now:
            return
        score.points = self._fallen(score) + POINTS[offence]
        score.at_s = now
        if score.points > self._points_max:
            score.points = 0.0
            score.blocked_until_s = now + self._block_s

    def blocked_for_s(self, name: str) -> float:
        """Return how much longer a name is blocked, in seconds; 0 if it is not."""
        score = self._scores.get(name)
        return 0.0 if score is None else max(score.blocked_until_s - self._now(), 0.0)

    def _fallen(self, score: _Score) -> float:
        assert self._points_max is not None
        return max(score.points - (self._now() - score.at_s) * self._points_max / _HOUR_S, 0.0)


def login_name(login: str) -> str:
    """Return the name of somebody with a good token."""
    return f"login {login}"


def address_name(address: str) -> str:
    """Return the name of whoever has shown no good token."""
    return f"address {address}"
