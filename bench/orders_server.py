"""The whole trading system with a data folder, as a process of its own; its market is quiet."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import uvloop

from tapewire.app import Settings, System
from tapewire.exchange import AccountTerms

__all__ = ["PORTFOLIO", "Desk", "Served"]

PORTFOLIO = "D70001"
#: Nobody runs out of it.
CASH = Decimal(10_000_000_000)


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """Where the system keeps what outlives it; empty: nowhere."""

    data: str


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens, and what opens it."""

    port: int
    refresh_token: str
    admin_token: str


async def _serve(desk: Desk) -> None:
    """Serve until standard input ends."""
    settings = Settings(
        port=0,
        data=Path(desk.data) if desk.data else None,
        symbols=1,
        events_per_second=1,
        accounts=(AccountTerms(name=PORTFOLIO, cash=CASH),),
        owns_process=True,
    )
    async with System(settings) as system:
        served = Served(
            port=int(system.url.rpartition(":")[2]),
            refresh_token=system.refresh_token,
            admin_token=system.admin_token.reveal(),
        )
        print(msgspec.json.encode(served).decode(), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve(msgspec.json.decode(sys.argv[1], type=Desk)))
