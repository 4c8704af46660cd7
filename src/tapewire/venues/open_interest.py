"""Open interest: the contracts that somebody holds."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["OpenInterest"]


class OpenInterest:
    """Counts the contracts held long, which are as many as those held short.

    It starts with what is said to be held by accounts that never trade here, and follows from the trades
    alone. Keeps one number for each account with a position.
    """

    def __init__(self, lots: int = 0, positions: Mapping[str, int] | None = None) -> None:
        #: Contracts.
        self.lots = lots
        self._positions: dict[str, int] = dict(positions or {})

    @property
    def positions(self) -> dict[str, int]:
        """A copy of the contracts of each account that has some, short ones below 0."""
        return dict(self._positions)

    def trade(self, buyer: str, seller: str, lots: int) -> None:
        """Move ``lots`` contracts from ``seller`` to ``buyer``."""
        self._move(buyer, lots)
        self._move(seller, -lots)

    def _move(self, account: str, lots: int) -> None:
        before = self._positions.get(account, 0)
        after = before + lots
        if after:
            self._positions[account] = after
        else:
            self._positions.pop(account, None)
        self.lots += max(after, 0) - max(before, 0)
