"""A simulated day with a fault a minute: what the client keeps does not grow.

``make soak`` plays 24 hours, ``python -m schedules.soak 6`` so many.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import random
import sys
import time
from collections import Counter

from schedules import invariants
from schedules.play import Failure, Play
from schedules.schedule import FAULT_ACTIONS, PROGRAM_ACTIONS, Schedule, Step
from tapewire.client.gap import GAPS_KEPT_MAX
from tapewire.faults import Faults
from tapewire.simulation import run_virtual

__all__ = ["soak"]

#: Objects of the client that may be more at the end than at the first count: streams that happen to be open.
GROWTH_MAX = 60
MINUTE_S = 60.0
#: What is kept on purpose, up to a bound.
_BOUNDED = frozenset({"Gap"})


def soak(hours: int, seed: int = 1) -> list[int]:
    """Play so many hours and return how many objects of the client there were after each.

    Raises:
        Failure: An invariant does not hold.
    """
    counts: list[int] = []

    async def main() -> None:
        play = Play(Schedule(seed, (), Faults(), 0.003, 0.001, ends_abruptly=False))
        rng = random.Random(seed)
        await play.broker.start()
        for minute in range(1, hours * 60 + 1):
            await _minute(play, rng)
            if minute % 60 == 0:
                _forget(play)
                counts.append(_objects())
        play.world.heal()
        await play._close()
        play._check(invariants.when_closed(play.world, play.broker, play.holders))
        assert len(play.broker.gaps) <= GAPS_KEPT_MAX
        await play.world.gateway.close()

    run_virtual(main, limit_s=hours * 3_600.0 + 10_000, turns_max=1_000_000 * hours)
    return counts


async def _minute(play: Play, rng: random.Random) -> None:
    for action in (rng.choice(PROGRAM_ACTIONS), rng.choice(FAULT_ACTIONS)):
        step = Step(MINUTE_S / 2, action, rng.getrandbits(32))
        play.world.teller.tell(random.Random(step.number))
        getattr(play, f"do_{action}")(random.Random(step.number))
        play._check(invariants.always(play.world, play.broker, play.holders), step)
        await asyncio.sleep(step.pause_s)


def _forget(play: Play) -> None:
    """Drop what the test itself has written down."""
    play.world.teller.told.clear()
    play.world.requests.clear()
    play.world.taken_back.clear()
    play.orders.clear()
    play.holders[:] = [holder for holder in play.holders if not holder.ended]
    play.watcher.forget_ended()
    for holder in play.holders:
        holder.records.clear()
        holder.gaps.clear()
        holder.go_on()


def _objects() -> int:
    gc.collect()
    found = Counter(
        type(one).__name__ for one in gc.get_objects() if str(type(one).__module__).startswith("tapewire.client")
    )
    return sum(count for name, count in found.items() if name not in _BOUNDED)


def main() -> int:
    """Play a day and say how many objects there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hours", nargs="?", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began = time.perf_counter()
    try:
        counts = soak(options.hours, options.seed)
    except Failure as failure:
        print(f"seed {options.seed}: {failure}")
        return 1
    print(f"objects of the client after each hour: {counts}; {time.perf_counter() - began:.0f} s")
    return 0 if counts[-1] <= counts[0] + GROWTH_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
