"""What the examples of docs/execution.md do not show of groups."""

import pytest

from tapewire.exchange import (
    Cancel,
    CancelGroup,
    ChangeGroup,
    Exchange,
    GroupChanged,
    GroupEnded,
    GroupRejected,
    MakeGroup,
    OrderCancelled,
    OrderRef,
    groups,
)
from tapewire.model import GroupPolicy, GroupStatus
from trading import BUY, SELL, instrument, place

EITHER = GroupPolicy.ON_EXECUTE_OR_CANCEL


@pytest.fixture
def exchange():
    """Six resting orders of A, numbers 1 to 6."""
    exchange = Exchange([instrument()], first_order_id=1)
    for ticks in range(1001, 1007):
        exchange.apply(place(SELL, 1, ticks), at_ns=0)
    return exchange


def refs(*numbers, account="A"):
    return tuple(OrderRef(account, number) for number in numbers)


def make(exchange, *numbers, policy=EITHER, owner="me", at_ns=5):
    return exchange.apply(MakeGroup(owner=owner, orders=refs(*numbers), policy=policy), at_ns=at_ns)


def cancelled(events):
    return [event.order_id for event in events if isinstance(event, OrderCancelled)]


def test_a_group_tells_of_its_life(exchange):
    make(exchange, 1, 2)
    group = exchange.group(1)
    assert (group.status, group.created_at_ns, group.closed_at_ns) == (GroupStatus.ACTIVE, 5, None)

    exchange.apply(place(BUY, 1, 1001, account="B"), at_ns=9)

    assert (group.status, group.closed_at_ns) == (GroupStatus.FILLED, 9)
    assert exchange.groups("me") == [group]
    assert exchange.groups("you") == []


@pytest.mark.parametrize(
    "command",
    [
        MakeGroup(owner="me", orders=(), policy=EITHER),
        MakeGroup(owner="me", orders=refs(1, 1), policy=EITHER),
        MakeGroup(owner="me", orders=refs(1, 99), policy=EITHER),
        MakeGroup(owner="me", orders=refs(1, account="B"), policy=EITHER),
        MakeGroup(owner="me", orders=(OrderRef("A", 1, True),), policy=EITHER),
        MakeGroup(owner="me", orders=refs(*range(1, 103)), policy=EITHER),
        MakeGroup(owner="me", orders=refs(1), policy="Whatever"),
        ChangeGroup(owner="me", group_id=1, orders=refs(99), policy=EITHER),
        ChangeGroup(owner="me", group_id=2, orders=refs(1), policy=EITHER),
        ChangeGroup(owner="you", group_id=1, orders=refs(1), policy=EITHER),
        CancelGroup(owner="you", group_id=1),
        CancelGroup(owner="me", group_id=2),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_trace(exchange, command):
    make(exchange, 1, 2)
    digest = exchange.state_digest()

    (refused,) = exchange.apply(command, at_ns=0)

    assert isinstance(refused, GroupRejected)
    assert refused.code == 300
    assert refused.reason
    assert exchange.state_digest() == digest


def test_there_are_only_so_many_active_groups(exchange, monkeypatch):
    monkeypatch.setattr(groups, "GROUPS_ACTIVE_MAX", 1)
    make(exchange, 1)

    assert isinstance(make(exchange, 2)[0], GroupRejected)
    exchange.apply(CancelGroup(owner="me", group_id=1), at_ns=0)
    assert not isinstance(make(exchange, 2)[0], GroupRejected)


def test_only_so_many_ended_groups_are_remembered(exchange, monkeypatch):
    monkeypatch.setattr(groups, "GROUPS_ENDED_MAX", 2)
    for number in range(1, 5):
        make(exchange, number)
        exchange.apply(CancelGroup(owner="me", group_id=number), at_ns=0)

    assert [group.id for group in exchange.groups("me")] == [3, 4]


def test_a_cancelled_group_cancels_its_orders(exchange):
    make(exchange, 1, 2, 3)

    ended, *rest = exchange.apply(CancelGroup(owner="me", group_id=1), at_ns=0)

    assert isinstance(ended, GroupEnded)
    assert ended.status is GroupStatus.CANCELED
    assert cancelled(rest) == [1, 2, 3]


def test_a_partial_fill_decides_nothing():
    exchange = Exchange([instrument()], first_order_id=1)
    exchange.apply(place(SELL, 3, 1001), at_ns=0)
    exchange.apply(place(SELL, 3, 1002), at_ns=0)
    make(exchange, 1, 2)

    assert cancelled(exchange.apply(place(BUY, 2, 1001, account="B"), at_ns=0)) == []
    assert cancelled(exchange.apply(place(BUY, 1, 1001, account="B"), at_ns=0)) == [2]


def test_ignore_cancel_outlives_cancels_until_nothing_is_left(exchange):
    make(exchange, 1, 2, policy=GroupPolicy.IGNORE_CANCEL)

    assert cancelled(exchange.apply(Cancel(account="A", order_id=1), at_ns=0)) == [1]
    assert exchange.group(1).status is GroupStatus.ACTIVE
    exchange.apply(Cancel(account="A", order_id=2), at_ns=0)
    assert exchange.group(1).status is GroupStatus.CANCELED


def test_an_order_of_two_groups_decides_in_both(exchange):
    make(exchange, 1, 2)
    make(exchange, 1, 3)

    events = exchange.apply(Cancel(account="A", order_id=1), at_ns=0)

    assert [event.group_id for event in events if isinstance(event, GroupEnded)] == [1, 2]
    assert cancelled(events) == [1, 2, 3]


def test_endings_go_on_from_group_to_group(exchange):
    make(exchange, 1, 2)
    make(exchange, 2, 3)
    make(exchange, 3, 4, policy=GroupPolicy.IGNORE_CANCEL)

    events = exchange.apply(place(BUY, 1, 1001, account="B"), at_ns=0)

    assert cancelled(events) == [2, 3]
    assert exchange.group(3).status is GroupStatus.ACTIVE


def test_a_changed_group_lets_old_orders_go_and_holds_new_ones(exchange):
    make(exchange, 1, 2)

    (changed,) = exchange.apply(
        ChangeGroup(owner="me", group_id=1, orders=refs(2, 3), policy=GroupPolicy.IGNORE_CANCEL), at_ns=0
    )

    assert isinstance(changed, GroupChanged)
    assert cancelled(exchange.apply(Cancel(account="A", order_id=1), at_ns=0)) == [1]
    assert cancelled(exchange.apply(place(BUY, 9, 1002, account="B"), at_ns=0)) == [3]
