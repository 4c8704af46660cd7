"""Order groups: orders whose ends decide about each other. Source: reference of HTTP, section 6.5."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tapewire.model.record import Record, Wire
from tapewire.model.words import Exchange, GroupedType, GroupPolicy, GroupStatus

__all__ = ["GroupMember", "GroupedOrder", "OrderGroup"]


class GroupedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Names an order that is to be in a group."""

    portfolio: str
    exchange: Exchange
    order_number: str
    #: Direct and conditional orders are numbered apart.
    type: GroupedType


class GroupMember(Record, frozen=True, kw_only=True, gc=False):
    """An order of a group."""

    order_number: Annotated[str, Wire("orderId")]


class OrderGroup(Record, frozen=True, kw_only=True, gc=False):
    """A group as its owner sees it. Times are ISO-8601 UTC."""

    id: Annotated[str, Wire("id")]
    login: Annotated[str, Wire("login")]
    orders: Annotated[tuple[GroupMember, ...], Wire("orders")]
    policy: Annotated[GroupPolicy, Wire("executionPolicy")]
    status: Annotated[GroupStatus, Wire("status")]
    created_at: Annotated[str, Wire("createdAt")]
    #: Null while it is active.
    closed_at: Annotated[str | None, Wire("closedAt")]
