"""The archive of a venue's bars and trades: SQLite in WAL mode, in a thread of its own.

One file has one owner: it is locked from opening to ``close`` or to the end of the process. A foreign file, a
damaged one and one of a newer tapewire are refused and left as they are.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tapewire.adapters.sqlite_file import FileFormat, ForeignFileError, claim, transaction
from tapewire.model import DAY_S, Bar, Side
from tapewire.ports.archive import ArchiveBatch, ArchivedTrade, ArchiveError, InstrumentKey
from tapewire.ports.query import TradesFilter

__all__ = ["APPLICATION_ID", "FORMAT_VERSION", "INTRADAY_DAYS_MAX", "TRADES_MAX", "SqliteArchive"]

T = TypeVar("T")

#: "twar" in ASCII; shown by ``file(1)``.
APPLICATION_ID = 0x74776172
#: Grows with every change that an older tapewire would misread.
FORMAT_VERSION = 1

#: Trades of all instruments that are kept: about a day at speed 1, 150 MB.
TRADES_MAX = 2_000_000
#: Bars shorter than a day are kept for so many days: at most 47,520 minutes a day for 33 instruments, 3 MB.
INTRADAY_DAYS_MAX = 60

#: Retention is looked at after so many batches, and deletes at most so many rows at a time.
_BATCHES_BETWEEN_SWEEPS = 60
_SWEEP_ROWS = 20_000

_SCHEMA = """
    CREATE TABLE instrument (
        number INTEGER PRIMARY KEY, exchange TEXT NOT NULL, symbol TEXT NOT NULL, board TEXT NOT NULL,
        UNIQUE (exchange, symbol, board)
    );
    CREATE TABLE bar (
        instrument INTEGER NOT NULL, interval_s INTEGER NOT NULL, time_s INTEGER NOT NULL,
        open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL, lots INTEGER NOT NULL,
        PRIMARY KEY (instrument, interval_s, time_s)
    ) WITHOUT ROWID;
    CREATE TABLE trade (
        id INTEGER PRIMARY KEY, instrument INTEGER NOT NULL, at_ns INTEGER NOT NULL, price REAL NOT NULL,
        lots INTEGER NOT NULL, is_buy INTEGER NOT NULL, open_interest INTEGER NOT NULL
    );
    CREATE INDEX trade_of_instrument ON trade (instrument, id);
    CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
FORMAT = FileFormat("an archive", APPLICATION_ID, FORMAT_VERSION, _SCHEMA)
_TRADE_COLUMNS = "id, at_ns, price, lots, is_buy, open_interest"


class SqliteArchive:
    """A ``ports.Archive`` in one SQLite file.

    Calls are carried out one after the other in one thread; the loop only waits. A cancelled ``append`` is
    durable all the same, or not at all.

    Args:
        path: The file; made if it does not exist, its folder is not.

    Raises:
        ArchiveError: The file cannot be opened or locked, is damaged, is no archive, or is of a newer format
            than this tapewire knows. Opening blocks for some milliseconds.
    """

    def __init__(
        self, path: Path, *, trades_max: int = TRADES_MAX, intraday_days: int = INTRADAY_DAYS_MAX
    ) -> None:
        self._path = path
        self._trades_max = trades_max
        self._intraday_s = intraday_days * DAY_S
        self._batches = 0
        self._numbers: dict[InstrumentKey, int] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="archive")
        try:
            self._database = self._thread.submit(self._open).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def close(self) -> None:
        """Carry out what was asked for, then release the file; every later call is refused."""
        self._thread.submit(self._database.close).result()
        self._thread.shutdown()

    async def began_at_s(self, now_s: int) -> int:
        """Return the first moment of the archive; in a new one ``now_s``, kept from now on."""
        return await self._carry_out(lambda database: _began_at_s(database, now_s))

    async def append(self, batch: ArchiveBatch) -> None:
        """Keep a batch; on return it is synced, after an error nothing of it is kept."""
        await self._carry_out(lambda database: self._append(database, batch))

    async def bars(
        self, key: InstrumentKey, interval_s: int, since_s: int, until_s: int, limit: int
    ) -> Sequence[Bar]:
        """Return the bars that open in the range: the newest ``limit``, oldest first."""

        def read(database: sqlite3.Connection) -> list[Bar]:
            rows = database.execute(
                "SELECT time_s, open, high, low, close, lots FROM bar"
                " WHERE instrument = ? AND interval_s = ? AND time_s BETWEEN ? AND ?"
                " ORDER BY time_s DESC LIMIT ?",
                (self._numbers.get(key), interval_s, since_s, until_s, limit),
            ).fetchall()
            return [
                Bar(time_s=time_s, open=opens, high=high, low=low, close=closes, volume=lots)
                for time_s, opens, high, low, closes, lots in reversed(rows)
            ]

        return await self._carry_out(read)

    async def trades(
        self, key: InstrumentKey, since_ns: int, before_id: int, limit: int
    ) -> Sequence[ArchivedTrade]:
        """Return the newest trades since a moment with ids below ``before_id``, oldest first."""

        def read(database: sqlite3.Connection) -> list[ArchivedTrade]:
            rows = database.execute(
                f"SELECT {_TRADE_COLUMNS} FROM trade"  # noqa: S608 – a constant
                " WHERE instrument = ? AND id < ? AND at_ns >= ? ORDER BY id DESC LIMIT ?",
                (self._numbers.get(key), before_id, since_ns, limit),
            ).fetchall()
            return [_trade(row) for row in reversed(rows)]

        return await self._carry_out(read)

    async def find_trades(
        self, key: InstrumentKey, wanted: TradesFilter, before_id: int
    ) -> tuple[int, Sequence[ArchivedTrade]]:
        """Return how many trades below ``before_id`` match, and those that are wanted of them."""

        def read(database: sqlite3.Connection) -> tuple[int, list[ArchivedTrade]]:
            condition, values = _condition(wanted)
            values = [self._numbers.get(key), before_id, *values]
            where = f"FROM trade WHERE instrument = ? AND id < ?{condition}"
            (total,) = database.execute(f"SELECT count(*) {where}", values).fetchone()
            direction = "DESC" if wanted.descending else "ASC"
            rows = database.execute(
                f"SELECT {_TRADE_COLUMNS} {where} ORDER BY id {direction} LIMIT ? OFFSET ?",
                [*values, wanted.limit, wanted.offset],
            ).fetchall()
            return total, [_trade(row) for row in rows]

        return await self._carry_out(read)

    async def last_trade_id(self) -> int | None:
        """Return the largest id that was ever kept."""

        def read(database: sqlite3.Connection) -> int | None:
            # The newest trade is never swept away, so the largest that is there is the largest ever.
            (last,) = database.execute("SELECT max(id) FROM trade").fetchone()
            return None if last is None else int(last)

        return await self._carry_out(read)

    async def _carry_out(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def translated() -> T:
            with self._translated():
                return work(self._database)

        try:
            answer = asyncio.get_running_loop().run_in_executor(self._thread, translated)
        except RuntimeError as error:  # the thread has been shut down
            raise ArchiveError(f"{self._path}: the archive is closed") from error
        return await answer

    def _open(self) -> sqlite3.Connection:
        with self._translated():
            # The lock is never waited for: its holder keeps it as long as it lives.
            database = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            with self._translated():
                claim(database, self._path, FORMAT)
                for number, exchange, symbol, board in database.execute("SELECT * FROM instrument"):
                    self._numbers[exchange, symbol, board] = number
        except BaseException:
            database.close()
            raise
        return database

    def _append(self, database: sqlite3.Connection, batch: ArchiveBatch) -> None:
        with transaction(database):
            added = self._add_instruments(database, batch)
            numbers = self._numbers | added
            database.executemany(
                "INSERT OR REPLACE INTO bar VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (numbers[key], interval_s, bar.time_s, bar.open, bar.high, bar.low, bar.close, bar.volume)
                    for key, interval_s, bar in batch.bars
                ],
            )
            database.executemany(
                "INSERT OR REPLACE INTO trade VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        trade.id,
                        numbers[key],
                        trade.at_ns,
                        trade.price,
                        trade.quantity,
                        trade.side is Side.BUY,
                        trade.open_interest,
                    )
                    for key, trade in batch.trades
                ],
            )
        self._numbers = numbers
        self._batches += 1
        if self._batches % _BATCHES_BETWEEN_SWEEPS == 0:
            self._sweep(database)

    def _add_instruments(self, database: sqlite3.Connection, batch: ArchiveBatch) -> dict[InstrumentKey, int]:
        added: dict[InstrumentKey, int] = {}
        keys = [key for key, _, _ in batch.bars] + [key for key, _ in batch.trades]
        for key in dict.fromkeys(keys):
            if key not in self._numbers:
                cursor = database.execute("INSERT INTO instrument (exchange, symbol, board) VALUES (?, ?, ?)", key)
                assert cursor.lastrowid is not None, "SQLite numbers every row"
                added[key] = cursor.lastrowid
        return added

    def _sweep(self, database: sqlite3.Connection) -> None:
        """Delete the oldest of what is too much; a little each time, so that no append waits long."""
        with transaction(database):
            database.execute(
                "DELETE FROM trade WHERE id IN"
                " (SELECT id FROM trade WHERE id <="
                " (SELECT id FROM trade ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?)",
                (self._trades_max, _SWEEP_ROWS),
            )
            database.execute(
                "DELETE FROM bar WHERE interval_s < ?"
                " AND time_s < (SELECT max(at_ns) / 1000000000 FROM trade) - ?",
                (DAY_S, self._intraday_s),
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ForeignFileError as error:
            raise ArchiveError(str(error)) from error
        except sqlite3.Error as error:
            # The low byte is the primary code. Errors of the binding itself carry none.
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            said = "in use by another process" if code == sqlite3.SQLITE_BUSY else str(error)
            raise ArchiveError(f"{self._path}: {said}") from error


def _began_at_s(database: sqlite3.Connection, now_s: int) -> int:
    with transaction(database):
        database.execute("INSERT OR IGNORE INTO fact VALUES ('began_at_s', ?)", (now_s,))
        (began_at_s,) = database.execute("SELECT value FROM fact WHERE name = 'began_at_s'").fetchone()
    return int(began_at_s)


def _condition(wanted: TradesFilter) -> tuple[str, list[object]]:
    """Return the filter as SQL behind a condition, and its values. The text holds names and marks only."""
    bounds: list[tuple[str, object]] = [
        ("at_ns >= ?", None if wanted.since_s is None else wanted.since_s * 1_000_000_000),
        ("at_ns < ?", None if wanted.until_s is None else (wanted.until_s + 1) * 1_000_000_000),
        ("id >= ?", wanted.from_id),
        ("id <= ?", wanted.to_id),
        ("lots >= ?", wanted.quantity_min),
        ("lots <= ?", wanted.quantity_max),
        ("price >= ?", wanted.price_min),
        ("price <= ?", wanted.price_max),
        ("is_buy = ?", None if wanted.side is None else wanted.side is Side.BUY),
    ]
    given = [(text, value) for text, value in bounds if value is not None]
    return "".join(f" AND {text}" for text, _ in given), [value for _, value in given]


def _trade(row: tuple[int, int, float, int, int, int]) -> ArchivedTrade:
    number, at_ns, price, lots, is_buy, open_interest = row
    return ArchivedTrade(number, at_ns, price, lots, Side.BUY if is_buy else Side.SELL, open_interest)
