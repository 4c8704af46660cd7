"""Gaps and duplicates: whatever happens in whatever order, each subscription is one piece of its stream.

One machine for trades, books, quotes, bars and instrument rules, in both modes of the outbox, with readers that
stop reading, windows of different widths, cancelled and replaced guids, lost connections, pasts that take their
time, venues that warm up and venues that begin anew. The test numbers the records of every stream, so that what
comes says where it stands.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tapewire.gateway.outbox import OutboxMode
from tapewire.model import Bar, Instrument, InstrumentUpdate, Topic, TopicKind
from tapewire.simulation import START_NS, LinkConditions
from tapewire.simulation.loop import VirtualTimeLoop
from unit.gateway.world import BOOK, GAZP, QUOTE, SBER, TEXT, TRADES, Peer, World

BARS = "BarsGetAndSubscribe"
RULES = "InstrumentsGetAndSubscribeV2"
INSTRUMENTS = {instrument.symbol: instrument for instrument in (SBER, GAZP)}
GUIDS = ("a", "b", "c")
PEERS = 2
MINUTE_S = 60
#: Bars that have ended before the run begins.
PAST_MINUTES = 3
#: What all that is under way needs to arrive: windows of half a second, pasts of a fifth, a slow network.
SETTLED_S = 2.0
#: A window may end a tick of the wheel late, and so may the one before it.
TICK_S = 0.0021

T = TypeVar("T")


class Ask(NamedTuple):
    """What is asked for."""

    opcode: str
    symbol: str
    fields: dict[str, Any]


@dataclass
class Asked:
    """One request of a guid; ``ask`` is None for its cancellation."""

    ask: Ask | None
    #: Where its stream stood when it was sent.
    number: int = 0
    #: How often a venue has told its states again since, as one that has begun anew or has warmed up does.
    told_again: int = 0
    at_s: float = 0.0
    #: Nothing has replaced it, and its connection lives.
    is_last: bool = True


class Got(NamedTuple):
    at_s: float
    record: dict[str, Any]


class Reader(Peer):
    """A client that knows what it has asked for, and when everything came."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.asked: dict[str, list[Asked]] = {guid: [] for guid in GUIDS}
        self.times: list[float] = []
        self.has_paused = False

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        if opcode == TEXT:
            self.times.append(asyncio.get_running_loop().time())
        super().frame_received(opcode, payload, fin, rsv)

    def ask(self, guid: str, asked: Asked) -> None:
        if self.asked[guid]:
            self.asked[guid][-1].is_last = False
        self.asked[guid].append(asked)
        asked.at_s = asyncio.get_running_loop().time()
        if asked.ask is None:
            self.send("unsubscribe", guid)
        else:
            self.subscribe(asked.ask.opcode, guid, asked.ask.symbol, **asked.ask.fields)

    def parts(self) -> dict[str, list[list[Got]]]:
        """Return, for each guid, what came behind each of its answers."""
        parts: dict[str, list[list[Got]]] = {guid: [] for guid in GUIDS}
        for at_s, message in zip(self.times, self.messages, strict=True):
            fields = json.loads(message)
            if "requestGuid" in fields:
                assert fields["httpCode"] == 200
                parts[fields["requestGuid"]].append([])
            else:
                parts[fields["guid"]][-1].append(Got(at_s, fields["data"]))
        return parts


@dataclass
class Market:
    """What has happened in an instrument, by number."""

    tape: list[int] = field(default_factory=list)
    #: 0: there is none yet.
    book: int = 0
    quote: int = 0
    rules: int = 0
    minute: int = PAST_MINUTES
    volume: int = 1
    #: Volumes of the bars that have ended.
    ended: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PAST_MINUTES), 5))

    def number(self, opcode: str) -> int:
        numbers = {
            TRADES: len(self.tape),
            BOOK: self.book,
            QUOTE: self.quote,
            RULES: self.rules,
            BARS: self.minute,
        }
        return numbers[opcode]


def bar(minute: int, volume: int) -> Bar:
    return Bar(
        time_s=minute * MINUTE_S, open=300.0, high=301.0, low=299.0, close=300.0 + volume / 100, volume=volume
    )


def minutes_of(instrument: Instrument) -> Topic:
    return Topic(TopicKind.BAR, *instrument.key, MINUTE_S)


# --- what must hold -------------------------------------------------------------------------------------


def check_trades(asked: Asked, part: list[Got], market: Market) -> None:
    assert asked.ask is not None
    depth = asked.ask.fields["depth"]
    ids = [got.record["id"] for got in part]
    past = [got.record["id"] for got in part if got.record["existing"]]
    assert ids[: len(past)] == past, "the past comes first"
    assert len(past) <= depth
    if ids:
        start = market.tape.index(ids[0])
        assert ids == market.tape[start : start + len(ids)], "one piece of the tape"
    if asked.is_last:
        assert len(past) >= min(depth, asked.number)
        assert ids[-1:] == market.tape[-1:]


def check_states(asked: Asked, numbers: list[int], newest: int) -> None:
    assert numbers == sorted(numbers), "never back"
    assert len(numbers) - len(set(numbers)) <= asked.told_again, "none twice"
    assert not numbers or numbers[0] >= asked.number, "none from before the question"
    if asked.is_last:
        assert numbers[-1] == newest


def check_windows(asked: Asked, part: list[Got]) -> None:
    assert asked.ask is not None
    width_s = asked.ask.fields["frequency"] / 1000
    # The first comes with the answer, not at the end of a window.
    for older, newer in pairwise(part[1:]):
        assert newer.at_s - older.at_s > width_s - TICK_S, "one a window"


def check_bars(asked: Asked, part: list[Got], market: Market) -> None:
    assert asked.ask is not None
    seen = [(got.record["time"] // MINUTE_S, got.record["volume"]) for got in part]
    assert seen == sorted(seen), "never back"
    forms = dict(seen)
    minutes = sorted(forms)
    assert minutes == list(range(minutes[0], minutes[0] + len(minutes))) if minutes else True, "no bar is missing"
    for minute in minutes[:-1]:
        assert forms[minute] == market.ended[minute], "each in its last form before the next"
    if seen and not asked.ask.fields["skipHistory"]:
        assert minutes[0] == asked.ask.fields["from"] // MINUTE_S
    if asked.is_last:
        assert seen[-1] == (market.minute, market.volume)


def check_rules(asked: Asked, part: list[Got], market: Market) -> None:
    if not part:
        assert not asked.is_last
        return
    full, *later = [got.record for got in part]
    assert {"symbol", "board", "tradingStatus", "priceMin"} <= full.keys()
    assert all(record.keys() == {"symbol", "priceMax"} for record in later), "partial ones behind the full one"
    first = int(full["priceMax"]) if full["priceMax"] in range(1, market.rules + 1) else 0
    assert first >= asked.number
    numbers = [int(record["priceMax"]) for record in later]
    assert numbers == list(range(first + 1, first + 1 + len(numbers))), "each change once, in order"
    if asked.is_last:
        assert first + len(numbers) == market.rules


# --- the machine ----------------------------------------------------------------------------------------

peers = st.integers(0, PEERS - 1)
guids = st.sampled_from(GUIDS)
symbols = st.sampled_from(list(INSTRUMENTS))
widths = st.sampled_from([25, 60, 175, 500])
asks = st.one_of(
    st.builds(Ask, st.just(TRADES), symbols, st.fixed_dictionaries({"depth": st.sampled_from([0, 1, 3, 5000])})),
    st.builds(Ask, st.just(BOOK), symbols, st.fixed_dictionaries({"depth": st.just(5), "frequency": widths})),
    st.builds(Ask, st.just(QUOTE), symbols, st.fixed_dictionaries({"frequency": widths})),
    st.builds(
        Ask,
        st.just(BARS),
        symbols,
        st.fixed_dictionaries(
            {
                "tf": st.just(MINUTE_S),
                "from": st.sampled_from([0, MINUTE_S, PAST_MINUTES * MINUTE_S]),
                "skipHistory": st.booleans(),
                "frequency": widths,
            }
        ),
    ),
    st.builds(Ask, st.just(RULES), symbols, st.just({})),
)
MEANWHILE = ("wait", "wait", "wait", "begin anew", "trade", "bar", "next bar", "rules", "book", "quote")
much = st.lists(st.sampled_from(MEANWHILE), min_size=1, max_size=12)
pauses_s = st.sampled_from([0.0005, 0.001, 0.004, 0.02, 0.06, 0.3])


class GapMachine(RuleBasedStateMachine):
    """Does things to gateway, venue and network; at the end everybody must have one piece of each stream."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        result = self.loop.run_until_complete(work)
        self.loop.raise_unhandled()
        return result

    @initialize(
        mode=st.sampled_from(OutboxMode),
        jitter_s=st.sampled_from([0.0, 0.003]),
        window_bytes=st.sampled_from([300, 64 * 1024]),
        seed=st.integers(0, 5),
    )
    def open(self, mode: OutboxMode, jitter_s: float, window_bytes: int, seed: int) -> None:
        self.loop = VirtualTimeLoop(start_ns=START_NS, limit_s=3_600, turns_max=1_000_000)
        self.has_jitter = jitter_s > 0
        conditions = LinkConditions(latency_s=0.001, jitter_s=jitter_s, window_bytes=window_bytes)
        self.markets = {symbol: Market() for symbol in INSTRUMENTS}
        self.gone: list[Reader] = []
        self.cold: set[Topic] = set()
        self.run(self._open(mode, conditions, seed))

    async def _open(self, mode: OutboxMode, conditions: LinkConditions, seed: int) -> None:
        self.world = World(mode=mode, conditions=conditions, seed=seed)
        for instrument in INSTRUMENTS.values():
            topic = minutes_of(instrument)
            self.world.venue.set_past_bars(topic, [bar(minute, 5) for minute in range(PAST_MINUTES)])
            self.world.venue.run_bar(topic, bar(PAST_MINUTES, 1))
        self.readers = [await self._connect() for _ in range(PEERS)]

    async def _connect(self) -> Reader:
        reader = Reader(self.world.token())
        await self.world.network.connector().connect("ws://gateway/ws", reader, timeout_s=10)
        return reader

    # --- what clients do --------------------------------------------------------------------------------

    @rule(peer=peers, guid=guids, ask=asks)
    def subscribe(self, peer: int, guid: str, ask: Ask) -> None:
        number = self.markets[ask.symbol].number(ask.opcode)
        self.now(lambda: self.readers[peer].ask(guid, Asked(ask, number)))

    @rule(peer=peers, guid=guids)
    def unsubscribe(self, peer: int, guid: str) -> None:
        self.now(lambda: self.readers[peer].ask(guid, Asked(None)))

    @rule(peer=peers, guid=guids, ask=asks)
    def cancel_and_subscribe_again(self, peer: int, guid: str, ask: Ask) -> None:
        self.unsubscribe(peer, guid)
        self.subscribe(peer, guid, ask)

    @rule(
        peer=peers,
        guid=guids,
        ask=asks,
        past_takes_s=st.sampled_from([(0.0, 0.1), (0.05, 0.05), (0.1, 0.0)]),
        meanwhile=much,
        then_s=st.sampled_from([0.0, 0.3]),
    )
    def join_while_much_happens(
        self,
        peer: int,
        guid: str,
        ask: Ask,
        past_takes_s: tuple[float, float],
        meanwhile: list[str],
        then_s: float,
    ) -> None:
        """Subscribe, and before the past is there, let things happen in just that instrument."""
        self.pasts_take(*past_takes_s)
        self.subscribe(peer, guid, ask)
        self._happen(ask.symbol, meanwhile)
        self.wait(then_s)

    @rule(
        peer=peers,
        guid=guids,
        ask=asks,
        meanwhile=much,
        changes=st.lists(st.sampled_from(["ask again", "cancel"]), max_size=3),
        later=much,
    )
    def fall_behind(
        self, peer: int, guid: str, ask: Ask, meanwhile: list[str], changes: list[str], later: list[str]
    ) -> None:
        """Stop reading until much waits in the outbox, change what is wanted of it, and read again."""
        self.subscribe(peer, guid, ask)
        self.wait(0.3)
        self.stop_reading(peer)
        # More than the network holds.
        self.trade(ask.symbol, 10)
        self._happen(ask.symbol, meanwhile)
        for change in changes:
            if change == "cancel":
                self.unsubscribe(peer, guid)
            else:
                self.subscribe(peer, guid, ask)
            # Its past has been read then, and waits.
            self.wait(0.3)
        self._happen(ask.symbol, later)
        self.read_again(peer)
        self.wait(0.3)

    def _happen(self, symbol: str, what_happens: list[str]) -> None:
        for what in what_happens:
            match what:
                case "wait":
                    self.wait(0.03)
                case "begin anew":
                    self.begin_anew()
                case "trade":
                    self.trade(symbol, 2)
                case "bar":
                    self.trade_into_a_bar(symbol, is_next=False)
                case "next bar":
                    self.trade_into_a_bar(symbol, is_next=True)
                case "rules":
                    self.change_the_rules(symbol)
                case "book":
                    self.move_the_book(symbol)
                case "quote":
                    self.move_the_quote(symbol)

    @rule(peer=peers)
    def stop_reading(self, peer: int) -> None:
        self.readers[peer].has_paused = True
        self.now(self.readers[peer].transport.pause_reading)

    @rule(peer=peers)
    def read_again(self, peer: int) -> None:
        self.now(self.readers[peer].transport.resume_reading)

    @rule(peer=peers, is_lost=st.sampled_from([False, False, True]))
    def lose_the_connection(self, peer: int, is_lost: bool) -> None:
        if is_lost:
            self.run(self._reconnect(peer))

    async def _reconnect(self, peer: int) -> None:
        reader = self.readers[peer]
        reader.transport.abort()
        for asked in reader.asked.values():
            if asked:
                asked[-1].is_last = False
        self.gone.append(reader)
        self.readers[peer] = await self._connect()

    # --- what the market does ---------------------------------------------------------------------------

    @rule(symbol=symbols, count=st.integers(1, 4))
    def trade(self, symbol: str, count: int) -> None:
        tape = self.markets[symbol].tape
        self.now(
            lambda: tape.extend(self.world.venue.publish_trade(INSTRUMENTS[symbol], 300).id for _ in range(count))
        )

    @rule(symbol=symbols)
    def move_the_book(self, symbol: str) -> None:
        market = self.markets[symbol]
        market.book += 1
        self.now(lambda: self.world.venue.set_book(INSTRUMENTS[symbol], [(market.book, 1)]))

    @rule(symbol=symbols)
    def move_the_quote(self, symbol: str) -> None:
        market = self.markets[symbol]
        market.quote += 1
        self.now(lambda: self.world.venue.set_quote(INSTRUMENTS[symbol], market.quote))

    @rule(symbol=symbols)
    def change_the_rules(self, symbol: str) -> None:
        market = self.markets[symbol]
        market.rules += 1
        update = InstrumentUpdate(symbol=symbol, price_max=float(market.rules))
        self.now(lambda: self.world.venue.change_instrument(INSTRUMENTS[symbol], update))

    @rule(symbol=symbols, is_next=st.booleans())
    def trade_into_a_bar(self, symbol: str, is_next: bool) -> None:
        market = self.markets[symbol]
        topic = minutes_of(INSTRUMENTS[symbol])

        def tick() -> None:
            if is_next:
                self.world.venue.finish_bar(topic, bar(market.minute, market.volume))
                market.ended[market.minute] = market.volume
                market.minute, market.volume = market.minute + 1, 0
            market.volume += 1
            self.world.venue.run_bar(topic, bar(market.minute, market.volume))

        self.now(tick)

    @rule(symbol=symbols, kind=st.sampled_from([TopicKind.BOOK, TopicKind.QUOTE]))
    def begin_to_warm_up(self, symbol: str, kind: TopicKind) -> None:
        """From now on the venue does not say where a state stands."""
        topic = self.world.venue.topic(kind, INSTRUMENTS[symbol])
        self.cold.add(topic)
        self.now(lambda: self.world.venue.hold_snapshot(topic))

    @precondition(lambda self: self.cold)
    @rule()
    def be_warm(self) -> None:
        self.now(self._be_warm)

    def _be_warm(self) -> None:
        if self.cold:
            self._tells_again()
        for topic in sorted(self.cold):
            self.world.venue.release_snapshot(topic)
        self.cold.clear()

    @rule()
    def begin_anew(self) -> None:
        """The venue restarts: a new epoch."""
        self._tells_again()
        self.now(self.world.venue.restart)

    def _tells_again(self) -> None:
        for reader in self.readers:
            for asked in reader.asked.values():
                for each in asked:
                    each.told_again += 1

    # --- time -------------------------------------------------------------------------------------------

    @rule(before_s=st.sampled_from([0.0, 0.01, 0.1]), after_s=st.sampled_from([0.0, 0.01, 0.1]))
    def pasts_take(self, before_s: float, after_s: float) -> None:
        self.world.venue.page_delays_s = (before_s, after_s)

    @rule(pause_s=pauses_s)
    def wait(self, pause_s: float) -> None:
        self.run(asyncio.sleep(pause_s))

    def now(self, act: Any) -> None:
        """Do something inside the loop, in this very moment of it."""

        async def acting() -> None:
            act()

        self.run(acting())

    # --- the end ----------------------------------------------------------------------------------------

    @precondition(lambda self: any(any(reader.asked.values()) for reader in self.readers))
    @rule()
    def settle(self) -> None:
        """Let everything arrive, with one more of everything at the end, and look at all of it."""
        self.run(self._arrive())
        self._look(is_quiet=True)
        self.run(self._stir())
        self._look(is_quiet=False)

    def _look(self, *, is_quiet: bool) -> None:
        """Check all that has come; while it is quiet, some have got nothing, but nobody's last is an old one."""
        for reader in (*self.readers, *self.gone):
            parts = reader.parts()
            for guid in GUIDS:
                assert len(parts[guid]) <= len(reader.asked[guid])
                for asked, part in zip(reader.asked[guid], parts[guid], strict=False):
                    is_old = is_quiet and not part
                    self.check(reader, replace(asked, is_last=asked.is_last and not is_old), part)
        for reader in self.readers:
            assert reader.end is None
            assert {guid: len(part) for guid, part in reader.parts().items()} == {
                guid: len(asked) for guid, asked in reader.asked.items()
            }, "each request is answered once"

    async def _arrive(self) -> None:
        for reader in self.readers:
            reader.transport.resume_reading()
        self._be_warm()
        await asyncio.sleep(SETTLED_S)

    async def _stir(self) -> None:
        """Let one more of everything happen, which everybody gets who is still there."""
        for instrument in INSTRUMENTS.values():
            market = self.markets[instrument.symbol]
            venue = self.world.venue
            market.tape.append(venue.publish_trade(instrument, 300).id)
            market.book, market.quote, market.rules = market.book + 1, market.quote + 1, market.rules + 1
            venue.set_book(instrument, [(market.book, 1)])
            venue.set_quote(instrument, market.quote)
            venue.change_instrument(
                instrument, InstrumentUpdate(symbol=instrument.symbol, price_max=float(market.rules))
            )
            market.volume += 1
            venue.run_bar(minutes_of(instrument), bar(market.minute, market.volume))
        await asyncio.sleep(SETTLED_S)

    def check(self, reader: Reader, asked: Asked, part: list[Got]) -> None:
        if asked.ask is None:
            assert part == [], "nothing comes behind a cancellation"
            return
        market = self.markets[asked.ask.symbol]
        records = [got.record for got in part]
        match asked.ask.opcode:
            case "AllTradesGetAndSubscribe":
                check_trades(asked, part, market)
            case "OrderBookGetAndSubscribe":
                check_states(asked, [int(record["bids"][0]["price"]) for record in records], market.book)
                assert not any(record["existing"] for record in records[1:])
                assert not part or records[0]["existing"]
            case "QuotesSubscribe":
                check_states(asked, [int(record["last_price"]) for record in records], market.quote)
            case "BarsGetAndSubscribe":
                check_bars(asked, part, market)
            case "InstrumentsGetAndSubscribeV2":
                check_rules(asked, part, market)
        if asked.ask.opcode in (BOOK, QUOTE) and not (self.has_jitter or reader.has_paused):
            check_windows(asked, part)
        if asked.ask.opcode in (TRADES, QUOTE, RULES):
            assert {record["symbol"] for record in records} <= {asked.ask.symbol}

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if any(any(reader.asked.values()) for reader in self.readers):
                self.settle()
            self.run(self.world.__aexit__(None, None, None))
        finally:
            self.loop.close()


TestGaps = GapMachine.TestCase
TestGaps.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)


# --- what the machine has found -------------------------------------------------------------------------


def play(*steps: Callable[[GapMachine], None]) -> None:
    machine = GapMachine()
    machine.open(OutboxMode.CONFLATE, 0.0, 300, 0)
    try:
        for step in steps:
            step(machine)
    finally:
        machine.teardown()


def test_what_happened_before_a_restart_and_is_in_the_past_of_bars_does_not_come_again() -> None:
    ask = Ask(BARS, "SBER", {"tf": MINUTE_S, "from": 0, "skipHistory": False, "frequency": 25})
    play(
        lambda machine: machine.pasts_take(0.1, 0.0),
        lambda machine: machine.subscribe(0, "a", ask),
        lambda machine: machine.wait(0.03),
        lambda machine: machine.trade_into_a_bar("SBER", is_next=True),
        lambda machine: machine.begin_anew(),
    )


def test_what_happened_before_a_restart_and_is_in_the_full_rules_does_not_come_again() -> None:
    play(
        lambda machine: machine.pasts_take(0.1, 0.0),
        lambda machine: machine.subscribe(0, "a", Ask(RULES, "SBER", {})),
        lambda machine: machine.wait(0.03),
        lambda machine: machine.change_the_rules("SBER"),
        lambda machine: machine.begin_anew(),
    )


def test_the_first_state_of_a_book_that_was_not_known_is_not_replaced_by_a_later_one() -> None:
    play(
        lambda machine: machine.subscribe(0, "a", Ask(TRADES, "SBER", {"depth": 0})),
        lambda machine: machine.subscribe(0, "b", Ask(BOOK, "SBER", {"depth": 5, "frequency": 25})),
        lambda machine: machine.wait(0.3),
        lambda machine: machine.stop_reading(0),
        # More than the network holds.
        lambda machine: machine.trade("SBER", 10),
        lambda machine: machine.move_the_book("SBER"),
        lambda machine: machine.wait(0.03),
        lambda machine: machine.move_the_book("SBER"),
        lambda machine: machine.wait(0.03),
    )
