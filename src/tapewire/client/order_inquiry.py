"""What the broker's lists of orders tell of a command whose outcome nobody has said. Pure.

Rows carry no guid of a command. Where the caller gave no comment the client has put the guid there: such an
order is this command's without doubt. One with a comment of the caller's own may be that of another command.

=========  ===================================  ==========================  ===================================
command    certainly done                       certainly not               cannot be told
=========  ===================================  ==========================  ===================================
create     an order carries the command's mark  –                           all else: it may be under way
update     an order carries the command's mark  the old order is filled or  all else
                                                rejected
delete     the order is cancelled               the order is filled or      the order works, or is not listed
                                                rejected
=========  ===================================  ==========================  ===================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tapewire.client.order_terms import OrderTerms, mark_of, type_of
from tapewire.client.order_ticket import OrderTicket
from tapewire.model import Order, OrderStatus, StopOrder

__all__ = ["Finding", "Judge", "judge_cancelled", "judge_created", "judge_updated"]

Rows = Sequence[Order] | Sequence[StopOrder]


class Finding(msgspec.Struct, frozen=True):
    """What a look at the list has shown: the order, or that it was not done, or why it cannot be told."""

    ticket: OrderTicket | None = None
    not_done: str = ""
    unclear: str = ""
    candidates: tuple[Order | StopOrder, ...] = ()


Judge = Callable[[Rows], Finding]


def judge_created(rows: Rows, terms: OrderTerms, guid: str) -> Finding:
    """Say what has become of a command that places an order."""
    found = _marked(rows, terms, guid)
    if found is not None:
        return found
    return _unclear([row for row in rows if _fits(row, terms)], "")


def judge_updated(rows: Rows, number: str, terms: OrderTerms, guid: str) -> Finding:
    """Say what has become of a command that puts an order in the place of ``number``."""
    found = _marked(rows, terms, guid, number)
    if found is not None:
        return found
    old = _numbered(rows, number)
    if old is None:
        what = f"order {number} is not in the broker's list"
    elif old.status in (OrderStatus.FILLED, OrderStatus.REJECTED):
        return Finding(not_done=f"order {number} is {old.status}")
    else:
        what = f"order {number} is {old.status}"
    return _unclear([row for row in rows if str(row.id) != number and _fits(row, terms)], what)


def judge_cancelled(rows: Rows, ticket: OrderTicket) -> Finding:
    """Say what has become of a command that cancels an order. Who has cancelled it rows do not tell."""
    old = _numbered(rows, ticket.number)
    if old is None:
        return Finding(unclear=f"order {ticket.number} is not in the broker's list")
    if old.status == OrderStatus.CANCELED:
        return Finding(ticket=ticket)
    if old.status in (OrderStatus.FILLED, OrderStatus.REJECTED):
        return Finding(not_done=f"order {ticket.number} is {old.status}")
    return Finding(
        unclear=f"order {ticket.number} is {old.status}; the command may still be under way", candidates=(old,)
    )


def _marked(rows: Rows, terms: OrderTerms, guid: str, replaced: str | None = None) -> Finding | None:
    mark = mark_of(guid)
    if terms.comment != mark:
        return None
    for row in rows:
        if row.comment == mark:
            return Finding(
                ticket=OrderTicket(
                    number=str(row.id),
                    type=type_of(row),
                    portfolio=terms.portfolio,
                    exchange=terms.exchange,
                    replaced_number=replaced,
                    terms=terms,
                )
            )
    return None


def _unclear(candidates: Sequence[Order | StopOrder], what: str) -> Finding:
    if candidates:
        found = f"{len(candidates)} orders fit, and may be another command's"
    else:
        found = "no order fits; the command may still be under way"
    return Finding(unclear=f"{what}; {found}" if what else found, candidates=tuple(candidates))


def _numbered(rows: Rows, number: str) -> Order | StopOrder | None:
    return next((row for row in rows if str(row.id) == number), None)


def _fits(row: Order | StopOrder, terms: OrderTerms) -> bool:
    is_same = (
        row.symbol == terms.symbol
        and row.side == terms.side
        and row.quantity_lots == terms.lots
        and (row.comment or None) == (terms.comment or None)
        and type_of(row) == terms.type
        and (terms.price is None or row.price == terms.price)
    )
    return is_same and (not isinstance(row, StopOrder) or row.stop_price == terms.trigger_price)
