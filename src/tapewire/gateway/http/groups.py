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
    """Answer with the groups of the token's login."""
    return rows_answer(OrderGroup, await call.query.groups(call.known_caller.sub))


async def group(call: Call, asked: AskGroup) -> Response:
    """Answer with one group."""
    found = await call.query.group(call.known_caller.sub, asked.order_group_id)
    if found is None:
        text = f"Unknown group {asked.order_group_id[:80]}"
        raise BadRequestError("", ResultCode.BAD_REQUEST, text)
    return record_answer(found)


async def make_group(call: Call, asked: AskGroups) -> Response:
    """Bind orders together."""
    body = read_group(call.body)
    command = MakeGroup(login=call.known_caller.sub, orders=_orders(call, body), policy=body.execution_policy)
    return await carry_out(call, command, _made)


async def change_group(call: Call, asked: AskGroup) -> Response:
    """Give a group other orders or another policy."""
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
    command = DeleteGroup(login=call.known_caller.sub, id=asked.order_group_id)
    return await carry_out(call, command, _in_words)


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
