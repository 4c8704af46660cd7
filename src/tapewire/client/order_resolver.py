"""Finding out what became of commands of unknown outcome: late answers first, then the broker's lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from tapewire.client.command_end import CommandEnd, Taken, Untold
from tapewire.client.command_result import Accepted, AllCanceled, NotDone, Rejected, Resolution, Unknown
from tapewire.client.order_inquiry import Judge
from tapewire.client.order_lists import OrderLists
from tapewire.client.order_terms import OrderTerms
from tapewire.client.order_ticket import OrderTicket
from tapewire.model import Order, OrderScope, OrderStatus, StopOrder

__all__ = ["INQUIRY_PAUSES_S", "OrderResolver", "TicketOf", "result_of"]

#: When the lists are looked at: so long after the look before.
INQUIRY_PAUSES_S = (0.0, 0.5, 1.0, 2.0)

#: Makes the order of a number.
TicketOf = Callable[[str], OrderTicket]


class OrderResolver:
    """Makes ``Unknown`` results that can find out more."""

    def __init__(self, lists: OrderLists, late_end: Callable[[str], CommandEnd | None]) -> None:
        self._lists = lists
        self._late_end = late_end

    def unknown(
        self, guid: str, why: str, ticket: TicketOf, judge: Judge, where: OrderTerms | OrderTicket
    ) -> Unknown:
        """Return the result of a command about one order; ``judge`` reads the list of ``where``."""
        return Unknown(guid, why, _inquire=partial(self._inquire, guid, why, ticket, judge, where))

    def unknown_all(self, done: AllCanceled, why: str) -> Unknown:
        """Return the result of a command that cancels all orders."""
        return Unknown(done.guid, why, _inquire=partial(self._inquire_all, done, why))

    async def _inquire(
        self,
        guid: str,
        why: str,
        ticket: TicketOf,
        judge: Judge,
        where: OrderTerms | OrderTicket,
    ) -> Resolution:
        for pause_s in INQUIRY_PAUSES_S:
            await asyncio.sleep(pause_s)
            late = self._late_end(guid)
            if late is not None and not isinstance(late, Untold):
                return result_of(late, guid, ticket)
            rows = await self._lists.of_kind(
                where.portfolio, where.exchange, is_conditional=where.type.is_conditional
            )
            finding = judge(rows)
            if finding.ticket is not None:
                return Accepted(finding.ticket, guid)
            if finding.not_done:
                return NotDone(finding.not_done, guid)
        inquire = partial(self._inquire, guid, why, ticket, judge, where)
        return Unknown(guid, f"{why}; {finding.unclear}", finding.candidates, _inquire=inquire)

    async def _inquire_all(self, done: AllCanceled, why: str) -> Resolution:
        working: tuple[Order | StopOrder, ...] = ()
        for pause_s in INQUIRY_PAUSES_S:
            await asyncio.sleep(pause_s)
            working = tuple(
                row
                for row in await self._lists.rows(done.portfolio, done.exchange)
                if row.status == OrderStatus.WORKING and _is_in(row, done.scope)
            )
            if not working:
                return done
        inquire = partial(self._inquire_all, done, why)
        return Unknown(done.guid, f"{why}; {len(working)} orders work", working, _inquire=inquire)


def result_of(end: CommandEnd, guid: str, ticket: TicketOf) -> Accepted | Rejected:
    """Return the result of a command whose end the broker has told."""
    if isinstance(end, Taken):
        return Accepted(ticket(end.number), guid)
    assert isinstance(end, Rejected)
    return end


def _is_in(row: Order | StopOrder, scope: OrderScope) -> bool:
    return scope is OrderScope.BOTH or isinstance(row, StopOrder) == (scope is OrderScope.CONDITIONAL)
