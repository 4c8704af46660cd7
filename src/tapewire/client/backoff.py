"""How long to wait before the next try: doubling bounds, a random pause below them, long pauses when blocked."""

from __future__ import annotations

import random

__all__ = [
    "ASKED_MAX_S",
    "BLOCKED_AFTER",
    "BLOCKED_S",
    "FIRST_S",
    "HELD_S",
    "LAST_S",
    "REFUSING_STATUSES",
    "Backoff",
]

#: The bound of the first pause, and of all late ones.
FIRST_S = 1.0
LAST_S = 30.0
#: A connection has held when it lived so long: pauses begin anew. One that is cut at once does not reset them.
HELD_S = 10.0
#: The broker was there and did not want us; anything else may be a fault of its own, which passes.
REFUSING_STATUSES = frozenset({401, 403, 406, 429})
#: So many refusals in a row are a block: it does not heal by asking again.
BLOCKED_AFTER = 8
#: The least pause while blocked; the most is twice as long.
BLOCKED_S = 300.0
#: A broker that asks for a longer pause than this is not obeyed: an hour.
ASKED_MAX_S = 3_600.0


class Backoff:
    """Pauses of one connection over its lives. Every pause is drawn from zero up (full jitter): programs that lost
    the same server at the same moment do not come back at the same moment, however long it lasts.
    """

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        #: Tries since a connection last held.
        self.tries = 0
        #: Refusals in a row: the broker was there and did not want us.
        self.refusals = 0

    @property
    def is_blocked(self) -> bool:
        """Whether the broker refuses us for good, as far as one can tell."""
        return self.refusals >= BLOCKED_AFTER

    def failed(self, *, was_refused: bool) -> None:
        """Note that there is no connection: nobody was there, or we were refused."""
        self.tries += 1
        self.refusals = self.refusals + 1 if was_refused else 0

    def lost(self, lived_s: float) -> None:
        """Note that a connection has ended after so long."""
        if lived_s >= HELD_S:
            self.tries = 0
            self.refusals = 0
        self.tries += 1

    def pause_s(self, at_least_s: float = 0.0) -> float:
        """Draw the pause before the next try; ``at_least_s`` is what the broker has asked for."""
        at_least_s = min(max(at_least_s, 0.0), ASKED_MAX_S)
        if self.is_blocked:
            # Spread beyond what was asked for as well: many are asked the same.
            return max(at_least_s, BLOCKED_S) + self._random.uniform(0, BLOCKED_S)
        # The exponent is bounded: tries may be many.
        bound_s = min(FIRST_S * 2 ** min(max(self.tries - 1, 0), 16), LAST_S)
        return at_least_s + self._random.uniform(0, bound_s)
