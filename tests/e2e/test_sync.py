"""The client without ``async``: threads, errors, ends, beside a real system on a thread of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

import tapewire
from tapewire import SubscriptionState
from tapewire.app import Settings, System
from tapewire.sync import Broker, Stream

WAIT_S = 10.0


@pytest.fixture(scope="module")
def system() -> Iterator[tuple[str, str]]:
    """Run a system; gives its address and refresh token."""
    started, ended = threading.Event(), threading.Event()
    told: list[tuple[str, str]] = []

    async def serve() -> None:
        async with System(Settings(port=0, symbols=2, events_per_second=2_000)) as running:
            told.append((running.url, running.ready_line()["refresh_token"]))
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(WAIT_S)
    yield told[0]
    ended.set()
    thread.join(WAIT_S)


@pytest.fixture
def broker(system: tuple[str, str]) -> Iterator[Broker]:
    before = threading.active_count()
    with tapewire.sync.connect(system[0], refresh_token=system[1]) as connected:
        yield connected
    gc.collect()
    assert threading.active_count() == before


def test_streams_as_loops(broker: Broker) -> None:
    books = broker.book("SBER")
    for number, book in enumerate(books):
        assert book.bids
        if number == 3:
            break
    gc.collect()
    assert (books.state, books.name) == (SubscriptionState.CLOSED, "book:SBER")
    assert books.received >= 4


def test_a_stream_that_is_entered_serves_several_loops_and_loses_nothing_between_them(broker: Broker) -> None:
    ids = []
    with broker.trades("SBER", depth=200) as trades:
        for trade in trades:
            ids.append(trade.id)
            if len(ids) == 70:
                break
        ids.append(trades.next(timeout_s=WAIT_S).id)
        for batch in trades.batches():
            ids += [trade.id for trade in batch]
            if len(ids) >= 200:
                break
        assert trades.state is SubscriptionState.ACTIVE
        for row in trades.with_gaps():
            assert isinstance(row, tapewire.Trade)
            break
    assert ids == sorted(set(ids))
    assert ids.index(ids[-1]) == len(ids) - 1
    with pytest.raises(tapewire.ClosedError):
        trades.next()


def test_a_loop_over_a_stream_that_has_ended_is_an_error_that_says_what_to_do(broker: Broker) -> None:
    def endless(how: Callable[[Stream[Any]], Iterator[Any]], stream: Stream[Any]) -> None:
        while True:
            for _ in how(stream):
                stream.close()

    for how in (iter, Stream.batches, Stream.with_gaps):
        books = broker.book("SBER").open()
        with pytest.raises(tapewire.ClosedError, match=r"book:SBER has ended, .* ask the broker for a new one"):
            endless(how, books)
        once = broker.book("SBER")
        for _ in once:
            break
        gc.collect()
        with pytest.raises(tapewire.ClosedError, match="ask the broker"):
            next(how(once))
        with pytest.raises(tapewire.ClosedError, match="ask the broker"):
            once.next()
        with pytest.raises(tapewire.ClosedError, match="ask the broker"):
            once.open()


def test_a_wait_may_be_bounded(broker: Broker) -> None:
    name = broker.portfolios[0]
    with broker.portfolio(name).watch_stop_orders() as orders, pytest.raises(TimeoutError):
        orders.next(timeout_s=0.05)


def test_orders_portfolios_and_calls(broker: Broker) -> None:
    name = broker.portfolios[0]
    held = broker.portfolio(name).positions()
    assert any(position.is_currency for position in held)
    with broker.book("SBER") as books:
        price = broker.instrument("SBER").price_nearest(books.next().bids[-1].price)
    assert "SBER" in {listed.symbol for listed in broker.instruments("SBER")}
    assert broker.past_trades("SBER", since=timedelta(hours=1))
    placed = broker.orders.limit("SBER", "buy", lots=1, price=price, portfolio=name)
    assert isinstance(placed, tapewire.Accepted)
    assert any(str(order.id) == placed.order.number for order in broker.orders.list(name))
    assert isinstance(broker.orders.cancel(placed.order), tapewire.Accepted | tapewire.Rejected)
    assert broker.time().tzinfo is not None
    assert broker.orders.groups.list() == []
    assert broker.access_token()
    assert list(broker.gaps) == []


def test_errors_keep_their_types(broker: Broker, system: tuple[str, str]) -> None:
    with pytest.raises(tapewire.LimitError):
        broker.book("SBER", depth=51)
    with pytest.raises(tapewire.RefusedError) as refused:
        next(iter(broker.book("NOPE")))
    assert refused.value.code == 404
    with pytest.raises(tapewire.ConfigurationError):
        broker.portfolio()
    with pytest.raises(tapewire.TokenRefusedError), tapewire.sync.connect(system[0], refresh_token="wrong"):
        pytest.fail("the token is wrong")
    with pytest.raises(tapewire.TokenServiceError), tapewire.sync.connect("http://127.0.0.1:1", refresh_token="t"):
        pytest.fail("nobody is there")


def test_several_threads_use_one_broker(broker: Broker) -> None:
    def read(symbol: str) -> int:
        count = 0
        for trade in broker.trades(symbol, depth=20):
            assert trade.symbol == symbol
            count += 1
            if count == 30:
                return count
        return count

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, ["SBER", "GAZP"] * 4)) == [30] * 8


def test_a_thread_that_waits_is_told_the_end(system: tuple[str, str]) -> None:
    broker = tapewire.sync.connect(system[0], refresh_token=system[1]).open()
    waiting, took = threading.Event(), []

    def read() -> None:
        with broker.portfolio(broker.portfolios[0]).watch_stop_orders() as orders:
            waiting.set()
            took.extend(orders)

    thread = threading.Thread(target=read)
    thread.start()
    assert waiting.wait(WAIT_S)
    broker.close()
    thread.join(WAIT_S)
    assert (thread.is_alive(), took) == (False, [])
    broker.close()
    with pytest.raises(tapewire.ClosedError):
        broker.time()


def test_it_works_inside_a_running_loop(system: tuple[str, str]) -> None:
    async def cell() -> bool:
        with tapewire.sync.connect(system[0], refresh_token=system[1]) as broker:
            return bool(broker.book("SBER").__iter__().__next__().bids)

    assert asyncio.run(cell())


def test_ctrl_c_ends_a_wait_and_the_block(system: tuple[str, str]) -> None:
    before = threading.active_count()
    connecting = tapewire.sync.connect(system[0], refresh_token=system[1])
    broker = connecting.__enter__()
    stream = broker.portfolio(broker.portfolios[0]).watch_stop_orders().open()
    # It comes while the main thread waits for a row that never comes.
    ringing = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    ringing.start()
    with pytest.raises(KeyboardInterrupt):
        stream.next(timeout_s=WAIT_S)
    ringing.join()
    connecting.__exit__(None, None, None)
    assert stream.state is SubscriptionState.CLOSED
    assert threading.active_count() == before


def test_sockets_end_with_the_block(system: tuple[str, str]) -> None:
    def descriptors() -> int:
        return len([*Path("/proc/self/fd").iterdir()])

    def use() -> None:
        with tapewire.sync.connect(system[0], refresh_token=system[1]) as broker:
            next(iter(broker.book("SBER")))
            broker.orders.open()

    # The first time opens what stays: the system's ends of idle HTTP connections among it.
    use()
    before = descriptors()
    for _ in range(5):
        use()
    assert descriptors() <= before + 4


def test_a_connection_is_in_one_block_at_a_time(system: tuple[str, str], tmp_path: Path) -> None:
    connecting = tapewire.sync.connect(system[0], refresh_token=system[1])
    with connecting, pytest.raises(tapewire.ClosedError), connecting:
        pytest.fail("it is in use")
    with connecting as again:
        assert again.time()


def test_a_blocking_call_on_its_own_loop_is_refused(broker: Broker) -> None:
    async def mistake() -> None:
        broker.time()

    with pytest.raises(RuntimeError, match="wait for itself"):
        broker._loop.call(mistake())


def test_ctrl_c_in_the_middle_of_a_stream_loses_no_trade(system: tuple[str, str]) -> None:
    is_armed, is_over = threading.Event(), threading.Event()

    def interrupt(*_: object) -> None:
        if is_armed.is_set():
            is_armed.clear()
            raise KeyboardInterrupt

    def ring() -> None:
        while not is_over.wait(0.003):
            os.kill(os.getpid(), signal.SIGINT)

    seen: list[int] = []
    interrupts = 0
    before = signal.signal(signal.SIGINT, interrupt)
    ringing = threading.Thread(target=ring)
    try:
        with (
            tapewire.sync.connect(system[0], refresh_token=system[1]) as broker,
            broker.trades("SBER") as whole,
            broker.trades("SBER") as interrupted,
        ):
            ringing.start()
            while interrupts < 200:
                try:
                    is_armed.set()
                    trade = interrupted.next(timeout_s=WAIT_S)
                    is_armed.clear()
                except KeyboardInterrupt:
                    interrupts += 1
                else:
                    seen.append(trade.id)
            ids = [whole.next().id for _ in range(whole.waiting)]
    finally:
        is_over.set()
        ringing.join()
        signal.signal(signal.SIGINT, before)
    assert seen == sorted(set(seen))
    missing = set(ids[ids.index(seen[0]) : ids.index(seen[-1]) + 1]) - set(seen)
    # One that was on its way from the stream into the program's own hands when an interrupt struck.
    assert len(missing) <= interrupts // 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be forked")
def test_a_forked_process_is_told_that_the_broker_is_not_its_own_and_ends(broker: Broker) -> None:
    stream = broker.trades("SBER").open()
    child = os.fork()
    if child == 0:
        told = 0
        try:
            for work in (broker.time, lambda: broker.book("SBER").open()):
                try:
                    work()
                except tapewire.ClosedError as error:
                    told += "forked" in str(error)
            stream.close()
            # What the end of the program calls.
            broker.close()
        finally:
            os._exit(told)
    until_s = monotonic() + WAIT_S
    ended, status = 0, 0
    while not ended and monotonic() < until_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        threading.Event().wait(0.01)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended, "it hangs"
    assert os.waitstatus_to_exitcode(status) == 2
    # The parent has lost nothing.
    assert stream.next(timeout_s=WAIT_S)
    stream.close()
