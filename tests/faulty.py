"""A gateway with faults in front of it, on virtual time, and what tests ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tapewire.faults import FaultInjector, Faults, read_faults
from tapewire.gateway.limits import Limits
from tapewire.simulation import LinkConditions, Network, run_virtual
from unit.gateway.world import SBER, World

#: What a message takes to a client and back, and a little more.
ROUND_S = 0.01


class FaultyWorld(World):
    """A world whose gateway misbehaves. The scripted venue says nothing by itself."""

    def __init__(self, faults: Faults, **settings: Any) -> None:
        # Many of the peers here only wait, and show no token.
        super().__init__(limits=Limits(authorise_within_s=None), **settings)
        self.injector = FaultInjector(faults, self.clock)
        self.network = Network(conditions=LinkConditions(latency_s=0.001))
        self.network.listen("gateway:80", self.injector.acceptor(self.gateway.accept))

    @property
    def struck(self) -> dict[str, int]:
        return self.injector.plan.struck

    def print_trade(self, price: float) -> None:
        self.venue.publish_trade(SBER, price)

    async def print_trades(self, first: int, last: int, apart_s: float = 0.01) -> None:
        for price in range(first, last + 1):
            self.print_trade(price)
            await asyncio.sleep(apart_s)

    async def until_s(self, seconds: float) -> None:
        """Sleep until a time of the loop."""
        await asyncio.sleep(seconds - asyncio.get_running_loop().time())


def run_with(faults: str | Faults, scenario: Callable[[FaultyWorld], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario against a gateway with the faults of a file's text."""

    async def main() -> None:
        read = read_faults(faults) if isinstance(faults, str) else faults
        async with FaultyWorld(read) as world:
            await scenario(world)

    run_virtual(main)
