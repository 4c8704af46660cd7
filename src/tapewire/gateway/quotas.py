"""How many connections each user has; the eleventh is told so at its first authorised request."""

from __future__ import annotations

from collections import Counter

from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX

__all__ = ["ConnectionQuota"]


class ConnectionQuota:
    """Counts connections by login. Who a connection belongs to is known when it brings its first good token."""

    def __init__(self, connections_max: int = CONNECTIONS_PER_USER_MAX) -> None:
        self._connections_max = connections_max
        self._by_login: Counter[str] = Counter()

    def claim(self, login: str) -> bool:
        """Count one more connection of a user; False: there are too many and it was not counted."""
        if self._by_login[login] >= self._connections_max:
            return False
        self._by_login[login] += 1
        return True

    def release(self, login: str) -> None:
        """Count one connection less."""
        self._by_login[login] -= 1
        if self._by_login[login] <= 0:
            del self._by_login[login]
