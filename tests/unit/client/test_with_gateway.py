"""Client, gateway and a scripted venue on virtual time: what the venue says is what the consumer gets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tapewire.client.broker import Broker
from tapewire.client.endpoints import Endpoints
from tapewire.client.errors import RefusedError, TokenRefusedError
from tapewire.client.events import LostEvent
from tapewire.client.states import SubscriptionState
from tapewire.client.tokens import TokenKeeper
from tapewire.connect import assembled
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.tokens import TokenAuthority, User, hash_refresh_token, new_signing_key
from tapewire.model import UNSET, Side, Topic
from tapewire.ports.query import TradesPage
from tapewire.protocol.words import Format
from tapewire.simulation import LinkConditions, Network, ScriptedVenue, SimulatedHttp, VirtualClock, run_virtual
from trading import instrument

ADDRESS = "system.test:80"
REFRESH_TOKEN = "refresh-s3cr3t"
TEST, OTHER = instrument("TEST"), instrument("OTHER")
KEY = new_signing_key()


class World:
    """One gateway in front of one venue; clients as many as wanted."""

    def __init__(self, venue: type[ScriptedVenue] = ScriptedVenue) -> None:
        self.clock = VirtualClock()
        self.network = Network(seed=3, conditions=LinkConditions(latency_s=0.005, jitter_s=0.01))
        self.http = SimulatedHttp()
        self.venue = venue([TEST, OTHER], clock=self.clock)
        user = User(
            login="P1",
            client_id="1",
            agreement="1",
            portfolios=("D1",),
            refresh_token_hashes=(hash_refresh_token(REFRESH_TOKEN),),
        )
        tokens = TokenAuthority(KEY, [user], self.clock)
        self.gateway = Gateway(self.venue, self.venue, tokens, self.clock, commands=self.venue)
        self.network.listen(ADDRESS, self.gateway.accept)
        self.http.listen(ADDRESS, self.gateway.http)

    @asynccontextmanager
    async def client(self, refresh_token: str = REFRESH_TOKEN) -> AsyncIterator[Broker]:
        where = Endpoints.from_base(f"http://{ADDRESS}")
        rng = random.Random(5)
        tokens = TokenKeeper(self.http, where.oauth, refresh_token, rng)
        broker = assembled(where, self.network.connector(), tokens, Http(self.http), rng, self.clock)
        try:
            await broker.start()
            yield broker
        finally:
            await broker.close()


class Http:
    """The shared HTTP client as one client holds it."""

    def __init__(self, http: SimulatedHttp) -> None:
        self.request = http.request

    async def close(self) -> None:
        pass


def run(scenario: Callable[[World], Awaitable[None]], venue: type[ScriptedVenue] = ScriptedVenue) -> None:
    async def main() -> None:
        world = World(venue)
        try:
            await scenario(world)
            await asyncio.sleep(3)
            assert world.network.connections == ()
            assert world.venue.open_topics == ()
        finally:
            await world.gateway.close()

    run_virtual(main)


async def take(stream: Any, count: int) -> list[Any]:
    return [await anext(stream) for _ in range(count)]


def test_three_kinds_in_three_formats_carry_what_the_venue_said() -> None:
    async def scenario(world: World) -> None:
        world.venue.set_book(TEST, bids=[(10.0, 5), (9.99, 7)], asks=[(10.01, 3)])
        world.venue.set_quote(TEST, 10.0, bid=None, ask=10.01)
        world.venue.publish_trade(TEST, 10.0, 2, Side.SELL)
        async with world.client() as broker, AsyncExitStack() as stack:
            for form in Format:
                books = await stack.enter_async_context(broker.book("TEST", format=form))
                quotes = await stack.enter_async_context(broker.quotes("TEST", format=form))
                trades = await stack.enter_async_context(broker.trades("TEST", depth=5, format=form))
                (book,), (quote,), (past,) = await take(books, 1), await take(quotes, 1), await take(trades, 1)
                assert [(level.price, level.volume) for level in book.bids] == [(10.0, 5), (9.99, 7)]
                assert [(level.price, level.volume) for level in book.asks] == [(10.01, 3)]
                assert book.existing is True
                assert (book.snapshot is UNSET) == (form is not Format.SIMPLE)
                assert (quote.symbol, quote.last_price, quote.bid, quote.ask) == ("TEST", 10.0, None, 10.01)
                assert (past.price, past.quantity, past.side, past.existing) == (10.0, 2, Side.SELL, True)
            assert broker.unclaimed == 0

    run(scenario)


def test_an_empty_book_and_a_replaced_one_arrive_as_they_are() -> None:
    async def scenario(world: World) -> None:
        world.venue.set_book(TEST)
        async with world.client() as broker, broker.book("TEST") as books:
            (empty,) = await take(books, 1)
            assert (empty.bids, empty.asks) == ((), ())
            world.venue.set_book(TEST, bids=[(10.0, 1)])
            (book,) = await take(books, 1)
            assert (len(book.bids), book.asks, book.existing) == (1, (), False)

    run(scenario)


def test_two_clients_see_the_same_trades_in_the_same_order() -> None:
    async def scenario(world: World) -> None:
        async def publish() -> None:
            for number in range(500):
                world.venue.publish_trade(TEST, 10 + number / 100, 1 + number % 7)
                if number % 3 == 0:
                    await asyncio.sleep(0.004)

        async with (
            world.client() as one,
            world.client() as other,
            one.trades("TEST") as first,
            other.trades("TEST", format=Format.HEAVY) as second,
        ):
            _, seen, also_seen = await asyncio.gather(publish(), take(first, 500), take(second, 500))
        prices = [10 + number / 100 for number in range(500)]
        assert [trade.price for trade in seen] == [trade.price for trade in also_seen] == prices
        assert [trade.id for trade in seen] == [trade.id for trade in also_seen]

    run(scenario)


def test_streams_of_one_connection_do_not_mix_and_end_alone() -> None:
    async def scenario(world: World) -> None:
        async with world.client() as broker, broker.trades("OTHER") as others:
            async with broker.trades("TEST") as trades:
                world.venue.publish_trade(TEST, 10.0)
                world.venue.publish_trade(OTHER, 9.5)
                assert (await take(trades, 1))[0].symbol == "TEST"
                assert (await take(others, 1))[0].symbol == "OTHER"
            world.venue.publish_trade(OTHER, 9.6)
            assert (await take(others, 1))[0].price == 9.6
            assert others.state is SubscriptionState.ACTIVE

    run(scenario)


def test_what_the_gateway_refuses_is_refused_here() -> None:
    async def scenario(world: World) -> None:
        async with world.client() as broker:
            with pytest.raises(RefusedError) as caught:
                await broker.trades("NOPE").open()
            assert caught.value.code == 404
        with pytest.raises(TokenRefusedError) as refused:
            async with world.client("wrong"):
                pass
        assert refused.value.status == 403

    run(scenario)


def test_a_past_that_cannot_be_read_ends_the_stream_loudly_and_only_itself() -> None:
    class Broken(ScriptedVenue):
        async def recent_trades(self, topic: Topic, limit: int) -> TradesPage:
            await asyncio.sleep(0.5)
            raise OSError("the disk is gone")

    async def scenario(world: World) -> None:
        async with (
            world.client() as broker,
            broker.trades("TEST") as others,
            broker.trades("TEST", depth=5) as trades,
        ):
            assert trades.state is SubscriptionState.ACTIVE
            with pytest.raises(RefusedError) as caught:
                await anext(trades)
            assert (caught.value.code, caught.value.text) == (503, "The history cannot be read")
            assert caught.value.retriable
            assert trades.state is SubscriptionState.REFUSED
            world.venue.publish_trade(TEST, 10.0)
            assert (await take(others, 1))[0].price == 10.0
            assert broker.unclaimed == 0

    run(scenario, Broken)


def test_a_gateway_that_goes_away_is_told_and_its_streams_wait_for_the_next_one() -> None:
    async def scenario(world: World) -> None:
        async with world.client() as broker, broker.trades("TEST") as trades:
            events = aiter(broker.events)
            world.venue.publish_trade(TEST, 10.0)
            await asyncio.sleep(0.5)
            await world.gateway.close()
            assert (await take(trades, 1))[0].price == 10.0
            lost = await anext(events)
            assert isinstance(lost, LostEvent)
            assert (lost.code, lost.reason, lost.streams) == (1001, "the server is going away", 1)
            assert trades.state is SubscriptionState.RESTORING

    run(scenario)


def test_an_access_token_that_has_ended_is_renewed_on_the_first_401() -> None:
    async def scenario(world: World) -> None:
        async with world.client() as broker:
            world.clock.jump(2_000)  # the broker's clock: all tokens of before have ended
            first = broker.access_token()
            async with broker.trades("TEST"):
                assert broker.access_token() != first

    run(scenario)
