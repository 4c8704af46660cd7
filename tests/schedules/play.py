"""Plays schedules on virtual time and says what broke; a failing one is made short.

Repeat a seed: ``python -m schedules.play 1234`` in ``tests``; many: ``python -m schedules.play --seeds 1000``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial

from schedules import invariants
from schedules.holder import FIRST_STYLES, Holder, Style
from schedules.kind import FIRST_KINDS, Kind, policies_of
from schedules.schedule import Edition, Schedule, Step, draw
from schedules.teller import SYMBOLS
from schedules.watcher import Watcher
from schedules.world import World
from tapewire.client.broker import Broker
from tapewire.client.buffer import BufferPolicy, Conflate, DropOldest, Fail
from tapewire.client.command_result import Accepted, CommandResult, Rejected
from tapewire.client.errors import TapewireError
from tapewire.client.states import SubscriptionState
from tapewire.simulation import SimulationError, run_virtual

__all__ = ["Failure", "failure_of", "play", "play_all", "shortened"]

HOLDERS_MAX = 12
#: Virtual seconds after the last fault within which all is as it should be: two pauses of a block and more.
QUIET_S = 2_000.0
RUN_S = 60_000.0
#: Within which a client has noticed that a connection is dead: two pings and more.
NOTICED_S = 30.0
#: Of a hundred thousand or so: more is a spin.
TURNS_MAX = 3_000_000
#: Within which a server has.
SERVER_NOTICED_S = 900.0
CLOSE_S = 5.0
#: What a question over HTTP may take, and once more.
HTTP_S = 40.0
#: What all that is under way needs to arrive.
SETTLED_S = 3.0


class Failure(Exception):  # noqa: N818 - the word of the field
    """A schedule in which something was broken."""


class Play:
    """One run of a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.world = World(schedule)
        self.broker: Broker = self.world.broker(random.Random(schedule.seed))
        self.holders: list[Holder] = []
        self.watcher = Watcher(self.broker, self.holders)
        self.tasks: set[asyncio.Task[None]] = set()
        self.orders: dict[str, CommandResult | TapewireError | None] = {}

    async def run(self) -> None:
        """Do all steps, then wait for quiet, then close.

        Raises:
            Failure: An invariant does not hold.
        """
        world, broker = self.world, self.broker
        try:
            await broker.start()
        except TapewireError:
            await broker.close()
            await world.gateway.close()
            return
        try:
            for step in self.schedule.steps:
                await asyncio.sleep(step.pause_s)
                rng = random.Random(step.number)
                world.teller.tell(rng)
                if self.schedule.edition is not Edition.FIRST:
                    world.teller.tell_more(random.Random(step.number + 1))
                getattr(self, f"do_{step.action}")(rng)
                self._check(invariants.always(world, broker, self.holders), step)
                self._check(self.watcher.problems, step)
                self._check(self.watcher.untold(), step)
            while self.tasks:
                await asyncio.wait(self.tasks)
                await asyncio.sleep(0)
            world.heal()
            if not self.schedule.ends_abruptly:
                await self._rest()
        finally:
            await self._close()
        await self.watcher.task
        self._check(self.watcher.problems)
        for holder in self.holders:
            self._check(invariants.in_what_came(world, broker, holder, is_quiet=False))
        self._check(invariants.when_closed(world, broker, self.holders))
        await world.gateway.close()

    async def _rest(self) -> None:
        world, broker, holders = self.world, self.broker, self.holders
        world.heal()
        for holder in holders:
            holder.go_on()
        loop = asyncio.get_running_loop()
        world.teller.tell_first_states()
        # Until then a client may not know that a connection is dead.
        await asyncio.sleep(NOTICED_S)
        until_s = loop.time() + QUIET_S
        while loop.time() < until_s and not self._is_quiet():
            await asyncio.sleep(1.0)
            self._check(invariants.always(world, broker, holders))
            if until_s - loop.time() < QUIET_S - SERVER_NOTICED_S:
                self._end_ghosts()
        self._end_ghosts()
        await asyncio.sleep(SETTLED_S)
        for holder in holders:
            self._check(invariants.in_what_came(world, broker, holder, is_quiet=True))
        world.teller.tell_all()
        await asyncio.sleep(SETTLED_S)
        self._check(invariants.always(world, broker, holders))
        self._check(invariants.at_rest(world, broker, holders))
        for holder in holders:
            self._check(invariants.in_what_came(world, broker, holder, is_quiet=True))
        self._check(self._orders())
        self._check(self.watcher.untold())

    def _end_ghosts(self) -> None:
        """Let the server notice that clients are gone without a sign; until then they count as connections."""
        for connection in self.world.network.connections:
            if connection.client.ended:
                connection.server.abort()

    def _is_quiet(self) -> bool:
        fleet = self.broker._fleet
        waiting = (holder for holder in self.holders if not holder.ended and holder.is_wanted)
        return (
            all(holder.stream.state is SubscriptionState.ACTIVE for holder in waiting)
            and all(link.session is not None and link.subscriber._asking.is_idle for link in fleet.links)
            and not self.broker.gaps.open
            and not fleet._links.is_opening
            and None not in self.orders.values()
        )

    async def _close(self) -> None:
        for holder in self.holders:
            # From here on a plain end is what the program has asked for.
            holder.is_wanted = False
        async with asyncio.timeout(CLOSE_S):
            await self.broker.close()
        for holder in self.holders:
            holder.go_on()
        self.world.network.cut()
        # Who was still fetching a past is told when HTTP has answered, or not.
        if opening := [
            holder.task for holder in self.holders if holder.task is not None and not holder.task.done()
        ]:
            await asyncio.wait(opening, timeout=HTTP_S)
        await asyncio.sleep(1.0)

    def _orders(self) -> Iterator[str]:
        """A command is carried out once at most, and what was said of it is true."""
        carried_out = [getattr(command, "comment", None) for command in self.world.venue.commands]
        for comment, result in self.orders.items():
            times = carried_out.count(comment)
            if times > 1:
                yield f"order {comment} was sent {times} times"
            if isinstance(result, Accepted) and times != 1:
                yield f"order {comment} was accepted and is not there"
            if isinstance(result, Rejected | TapewireError) and times:
                yield f"order {comment} is there, the program was told {result!r}"
            if result is None:
                yield f"order {comment} has no end"

    @staticmethod
    def _check(problems: Iterable[str], step: Step | None = None) -> None:
        for problem in problems:
            at_s = asyncio.get_running_loop().time()
            raise Failure(f"at {at_s:.4f} s{'' if step is None else f', after {step.action}'}: {problem}")

    # --- actions ----------------------------------------------------------------------------------------

    def _later(self, coroutine: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await coroutine()

        task = asyncio.create_task(run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # The program.

    def do_open(self, rng: random.Random, twin: Holder | None = None) -> Holder | None:
        if sum(not holder.ended for holder in self.holders) >= HOLDERS_MAX:
            return None
        is_first = self.schedule.edition is Edition.FIRST
        kinds = FIRST_KINDS if is_first else tuple(Kind)
        kind = rng.choice((*kinds, Kind.TRADES, Kind.BARS, Kind.FILLS)) if twin is None else twin.kind
        symbol = rng.choice(SYMBOLS[:2]) if twin is None else twin.symbol
        policy: BufferPolicy | None = None
        if is_first and rng.random() < 0.2:
            sizes = (Fail(200), Fail(8), DropOldest(5))
            policy = Conflate() if kind in (Kind.BOOK, Kind.QUOTES) else rng.choice(sizes)
        elif not is_first and rng.random() < 0.35:
            policy = rng.choice(policies_of(kind))
        style = rng.choice(FIRST_STYLES if is_first else (*Style, Style.CALLBACK))
        holder = Holder(len(self.holders) + 1, kind, symbol, style, policy, self.broker, self.world.teller.count)
        if style is Style.RAISES:
            holder.raises_after = rng.randint(1, 20)
        self.holders.append(holder)
        holder.task = asyncio.create_task(holder.run(), name=f"holder {holder.number}")
        return holder

    def do_open_twice(self, rng: random.Random) -> None:
        known = [holder for holder in self.holders if not holder.ended]
        first = rng.choice(known) if known and rng.random() < 0.5 else self.do_open(rng)
        if first is not None:
            self.do_open(rng, first)

    def do_open_late(self, rng: random.Random) -> None:
        """Join a stream whose state has come already: it is not asked for again."""
        shown = [holder for holder in self.holders if holder.is_live and holder.records]
        if shown:
            self.do_open(rng, rng.choice(shown))

    def do_pour(self, rng: random.Random) -> None:
        self.world.teller.pour(rng, rng.choice((6, 12, 40)))

    def do_open_and_cancel(self, rng: random.Random) -> None:
        holder = self.do_open(rng)
        if holder is not None:
            delay_s = rng.choice((0.0, 0.0005, 0.0011, 0.002, 0.01, 0.08, 1.0, 10.0))
            asyncio.get_running_loop().call_later(delay_s, self._give_up, holder)

    def _give_up(self, holder: Holder) -> None:
        if holder.task is not None and not holder.task.done():
            holder.is_wanted = False
            holder.task.cancel()

    def do_close(self, rng: random.Random) -> None:
        running = [holder for holder in self.holders if holder.known is not None and not holder.ended]
        if running:
            holder = rng.choice(running)
            holder.is_wanted = False
            holder.go_on()
            self._later(holder.close)

    def do_cancel(self, rng: random.Random) -> None:
        running = [holder for holder in self.holders if not holder.ended]
        if running:
            self._give_up(rng.choice(running))

    def do_stall(self, rng: random.Random) -> None:
        for holder in self.holders:
            if rng.random() < 0.4:
                holder.stall()
            else:
                holder.go_on()

    def do_order(self, rng: random.Random) -> None:
        comment = f"order {len(self.orders) + 1}"
        self.orders[comment] = None

        async def place() -> None:
            try:
                self.orders[comment] = await self.broker.orders.limit(
                    SYMBOLS[0], "buy", lots=1, price=Decimal(100), portfolio="D1", comment=comment
                )
            except TapewireError as error:
                self.orders[comment] = error

        self._later(place)

    # What goes wrong.

    def do_cut(self, rng: random.Random) -> None:
        self.world.network.cut()

    def do_cut_one(self, rng: random.Random) -> None:
        if self.world.network.connections:
            rng.choice(self.world.network.connections).cut()

    def do_cut_handshake(self, rng: random.Random) -> None:
        world = self.world
        world.delay_handshakes(rng.choice((0.2, 2.0, 9.0)), rng.choice((3.0, 30.0)))
        world.network.cut()
        for at_s in (0.3, 1.1, 2.7):
            world.loop.call_later(at_s, world.network.cut)

    def do_half_open(self, rng: random.Random) -> None:
        if self.world.network.connections:
            rng.choice(self.world.network.connections).drop()

    def do_deaf(self, rng: random.Random) -> None:
        if self.world.network.connections:
            connection = rng.choice(self.world.network.connections)
            rng.choice((connection.to_client, connection.to_server)).drop()

    def do_mute(self, rng: random.Random) -> None:
        world = self.world
        if world.network.connections:
            connection = rng.choice(world.network.connections)
            connection.to_client.stall()
            world.loop.call_later(rng.choice((0.5, 4.0, 12.0, 16.0)), connection.to_client.resume)

    def do_overflow(self, rng: random.Random) -> None:
        for connection in self.world.network.connections:
            if connection.path == "/ws":
                connection.server.close(1013, "too many unprocessed messages")

    def do_restart(self, rng: random.Random) -> None:
        down_s = rng.choice((0.01, 1.0, 20.0))
        self._later(lambda: self.world.restart(down_s))

    def do_maintenance(self, rng: random.Random) -> None:
        self.world.refuse(rng.choice((503, None)), rng.choice((2.0, 20.0, 90.0)))
        for connection in self.world.network.connections:
            connection.server.close(1001, "maintenance")

    def do_block(self, rng: random.Random) -> None:
        self.world.refuse(rng.choice((401, 403, 429)), rng.choice((60.0, 400.0, 1500.0)))
        if rng.random() < 0.7:
            self.world.network.cut()

    def do_swallow(self, rng: random.Random) -> None:
        self.world.swallow(rng.choice((5.0, 25.0)))
        if rng.random() < 0.7:
            self.world.network.cut()

    def do_late_data(self, rng: random.Random) -> None:
        self.world.forge(rng)

    def do_http_fails(self, rng: random.Random) -> None:
        self.world.web.unreachable()
        self.world.loop.call_later(rng.choice((1.0, 10.0, 60.0)), self.world.web.restore)
        if self.schedule.edition is not Edition.FIRST and rng.random() < 0.7:
            # What is missed cannot be fetched.
            self.world.network.cut()

    def do_http_silent(self, rng: random.Random) -> None:
        self.world.web.swallow()
        self.world.loop.call_later(rng.choice((1.0, 12.0)), self.world.web.restore)

    def do_clock_jump(self, rng: random.Random) -> None:
        self.world.has_jumped = True
        self.world.client_clock.jump(rng.choice((-3600.0, -2.0, 2.0, 3600.0)))

    def do_slow_past(self, rng: random.Random) -> None:
        self.world.venue.page_delays_s = rng.choice(((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (1.0, 2.0)))


def play(schedule: Schedule) -> None:
    """Play a schedule to its end.

    Raises:
        Failure: Something was broken; the text says what.
    """

    async def main() -> None:
        await Play(schedule).run()

    try:
        run_virtual(main, limit_s=RUN_S, turns_max=TURNS_MAX)
    except Failure:
        raise
    except (SimulationError, Exception) as error:
        raise Failure(f"{type(error).__name__}: {error}") from error


def failure_of(seed: int, edition: Edition = Edition.SECOND) -> str | None:
    """Return what broke with a seed, None if nothing did."""
    try:
        play(draw(seed, edition))
    except Failure as failure:
        return str(failure)
    return None


def shortened(schedule: Schedule, tries_max: int = 200) -> Schedule:
    """Return a schedule with fewer steps and rules that fails too."""
    tries = 0
    size = max(len(schedule.steps) // 2, 1)
    while size and tries < tries_max:
        position = 0
        while position < len(schedule.steps) and tries < tries_max:
            fewer = schedule.steps[:position] + schedule.steps[position + size :]
            candidate = schedule._replace(steps=fewer)
            tries += 1
            if _fails(candidate):
                schedule = candidate
            else:
                position += size
        size //= 2
    return schedule


def _fails(schedule: Schedule) -> bool:
    try:
        play(schedule)
    except Failure:
        return True
    return False


def _quietly(edition: Edition, seed: int) -> tuple[int, str | None]:
    logging.disable(logging.CRITICAL)
    return seed, failure_of(seed, edition)


def play_all(seeds: Iterable[int], jobs: int, edition: Edition = Edition.SECOND) -> list[tuple[int, str]]:
    """Play many seeds in several processes and return those that failed, with what broke."""
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        found = pool.imap_unordered(partial(_quietly, edition), seeds, chunksize=8)
        return sorted((seed, text) for seed, text in found if text is not None)


def main() -> int:
    """Play seeds as told and say which have failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, help="play this one, and make it short if it fails")
    parser.add_argument("--seeds", type=int, default=1_000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--edition", type=int, choices=tuple(Edition), default=Edition.SECOND)
    options = parser.parse_args()
    edition = Edition(options.edition)
    logging.disable(logging.CRITICAL)
    if options.seed is not None:
        schedule = draw(options.seed, edition)
        if not _fails(schedule):
            print(f"seed {options.seed}: nothing broke")
            return 0
        schedule = shortened(schedule)
        print(schedule)
        play(schedule)
    began = time.perf_counter()
    seeds = range(options.first, options.first + options.seeds)
    failed = play_all(seeds, options.jobs, edition)
    for seed, text in failed:
        print(f"seed {seed}: {text}\n  repeat: make schedules ARGS='{seed} --edition {edition}'")
    print(f"{options.seeds} schedules, {len(failed)} failed, {time.perf_counter() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
