"""Orders over HTTP: placed, put in the place of others, cancelled; and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import PlainTextResponse, Response

from tapewire.gateway.http.answers import record_answer, value_answer
from tapewire.gateway.http.endpoint import Call, Handler
from tapewire.gateway.misuse import Offence
from tapewire.gateway.order_commands import command_of
from tapewire.gateway.order_entry import NoAnswer, asks_for_nothing, check_portfolio
from tapewire.model import (
    CancelAllOrders,
    CancelOrder,
    CancelStopOrder,
    Command,
    Done,
    Exchange,
    OrderScope,
    Refused,
    Repeated,
    TradingCode,
    Unavailable,
)
from tapewire.protocol.commands import CreateStop, CreateStopLimit, OrderCommand, UpdateStop, UpdateStopLimit
from tapewire.protocol.http_orders import (
    ALREADY_HANDLED,
    Cancel,
    CancelAll,
    CancelBefore,
    OrderTaken,
    read_old_stop,
    read_order,
)
from tapewire.protocol.replies import OUTCOME_UNKNOWN, code_text

__all__ = ["SUCCESS", "cancel", "cancel_all", "cancel_before", "carry_out", "order_taker", "stop_taker_before"]

SUCCESS = "success"


def order_taker(command: type[OrderCommand], name: str) -> Handler:
    """Return what answers a request that places an order of a kind, or puts one in the place of another."""

    async def take(call: Call, asked: Any) -> Response:
        body = read_order(command, call.body, getattr(asked, "order_id", None))
        return await _take(call, body)

    take.__name__ = name
    return take


def stop_taker_before(
    command: type[CreateStop | CreateStopLimit | UpdateStop | UpdateStopLimit], name: str, *, is_loss: bool
) -> Handler:
    """Return what answers an old call about a conditional order."""

    async def take(call: Call, asked: Any) -> Response:
        number = getattr(asked, "order_id", None)
        return await _take(call, read_old_stop(command, call.body, is_loss=is_loss, order_id=number))

    take.__name__ = name
    return take


async def cancel(call: Call, asked: Cancel) -> Response:
    """Cancel one order."""
    kind = CancelStopOrder if asked.stop else CancelOrder
    command = kind(portfolio=asked.portfolio, exchange=asked.exchange, order_number=str(asked.order_id))
    return await carry_out(call, command, _in_json if asked.json_response else _in_words)


async def cancel_before(call: Call, asked: CancelBefore) -> Response:
    """Cancel one order by the old call."""
    kind = CancelStopOrder if asked.stop else CancelOrder
    command = kind(portfolio=asked.portfolio, exchange=Exchange.MOEX, order_number=str(asked.order_id))
    return await carry_out(call, command, _in_words)


async def cancel_all(call: Call, asked: CancelAll) -> Response:
    """Cancel all working orders of a portfolio."""
    scopes = {None: OrderScope.BOTH, True: OrderScope.CONDITIONAL, False: OrderScope.DIRECT}
    command = CancelAllOrders(portfolio=asked.portfolio, exchange=asked.exchange, scope=scopes[asked.stop])
    return await carry_out(call, command, lambda _: value_answer(SUCCESS))


async def carry_out(call: Call, command: Command, done: Callable[[Done], Response]) -> Response:
    """Hand a command to the venue and answer with what became of it; ``done`` makes the good answer."""
    outcome = await call.orders.submit(command, call.key)
    if asks_for_nothing(outcome):
        call.charge(Offence.UNKNOWN_ORDER)
    match outcome:
        case NoAnswer(reason):
            code = code_text(TradingCode.COMMAND_RESPONSE_TIMEOUT)
            return call.error(504, f"{reason}. {OUTCOME_UNKNOWN}", code)
        case Unavailable(reason):
            return call.error(503, f"Nothing was done: {reason}")
        case Refused():
            return _refused(call, command, outcome)
        case Repeated(first):
            answer = done(first) if isinstance(first, Done) else _refused(call, command, first)
            return _repeated(answer)
    return done(outcome)


async def _take(call: Call, body: OrderCommand) -> Response:
    check_portfolio("", call.known_caller, body.user.portfolio)
    return await carry_out(call, command_of(body, call.query), _taken)


def _taken(done: Done) -> Response:
    return record_answer(OrderTaken(message=SUCCESS, order_number=done.order_number))


def _in_words(_: Done) -> Response:
    return PlainTextResponse(SUCCESS)


def _in_json(_: Done) -> Response:
    return value_answer({"message": SUCCESS})


def _refused(call: Call, command: Command, refusal: Refused) -> Response:
    code = code_text(refusal.code)
    if isinstance(command, CancelAllOrders):
        # Here the broker writes the name alone.
        code = code.partition(" ")[0]
    return call.error(400, refusal.reason, code)


def _repeated(first: Response) -> Response:
    """Wrap the first answer; it is not executed again."""
    body = bytes(first.body)
    text = b'"' + body + b'"' if first.media_type == "text/plain" else body
    wrapped = b'{"message":%s,"oldResponse":{"statusCode":%d,"body":%s}}'
    message = b'"' + ALREADY_HANDLED.encode() + b'"'
    return Response(wrapped % (message, first.status_code, text), 400, media_type="application/json")
