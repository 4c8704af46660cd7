"""Order groups: the end of one order decides about others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from tapewire.exchange.command import CancelGroup, ChangeGroup, MakeGroup, OrderRef
from tapewire.exchange.event import Event, GroupChanged, GroupEnded, GroupMade, GroupRejected
from tapewire.model import GroupPolicy, GroupStatus, OrderStatus, TradingCode

__all__ = ["GROUPS_ACTIVE_MAX", "GROUPS_ENDED_MAX", "GROUP_ORDERS_MAX", "Groups", "OrderGroup"]

#: A group more is refused.
GROUPS_ACTIVE_MAX = 100_000

#: Ended groups that are remembered; the oldest ending goes first.
GROUPS_ENDED_MAX = 10_000

GROUP_ORDERS_MAX = 100

_POLICIES = frozenset(GroupPolicy)


class OrderGroup(msgspec.Struct, kw_only=True):
    """Orders that are bound together. Times UTC ns."""

    id: int
    owner: str
    #: In the sequence in which they were named; a replaced order hands its place on.
    orders: list[OrderRef]
    policy: GroupPolicy
    created_at_ns: int
    status: GroupStatus = GroupStatus.ACTIVE
    closed_at_ns: int | None = None
    #: Those that have not ended.
    working: list[OrderRef]

    def copy(self) -> OrderGroup:
        """Return a group that does not change with this one."""
        return msgspec.structs.replace(self, orders=list(self.orders), working=list(self.working))


class Groups:
    """All active groups and the last ended ones.

    What an ending asks for stands in ``to_cancel`` and ``to_activate`` until the exchange has done it.
    """

    def __init__(
        self,
        status: Callable[[OrderRef], OrderStatus | None],
        groups: Iterable[OrderGroup] = (),
        *,
        next_id: int = 1,
    ) -> None:
        """Begin with the groups of ``all``, in that order.

        Args:
            status: Says where an order of that account stands; None: the account has no such order.
            groups: Those of a restored exchange.
            next_id: Given to the next group; later ones grow by one.
        """
        self._status = status
        self.next_id = next_id
        self.to_cancel: deque[OrderRef] = deque()
        self.to_activate: deque[OrderRef] = deque()
        self._groups: dict[int, OrderGroup] = {}
        self._active: dict[int, OrderGroup] = {}
        self._ended: deque[int] = deque()
        self._by_order: dict[tuple[bool, int], list[int]] = {}
        #: What orders are bound by active groups, for reading: while it is empty, no ending matters here.
        self.bound: Mapping[tuple[bool, int], list[int]] = self._by_order
        for group in groups:
            self._groups[group.id] = group
            if group.status is GroupStatus.ACTIVE:
                self._active[group.id] = group
                self._bind(group)
            else:
                self._ended.append(group.id)

    def get(self, group_id: int) -> OrderGroup | None:
        """Return a group that is active or still remembered."""
        return self._groups.get(group_id)

    def of(self, owner: str) -> Iterator[OrderGroup]:
        """Yield what is known of an owner's groups, by number."""
        return (group for _, group in sorted(self._groups.items()) if group.owner == owner)

    def all(self) -> Iterator[OrderGroup]:
        """Yield every group: the active ones by number, then the ended ones by their ends."""
        yield from self._active.values()
        for group_id in self._ended:
            yield self._groups[group_id]

    def make(self, make: MakeGroup, at_ns: int) -> list[Event]:
        """Bind orders together, or refuse it; orders that have ended already count as ending now."""
        refusal = self._refusal(make.orders, make.policy)
        if refusal is None and len(self._active) >= GROUPS_ACTIVE_MAX:
            refusal = f"the exchange holds {GROUPS_ACTIVE_MAX} active groups, its maximum"
        if refusal is not None:
            return [_rejected(make.owner, None, refusal, at_ns)]
        group = OrderGroup(
            id=self.next_id,
            owner=make.owner,
            orders=list(make.orders),
            policy=make.policy,
            created_at_ns=at_ns,
            working=list(make.orders),
        )
        self.next_id += 1
        self._groups[group.id] = self._active[group.id] = group
        self._bind(group)
        made = GroupMade(
            group_id=group.id, owner=group.owner, orders=make.orders, policy=group.policy, at_ns=at_ns
        )
        return [made, *self._catch_up(group, at_ns)]

    def change(self, change: ChangeGroup, at_ns: int) -> list[Event]:
        """Give an active group other orders and another policy, or refuse it."""
        group = self._find(change.owner, change.group_id)
        refusal = self._refusal(change.orders, change.policy)
        if group is None:
            refusal = f"there is no active group {change.group_id}"
        if group is None or refusal is not None:
            return [_rejected(change.owner, change.group_id, str(refusal), at_ns)]
        self._release(group)
        group.orders, group.working, group.policy = list(change.orders), list(change.orders), change.policy
        self._bind(group)
        changed = GroupChanged(
            group_id=group.id, owner=group.owner, orders=change.orders, policy=group.policy, at_ns=at_ns
        )
        return [changed, *self._catch_up(group, at_ns)]

    def cancel(self, cancel: CancelGroup, at_ns: int) -> list[Event]:
        """End an active group and ask for the end of its orders, or refuse it."""
        group = self._find(cancel.owner, cancel.group_id)
        if group is None:
            reason = f"there is no active group {cancel.group_id}"
            return [_rejected(cancel.owner, cancel.group_id, reason, at_ns)]
        return [self._end(group, GroupStatus.CANCELED, at_ns, group.working)]

    def replaced(self, old: OrderRef, new_id: int) -> None:
        """Let a new order take the place of an old one in all its groups."""
        for group_id in self._by_order.get(_key(old), ()):
            group = self._active[group_id]
            new = OrderRef(old.account, new_id, old.is_conditional)
            group.orders[group.orders.index(old)] = new
            group.working[group.working.index(old)] = new
            self._by_order.setdefault(_key(new), []).append(group_id)
        self._by_order.pop(_key(old), None)

    def ended(self, order: OrderRef, at_ns: int, *, is_filled: bool) -> list[GroupEnded]:
        """Take note that an order has ended; return which groups end with it."""
        events = []
        for group_id in sorted(self._by_order.get(_key(order), ())):
            group = self._active[group_id]
            if order in group.working:
                events += self._ended_in(group, order, at_ns, is_filled=is_filled)
        return events

    def _ended_in(self, group: OrderGroup, order: OrderRef, at_ns: int, *, is_filled: bool) -> list[GroupEnded]:
        group.working.remove(order)
        event = self._decide(group, order, at_ns, is_filled=is_filled)
        return [] if event is None else [event]

    def _catch_up(self, group: OrderGroup, at_ns: int) -> list[GroupEnded]:
        # A client binds orders after he has placed them, and meanwhile one of them may have been filled.
        for order in group.orders:
            status = self._status(order)
            if group.status is GroupStatus.ACTIVE and status is not OrderStatus.WORKING:
                events = self._ended_in(group, order, at_ns, is_filled=status is OrderStatus.FILLED)
                if events:
                    return events
        return []

    def _find(self, owner: str, group_id: int) -> OrderGroup | None:
        group = self._active.get(group_id)
        return group if group is not None and group.owner == owner else None

    def _refusal(self, orders: tuple[OrderRef, ...], policy: GroupPolicy) -> str | None:
        if policy not in _POLICIES:
            return f"execution policy {policy} is in no list of policies"
        if not 1 <= len(orders) <= GROUP_ORDERS_MAX:
            return f"a group has between 1 and {GROUP_ORDERS_MAX} orders, not {len(orders)}"
        if len(set(map(_key, orders))) < len(orders):
            return "an order is in the group twice"
        for order in orders:
            if self._status(order) is None:
                kind = "conditional order" if order.is_conditional else "order"
                return f"the account has no {kind} {order.order_id}"
        return None

    def _decide(self, group: OrderGroup, order: OrderRef, at_ns: int, *, is_filled: bool) -> GroupEnded | None:
        status = GroupStatus.FILLED if is_filled else GroupStatus.CANCELED
        conditional = [other for other in group.working if other.is_conditional]
        if group.policy is GroupPolicy.TRIGGER_BRACKET_ORDERS:
            if order == group.orders[0]:
                if is_filled:
                    self.to_activate.extend(conditional)
                return self._end(group, status, at_ns, [] if is_filled else conditional)
        elif is_filled or group.policy is GroupPolicy.ON_EXECUTE_OR_CANCEL or not group.working:
            return self._end(group, status, at_ns, group.working)
        return None

    def _end(
        self, group: OrderGroup, status: GroupStatus, at_ns: int, to_cancel: Iterable[OrderRef]
    ) -> GroupEnded:
        self.to_cancel.extend(to_cancel)
        self._release(group)
        group.status = status
        group.closed_at_ns = at_ns
        group.working = []
        del self._active[group.id]
        self._ended.append(group.id)
        if len(self._ended) > GROUPS_ENDED_MAX:
            del self._groups[self._ended.popleft()]
        return GroupEnded(group_id=group.id, owner=group.owner, status=status, at_ns=at_ns)

    def _bind(self, group: OrderGroup) -> None:
        for order in group.working:
            self._by_order.setdefault(_key(order), []).append(group.id)

    def _release(self, group: OrderGroup) -> None:
        for order in group.orders:
            bound = self._by_order.get(_key(order))
            if bound is not None and group.id in bound:
                bound.remove(group.id)
                if not bound:
                    del self._by_order[_key(order)]


def _key(order: OrderRef) -> tuple[bool, int]:
    return order.is_conditional, order.order_id


def _rejected(owner: str, group_id: int | None, reason: str, at_ns: int) -> GroupRejected:
    return GroupRejected(
        owner=owner,
        group_id=group_id,
        code=TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED,
        reason=reason,
        at_ns=at_ns,
    )
