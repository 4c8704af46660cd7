"""Finds instruments by their names."""

from __future__ import annotations

from collections.abc import Sequence

from tapewire.model import Instrument

__all__ = ["Directory"]


class Directory:
    """A fixed list of instruments. The first board on which a symbol is listed is its primary board."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        """Index the list.

        Raises:
            ValueError: Two instruments have the same exchange, symbol and board.
        """
        self.instruments = tuple(instruments)
        self._positions: dict[tuple[str, str, str], int] = {}
        for position, instrument in enumerate(self.instruments):
            exchange, symbol, board = instrument.key
            if instrument.key in self._positions:
                raise ValueError(f"{symbol} is listed twice on {exchange} {board}")
            self._positions[instrument.key] = position
            self._positions.setdefault((exchange, symbol, ""), position)

    def position(self, exchange: str, symbol: str, board: str) -> int | None:
        """Return where an instrument stands in the list; an empty ``board`` means the primary one."""
        return self._positions.get((exchange, symbol, board))
