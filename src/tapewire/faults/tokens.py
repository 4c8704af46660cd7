"""Tokens that have ended before their time: those that were seen, and those that are older."""

from __future__ import annotations

from collections import deque

__all__ = ["EndedTokens"]

#: Tokens of one owner that are remembered as seen; a client renews one at a time.
SEEN_MAX = 16


class EndedTokens:
    """Which tokens of one owner, a connection or a login, are dead. Holds tokens, shows none."""

    def __init__(self) -> None:
        self._seen: deque[str] = deque(maxlen=SEEN_MAX)
        self._dead: frozenset[str] = frozenset()
        self._ended_s = 0.0

    def see(self, token: str) -> None:
        """Remember a token that is in use."""
        if token not in self._seen:
            self._seen.append(token)

    def end(self, wall_s: float) -> None:
        """End every token that was seen and every one that was issued before this second (Unix s)."""
        self._dead = frozenset(self._seen)
        # Times of issue are whole seconds: a token of this very second may be newer.
        self._ended_s = float(int(wall_s))

    def is_dead(self, token: str, issued_s: int) -> bool:
        """Whether a token has ended here."""
        return token in self._dead or issued_s < self._ended_s
