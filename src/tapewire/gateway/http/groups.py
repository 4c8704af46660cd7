"""Order groups over HTTP."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response

from tapewire.gateway.http.answers import record_answer, rows_answer
from tapewire.gateway.http.endpoint import Call
from tapewire.gateway.http.orders import SUCCESS, carry_out
from tapewire.gateway.order_entry import check_portfolio
from tapewire.model import ChangeGroup, DeleteGroup, Done, GroupedOrder, MakeGroup, OrderGroup
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.http_orders import AskGroup, AskGroups, GroupBody, GroupMade, read_group

__all__ = ["change_group", "delete_group", "group", "groups", "make_group"]


async def groups(call: Call, asked: AskGroups) -> Response:
    """Answer with the groups of the token's login whose orders are all of portfolios that it names."""
    found = await call.query.groups(call.known_caller.sub)
    return rows_answer(OrderGroup, [group for group in found if await _is_visible(call, group.id)])


async def group(call: Call, asked: AskGroup) -> Response:
    """Answer with one group."""
    found = await call.query.group(call.known_caller.sub, asked.order_group_id)
    if found is None or not await _is_visible(call, found.id):
        raise _unknown(asked)
    return record_answer(found)


async def make_group(call: Call, asked: AskGroups) -> Response:
    """Bind orders together."""
    body = read_group(call.body)
    command = MakeGroup(login=call.known_caller.sub, orders=_orders(call, body), policy=body.execution_policy)
    return await carry_out(call, command, _made)


async def change_group(call: Call, asked: AskGroup) -> Response:
    """Give a group other orders or another policy."""
    await _check_visible(call, asked)
    body = read_group(call.body)
    command = ChangeGroup(
        login=call.known_caller.sub,
        id=asked.order_group_id,
        orders=_orders(call, body),
        policy=body.execution_policy,
    )
    return await carry_out(call, command, _in_words)


async def delete_group(call: Call, asked: AskGroup) -> Response:
    """Cancel the orders of a group, and the group with them."""
    await _check_visible(call, asked)
    command = DeleteGroup(login=call.known_caller.sub, id=asked.order_group_id)
    return await carry_out(call, command, _in_words)


async def _is_visible(call: Call, group_id: str) -> bool:
    """Return whether all orders of a group are of portfolios that the token names."""
    claims = call.known_caller
    return await call.query.group_portfolios(claims.sub, group_id) <= frozenset(claims.portfolio_list)


async def _check_visible(call: Call, asked: AskGroup) -> None:
    if not await _is_visible(call, asked.order_group_id):
        raise _unknown(asked)


def _unknown(asked: AskGroup) -> BadRequestError:
    """Refuse what is not there and what is not the token's to see in the same words."""
    return BadRequestError("", ResultCode.BAD_REQUEST, f"Unknown group {asked.order_group_id[:80]}")


def _orders(call: Call, body: GroupBody) -> tuple[GroupedOrder, ...]:
    for order in body.orders:
        check_portfolio("", call.known_caller, order.portfolio)
    return tuple(
        GroupedOrder(
            portfolio=order.portfolio,
            exchange=order.exchange,
            order_number=str(order.order_id),
            type=order.type,
        )
        for order in body.orders
    )


def _made(done: Done) -> Response:
    return record_answer(GroupMade(message=SUCCESS, group_id=done.order_number))


def _in_words(_: Done) -> Response:
    return PlainTextResponse(SUCCESS)
