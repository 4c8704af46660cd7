"""What instruments are worth to the accounts of a venue."""

from __future__ import annotations

from tapewire.exchange import Accounts, Exchange

__all__ = ["LastPrices"]


class LastPrices:
    """The last trade of each instrument, and before the first one the price of the last settlement.

    Both are part of the state of exchange and accounts, so equal histories give equal marks.
    """

    def __init__(self) -> None:
        self._core: Exchange | None = None
        self._accounts: Accounts | None = None

    def follow(self, core: Exchange, accounts: Accounts) -> None:
        """Take the prices from these; accounts and exchange ask for marks, so both are made before."""
        self._core, self._accounts = core, accounts

    def last_ticks(self, instrument: int) -> int:
        """Return the price that an instrument counts at."""
        assert self._core is not None
        assert self._accounts is not None
        ticks = self._core.last_ticks(instrument)
        return self._accounts.instruments[instrument].settlement_ticks if ticks is None else ticks
