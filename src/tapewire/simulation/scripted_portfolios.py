"""What a scripted venue knows of its portfolios beside their states."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from tapewire.model import (
    Exchange,
    Fill,
    LegacyMoney,
    OrderEstimate,
    OrderGroup,
    Record,
    Refused,
    Topic,
    from_iso,
    row_key,
)
from tapewire.ports.query import EstimateOrder, FillsFilter
from tapewire.ports.venue import UnknownPortfolioError, UnknownTopicError

__all__ = ["ScriptedPortfolios"]


class ScriptedPortfolios:
    """Rows of the streams, past fills, money, estimates, groups: as a test has set them.

    Attributes:
        estimates: The orders that were to be weighed, oldest first.
        estimate: The answer to all of them; None: there is no such instrument.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._rows: dict[Topic, dict[Hashable, Record]] = {}
        self._fills: dict[tuple[str, str], list[Fill]] = {}
        self._money: dict[tuple[str, str], LegacyMoney] = {}
        self._groups: dict[str, list[OrderGroup]] = {}
        self._group_portfolios: dict[str, dict[str, frozenset[str]]] = {}
        self.estimates: list[EstimateOrder] = []
        self.estimate: OrderEstimate | Refused | None = None

    def check(self, exchange: str, portfolio: str) -> None:
        """Look whether there is such a portfolio; those of ``UNITED`` begin with E.

        Raises:
            UnknownPortfolioError: There is none.
        """
        is_united = exchange == Exchange.UNITED
        if portfolio not in self._names or (is_united and not portfolio.startswith("E")):
            raise UnknownPortfolioError(f"Unknown portfolio {exchange}:{portfolio}")

    # --- the script -------------------------------------------------------------------------------------

    def note(self, topic: Topic, record: Record) -> None:
        """Remember the newest row of its key; the row keeps its place."""
        self._rows.setdefault(topic, {})[row_key(record)] = record

    def set_past_fills(self, exchange: str, portfolio: str, fills: Iterable[Fill]) -> None:
        """Say which trades the sessions before the running one had, oldest first."""
        self._fills[exchange, portfolio] = list(fills)

    def set_money(self, exchange: str, money: LegacyMoney) -> None:
        """Say what the old call tells of a portfolio."""
        self._money[exchange, money.portfolio] = money

    def set_groups(
        self, login: str, groups: Iterable[OrderGroup], portfolios: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        """Say which groups a login has, and of which portfolios the orders of each are, by its id."""
        self._groups[login] = list(groups)
        self._group_portfolios[login] = {name: frozenset(found) for name, found in (portfolios or {}).items()}

    # --- for the queries --------------------------------------------------------------------------------

    def rows(self, topic: Topic) -> Sequence[Record]:
        """Return the rows of a stream, marked as existing."""
        return [msgspec.structs.replace(row, existing=True) for row in self._rows.get(topic, {}).values()]

    def past_fills(self, exchange: str, portfolio: str, wanted: FillsFilter) -> Sequence[Fill]:
        """Return the past fills that match, marked as existing."""
        self.check(exchange, portfolio)
        found = [
            msgspec.structs.replace(fill, existing=True)
            for fill in self._fills.get((exchange, portfolio), ())
            if _matches(fill, wanted)
        ]
        found.sort(key=_moment if wanted.by_time else _number, reverse=wanted.descending)
        return found[: wanted.limit]

    def money(self, exchange: str, portfolio: str) -> LegacyMoney:
        """Return what was set.

        Raises:
            UnknownPortfolioError: There is no such portfolio, or nothing was set.
        """
        self.check(exchange, portfolio)
        money = self._money.get((exchange, portfolio))
        if money is None:
            raise UnknownPortfolioError(f"Unknown portfolio {exchange}:{portfolio}")
        return money

    def weigh(self, order: EstimateOrder) -> OrderEstimate | Refused:
        """Write the order down and return what was set."""
        self.check(order.exchange, order.portfolio)
        self.estimates.append(order)
        if self.estimate is None:
            raise UnknownTopicError(f"Unknown {order.exchange}:{order.symbol}")
        return self.estimate

    def groups(self, login: str) -> Sequence[OrderGroup]:
        """Return the groups of a login."""
        return tuple(self._groups.get(login, ()))

    def group_portfolios(self, login: str, group_id: str) -> frozenset[str]:
        """Return the portfolios that were set for a group."""
        return self._group_portfolios.get(login, {}).get(group_id, frozenset())


def _matches(fill: Fill, wanted: FillsFilter) -> bool:
    return (
        (wanted.since_s is None or _moment(fill).timestamp() >= wanted.since_s)
        and (wanted.from_id is None or _number(fill) >= wanted.from_id)
        and (wanted.symbol is None or fill.symbol == wanted.symbol)
        and (wanted.board is None or fill.board == wanted.board)
        and (wanted.side is None or fill.side == wanted.side)
    )


def _moment(fill: Fill) -> datetime:
    return from_iso(fill.time)


def _number(fill: Fill) -> int:
    return int(fill.id)
