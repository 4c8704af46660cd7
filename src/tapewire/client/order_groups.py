"""Order groups as their caller sees them: ``broker.orders.groups``. They go over HTTP, each request once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from tapewire.client.command_end import CommandEnd, Taken
from tapewire.client.command_result import GroupAccepted, NotDone, Rejected, Resolution, Unknown
from tapewire.client.errors import InvalidOrderError
from tapewire.client.http_commands import HttpCommands
from tapewire.client.order_ticket import OrderTicket
from tapewire.model import GroupPolicy, GroupStatus, OrderGroup
from tapewire.protocol.http_orders import GroupedBody
from tapewire.protocol.limits import GROUP_ORDERS_MAX

__all__ = ["OrderGroups"]

#: What became of a group, as far as the list of groups tells; None: it does not.
Judge = Callable[[Sequence[OrderGroup]], GroupAccepted | NotDone | None]


class OrderGroups:
    """Binds orders together, so that the end of one decides about the others.

    Results and errors are those of :class:`~tapewire.client.orders.Orders`, with ``GroupAccepted`` in the place
    of ``Accepted``.
    """

    def __init__(self, http: HttpCommands, new_guid: Callable[[], str]) -> None:
        self._http = http
        self._new_guid = new_guid

    async def make(self, orders: Iterable[OrderTicket], policy: GroupPolicy) -> GroupAccepted | Rejected | Unknown:
        """Bind orders together.

        Of an ``Unknown`` of this command ``resolve`` only says that it cannot be told: groups carry no guid, and
        an order may be in several.
        """
        members, guid = _members(orders), self._new_guid()
        end = await self._http.make_group(guid, members, GroupPolicy(policy))
        return self._result(end, guid, None, lambda groups: None)

    async def change(
        self, group_id: str, orders: Iterable[OrderTicket], policy: GroupPolicy
    ) -> GroupAccepted | Rejected | Unknown:
        """Give an active group other orders and another policy."""
        members, guid = _members(orders), self._new_guid()
        end = await self._http.change_group(guid, group_id, members, GroupPolicy(policy))
        numbers = {str(order.order_id) for order in members}

        def judge(groups: Sequence[OrderGroup]) -> GroupAccepted | NotDone | None:
            found = _numbered(groups, group_id)
            has_changed = (
                found is not None
                and {order.order_number for order in found.orders} == numbers
                and found.policy == policy
            )
            return GroupAccepted(group_id, guid) if has_changed else None

        return self._result(end, guid, group_id, judge)

    async def delete(self, group_id: str) -> GroupAccepted | Rejected | Unknown:
        """Cancel the working orders of an active group, and the group with them."""
        guid = self._new_guid()
        end = await self._http.delete_group(guid, group_id)

        def judge(groups: Sequence[OrderGroup]) -> GroupAccepted | NotDone | None:
            found = _numbered(groups, group_id)
            if found is not None and found.status == GroupStatus.CANCELED:
                return GroupAccepted(group_id, guid)
            if found is not None and found.status == GroupStatus.FILLED:
                return NotDone(f"group {group_id} is filled", guid)
            return None

        return self._result(end, guid, group_id, judge)

    async def list(self) -> Sequence[OrderGroup]:
        """Return the groups of the token's login.

        Raises:
            ConnectError: The broker cannot be reached.
            RefusedError: It does not answer this.
        """
        return await self._http.groups()

    async def get(self, group_id: str) -> OrderGroup:
        """Return one group; raises as :meth:`list` does, ``RefusedError`` where there is no such group."""
        return await self._http.group(group_id)

    def _result(
        self, end: CommandEnd, guid: str, group_id: str | None, judge: Judge
    ) -> GroupAccepted | Rejected | Unknown:
        if isinstance(end, Taken):
            return GroupAccepted(group_id or end.number, guid)
        if isinstance(end, Rejected):
            return end
        return Unknown(guid, end.why, _inquire=partial(self._inquire, guid, end.why, judge))

    async def _inquire(self, guid: str, why: str, judge: Judge) -> Resolution:
        found = judge(await self._http.groups())
        if found is not None:
            return found
        unclear = f"{why}; the list of groups does not tell"
        return Unknown(guid, unclear, _inquire=partial(self._inquire, guid, why, judge))


def _members(orders: Iterable[OrderTicket]) -> tuple[GroupedBody, ...]:
    members = tuple(
        GroupedBody(portfolio=order.portfolio, exchange=order.exchange, order_id=order.number, type=order.type)
        for order in orders
    )
    if not 1 <= len(members) <= GROUP_ORDERS_MAX:
        raise InvalidOrderError(
            f"a group has 1 to {GROUP_ORDERS_MAX} orders, not {len(members)}: nothing was sent"
        )
    return members


def _numbered(groups: Sequence[OrderGroup], group_id: str) -> OrderGroup | None:
    return next((group for group in groups if group.id == group_id), None)
