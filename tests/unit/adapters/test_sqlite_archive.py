import asyncio
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.adapters.sqlite_archive import FORMAT_VERSION, SqliteArchive
from tapewire.model import DAY_S, Bar, Side
from tapewire.ports.archive import Archive, ArchiveBatch, ArchivedTrade, ArchiveError
from tapewire.ports.query import TradesFilter
from tapewire.venues.memory_archive import MemoryArchive

SBER, GAZP = ("MOEX", "SBER", "TQBR"), ("MOEX", "GAZP", "TQBR")
BIG = 2**62


def trade(number, **changes):
    rows = {
        "id": number,
        "at_ns": number * 10**9,
        "price": 300 + number / 100,
        "quantity": number % 7 + 1,
        "side": Side.BUY if number % 3 else Side.SELL,
        "open_interest": number,
    }
    return ArchivedTrade(**(rows | changes))


def bar(time_s, **changes):
    return Bar(**({"time_s": time_s, "open": 1.5, "high": 2.25, "low": 0.1, "close": 1.1, "volume": 9} | changes))


@pytest.fixture(params=["sqlite", "memory"])
def archive(request, tmp_path):
    if request.param == "memory":
        yield MemoryArchive()
        return
    opened = SqliteArchive(tmp_path / "archive.db")
    yield opened
    opened.close()


def run(work):
    return asyncio.run(work)


def test_what_was_kept_comes_back_as_it_was(archive: Archive):
    async def main():
        bars = [(SBER, 60, bar(60)), (SBER, 60, bar(120)), (SBER, DAY_S, bar(0)), (GAZP, 60, bar(60, close=7.0))]
        trades = [(SBER, trade(1)), (GAZP, trade(2)), (SBER, trade(3))]
        await archive.append(ArchiveBatch(bars, trades))
        assert await archive.bars(SBER, 60, 0, BIG, 99) == [bar(60), bar(120)]
        assert await archive.bars(SBER, 60, 61, 120, 99) == [bar(120)]
        assert await archive.bars(SBER, 60, 0, BIG, 1) == [bar(120)]
        assert await archive.bars(GAZP, 60, 0, BIG, 9) == [bar(60, close=7.0)]
        assert await archive.trades(SBER, 0, BIG, 99) == [trade(1), trade(3)]
        assert await archive.trades(SBER, 2 * 10**9, BIG, 99) == [trade(3)]
        assert await archive.trades(SBER, 0, 3, 99) == [trade(1)]
        assert await archive.last_trade_id() == 3

    run(main())


def test_a_new_archive_is_empty_and_begins_once(archive: Archive):
    async def main():
        assert await archive.last_trade_id() is None
        assert await archive.bars(SBER, 60, 0, BIG, 9) == []
        assert await archive.trades(SBER, 0, BIG, 9) == []
        assert await archive.find_trades(SBER, TradesFilter(), BIG) == (0, [])
        return [await archive.began_at_s(moment) for moment in (100, 200)]

    assert run(main()) == [100, 100]


def test_the_same_key_again_replaces(archive: Archive):
    async def main():
        for volume in (1, 2):
            await archive.append(ArchiveBatch([(SBER, 60, bar(60, volume=volume))], [(SBER, trade(5))]))
        assert await archive.bars(SBER, 60, 0, BIG, 9) == [bar(60, volume=2)]
        assert await archive.trades(SBER, 0, BIG, 9) == [trade(5)]

    run(main())


FILTERS = st.builds(
    TradesFilter,
    since_s=st.none() | st.integers(0, 40),
    until_s=st.none() | st.integers(0, 40),
    from_id=st.none() | st.integers(0, 40),
    to_id=st.none() | st.integers(0, 40),
    quantity_min=st.none() | st.integers(0, 8),
    quantity_max=st.none() | st.integers(0, 8),
    price_min=st.none() | st.integers(0, 40).map(lambda cents: 300 + cents / 100),
    price_max=st.none() | st.integers(0, 40).map(lambda cents: 300 + cents / 100),
    side=st.none() | st.sampled_from([Side.BUY, Side.SELL]),
    descending=st.booleans(),
    offset=st.integers(0, 10),
    limit=st.integers(0, 40),
)


def test_both_archives_find_the_same(tmp_path):
    kept, memory = SqliteArchive(tmp_path / "archive.db"), MemoryArchive()
    rows = ArchiveBatch([], [(GAZP if number % 5 == 0 else SBER, trade(number)) for number in range(1, 40)])

    @settings(max_examples=60, deadline=None)
    @given(FILTERS, st.integers(0, 41))
    def same(wanted, before_id):
        async def main():
            one = await kept.find_trades(SBER, wanted, before_id)
            other = await memory.find_trades(SBER, wanted, before_id)
            assert (one[0], list(one[1])) == (other[0], list(other[1]))

        run(main())

    run(kept.append(rows))
    run(memory.append(rows))
    same()
    kept.close()


def test_a_restart_finds_everything(tmp_path):
    path = tmp_path / "archive.db"
    for number in (1, 2, 3):
        archive = SqliteArchive(path)
        run(archive.append(ArchiveBatch([(SBER, 60, bar(60 * number))], [(SBER, trade(number))])))
        assert run(archive.began_at_s(number)) == 1
        archive.close()

    archive = SqliteArchive(path)
    assert run(archive.trades(SBER, 0, BIG, 9)) == [trade(1), trade(2), trade(3)]
    assert len(run(archive.bars(SBER, 60, 0, BIG, 9))) == 3
    archive.close()


def test_a_batch_that_cannot_be_kept_leaves_nothing(tmp_path):
    archive = SqliteArchive(tmp_path / "archive.db")
    broken = ArchiveBatch([(SBER, 60, bar(60))], [(SBER, trade(1)), (SBER, trade(2, at_ns=None))])

    with pytest.raises(ArchiveError, match="NOT NULL"):
        run(archive.append(broken))
    assert run(archive.trades(SBER, 0, BIG, 9)) == []
    run(archive.append(ArchiveBatch([], [(SBER, trade(1))])))
    assert run(archive.trades(SBER, 0, BIG, 9)) == [trade(1)]
    archive.close()


def test_the_oldest_go_when_there_are_too_many_but_never_a_day(tmp_path):
    archive = SqliteArchive(tmp_path / "archive.db", trades_max=100, intraday_days=1)

    async def main():
        for number in range(1, 361):
            at_s = number * 3_600
            kept = trade(number, at_ns=at_s * 10**9)
            bars = [(SBER, 60, bar(at_s)), (SBER, DAY_S, bar(at_s))]
            await archive.append(ArchiveBatch(bars, [(SBER, kept)]))
        trades = await archive.trades(SBER, 0, BIG, 999)
        minutes = await archive.bars(SBER, 60, 0, BIG, 999)
        days = await archive.bars(SBER, DAY_S, 0, BIG, 999)
        return trades, minutes, days

    trades, minutes, days = run(main())
    assert [kept.id for kept in trades] == list(range(261, 361))
    assert len(minutes) == 25
    assert len(days) == 360
    archive.close()


def test_a_foreign_file_a_newer_one_and_a_damaged_one_are_refused_and_left_alone(tmp_path):
    foreign, newer, damaged = (tmp_path / name for name in ("foreign", "newer", "damaged"))
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE mine (a)")
    database.close()
    SqliteArchive(newer).close()
    with sqlite3.connect(newer) as database:
        database.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    database.close()
    damaged.write_bytes(b"not a database at all" * 100)

    for path, words in ((foreign, "not an archive"), (newer, "knows up to"), (damaged, "not a database")):
        content = path.read_bytes()
        with pytest.raises(ArchiveError, match=words) as refusal:
            SqliteArchive(path)
        assert str(path) in str(refusal.value)
        assert path.read_bytes() == content


def test_a_file_has_one_owner(tmp_path):
    archive = SqliteArchive(tmp_path / "archive.db")
    with pytest.raises(ArchiveError, match="in use"):
        SqliteArchive(tmp_path / "archive.db")
    archive.close()
    with pytest.raises(ArchiveError, match="closed"):
        run(archive.last_trade_id())
