"""Which portfolio is meant where none is named: the only one that fits, or an error that names those that do."""

from __future__ import annotations

from collections.abc import Sequence

from tapewire.client.arguments import refuse
from tapewire.client.errors import ConfigurationError
from tapewire.client.http_reader import HttpReader, path_of
from tapewire.client.tokens import TokenKeeper
from tapewire.model import Exchange, Security

__all__ = ["MARKETS_REMEMBERED_MAX", "PortfolioChoice", "fitting"]

#: Instruments whose market is remembered; the oldest goes first.
MARKETS_REMEMBERED_MAX = 1_000
#: How ids of portfolios begin, by the market of the instrument.
_PREFIXES = {"FOND": "D", "SPBX": "D", "CURR": "G", "FORTS": "75"}


def fitting(portfolios: Sequence[str], market: str) -> list[str]:
    """Return the portfolios that trade on a market; united ones (``E…``) trade on none of their own."""
    prefix = _PREFIXES.get(market.upper())
    return [name for name in portfolios if prefix is not None and name.upper().startswith(prefix)]


class PortfolioChoice:
    """Chooses among the portfolios of the token."""

    def __init__(self, tokens: TokenKeeper, reader: HttpReader) -> None:
        self._tokens = tokens
        self._reader = reader
        self._markets: dict[tuple[str, str, str], str] = {}

    @property
    def all(self) -> tuple[str, ...]:
        """The portfolios of the token, in its order."""
        return self._tokens.claims.portfolio_list

    def only(self, named: str | None) -> str:
        """Return the portfolio named, else the only one there is.

        Raises:
            ConfigurationError: None is named, and the token has none or several.
            ArgumentError: What is named is no text.
        """
        if named is not None and not isinstance(named, str):
            raise refuse("portfolio", named, "the id of a portfolio")
        return named or self._one(self.all, "the token")

    def known(self, named: str | None) -> str | None:
        """Return the portfolio named, else the token's only one; None: it depends on the instrument."""
        return named or (self.all[0] if len(self.all) == 1 else None)

    async def on_market_of(self, symbol: str, exchange: Exchange, board: str) -> str:
        """Return the token's only portfolio on an instrument's market, read over HTTP when it is asked for first.

        Raises:
            ConfigurationError: Not exactly one fits.
            RefusedError: There is no such instrument.
            ConnectError: The broker cannot be reached.
        """
        return self._one(fitting(self.all, await self._market(symbol, exchange, board)), symbol)

    async def _market(self, symbol: str, exchange: Exchange, board: str) -> str:
        key = (symbol, str(exchange), board)
        market = self._markets.get(key)
        if market is None:
            query = {"instrumentGroup": board} if board else {}
            listed = await self._reader.row(Security, path_of("md", "v2", "Securities", exchange, symbol), **query)
            market = listed.market if isinstance(listed.market, str) else ""
            self._markets[key] = market
            if len(self._markets) > MARKETS_REMEMBERED_MAX:
                del self._markets[next(iter(self._markets))]
        return market

    def _one(self, found: Sequence[str], what: str) -> str:
        if len(found) == 1:
            return found[0]
        if not found:
            known = ", ".join(self.all) or "none"
            raise ConfigurationError(f"no portfolio fits {what} (the token has {known}): pass portfolio")
        raise ConfigurationError(f"several portfolios fit {what} ({', '.join(found)}): pass portfolio")
