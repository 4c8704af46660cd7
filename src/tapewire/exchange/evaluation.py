"""The figures of one portfolio, as the wire tells them. docs/accounting.md explains each of them.

Everything is computed when it is asked for, from the account's state and the prices of the moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType

from tapewire.exchange.account import Account
from tapewire.exchange.accounts import Accounts
from tapewire.exchange.clearing import Marks
from tapewire.exchange.holding import Holding
from tapewire.exchange.margin import backing, free_money, variation_margin
from tapewire.exchange.money import MONEY_UNITS, RATE_UNITS, plain, price_of, rated, roubles
from tapewire.exchange.terms import InstrumentTerms
from tapewire.model import (
    ClientType,
    CurrencyPower,
    DerivativesRisk,
    Exchange,
    InstrumentKind,
    LegacyMoney,
    Position,
    Risk,
    RiskStatus,
    Summary,
    to_iso,
)

__all__ = ["RISK_CATEGORIES", "Evaluation"]

#: Number of the risk category by client type; 1 is what rates of risk are stated for.
RISK_CATEGORIES: Mapping[ClientType, int] = MappingProxyType(
    {ClientType.LOW_RISK: 0, ClientType.STANDARD_RISK: 1, ClientType.HIGH_RISK: 2}
)

_CENT = Decimal("0.01")
_CURRENCY = "RUB"


class Evaluation:
    """A portfolio at the prices of one moment. What has no last price counts at its settlement price.

    Amounts are roubles. It reads the account when it is made; the records it returns are values.
    """

    def __init__(self, accounts: Accounts, name: str) -> None:
        """Value a portfolio now.

        Raises:
            KeyError: There is none of this name.
        """
        self._account = account = accounts.account(name)
        self._instruments = accounts.instruments
        self._marks = _Settled(accounts)
        state = account.state
        #: Variation margin since the last clearing; 0 outside derivatives.
        self._variation = 0
        if account.is_derivative:
            variation = variation_margin(account, self._instruments, self._marks)
            assert variation is not None  # every instrument has a settlement price
            self._variation = variation
            self._total = self._liquid = state.cash + state.variation + variation - state.commission
            self._initial = RATE_UNITS * sum(
                max(holding.lots * terms.margin_buy, -holding.lots * terms.margin_sell)
                for holding, terms in self._held()
            )
            self._corrected = RATE_UNITS * state.collateral
            self._power = free_money(account, variation)
        else:
            behind = backing(account, self._instruments, self._marks)
            self._total, self._liquid = behind.total, behind.liquid
            self._initial, self._corrected = behind.initial, behind.corrected
            self._power = state.cash - state.blocked

    def positions(self, *, existing: bool) -> tuple[Position, ...]:
        """Return all rows: cash first, then what is or was held, in the exchange's order.

        A portfolio that never had anything has no row.
        """
        state = self._account.state
        rows = [self._row(position, existing=existing) for position in sorted(state.holdings)]
        traded = tuple(row for row in rows if row is not None)
        if not (traded or state.cash or state.cash_at_start):
            return ()
        return self.cash(existing=existing), *traded

    def position(self, instrument: int, *, existing: bool) -> Position | None:
        """Return the row of one instrument; None: it was never held."""
        return self._row(instrument, existing=existing)

    def cash(self, *, existing: bool) -> Position:
        """Return the row of money: what is there, in whatever form, has no price and no result."""
        state = self._account.state
        amount = roubles(state.cash)
        settled = roubles(state.cash - state.cash_due)
        at_start = roubles(state.cash_at_start)
        return Position(
            volume=amount,
            current_volume=amount,
            symbol=_CURRENCY,
            broker_symbol=f"{Exchange.MOEX}:{_CURRENCY}",
            portfolio=state.name,
            exchange=Exchange.MOEX,
            average_price=Decimal(1),
            quantity_units=amount,
            open_units=at_start,
            lot_size=Decimal(1),
            short_name=_CURRENCY,
            quantity_t0_units=settled,
            quantity_t1_units=amount,
            quantity_t2_units=amount,
            quantity_future_units=amount,
            quantity_t0_lots=settled,
            quantity_t1_lots=amount,
            quantity_t2_lots=amount,
            quantity_future_lots=amount,
            quantity_lots=amount,
            open_lots=at_start,
            quantity=amount,
            open=at_start,
            daily_unrealised_result=Decimal(0),
            unrealised_result=Decimal(0),
            is_currency=True,
            existing=existing,
        )

    def summary(self) -> Summary:
        """Return the portfolio in one line."""
        state = self._account.state
        powers = [CurrencyPower(currency=_CURRENCY, buying_power=roubles(self._power))]
        for holding, terms in self._held():
            if terms.currency and holding.lots > holding.sell_lots:
                units = (holding.lots - holding.sell_lots) * terms.lot_size
                powers.append(CurrencyPower(currency=terms.currency, buying_power=Decimal(units)))
        return Summary(
            buying_power_at_morning=roubles(state.power_at_start),
            buying_power=roubles(self._power),
            profit=roubles(self._profit),
            profit_rate_percent=self._profit_rate_percent,
            evaluation=roubles(self._liquid),
            liquidation_value=roubles(self._total),
            initial_margin=rated(self._initial),
            corrected_margin=rated(self._corrected),
            risk_before_forced_closing=rated(self._liquid * RATE_UNITS) - self._minimal_margin,
            commission=None if self._account.is_derivative else roubles(state.commission),
            buying_power_by_currency=tuple(powers),
        )

    def risk(self, at_ns: int) -> Risk:
        """Return margins and coverage; ``at_ns`` (UTC) is the time of calculation."""
        initial, minimal = rated(self._initial), self._minimal_margin
        value = roubles(self._liquid)
        one, two = value - initial, value - minimal
        client_type = self._account.terms.client_type
        return Risk(
            portfolio=self._account.state.name,
            exchange=Exchange.MOEX,
            evaluation=value,
            liquidation_value=roubles(self._total),
            initial_margin=initial,
            minimal_margin=minimal,
            corrected_margin=rated(self._corrected),
            coverage_one=one,
            coverage_two=two,
            category_id=RISK_CATEGORIES[client_type],
            client_type=client_type,
            has_forbidden_positions=any(
                _is_forbidden(self._account, holding, terms) for holding, terms in self._held()
            ),
            has_negative_quantity=self._account.state.cash < 0
            or any(holding.lots < 0 for holding, _ in self._held()),
            status=RiskStatus.OK if one >= 0 else RiskStatus.DEMAND if two >= 0 else RiskStatus.TO_CLOSE,
            calculated_at=to_iso(at_ns),
        )

    def derivatives_risk(self) -> DerivativesRisk:
        """Return money and margin of a derivatives portfolio.

        Raises:
            ValueError: The portfolio trades something else.
        """
        state = self._account.state
        if not self._account.is_derivative:
            raise ValueError(f"portfolio {state.name} is not on derivatives")
        margin = roubles(self._variation + state.variation)
        return DerivativesRisk(
            # Money comes and goes by trading alone, and nothing is pledged.
            balance_money=Decimal(0),
            portfolio=state.name,
            money_free=roubles(self._power),
            money_blocked=roubles(state.collateral + state.blocked),
            fee=roubles(state.commission),
            money_at_start=roubles(state.cash_at_start),
            money_amount=roubles(state.cash),
            pledge_amount=Decimal(0),
            margin_intraday=roubles(state.variation),
            margin_positions=roubles(self._variation),
            margin=margin,
            # The value of a price step does not move with a currency here.
            margin_indicative=margin,
            net_option_value=roubles(
                sum(
                    self._worth(holding, terms)
                    for holding, terms in self._held()
                    if terms.instrument.kind is InstrumentKind.OPTION
                )
            ),
            position_risk=self._collateral_forecast(),
            is_limits_set=state.cash > 0,
        )

    def legacy_money(self) -> LegacyMoney:
        """Return the money as the deprecated call tells it."""
        state = self._account.state
        return LegacyMoney(
            portfolio=state.name,
            cash=roubles(state.cash),
            used=roubles(state.blocked + state.collateral),
            free=roubles(self._power),
            cash_at_start=roubles(state.cash_at_start),
            change=roubles(state.cash - state.cash_at_start),
            profit=roubles(self._profit),
            profit_rate_percent=self._profit_rate_percent,
            commission=roubles(state.commission),
        )

    @property
    def _profit(self) -> int:
        return self._total - self._account.state.value_at_start

    @property
    def _profit_rate_percent(self) -> Decimal:
        at_start = self._account.state.value_at_start
        if at_start <= 0:
            return Decimal(0)
        return plain((Decimal(100 * self._profit) / at_start).quantize(_CENT, ROUND_HALF_EVEN))

    @property
    def _minimal_margin(self) -> Decimal:
        return rated(self._initial) / 2

    def _held(self) -> list[tuple[Holding, InstrumentTerms]]:
        holdings = self._account.state.holdings
        return [
            (holdings[position], self._instruments[position])
            for position in sorted(holdings)
            if holdings[position].lots
        ]

    def _worth(self, holding: Holding, terms: InstrumentTerms) -> int:
        return holding.lots * (self._marks.last_ticks(terms.position) * terms.tick_money + terms.accrued)

    def _collateral_forecast(self) -> Decimal:
        """Return the collateral of the contracts, had it been set at the last price instead of the settlement."""
        forecast = sum(
            (
                Decimal(max(holding.lots * terms.margin_buy, -holding.lots * terms.margin_sell))
                * self._marks.last_ticks(terms.position)
                / terms.settlement_ticks
                for holding, terms in self._held()
            ),
            Decimal(0),
        )
        return plain((forecast / MONEY_UNITS).quantize(_CENT, ROUND_HALF_EVEN))

    def _row(self, position: int, *, existing: bool) -> Position | None:
        holding = self._account.state.holdings.get(position)
        if holding is None or not holding.has_traded:
            return None
        terms = self._instruments[position]
        instrument = terms.instrument
        worth = self._worth(holding, terms)
        lots, open_lots = Decimal(holding.lots), Decimal(holding.open_lots)
        settled_lots = Decimal(holding.settled_lots)
        units, settled = lots * terms.lot_size, settled_lots * terms.lot_size
        return Position(
            volume=roubles(holding.cost),
            current_volume=roubles(worth),
            symbol=instrument.symbol,
            broker_symbol=f"{instrument.exchange}:{instrument.symbol}",
            portfolio=self._account.state.name,
            exchange=instrument.exchange,
            average_price=price_of(
                holding.cost - holding.interest, holding.lots, terms.tick_money, instrument.tick_size
            ),
            quantity_units=units,
            open_units=open_lots * terms.lot_size,
            lot_size=Decimal(terms.lot_size),
            short_name=instrument.short_name,
            quantity_t0_units=settled,
            # Nothing here settles later than tomorrow.
            quantity_t1_units=units,
            quantity_t2_units=units,
            quantity_future_units=units,
            quantity_t0_lots=settled_lots,
            quantity_t1_lots=lots,
            quantity_t2_lots=lots,
            quantity_future_lots=lots,
            quantity_lots=lots,
            open_lots=open_lots,
            quantity=lots,
            open=open_lots,
            daily_unrealised_result=roubles(worth - holding.day_cost),
            unrealised_result=roubles(worth - holding.cost),
            is_currency=False,
            existing=existing,
        )


class _Settled:
    """Marks without holes."""

    def __init__(self, accounts: Accounts) -> None:
        self._marks: Marks = accounts.marks
        self._instruments = accounts.instruments

    def last_ticks(self, instrument: int) -> int:
        ticks = self._marks.last_ticks(instrument)
        return self._instruments[instrument].settlement_ticks if ticks is None else ticks


def _is_forbidden(account: Account, holding: Holding, terms: InstrumentTerms) -> bool:
    """Return whether the account could not have opened the position by the rules of now."""
    category, passed = terms.instrument.complex_product_category, account.terms.tests_passed
    if category and passed is not None and category not in passed:
        return True
    short_allowed = terms.is_derivative or (terms.instrument.is_short_sell_possible and terms.is_marginal)
    return holding.lots < 0 and not short_allowed
