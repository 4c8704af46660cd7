"""Order groups as their caller sees them: ``broker.orders.groups``. They go over HTTP, each request once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from tapewire.client.arguments import refuse, text, word
from tapewire.client.command_end import CommandEnd, Taken
from tapewire.client.command_result import GroupAccepted, NotDone, Rejected, Resolution, Unknown
from tapewire.client.errors import InvalidOrderError
from tapewire.client.http_commands import HttpCommands
from tapewire.client.order_resolver import looked_for
from tapewire.client.order_ticket import OrderTicket
from tapewire.model import GroupPolicy, GroupStatus, OrderGroup
from tapewire.protocol.http_orders import GroupedBody
from tapewire.protocol.limits import GROUP_ORDERS_MAX

__all__ = ["OrderGroups"]

_ID = "the id of a group"
_ORDERS = "an order that was accepted (accepted.order)"
_UNTOLD = "the list of groups does not tell"

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
        members, chosen, guid = _members(orders), _policy(policy), self._new_guid()
        end = await self._http.make_group(guid, members, chosen)
        return self._result(end, guid, f"making a group of {len(members)} orders", None, None)

    async def change(
        self, group_id: str, orders: Iterable[OrderTicket], policy: GroupPolicy
    ) -> GroupAccepted | Rejected | Unknown:
        """Give an active group other orders and another policy."""
        text("group_id", group_id, _ID, InvalidOrderError)
        members, chosen, guid = _members(orders), _policy(policy), self._new_guid()
        end = await self._http.change_group(guid, group_id, members, chosen)
        numbers = {str(order.order_id) for order in members}

        def judge(groups: Sequence[OrderGroup]) -> GroupAccepted | NotDone | None:
            found = _numbered(groups, group_id)
            has_changed = (
                found is not None
                and {order.order_number for order in found.orders} == numbers
                and found.policy == chosen
            )
            return GroupAccepted(group_id, guid) if has_changed else None

        return self._result(end, guid, f"changing group {group_id}", group_id, judge)

    async def delete(self, group_id: str) -> GroupAccepted | Rejected | Unknown:
        """Cancel the working orders of an active group, and the group with them."""
        text("group_id", group_id, _ID, InvalidOrderError)
        guid = self._new_guid()
        end = await self._http.delete_group(guid, group_id)

        def judge(groups: Sequence[OrderGroup]) -> GroupAccepted | NotDone | None:
            found = _numbered(groups, group_id)
            if found is not None and found.status == GroupStatus.CANCELED:
                return GroupAccepted(group_id, guid)
            if found is not None and found.status == GroupStatus.FILLED:
                return NotDone(f"group {group_id} is filled", guid)
            return None

        return self._result(end, guid, f"deleting group {group_id}", group_id, judge)

    async def list(self) -> Sequence[OrderGroup]:
        """Return the groups of the token's login.

        Raises:
            ConnectError: The broker cannot be reached.
            RefusedError: It does not answer this.
        """
        return await self._http.groups()

    async def get(self, group_id: str) -> OrderGroup:
        """Return one group; raises as :meth:`list` does, ``RefusedError`` where there is no such group."""
        return await self._http.group(text("group_id", group_id, _ID, InvalidOrderError))

    def _result(
        self, end: CommandEnd, guid: str, what: str, group_id: str | None, judge: Judge | None
    ) -> GroupAccepted | Rejected | Unknown:
        if isinstance(end, Taken):
            return GroupAccepted(group_id or end.number, guid)
        if isinstance(end, Rejected):
            return end
        return Unknown(guid, end.why, what=what, _inquire=partial(self._inquire, guid, end.why, what, judge))

    async def _inquire(self, guid: str, why: str, what: str, judge: Judge | None) -> Resolution:
        inquire = partial(self._inquire, guid, why, what, judge)

        def unclear(reason: str) -> Unknown:
            return Unknown(guid, f"{why}; {reason}", what=what, _inquire=inquire)

        if judge is None:
            return unclear(_UNTOLD)
        tells = judge

        async def look() -> Resolution:
            return tells(await self._http.groups()) or unclear(_UNTOLD)

        return await looked_for(look, unclear)


def _members(orders: Iterable[OrderTicket]) -> tuple[GroupedBody, ...]:
    if not isinstance(orders, Iterable):
        raise refuse("orders", orders, _ORDERS, InvalidOrderError)
    tickets = tuple(orders)
    for order in tickets:
        if not isinstance(order, OrderTicket):
            raise refuse("orders", order, _ORDERS, InvalidOrderError)
    members = tuple(
        GroupedBody(portfolio=order.portfolio, exchange=order.exchange, order_id=order.number, type=order.type)
        for order in tickets
    )
    if not 1 <= len(members) <= GROUP_ORDERS_MAX:
        raise InvalidOrderError(
            f"a group has 1 to {GROUP_ORDERS_MAX} orders, not {len(members)}: nothing was sent"
        )
    return members


def _policy(policy: GroupPolicy) -> GroupPolicy:
    return word("policy", GroupPolicy, policy, InvalidOrderError)


def _numbered(groups: Sequence[OrderGroup], group_id: str) -> OrderGroup | None:
    return next((group for group in groups if group.id == group_id), None)
