"""Bars and trades of a whole venue over virtual time: history, running bar, restarts, archive."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.adapters.sqlite_archive import SqliteArchive
from tapewire.market import Market, TickBar, catalogue, fold
from tapewire.market.trading_hours import AROUND_THE_CLOCK, SessionName, TradingHours
from tapewire.model import DAY_S, WEEK_S, YEAR_S, Side, Topic, TopicKind, bar_opening_s
from tapewire.ports.archive import ArchiveError
from tapewire.ports.query import TradesFilter
from tapewire.ports.venue import UnknownTopicError
from tapewire.simulation import VirtualClock, run_virtual
from tapewire.simulation.archive import SimulatedArchive
from tapewire.venues import EmbeddedVenue
from tapewire.venues.clusters import past_clusters
from tapewire.venues.tape import Print
from trading import FakeClock, RecordingSink

TRADES = Topic(TopicKind.TRADES, "MOEX", "SBER", "TQBR")
LATE = 2**40


def bars_of(interval_s, symbol="SBER"):
    return Topic(TopicKind.BAR, "MOEX", symbol, "TQBR", interval_s)


def venue_of(*, archive=None, rate=80, count=1, seed=1):
    market = Market(catalogue(count), seed=seed, events_per_second=rate)
    return EmbeddedVenue(market, clock=VirtualClock(asyncio.get_running_loop()), archive=archive)


async def live(venue, seconds):
    task = asyncio.create_task(venue.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def aggregated(trades, interval_s):
    """What the bars must be, from records of trades, in cents."""
    parts = [TickBar.of_trade(trade.time_ms // 1000, round(trade.price * 100), trade.quantity) for trade in trades]
    return [
        (bar.time_s, bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks, bar.lots)
        for bar in fold(parts, interval_s)
    ]


def in_cents(bars):
    return [
        (bar.time_s, *(round(price * 100) for price in (bar.open, bar.high, bar.low, bar.close)), bar.volume)
        for bar in bars
    ]


def test_bars_of_any_interval_are_the_trades_across_the_venues_start():
    async def main():
        venue = venue_of(rate=40)
        await live(venue, 400)
        page = await venue.recent_trades(TRADES, 5_000)
        return page, {s: await venue.bars(bars_of(s), 0, LATE, 5_000) for s in (1, 7, 60, 90, 300)}

    page, bars = run_virtual(main())
    assert {trade.time_ms < page.trades[-1].time_ms - 400_000 for trade in page.trades} == {True, False}
    for interval_s, answer in bars.items():
        expected = aggregated(page.trades, interval_s)[1:]
        assert in_cents(answer.bars)[-len(expected) :] == expected
        assert answer.position == page.position


def test_the_same_seed_gives_the_same_past_and_the_same_market():
    async def main(seed):
        venue = venue_of(seed=seed)
        await live(venue, 15)
        bars = {s: (await venue.bars(bars_of(s), 0, LATE, 200)).bars for s in (5, 60, DAY_S)}
        return bars, (await venue.recent_trades(TRADES, 3_000)).trades

    assert run_virtual(main(1)) == run_virtual(main(1)) != run_virtual(main(2))


def test_all_timeframes_show_the_same_market():
    async def main():
        venue = venue_of()
        await live(venue, 130)
        return {
            interval_s: (await venue.bars(bars_of(interval_s), 0, LATE, 700)).bars
            for interval_s in (60, 3_600, 14_400, DAY_S, WEEK_S, YEAR_S)
        }

    bars = run_virtual(main())
    assert len(bars[YEAR_S]) >= 15
    assert len(bars[60]) == len(bars[DAY_S]) == 700
    for fine_s, coarse_s in ((60, 3_600), (3_600, 14_400), (3_600, DAY_S), (DAY_S, WEEK_S), (DAY_S, YEAR_S)):
        parts = [TickBar(*bar) for bar in in_cents(bars[fine_s])]
        folded = [
            (b.time_s, b.open_ticks, b.high_ticks, b.low_ticks, b.close_ticks, b.lots)
            for b in fold(parts, coarse_s)
        ][1:]
        assert folded
        assert in_cents(bars[coarse_s])[-len(folded) :] == folded


def test_the_quote_and_the_days_bar_are_one():
    async def main():
        venue = venue_of()
        await live(venue, 30)
        quote = (await venue.state(Topic(TopicKind.QUOTE, "MOEX", "SBER", "TQBR"))).record
        *_, before, today = (await venue.bars(bars_of(DAY_S), 0, LATE, 2)).bars
        return quote, before, today

    quote, before, today = run_virtual(main())
    assert (quote.open_price, quote.high_price, quote.low_price) == (today.open, today.high, today.low)
    assert (quote.last_price, quote.volume) == (today.close, today.volume)
    assert quote.prev_close_price == before.close


@pytest.mark.parametrize("hours", [AROUND_THE_CLOCK, TradingHours(SessionName)])
@pytest.mark.parametrize("hour", [1, 12, 21])  # before the opening, in the middle, after the close
def test_the_quote_says_when_the_last_trade_of_the_past_was(hours, hour):
    clock = FakeClock()
    clock.now_ns += (hour * 3_600 + 125) * 1_000_000_000 - clock.now_ns % (DAY_S * 1_000_000_000)
    market = Market(catalogue(1), seed=1)
    venue = EmbeddedVenue(market, clock=clock, hours=hours)
    instrument = market.instruments[0]

    async def main():
        await venue.start()
        topics = [Topic(kind, *instrument.key) for kind in (TopicKind.TRADES, TopicKind.QUOTE)]
        page = await venue.recent_trades(topics[0], 1)
        return page.trades[-1], venue.current(topics[1]).record

    trade, quote = asyncio.run(main())
    assert quote.last_price_time_s == trade.time_ms // 1_000
    assert quote.last_price == trade.price
    is_open = hours is AROUND_THE_CLOCK or hour == 12
    assert (clock.now_ns // 1_000_000_000 - quote.last_price_time_s < 120) is is_open


def test_the_live_market_goes_on_from_the_last_price_of_the_past():
    async def main():
        venue = venue_of()
        before = (await venue.bars(bars_of(60), 0, LATE, 1)).bars[-1]
        await live(venue, 20)
        return before, (await venue.bars(bars_of(60), 0, LATE, 1)).bars[-1]

    before, after = run_virtual(main())
    assert before.close == 301.15
    assert abs(after.open - before.close) < 0.2


@pytest.mark.parametrize("interval_s", [5, 60, DAY_S])
def test_a_page_is_bounded_and_scrolls_back_without_a_seam(interval_s):
    async def main():
        venue = venue_of()
        await live(venue, 65)
        topic = bars_of(interval_s)
        whole = (await venue.bars(topic, 0, LATE, 60)).bars
        until_s, pages = LATE, []
        for _ in range(6):
            page = (await venue.bars(topic, 0, until_s, 10)).bars
            pages[:0] = page
            until_s = page[0].time_s - 1
        middle = whole[20:40]
        neighbours = await venue.bar_neighbours(topic, middle[0].time_s, middle[-1].time_s)
        within = (await venue.bars(topic, middle[0].time_s, middle[-1].time_s, 5_000)).bars
        ends = await venue.bar_neighbours(topic, 0, LATE)
        return whole, pages, middle, within, neighbours, ends

    whole, pages, middle, within, neighbours, ends = run_virtual(main())
    assert pages == whole
    assert within == middle
    assert neighbours == (whole[19].time_s, whole[40].time_s)
    assert ends == (None, None)


def test_a_long_history_gives_others_their_turn():
    async def main():
        venue = venue_of()
        turns = 0
        reading = asyncio.ensure_future(venue.bars(bars_of(60), 0, LATE, 5_000))
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
        return turns, len(reading.result().bars)

    turns, count = run_virtual(main())
    assert count == 5_000
    assert turns > 50


def test_a_bar_topic_tells_each_final_bar_once_and_changes_for_the_running_one():
    async def main():
        venue, sink = venue_of(), RecordingSink()
        topic = bars_of(5)
        venue.open(topic, sink)
        task = asyncio.create_task(venue.run())
        while len(sink.events) < 6:
            venue.current(topic)
            await asyncio.sleep(0.5)
        task.cancel()
        page = await venue.bars(topic, 0, LATE, 100)
        return sink, page, venue.current(topic)

    sink, page, current = run_virtual(main())
    told = [record for _, _, record in sink.events]
    known = {bar.time_s: bar for bar in page.bars}
    assert all(known[bar.time_s] == bar for bar in told)
    assert [bar.time_s for bar in told] == sorted({bar.time_s for bar in told})
    positions = [position.sequence for _, position, _ in sink.events]
    assert positions == sorted(set(positions))
    assert sink.changes
    assert current.record == page.bars[-1]
    assert current.position == page.position


def test_what_is_not_wanted_any_more_is_not_made():
    async def main():
        venue, sink = venue_of(), RecordingSink()
        charts = venue._hall.listings[0].charts
        primary, named = bars_of(7)._replace(board=""), bars_of(7)
        venue.open(primary, sink)
        venue.open(named, sink)
        venue.close(primary, sink)
        assert 7 in charts.intervals
        venue.close(named, sink)
        assert 7 not in charts.intervals

    run_virtual(main())


@pytest.mark.parametrize("interval_s", [0, -5, DAY_S + 1, YEAR_S + DAY_S])
def test_an_interval_that_does_not_exist_is_an_unknown_topic(interval_s):
    async def main():
        venue = venue_of()
        with pytest.raises(UnknownTopicError):
            await venue.bars(bars_of(interval_s), 0, LATE, 10)

    run_virtual(main())


def test_a_cluster_holds_the_trades_of_its_interval_by_price():
    async def main():
        venue = venue_of()
        topic = Topic(TopicKind.CLUSTER, "MOEX", "SBER", "TQBR", 30)
        venue.open(topic, RecordingSink())
        await live(venue, 47)
        late = await venue.state(topic._replace(board=""))
        return venue.current(topic), late, await venue.recent_trades(TRADES, 5_000)

    snapshot, late, page = run_virtual(main())
    cluster = snapshot.record
    inside = [t for t in page.trades if bar_opening_s(t.time_ms // 1000, 30) == cluster.time_s]
    assert late == snapshot
    assert [level.price for level in cluster.levels] == sorted({trade.price for trade in inside})
    for level in cluster.levels:
        at_price = [trade for trade in inside if trade.price == level.price]
        assert level.buy_quantity == sum(t.quantity for t in at_price if t.side is Side.BUY)
        assert level.sell_quantity == sum(t.quantity for t in at_price if t.side is Side.SELL)


def test_past_clusters_hold_all_trades_of_their_intervals_and_end_with_the_running_one():
    async def main():
        venue = venue_of()
        topic = Topic(TopicKind.CLUSTER, "MOEX", "SBER", "TQBR", 10)
        await live(venue, 47)
        tape = await venue.recent_trades(TRADES, 5_000)
        since_s = tape.trades[-1].time_ms // 1000 - 25
        page, last, ahead = [
            await venue.clusters(topic, at_s) for at_s in (since_s, tape.trades[-1].time_ms // 1000, LATE)
        ]
        running = await venue.state(topic)
        return tape, since_s, page, last, ahead, running

    tape, since_s, page, last, ahead, running = run_virtual(main())
    expected: dict[int, dict[float, list[int]]] = {}
    for one in tape.trades:
        opening_s = bar_opening_s(one.time_ms // 1000, 10)
        if opening_s >= bar_opening_s(since_s, 10):
            level = expected.setdefault(opening_s, {}).setdefault(one.price, [0, 0])
            level[0 if one.side is Side.BUY else 1] += one.quantity
    told = {
        cluster.time_s: {each.price: [each.buy_quantity, each.sell_quantity] for each in cluster.levels}
        for cluster in page.clusters
    }
    assert len(expected) >= 3
    assert told == expected
    assert [cluster.time_s for cluster in page.clusters] == sorted(told)
    assert list(last.clusters) == [running.record] == [page.clusters[-1]]
    assert list(ahead.clusters) == [running.record]
    assert page.position == tape.position


@given(st.lists(st.integers(0, 60), min_size=1, max_size=30).map(sorted), st.integers(0, 70), st.booleans())
def test_past_clusters_leave_out_the_interval_that_may_lack_its_beginning(
    seconds: list[int], since_s: int, is_cut: bool
) -> None:
    prints = [Print(number, 100 + at % 3, 1, Side.BUY, at * 10**9, 0) for number, at in enumerate(seconds)]
    first_s, running_s = bar_opening_s(since_s, 10), bar_opening_s(seconds[-1], 10)
    found = past_clusters(prints, 10, first_s, running_s, is_cut=is_cut)
    whole = {bar_opening_s(at, 10) for at in seconds} - ({bar_opening_s(seconds[0], 10)} if is_cut else set())
    assert [each.opening_s for each in found] == sorted(at for at in whole if first_s <= at < running_s)
    for each in found:
        lots = sum(bar_opening_s(at, 10) == each.opening_s for at in seconds)
        assert sum(bought + sold for bought, sold in each.lots.values()) == lots


@pytest.mark.parametrize("interval_s", [0, 7_000_000_000])
def test_clusters_that_cannot_be_are_unknown(interval_s: int) -> None:
    async def main() -> None:
        venue = venue_of()
        for topic in (
            Topic(TopicKind.CLUSTER, "MOEX", "SBER", "TQBR", interval_s),
            Topic(TopicKind.CLUSTER, "MOEX", "NOPE", "", 60),
            bars_of(60),
        ):
            with pytest.raises(UnknownTopicError):
                await venue.clusters(topic, 0)

    run_virtual(main())


# --- trades ---------------------------------------------------------------------------------------------


def test_five_thousand_trades_are_there_before_the_first_one():
    async def main():
        venue = venue_of(count=2)
        first = await venue.recent_trades(TRADES, 5_000)
        quiet = await venue.recent_trades(TRADES._replace(subject="GAZP"), 5_000)
        await live(venue, 20)
        return first, quiet, await venue.recent_trades(TRADES, 5_000)

    first, quiet, later = run_virtual(main())
    assert len(first.trades) == len(quiet.trades) == len(later.trades) == 5_000
    for page in (first, quiet, later):
        assert all(one.id < two.id for one, two in pairwise(page.trades))
    assert {t.id for t in first.trades}.isdisjoint(t.id for t in quiet.trades)


def test_trades_are_found_by_every_filter_across_past_archive_and_tape():
    async def main():
        archive = SimulatedArchive()
        venue = venue_of(archive=archive, rate=4_000)
        await venue.start()
        await live(venue, 12)
        everything = (await venue.trades(TRADES, TradesFilter(limit=100_000))).trades
        assert archive.batches
        answers = [(wanted, await venue.trades(TRADES, wanted)) for wanted in filters(everything)]
        with pytest.raises(ValueError, match="offset -1"):
            await venue.trades(TRADES, TradesFilter(offset=-1))
        return everything, answers

    everything, answers = run_virtual(main())
    # The seeded past gives 5,000, the tape holds as many, the rest is in the archive only.
    assert len(everything) > 10_100
    for wanted, found in answers:
        slow = [trade for trade in everything if passes(trade, wanted)]
        if wanted.descending:
            slow.reverse()
        assert found.total == len(slow)
        assert list(found.trades) == slow[wanted.offset : wanted.offset + wanted.limit]


def filters(trades):
    early, late = trades[4_000], trades[-3_000]
    yield TradesFilter(limit=10)
    yield TradesFilter(limit=10, descending=True, offset=4_995)
    yield TradesFilter(limit=6_000, offset=4_000)
    yield TradesFilter(since_s=early.time_ms // 1000, until_s=late.time_ms // 1000, limit=9_000)
    yield TradesFilter(from_id=early.id, to_id=late.id, limit=9_000, descending=True)
    yield TradesFilter(side=Side.SELL, quantity_min=5, quantity_max=20, limit=3_000, offset=100)
    yield TradesFilter(price_min=late.price, price_max=late.price + 0.02, limit=50)
    yield TradesFilter(from_id=late.id + 10**9)


def passes(trade, wanted):
    bounds = (
        (trade.time_ms // 1000, wanted.since_s, wanted.until_s),
        (trade.id, wanted.from_id, wanted.to_id),
        (trade.quantity, wanted.quantity_min, wanted.quantity_max),
        (trade.price, wanted.price_min, wanted.price_max),
    )
    return all(
        (low is None or low <= value) and (high is None or value <= high) for value, low, high in bounds
    ) and (wanted.side in (None, trade.side))


# --- restarts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap_s", [3, 700, 2 * DAY_S])
def test_tape_bars_prices_and_numbers_go_on_after_a_restart(gap_s):
    async def main():
        archive = SimulatedArchive()
        first = venue_of(archive=archive)
        await first.start()
        await live(first, 200)
        await first.stop()
        trades = (await first.recent_trades(TRADES, 5_000)).trades
        bars = {s: (await first.bars(bars_of(s), 0, LATE, 300)).bars for s in (5, 60, DAY_S, WEEK_S)}

        await asyncio.sleep(gap_s)
        second = venue_of(archive=archive)
        await second.start()
        again = {s: (await second.bars(bars_of(s), 0, LATE, 300)).bars for s in (5, 60, DAY_S, WEEK_S)}
        assert again == bars
        assert list((await second.recent_trades(TRADES, 5_000)).trades) == list(trades)
        await live(second, 100)
        return trades, bars, (await second.recent_trades(TRADES, 9_999)).trades, second, await day_of(second)

    trades, bars, later, _, days = run_virtual(main(), limit_s=3 * DAY_S)
    assert all(one.id < two.id for one, two in pairwise(later))
    kept = [trade for trade in later if trade.id <= trades[-1].id]
    assert kept[-1] == trades[-1]
    fresh = later[len(kept)]
    assert abs(fresh.price - trades[-1].price) < 0.5
    assert in_cents(days)[-1][5] >= in_cents(bars[DAY_S])[-1][5] or gap_s > DAY_S


async def day_of(venue):
    return (await venue.bars(bars_of(DAY_S), 0, LATE, 3)).bars


def test_bars_cut_by_a_restart_are_made_whole_again():
    async def main():
        archive = SimulatedArchive()
        for _ in range(5):
            venue = venue_of(archive=archive)
            await venue.start()
            await live(venue, 47)
            await venue.stop()
        last = venue_of(archive=archive)
        await last.start()
        trades = (await last.trades(TRADES, TradesFilter(limit=99_999))).trades
        return trades, (await last.bars(bars_of(60), 0, LATE, 99)).bars, (await day_of(last))[-1]

    trades, minutes, today = run_virtual(main())
    expected = aggregated(trades, 60)[1:]
    assert in_cents(minutes)[-len(expected) :] == expected
    assert in_cents([today])[0][4] == expected[-1][4]


def test_a_crash_loses_what_was_not_synced_and_nothing_else():
    async def main():
        archive = SimulatedArchive()
        archive.append_delay_s = 0.4
        venue = venue_of(archive=archive)
        await venue.start()
        await live(venue, 30)
        archive.crash()
        await asyncio.sleep(1)
        synced = [trade.id for batch in archive.batches for _, trade in batch.trades]
        second = venue_of(archive=archive)
        await second.start()
        kept = (await second.trades(TRADES, TradesFilter(from_id=synced[0], limit=99_999))).trades
        minute = (await second.bars(bars_of(60), 0, LATE, 1)).bars[-1]
        return synced, kept, minute

    synced, kept, minute = run_virtual(main())
    assert [trade.id for trade in kept] == synced
    assert minute.volume == aggregated(kept, 60)[-1][5]


def test_a_disk_that_fails_for_a_while_costs_nothing():
    async def main():
        archive = SimulatedArchive()
        venue = venue_of(archive=archive)
        await venue.start()
        archive.failures = 3
        await live(venue, 10)
        await venue.stop()
        trades = (await venue.recent_trades(TRADES, 5_000)).trades
        return [trade.id for batch in archive.batches for _, trade in batch.trades], trades, venue._hall.keeper

    kept, trades, keeper = run_virtual(main())
    assert kept == [trade.id for trade in trades][-len(kept) :]
    assert kept
    assert (keeper.failure, keeper.lost, keeper.waiting) == ("", 0, 0)


def test_a_disk_that_fails_is_told_to_who_stops_the_venue():
    async def main():
        archive = SimulatedArchive()
        venue = venue_of(archive=archive)
        await venue.start()
        archive.failures = 99
        await live(venue, 10)
        assert "full" in venue._hall.keeper.failure
        with pytest.raises(ArchiveError, match="full"):
            await venue.stop()

    run_virtual(main())


def test_a_restart_over_a_real_file_goes_on(tmp_path):
    async def main(ids):
        archive = SqliteArchive(tmp_path / "archive.db")
        clock = Clock()
        venue = EmbeddedVenue(Market(catalogue(2), seed=1, events_per_second=2_000), clock=clock, archive=archive)
        await venue.start()
        for _ in range(300):
            clock.at_ns += 10_000_000
            venue.step()
        await venue.stop()
        page = await venue.recent_trades(TRADES, 5_000)
        archive.close()
        ids.append([trade.id for trade in page.trades])

    class Clock:
        at_ns = 1_793_602_800_000_000_000

        def wall_ns(self):
            return self.at_ns

    ids = []
    asyncio.run(main(ids))
    Clock.at_ns += 60_000_000_000
    asyncio.run(main(ids))
    first, second = ids
    overlap = [number for number in second if number <= first[-1]]
    assert overlap == first[-len(overlap) :]
    assert second[-1] > first[-1]
