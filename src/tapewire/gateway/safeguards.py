"""Safeguards: cancel for connections of ``/cws`` what they have asked to be cancelled without them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from typing import Any

from tapewire.gateway.bounded_log import BoundedLog
from tapewire.gateway.counters import Counters
from tapewire.gateway.order_entry import NoAnswer, OrderEntry, asks_for_nothing
from tapewire.gateway.safety import Cause, GuardedOrder, PortfolioRows, Safety, Ticket
from tapewire.gateway.standing import Standing
from tapewire.model import (
    UNSET,
    Command,
    CommandKey,
    Done,
    Maybe,
    Order,
    OrderStatus,
    Outcome,
    Refused,
    StopOrder,
    Topic,
    TopicKind,
    Unavailable,
)
from tapewire.ports.query import Query
from tapewire.ports.venue import CommandSink
from tapewire.protocol.codes import HANDLED, ResultCode
from tapewire.protocol.safety import AskSafety, SafetyAnswer

__all__ = ["DETACHED_MAX", "RETRY_DELAYS_S", "SHUTDOWN_S", "Safeguard", "Safeguards"]

#: Pauses after rounds of cancellations in which the venue did not take all; then what is left is given up, loudly.
RETRY_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
#: Cancellations of one connection that the venue has at a time.
CANCELS_AT_ONCE_MAX = 50
#: How long the venue may take to say which orders work.
_LOOK_DEADLINE_S = 5.0
#: Connections that are gone and whose timers still run. One more, and the oldest timer runs out at once.
DETACHED_MAX = 1_000
#: How long a gateway that ends waits for its cancellations.
SHUTDOWN_S = 2.0

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Safeguards:
    """Those of one gateway."""

    def __init__(self, sink: CommandSink, query: Query, counters: Counters, log: BoundedLog, spawn: Spawn) -> None:
        self.sink = sink
        self.query = query
        self.entry = OrderEntry(sink)
        self.counters = counters
        self.log = log
        self.spawn = spawn
        # Dicts, for their order.
        self._guards: dict[Safeguard, None] = {}
        self._detached: dict[Safeguard, None] = {}
        self._changed = asyncio.Event()

    def guard(self, standing: Standing) -> Safeguard:
        """Return a safeguard for a connection that asks for one."""
        made = Safeguard(self, standing)
        self._guards[made] = None
        return made

    @property
    def guarded(self) -> int:
        """Connections that have asked, and those that are gone and not done with."""
        return len(self._guards)

    @property
    def timers(self) -> int:
        """Timers that are armed."""
        return sum(guard.is_armed for guard in self._guards)

    async def finish(self, connections_gone: asyncio.Event) -> None:
        """Cancel what would be cancelled without the server, in ``SHUTDOWN_S``; connections are being ended."""
        try:
            async with asyncio.timeout(SHUTDOWN_S):
                # How the last of them ended is told in a later turn: a clean end must not count as ours.
                with suppress(TimeoutError):
                    await asyncio.wait_for(connections_gone.wait(), SHUTDOWN_S / 4)
                for guard in tuple(self._guards):
                    guard.shut_down()
                while self._guards:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            left = sum(guard.unsettled for guard in self._guards)
            self.counters.safety_left += left
            self.log.write(logging.ERROR, "orders not cancelled in time", connections=self.guarded, orders=left)
        finally:
            for guard in tuple(self._guards):
                guard.stop()

    def detach(self, guard: Safeguard) -> None:
        """Bound the timers that outlive their connections."""
        self._detached[guard] = None
        if len(self._detached) > DETACHED_MAX:
            oldest = next(iter(self._detached))
            del self._detached[oldest]
            oldest.run_out()

    def forget(self, guard: Safeguard) -> None:
        """A safeguard is done."""
        self._guards.pop(guard, None)
        self._detached.pop(guard, None)
        self._changed.set()


class Safeguard:
    """Carries out what ``Safety`` decides about one connection: timer, cancellations, questions to the venue."""

    def __init__(self, owner: Safeguards, standing: Standing) -> None:
        self._owner = owner
        self._standing = standing
        self._loop = asyncio.get_running_loop()
        self._safety = Safety()
        self._timer: asyncio.TimerHandle | None = None
        self._canceller: asyncio.Task[None] | None = None
        self._looker: asyncio.Task[None] | None = None
        self._has_left = False

    @property
    def is_armed(self) -> bool:
        """Whether the timer runs."""
        return self._safety.deadline_s is not None

    @property
    def is_full(self) -> bool:
        """Whether no more orders can be guarded."""
        return self._safety.is_full

    @property
    def unsettled(self) -> int:
        """How many orders work that should not, as far as is known."""
        return self._safety.unsettled

    # --- the connection ---------------------------------------------------------------------------------

    def ask(self, asked: AskSafety) -> SafetyAnswer:
        """Agree on what is asked and return what is agreed on now."""
        now_s = self._loop.time()
        safety = self._safety
        safety.ask(
            cancels_on_disconnect=_given(asked.cancel_on_disconnect),
            after_s=_given(asked.cancel_after_seconds),
            now_s=now_s,
        )
        self._set_timer()
        left_s = 0.0 if safety.deadline_s is None else max(safety.deadline_s - now_s, 0.0)
        return SafetyAnswer(
            asked.guid,
            ResultCode.OK,
            HANDLED,
            cancel_on_disconnect=safety.cancels_on_disconnect,
            cancel_after_seconds=safety.after_s,
            seconds_left=round(left_s, 3),
            timer_fired=safety.fired,
            guarded_orders=len(safety.guarded),
        )

    def arrived(self, command: Command) -> Ticket:
        """Follow a command from now on."""
        return self._safety.arrived(command)

    async def submit(self, ticket: Ticket, key: CommandKey | None) -> Outcome | NoAnswer:
        """Return how a command ended, as ``OrderEntry``; followed to its end whoever stops waiting for it."""
        if not self._safety.give(ticket):
            return Unavailable("the timer of the connection ran out before the venue had the command")
        return await OrderEntry(_Followed(self, ticket)).submit(ticket.command, key)

    def leave(self, *, is_clean: bool) -> None:
        """The connection has ended."""
        self._has_left = True
        if self._safety.leave(is_clean=is_clean):
            self._fire(Cause.DISCONNECT)
        self._set_timer()
        self._release_if_idle()
        if self.is_armed:
            self._owner.detach(self)

    def shut_down(self) -> None:
        """The server ends: cancel now what would be cancelled later."""
        self._has_left = True
        if self._safety.shut_down():
            self._fire(Cause.SHUTDOWN)
        else:
            self._safety.release()
        self._set_timer()
        self._release_if_idle()

    def run_out(self) -> None:
        """Let the timer run out now; a loop calls it early by as much as its clock's resolution."""
        if self._safety.expire(self._safety.deadline_s or 0.0):
            self._fire(Cause.TIMER)
        self._set_timer()
        self._release_if_idle()

    def stop(self) -> None:
        """Let go of timer and tasks, whatever is left."""
        self._safety.abandon()
        self._set_timer()
        for task in (self._canceller, self._looker):
            if task is not None:
                task.cancel()
        self._owner.forget(self)

    # --- commands under way -----------------------------------------------------------------------------

    async def follow(self, command: Command, key: CommandKey | None, ticket: Ticket) -> Outcome:
        """Give a command to the venue; cancelled or not, what it makes becomes known here."""
        outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self._owner.spawn(self._follow(command, key, ticket, outcome))
        return await outcome

    async def _follow(
        self, command: Command, key: CommandKey | None, ticket: Ticket, told: asyncio.Future[Outcome]
    ) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._owner.sink.submit(command, key)
            if not told.done():
                told.set_result(outcome)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it, else it is logged
            if told.done():  # the connection is gone, or its client has been told that nobody knows
                self._write(logging.ERROR, "a followed command has failed", error=type(error).__name__)
            else:
                told.set_exception(error)
        finally:
            self._safety.ended(ticket, outcome)
            self._cancel_doomed()
            self._look_if_many()
            self._release_if_idle()

    # --- the timer --------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_s = self._safety.deadline_s
        if deadline_s is not None:
            self._timer = self._loop.call_at(deadline_s, self.run_out)

    # --- cancelling -------------------------------------------------------------------------------------

    def _fire(self, cause: Cause) -> None:
        self._owner.counters.safety_fired[cause] += 1
        self._write(logging.INFO, "orders to cancel", cause=cause.value, orders=len(self._safety.doomed))
        self._cancel_doomed()

    def _cancel_doomed(self) -> None:
        if self._safety.doomed and self._canceller is None:
            self._canceller = self._owner.spawn(self._work())

    async def _work(self) -> None:
        failures = 0
        try:
            while orders := self._safety.doomed:
                left = await self._cancel(orders)
                if not left:
                    failures = 0
                    continue
                if failures == len(RETRY_DELAYS_S):
                    self._give_up()
                    break
                self._write(logging.WARNING, "orders not cancelled yet", orders=left, attempt=failures + 1)
                await asyncio.sleep(RETRY_DELAYS_S[failures])
                failures += 1
        finally:
            self._canceller = None
            self._release_if_idle()

    async def _cancel(self, orders: tuple[GuardedOrder, ...]) -> int:
        """Cancel orders once and return how many are not settled by that."""
        unsettled = 0
        missing: list[GuardedOrder] = []
        for start in range(0, len(orders), CANCELS_AT_ONCE_MAX):
            chunk = orders[start : start + CANCELS_AT_ONCE_MAX]
            submits = (self._owner.entry.submit(order.cancellation, None) for order in chunk)
            for order, outcome in zip(chunk, await asyncio.gather(*submits), strict=True):
                if isinstance(outcome, Done):
                    self._owner.counters.safety_cancelled += 1
                    self._safety.settled(order)
                elif not asks_for_nothing(outcome):
                    unsettled += 1
                    if isinstance(outcome, Refused):
                        self._write(logging.WARNING, "cancellation refused", code=outcome.code)
                elif order.is_conditional:
                    missing.append(order)  # it may have fired: then its direct order is meant
                else:
                    self._safety.settled(order)  # filled meanwhile, or cancelled by somebody
        if missing and not await self._look(missing):
            unsettled += len(missing)
        return unsettled

    def _give_up(self) -> None:
        orders = self._safety.doomed
        self._owner.counters.safety_left += len(orders)
        numbers = " ".join(order.number for order in orders[:20])
        self._write(logging.ERROR, "orders given up", orders=len(orders), first_numbers=numbers)
        for order in orders:
            self._safety.settled(order)

    # --- what still works -------------------------------------------------------------------------------

    def _look_if_many(self) -> None:
        if self._safety.wants_look and self._looker is None:
            self._looker = self._owner.spawn(self._look_at_guarded())

    async def _look_at_guarded(self) -> None:
        try:
            await self._look(self._safety.guarded)
        finally:
            self._looker = None

    async def _look(self, orders: Iterable[GuardedOrder]) -> bool:
        """Ask the venue what has become of orders; return whether it said so."""
        portfolios: dict[tuple[str, Any], list[GuardedOrder]] = {}
        for order in orders:
            portfolios.setdefault((order.portfolio, order.exchange), []).append(order)
        try:
            async with asyncio.timeout(_LOOK_DEADLINE_S):
                for (portfolio, exchange), known in portfolios.items():
                    rows = await _rows(self._owner.query, portfolio, exchange)
                    self._safety.look(rows, known)
        except Exception as error:  # noqa: BLE001 - a venue may fail in any way, and is asked again
            self._write(logging.WARNING, "orders cannot be looked up", error=type(error).__name__)
            return False
        return True

    def _release_if_idle(self) -> None:
        if self._has_left and self._canceller is None and self._safety.is_idle:
            self._safety.release()
            self._set_timer()
            self._owner.forget(self)

    def _write(self, level: int, event: str, **fields: object) -> None:
        standing = self._standing
        who = {"session": standing.number, "path": standing.path, "peer": standing.peer, "login": standing.login}
        self._owner.log.write(level, event, **who, **fields)


class _Followed:
    """The venue as one followed command meets it. Implements ``CommandSink``."""

    def __init__(self, guard: Safeguard, ticket: Ticket) -> None:
        self._guard = guard
        self._ticket = ticket

    async def submit(self, command: Command, key: CommandKey | None = None) -> Outcome:
        return await self._guard.follow(command, key, self._ticket)


async def _rows(query: Query, portfolio: str, exchange: Any) -> PortfolioRows:
    # Conditional orders first: what they place meanwhile is then among the direct ones.
    stops = await query.portfolio_records(Topic(TopicKind.STOP_ORDERS, exchange, portfolio))
    direct = await query.portfolio_records(Topic(TopicKind.ORDERS, exchange, portfolio))
    return PortfolioRows(
        portfolio,
        exchange,
        frozenset(_working(direct.records)),
        frozenset(_working(stops.records)),
        {
            row.id: str(row.exchange_order_id)
            for row in stops.records
            if isinstance(row, StopOrder) and row.exchange_order_id is not None
        },
    )


def _working(records: Iterable[object]) -> Iterator[str]:
    return (row.id for row in records if isinstance(row, Order | StopOrder) and row.status is OrderStatus.WORKING)


def _given(value: Maybe[Any]) -> Any:
    return None if value is UNSET else value
