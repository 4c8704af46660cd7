"""Orders that are weighed and not placed."""

from __future__ import annotations

from decimal import Decimal

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tapewire.gateway.http.answers import record_answer, rows_answer
from tapewire.gateway.http.endpoint import Call
from tapewire.gateway.order_entry import check_portfolio
from tapewire.model import OrderEstimate, Refused
from tapewire.ports.query import EstimateOrder
from tapewire.protocol.http_orders import EstimateBody, Place, read_estimate, read_estimates
from tapewire.protocol.replies import code_text

__all__ = ["estimate", "estimate_all"]


async def estimate(call: Call, asked: Place) -> Response:
    """Answer with what an order would cost, and how large it could be."""
    found = await _weigh(call, read_estimate(call.body))
    return _refused(call, found) if isinstance(found, Refused) else record_answer(found)


async def estimate_all(call: Call, asked: Place) -> Response:
    """Answer with one estimate for each order, in their order; the first that is refused refuses all."""
    bodies = read_estimates(call.body)
    for body in bodies:
        check_portfolio("", call.known_caller, body.portfolio)
    rows: list[OrderEstimate] = []
    for body in bodies:
        found = await _weigh(call, body)
        if isinstance(found, Refused):
            return _refused(call, found)
        rows.append(found)
    return rows_answer(OrderEstimate, rows)


async def _weigh(call: Call, body: EstimateBody) -> OrderEstimate | Refused:
    check_portfolio("", call.known_caller, body.portfolio)
    instrument = call.instrument(body.exchange, body.ticker, body.board or None)
    order = EstimateOrder(
        portfolio=body.portfolio,
        exchange=body.exchange,
        symbol=body.ticker,
        board=instrument.board,
        price=_given(body.price),
        quantity_lots=body.lot_quantity if isinstance(body.lot_quantity, int) else None,
        budget=_given(body.budget),
        includes_limit_orders=body.include_limit_orders,
    )
    try:
        return await call.query.estimate(order)
    except ValueError as error:
        raise HTTPException(400, str(error)) from error


def _given(value: object) -> Decimal | None:
    return value if isinstance(value, Decimal) and value > 0 else None


def _refused(call: Call, refusal: Refused) -> Response:
    return call.error(400, refusal.reason, code_text(refusal.code))
