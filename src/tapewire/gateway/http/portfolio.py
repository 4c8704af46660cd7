"""What a portfolio holds and is worth: orders, positions, summary, risks, money."""

from __future__ import annotations

from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tapewire.gateway.http.answers import record_answer, rows_answer
from tapewire.gateway.http.endpoint import Call, not_found
from tapewire.gateway.misuse import Offence
from tapewire.model import Exchange, Order, Position, Record, StopOrder, Topic, TopicKind
from tapewire.ports.venue import UnknownPortfolioError
from tapewire.protocol.http_portfolio import (
    AskDerivativesRisk,
    AskLoginPositions,
    AskMoney,
    AskOrder,
    AskOrders,
    AskPosition,
    AskPositions,
    AskRisk,
    AskStopOrder,
    AskStopOrders,
    AskSummary,
    OfPortfolio,
)

__all__ = [
    "derivatives_risk",
    "login_positions",
    "money",
    "order",
    "orders",
    "position",
    "positions",
    "records",
    "risk",
    "stop_order",
    "stop_orders",
    "summary",
]

R = TypeVar("R", bound=Record)


async def orders(call: Call, asked: AskOrders) -> Response:
    """Answer with the direct orders of the session."""
    return rows_answer(Order, await records(call, Order, TopicKind.ORDERS, asked), asked.format)


async def order(call: Call, asked: AskOrder) -> Response:
    """Answer with one direct order."""
    found = await records(call, Order, TopicKind.ORDERS, asked)
    return _order(call, found, asked.order_id, asked)


async def stop_orders(call: Call, asked: AskStopOrders) -> Response:
    """Answer with the conditional orders of the session."""
    return rows_answer(StopOrder, await records(call, StopOrder, TopicKind.STOP_ORDERS, asked), asked.format)


async def stop_order(call: Call, asked: AskStopOrder) -> Response:
    """Answer with one conditional order."""
    found = await records(call, StopOrder, TopicKind.STOP_ORDERS, asked)
    return _order(call, found, asked.order_id, asked)


async def positions(call: Call, asked: AskPositions) -> Response:
    """Answer with the rows of a portfolio, money included unless it is not wanted."""
    found = await records(call, Position, TopicKind.POSITIONS, asked)
    return rows_answer(Position, _chosen(found, asked.without_currency), asked.format)


async def position(call: Call, asked: AskPosition) -> Response:
    """Answer with one row of a portfolio."""
    for row in await records(call, Position, TopicKind.POSITIONS, asked):
        if row.symbol == asked.symbol:
            return record_answer(row, asked.format)
    raise not_found(f"position {asked.symbol}")


async def login_positions(call: Call, asked: AskLoginPositions) -> Response:
    """Answer with the rows of all portfolios of the token, on all exchanges that have them."""
    claims = call.known_caller
    if asked.login != claims.sub:
        raise HTTPException(403, "The login is not that of the token")
    rows: list[Position] = []
    for portfolio in claims.portfolio_list:
        for exchange in Exchange:
            try:
                page = await call.query.portfolio_records(Topic(TopicKind.POSITIONS, exchange, portfolio))
            except UnknownPortfolioError:
                continue
            rows += [row for row in page.records if isinstance(row, Position)]
    return rows_answer(Position, _chosen(rows, asked.without_currency), asked.format)


async def summary(call: Call, asked: AskSummary) -> Response:
    """Answer with what a portfolio is worth and can buy."""
    return await _state(call, TopicKind.SUMMARY, asked)


async def risk(call: Call, asked: AskRisk) -> Response:
    """Answer with the margins of a portfolio."""
    return await _state(call, TopicKind.RISK, asked)


async def derivatives_risk(call: Call, asked: AskDerivativesRisk) -> Response:
    """Answer with money and margin on the derivatives market."""
    return await _state(call, TopicKind.DERIVATIVES_RISK, asked)


async def money(call: Call, asked: AskMoney) -> Response:
    """Answer with the money of a portfolio, as the old call has it."""
    return record_answer(await call.query.legacy_money(asked.exchange, asked.portfolio), asked.format)


async def records(call: Call, kind: type[R], topic_kind: TopicKind, asked: OfPortfolio) -> list[R]:
    """Return what a portfolio's stream of events begins with."""
    page = await call.query.portfolio_records(Topic(topic_kind, asked.exchange, asked.portfolio))
    return [record for record in page.records if isinstance(record, kind)]


async def _state(call: Call, kind: TopicKind, asked: OfPortfolio) -> Response:
    snapshot = await call.query.state(Topic(kind, asked.exchange, asked.portfolio))
    if snapshot is None:
        raise HTTPException(503, f"The figures of {asked.portfolio[:80]} are not known yet")
    return record_answer(snapshot.record, asked.format)


def _order(call: Call, found: list[Order] | list[StopOrder], number: int, asked: OfPortfolio) -> Response:
    for row in found:
        if row.id == str(number):
            return record_answer(row, asked.format)
    call.charge(Offence.UNKNOWN_ORDER)
    raise not_found(f"order {number}")


def _chosen(rows: list[Position], without_currency: bool) -> list[Position]:
    return [row for row in rows if not (without_currency and row.is_currency)]
