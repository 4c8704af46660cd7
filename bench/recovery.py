"""The start of a venue from its journal: all commands replayed, and from a snapshot shortly before the end."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from bench import children, rounds
from bench.journal import PLACE
from bench.machine import this_machine
from bench.matching_flow import Operation, flow, name_of
from bench.options import Options
from bench.recovery_start import Recovered, Start, open_journal, open_venue, recover_hall
from bench.result import Result
from tapewire.adapters.clock import SystemClock
from tapewire.adapters.journal_file import SqliteJournalFile
from tapewire.exchange import ExchangeState
from tapewire.journal import Entry, EntryKind
from tapewire.journal.record import encode
from tapewire.market import catalogue
from tapewire.model import CancelOrder, Command, CommandKey, Exchange, OrderType, PlaceOrder, Side
from tapewire.venues.entries import command_taken

__all__ = ["measure"]

COMMANDS = 300_000
#: Of these, behind the snapshot.
BEHIND_PART = 10
RESTING = 5_000
BATCH = 4_096
FROM_SNAPSHOT_TO_WHOLE_MAX = 0.25
TIMEOUT_S = 600.0
LOGIN = "P070001"


def measure(options: Options) -> Result:
    """Write one journal, then start from it in both ways, in turns. ``--messages`` are its commands."""
    commands = options.messages or COMMANDS
    with tempfile.TemporaryDirectory(prefix=".bench-recovery-", dir=PLACE) as folder:
        starts, size_bytes = asyncio.run(_write(Path(folder), commands))
        readings = rounds.interleave(starts, _start, options.runs)
    if len({one.state_hash for taken in readings.values() for one in taken}) != 1:
        raise children.ChildError("the two ways did not lead to the same state")
    figures = {"commands": float(commands), "commands_behind_the_snapshot": float(commands // BEHIND_PART)}
    figures |= size_bytes
    figures["orders_working"] = float(readings["whole"][0].orders_working)
    for name, taken in readings.items():
        figures[f"{name}_s"] = rounds.median_of(taken, lambda one: one.seconds)
        figures[f"{name}_cpu_s"] = rounds.median_of(taken, lambda one: one.cpu_seconds)
    figures["whole_commands_per_second"] = commands / figures["whole_s"]
    ratio = rounds.median_ratio(readings["from_snapshot"], readings["whole"], lambda one: one.seconds)
    return Result(
        name="recovery",
        figures=figures,
        ratios={"from_snapshot_to_whole": ratio},
        targets={
            "the state hashes are the same": True,
            f"from_snapshot_to_whole <= {FROM_SNAPSHOT_TO_WHOLE_MAX}": ratio <= FROM_SNAPSHOT_TO_WHOLE_MAX,
        },
        machine=this_machine(),
    )


def _start(name: str, start: Start) -> Recovered:
    if sys.stderr.isatty():
        print(f"recovery: {name} …", file=sys.stderr)
    return children.run("bench.recovery_start", start, Recovered, timeout_s=TIMEOUT_S)


async def _write(folder: Path, commands: int) -> tuple[dict[str, Start], dict[str, float]]:
    """Write a journal with a snapshot before its last commands; return both ways to start from it."""
    journal, snapshots, none = folder / "journal.db", folder / "snapshots", folder / "none"
    venue = open_venue(journal, snapshots)
    await venue.start()
    await venue.stop()
    # That stop has kept a snapshot too; the one way needs it not, the other a newer one.
    shutil.rmtree(snapshots)
    first_order_id = (await _hall_state(journal, snapshots)).next_order_id
    asked = list(_commands(flow(commands, RESTING)[:commands], first_order_id))
    behind = commands // BEHIND_PART
    _append(journal, asked[:-behind], 0)
    venue = open_venue(journal, snapshots)
    await venue.start()
    await venue.stop()
    _append(journal, asked[-behind:], len(asked) - behind)
    sizes = {
        "journal_mb": journal.stat().st_size / 1e6,
        "snapshot_mb": max(file.stat().st_size for file in snapshots.iterdir()) / 1e6,
    }
    return {
        "whole": Start(journal=str(journal), snapshots=str(none)),
        "from_snapshot": Start(journal=str(journal), snapshots=str(snapshots)),
    }, sizes


async def _hall_state(journal: Path, snapshots: Path) -> ExchangeState:
    opened = open_journal(journal, snapshots)
    hall = await recover_hall(opened)
    await opened.close()
    return hall.exchange.snapshot()


def _commands(operations: Iterable[Operation], first_order_id: int) -> Iterator[Command]:
    instrument = catalogue(1)[0]
    for cancels, account, buys, lots, ticks in operations:
        if cancels is not None:
            number = str(first_order_id + cancels)
            yield CancelOrder(portfolio=name_of(account), exchange=Exchange.MOEX, order_number=number)
            continue
        price: Decimal | None = None if ticks is None else instrument.price(ticks)
        yield PlaceOrder(
            portfolio=name_of(account),
            exchange=instrument.exchange,
            symbol=instrument.symbol,
            board=instrument.board,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            side=Side.BUY if buys else Side.SELL,
            quantity_lots=lots,
            price=price,
        )


def _append(journal: Path, commands: Sequence[Command], first_guid: int) -> None:
    """Write what the journal would have written of these commands; syncs are not what is measured here."""
    file = SqliteJournalFile(journal)
    at_ns = SystemClock().wall_ns()
    for first in range(0, len(commands), BATCH):
        sequence = file.next_sequence
        records = []
        for number, command in enumerate(commands[first : first + BATCH]):
            key = CommandKey(LOGIN, f"a_{first_guid + first + number}")
            body = command_taken(command, key, 0)
            records.append(encode(Entry(EntryKind.COMMAND, sequence + number, at_ns + first + number, body)))
        file.append(sequence, records)
    file.close()
