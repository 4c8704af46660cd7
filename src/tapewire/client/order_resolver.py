"""Finding out what became of commands of unknown outcome: late answers first, then the broker's lists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tapewire.client.command_end import CommandEnd, Taken, Untold
from tapewire.client.command_result import Accepted, AllCanceled, NotDone, Rejected, Resolution, Unknown
from tapewire.client.errors import TapewireError
from tapewire.client.order_inquiry import Judge
from tapewire.client.order_lists import OrderLists
from tapewire.client.order_terms import OrderTerms
from tapewire.client.order_ticket import OrderTicket
from tapewire.model import Order, OrderScope, OrderStatus, StopOrder

__all__ = ["INQUIRY_MAX_S", "INQUIRY_PAUSES_S", "OrderResolver", "TicketOf", "looked_for", "result_of"]

#: When the lists are looked at: so long after the look before.
INQUIRY_PAUSES_S = (0.0, 0.5, 1.0, 2.0)
#: When looking ends where the broker answers slowly or not at all.
INQUIRY_MAX_S = 15.0

#: Makes the order of a number.
TicketOf = Callable[[str], OrderTicket]


class OrderResolver:
    """Makes ``Unknown`` results that can find out more."""

    def __init__(self, lists: OrderLists, late_end: Callable[[str], CommandEnd | None]) -> None:
        self._lists = lists
        self._late_end = late_end

    def unknown(
        self, guid: str, what: str, why: str, ticket: TicketOf, judge: Judge, where: OrderTerms | OrderTicket
    ) -> Unknown:
        """Return the result of the command ``what`` about one order; ``judge`` reads the list of ``where``."""
        inquire = partial(self._inquire, guid, what, why, ticket, judge, where)
        return Unknown(guid, why, what=what, _inquire=inquire)

    def unknown_all(self, done: AllCanceled, why: str) -> Unknown:
        """Return the result of a command that cancels all orders."""
        return Unknown(done.guid, why, what=_all_of(done), _inquire=partial(self._inquire_all, done, why))

    async def _inquire(
        self,
        guid: str,
        what: str,
        why: str,
        ticket: TicketOf,
        judge: Judge,
        where: OrderTerms | OrderTicket,
    ) -> Resolution:
        inquire = partial(self._inquire, guid, what, why, ticket, judge, where)

        def unclear(reason: str, candidates: tuple[Order | StopOrder, ...] = ()) -> Unknown:
            return Unknown(guid, f"{why}; {reason}", candidates, what=what, _inquire=inquire)

        async def look() -> Resolution:
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
            return unclear(finding.unclear, finding.candidates)

        return await looked_for(look, unclear)

    async def _inquire_all(self, done: AllCanceled, why: str) -> Resolution:
        inquire = partial(self._inquire_all, done, why)

        def unclear(reason: str, candidates: tuple[Order | StopOrder, ...] = ()) -> Unknown:
            return Unknown(done.guid, f"{why}; {reason}", candidates, what=_all_of(done), _inquire=inquire)

        async def look() -> Resolution:
            working = tuple(
                row
                for row in await self._lists.rows(done.portfolio, done.exchange)
                if row.status == OrderStatus.WORKING and _is_in(row, done.scope)
            )
            return unclear(f"{len(working)} orders work", working) if working else done

        return await looked_for(look, unclear)


async def looked_for(look: Callable[[], Awaitable[Resolution]], unclear: Callable[[str], Unknown]) -> Resolution:
    """Look until something is certain: ``len(INQUIRY_PAUSES_S)`` times, and no longer than ``INQUIRY_MAX_S``.

    What the network and the broker's load do to a look leaves the outcome unknown; it is the reason where no look
    has shown more.

    Raises:
        TapewireError: A look has failed as every later one would: no right, no good token, a closed broker.
    """
    seen: Resolution | None = None
    failure = ""
    try:
        async with asyncio.timeout(INQUIRY_MAX_S):
            for pause_s in INQUIRY_PAUSES_S:
                await asyncio.sleep(pause_s)
                try:
                    seen = await look()
                except TapewireError as error:
                    if not error.retriable:
                        raise
                    failure = str(error)
                    continue
                if not isinstance(seen, Unknown):
                    return seen
    except TimeoutError:
        failure = failure or f"the broker has told nothing within {INQUIRY_MAX_S:g} s"
    return seen or unclear(failure)


def result_of(end: CommandEnd, guid: str, ticket: TicketOf) -> Accepted | Rejected:
    """Return the result of a command whose end the broker has told."""
    if isinstance(end, Taken):
        return Accepted(ticket(end.number), guid)
    assert isinstance(end, Rejected)
    return end


def _all_of(done: AllCanceled) -> str:
    which = "" if done.scope is OrderScope.BOTH else f"{done.scope} "
    return f"cancelling all {which}orders of {done.portfolio}"


def _is_in(row: Order | StopOrder, scope: OrderScope) -> bool:
    return scope is OrderScope.BOTH or isinstance(row, StopOrder) == (scope is OrderScope.CONDITIONAL)
