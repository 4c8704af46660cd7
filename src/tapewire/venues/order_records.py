"""The wire's records of orders, fills and groups, made of the exchange's rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from tapewire import exchange
from tapewire.exchange import ConditionalOrder, Exchange, FillRow, OrderRow
from tapewire.exchange.money import price_of, roubles
from tapewire.exchange.terms import InstrumentTerms
from tapewire.model import (
    DAY_S,
    MOSCOW_OFFSET_S,
    Fill,
    GroupMember,
    Iceberg,
    Order,
    OrderGroup,
    OrderType,
    StopOrder,
    StopType,
    from_iso,
    to_iso,
    trading_day,
)

__all__ = ["ENDLESS", "ENDLESS_S", "OrderRecords", "group_record"]

#: When a conditional order ends that has no end.
ENDLESS = "2050-12-31T23:59:59.0000000Z"
ENDLESS_S = int(from_iso(ENDLESS).timestamp())

_NS_IN_S = 1_000_000_000
_NS_IN_MS = 1_000_000
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_ZERO = Decimal(0)


class OrderRecords:
    """Shows what the exchange remembers of users' orders. Every record is the whole row as it stands."""

    def __init__(self, core: Exchange, instruments: Sequence[InstrumentTerms]) -> None:
        """Show the rows of ``core``; ``instruments`` stand in its order."""
        self._core = core
        self._instruments = instruments

    def order(self, row: OrderRow, *, existing: bool) -> Order:
        """Return the record of a direct order; ``existing`` marks it as part of the past."""
        terms = self._instruments[row.instrument]
        filled = Decimal(row.filled_lots)
        return Order(
            id=str(row.id),
            **_listed(terms, row.account),
            comment=row.comment,
            type=OrderType.MARKET if row.price_ticks is None else OrderType.LIMIT,
            side=row.side,
            status=row.status,
            created_at=to_iso(row.created_at_ns),
            updated_at=to_iso(row.updated_at_ns),
            ends_at=to_iso(row.expires_at_ns or _end_of_day_ns(row.created_at_ns)),
            quantity_units=row.lots * terms.lot_size,
            quantity_lots=row.lots,
            quantity=row.lots,
            filled_units=filled * terms.lot_size,
            filled_lots=filled,
            filled=filled,
            price=_price(terms, row.price_ticks),
            existing=existing,
            time_in_force=row.time_in_force,
            iceberg=_iceberg(terms, row.visible_lots, row.visible_variance_percent, row.part_lots, row.shown_lots),
            volume=_value(terms, row.lots, row.price_ticks),
        )

    def stop_order(self, row: ConditionalOrder, *, existing: bool) -> StopOrder:
        """Return the record of a conditional order; what is filled is that of the order it placed."""
        order, terms = row.order, self._instruments[row.instrument]
        placed = None if row.placed_id is None else self._core.orders.get(row.placed_id)
        filled_lots, average = _ZERO, _ZERO
        if placed is not None and placed.filled_lots:
            filled_lots = Decimal(placed.filled_lots)
            cost = placed.filled_lot_ticks * terms.tick_money
            average = price_of(cost, placed.filled_lots, terms.tick_money, terms.instrument.tick_size)
        return StopOrder(
            id=str(row.id),
            exchange_order_id=None if row.placed_id is None else str(row.placed_id),
            **_listed(terms, row.account),
            comment=order.comment,
            type=StopType.STOP if order.price_ticks is None else StopType.STOP_LIMIT,
            side=order.side,
            condition=row.condition,
            status=row.status,
            created_at=to_iso(row.created_at_ns),
            updated_at=to_iso(row.updated_at_ns),
            ends_at=ENDLESS if row.expires_at_ns is None else to_iso(row.expires_at_ns),
            error=row.error,
            quantity_units=Decimal(order.lots * terms.lot_size),
            quantity_lots=order.lots,
            quantity=order.lots,
            filled=filled_lots * terms.lot_size,
            filled_units=filled_lots * terms.lot_size,
            filled_lots=filled_lots,
            price=_price(terms, order.price_ticks),
            average_price=average,
            stop_price=terms.instrument.price(row.trigger_ticks),
            existing=existing,
            time_in_force=order.time_in_force,
            iceberg=_iceberg(terms, order.visible_lots, order.visible_variance_percent, 0, 0),
            volume=_value(terms, order.lots, order.price_ticks),
            protecting_seconds=row.protecting_s,
        )

    def fill(self, row: FillRow, *, existing: bool) -> Fill:
        """Return the record of an execution."""
        terms = self._instruments[row.instrument]
        instrument = terms.instrument
        settles_on = date.fromordinal(_EPOCH_ORDINAL + row.day + terms.settles_tomorrow)
        volume = _value(terms, row.lots, row.price_ticks)
        assert volume is not None
        return Fill(
            id=str(row.trade_id),
            order_number=str(row.order_id),
            comment=row.comment,
            symbol=instrument.symbol,
            short_name=instrument.short_name,
            broker_symbol=f"{instrument.exchange}:{instrument.symbol}",
            exchange=instrument.exchange,
            time=to_iso(row.at_ns),
            board=instrument.board,
            quantity_units=row.lots * terms.lot_size,
            quantity_lots=row.lots,
            quantity=row.lots,
            price=instrument.price(row.price_ticks),
            accrued_interest=roubles(row.interest),
            side=row.side,
            existing=existing,
            commission=None if terms.is_derivative else roubles(row.commission),
            repo=None,
            volume=volume,
            currency=instrument.currency,
            settles_at=f"{settles_on.isoformat()}T23:59:59.0000000Z",
        )


def group_record(group: exchange.OrderGroup) -> OrderGroup:
    """Return the record of an order group."""
    return OrderGroup(
        id=str(group.id),
        login=group.owner,
        orders=tuple(GroupMember(order_number=str(ref.order_id)) for ref in group.orders),
        policy=group.policy,
        status=group.status,
        created_at=to_iso(group.created_at_ns),
        closed_at=None if group.closed_at_ns is None else to_iso(group.closed_at_ns),
    )


def _listed(terms: InstrumentTerms, portfolio: str) -> dict[str, Any]:
    instrument = terms.instrument
    return {
        "symbol": instrument.symbol,
        "board": instrument.board,
        "broker_symbol": f"{instrument.exchange}:{instrument.symbol}",
        "portfolio": portfolio,
        "exchange": instrument.exchange,
    }


def _price(terms: InstrumentTerms, ticks: int | None) -> Decimal:
    return _ZERO if ticks is None else terms.instrument.price(ticks)


def _value(terms: InstrumentTerms, lots: int, ticks: int | None) -> Decimal | None:
    return None if ticks is None else roubles(lots * ticks * terms.tick_money)


def _iceberg(
    terms: InstrumentTerms, fixed_lots: int | None, variance_percent: int, part_lots: int, shown_lots: int
) -> Iceberg | None:
    if fixed_lots is None:
        return None
    filled_lots = part_lots - shown_lots
    return Iceberg(
        creation_fixed_lots=fixed_lots,
        creation_variance_percent=variance_percent,
        visible_units=part_lots * terms.lot_size,
        visible_lots=part_lots,
        visible_filled_units=filled_lots * terms.lot_size,
        visible_filled_lots=filled_lots,
    )


def _end_of_day_ns(at_ns: int) -> int:
    day = trading_day(at_ns // _NS_IN_S)
    return ((day + 1) * DAY_S - MOSCOW_OFFSET_S) * _NS_IN_S - _NS_IN_MS
