"""Random days of a venue whose disk fails and whose power goes: what was told is there, once, and nothing else.

One test turns synchronous writing off and expects the check to find the loss: a check that never fails proves
nothing. ``TAPEWIRE_POWER_DAYS`` sets how many days; 16 without it.
"""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from plants import LossError, Plant
from tapewire.ports.journal import JournalError
from tapewire.simulation import SimulatedDisk, run_virtual

SEEDS = range(int(os.environ.get("TAPEWIRE_POWER_DAYS", "16")))


async def _day(seed: int, *, synchronous: bool = True, ends: int = 6) -> Plant:
    """Trade, let the disk fail, end the program in one of three ways, look; again and again."""
    rng = random.Random(seed)
    disk = SimulatedDisk(seed=seed, synchronous=synchronous)
    plant = Plant(disk, turn_s=rng.choice((0.0005, 0.002, 0.02)), symbols=2)
    trader = plant.trader(seed)
    for _ in range(ends):
        disk.capacity_bytes, disk.read_only, disk.sync_failures = None, False, 0
        await plant.start()
        await trader.check()
        for _ in range(rng.randint(5, 30)):
            for _ in range(rng.choice((1, 1, 3, 20))):
                trader.send()
            await asyncio.sleep(rng.choice((0.0, 0.001, 0.01, 0.3)))
            happens = rng.random()
            if happens < 0.03:
                disk.read_only = True
            elif happens < 0.06:
                disk.capacity_bytes = disk.used_bytes + rng.randrange(2_000)
            elif happens < 0.09:
                disk.sync_failures = 1
            elif happens < 0.12:
                plant.shell.turn_s = 1.5
                await asyncio.sleep(rng.choice((0.5, 2.0)))
                plant.shell.turn_s = plant.turn_s
            elif happens < 0.25:
                disk.capacity_bytes, disk.read_only = None, False
        match rng.choice(("cut", "cut", "cut_in_a_write", "kill", "stop")):
            case "cut":
                await plant.cut()
            case "cut_in_a_write":
                disk.cut_power_after(rng.randrange(4))
                await asyncio.sleep(0.2)
                await plant.cut()
            case "kill":
                await plant.kill()
            case "stop":
                await plant.stop()
        await trader.give_up()
    disk.capacity_bytes, disk.read_only, disk.sync_failures = None, False, 0
    await plant.start()
    await trader.check()
    assert trader.told, "somebody was told something"
    await plant.stop()
    return plant


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_told_is_there(seed: int) -> None:
    run_virtual(_day(seed))


def test_the_check_finds_a_disk_that_lies() -> None:
    found = 0
    for seed in range(6):
        try:
            run_virtual(_day(seed, synchronous=False))
        except (LossError, JournalError):
            found += 1
    assert found >= 3
