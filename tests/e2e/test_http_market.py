"""The market's data over a real socket: a long answer in chunks, beside short ones, through a real HTTP client."""

from __future__ import annotations

import asyncio
import json
import time

from tapewire.adapters.clock import SystemClock
from tapewire.adapters.http_client import AiohttpClient
from tapewire.adapters.http_server import HttpServer, open_listener
from tapewire.gateway.gateway import Gateway
from tapewire.gateway.http import Throttle
from tapewire.gateway.tokens import TokenAuthority
from tapewire.model import BarsHistory, TopicKind
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format
from tapewire.simulation import ScriptedVenue
from unit.gateway.http.hall import INSTRUMENTS, MINUTE_S, SBER, bar
from unit.gateway.world import KEY, REFRESH, USERS

BARS = 20_000
REQUESTS_PER_SECOND = 20


def test_long_and_short_answers_share_a_port_and_too_many_are_refused() -> None:
    async def main() -> None:
        clock = SystemClock()
        venue = ScriptedVenue(INSTRUMENTS, clock=clock)
        now_s = int(time.time()) // MINUTE_S * MINUTE_S
        venue.set_past_bars(
            venue.topic(TopicKind.BAR, SBER, MINUTE_S), [bar(now_s - n * MINUTE_S) for n in range(BARS)]
        )
        venue.set_book(SBER, bids=[(10.0, 5)])
        tokens = TokenAuthority(KEY, USERS, clock)
        gateway = Gateway(venue, venue, tokens, clock, commands=venue, throttle=Throttle(REQUESTS_PER_SECOND))
        listener = open_listener("127.0.0.1", 0)
        server = HttpServer(gateway.http, gateway.accept, listener)
        await server.start()
        client = AiohttpClient()
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {tokens.refresh(REFRESH)}"}

        async def get(path: str, *, method: str = "GET", shown: bool = True) -> tuple[int, bytes]:
            answer = await client.request(method, base + path, headers=headers if shown else None, timeout_s=20)
            return answer.status, answer.body

        try:
            history = f"/MD/v2/history/?symbol=SBER&exchange=moex&tf=60&from=0&to={now_s}&format=slim"
            long, short = await asyncio.gather(get(history), get("/md/v2/orderbooks/MOEX/SBER"))
            assert long[0] == 200
            read = codec(BarsHistory, Format.SLIM).decode(long[1])
            assert (len(read.bars), read.bars[-1].time_s, read.next_s) == (BARS, now_s, None)
            assert json.loads(short[1])["bids"] == [{"price": 10.0, "volume": 5}]
            assert await get(history, method="HEAD") == (200, b"")
            status, body = await get("/md/v2/Securities/MOEX%3ASBER%2CMOEX:GAZP/quotes", shown=False)
            assert (status, body) == (200, b"[]")
            assert (await get("/md/v2/Securities/MOEX", shown=False))[0] == 401
            answers = await asyncio.gather(*(get("/md/v2/time") for _ in range(3 * REQUESTS_PER_SECOND)))
            refused = [json.loads(body)["code"] for status, body in answers if status != 200]
            assert refused
            assert set(refused) == {"TooManyRequests"}
            assert gateway.throttle.refused == len(refused)
        finally:
            await client.close()
            await gateway.close()
            await server.stop()

    asyncio.run(main())
