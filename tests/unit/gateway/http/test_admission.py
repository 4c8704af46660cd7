"""Who is let in: tokens, addresses, and how often."""

from __future__ import annotations

import asyncio

import pytest

from tapewire.gateway.http import Throttle
from tapewire.gateway.http.admission import ANSWERS_AT_ONCE_MAX
from unit.gateway.http.hall import Hall, run
from unit.gateway.world import FOREIGN_KEY, OTHER_REFRESH, forged

TIME = "/md/v2/time"
BOOK = "/md/v2/orderbooks/MOEX/SBER"


@pytest.mark.parametrize(
    ("path", "shown", "status"),
    [
        (TIME, None, 200),
        (TIME, "Bearer {}", 200),
        (TIME, "bearer {}", 200),
        (TIME, "BEARER   {} ", 200),
        (TIME, "Bearer wrong", 401),
        (TIME, "Bearer", 401),
        (TIME, "Basic dXNlcjpwYXNz", 401),
        (TIME, "{}", 401),
        (BOOK, None, 401),
        (BOOK, "Bearer wrong", 401),
    ],
)
def test_a_token_that_is_shown_must_be_good(path: str, shown: str | None, status: int) -> None:
    async def scenario(hall: Hall) -> None:
        headers = {} if shown is None else {"Authorization": shown.format(hall.token())}
        reply = await hall.raw(path, headers=headers, token=None)
        assert reply.status == status
        if status == 401:
            assert reply.value == {"code": "Unauthorized", "message": "Invalid JWT token!"}
            assert reply.headers["www-authenticate"] == "Bearer"

    run(scenario)


def test_tokens_that_are_forged_or_at_their_end_are_refused() -> None:
    async def scenario(hall: Hall) -> None:
        token = hall.token()
        foreign = forged({"sub": "P1", "exp": 2**40}, FOREIGN_KEY)
        assert (await hall.ask(TIME, token=foreign))[0] == 401
        assert (await hall.ask(TIME, token=token))[0] == 200
        await asyncio.sleep(1_801)
        assert (await hall.ask(TIME, token=token))[0] == 401

    run(scenario)


def test_requests_are_counted_by_login_and_without_token_by_address() -> None:
    async def scenario(hall: Hall) -> None:
        other = hall.token(OTHER_REFRESH)
        assert [(await hall.raw(TIME)).status for _ in range(4)] == [200, 200, 200, 429]
        # Another address does not help who shows the same login.
        assert (await hall.raw(TIME, address="10.0.0.2")).status == 429
        assert (await hall.raw(TIME, token=other)).status == 200
        assert [(await hall.raw(TIME, token=None)).status for _ in range(4)] == [200, 200, 200, 429]
        assert (await hall.raw(TIME, token=None, address="10.0.0.2")).status == 200
        # Tokens that are not good count for the address: they may name any login.
        assert (await hall.raw(TIME, token="wrong")).status == 429
        assert hall.throttle.refused == 4

    run(scenario, throttle=Throttle(3))


def test_the_refusal_says_the_bound_and_passes_with_time() -> None:
    async def scenario(hall: Hall) -> None:
        for _ in range(100):
            assert (await hall.raw(TIME)).status == 200
        reply = await hall.raw(TIME)
        assert reply.status == 429
        assert reply.value == {"code": "TooManyRequests", "message": "Too many requests: at most 100 a second"}
        assert reply.headers["retry-after"] == "1"
        await asyncio.sleep(0.05)
        assert [(await hall.raw(TIME)).status for _ in range(6)] == [200] * 5 + [429]

    run(scenario, throttle=Throttle())


def test_paths_that_are_not_there_count_too() -> None:
    async def scenario(hall: Hall) -> None:
        assert [(await hall.raw("/nothing")).status for _ in range(3)] == [404, 404, 429]

    run(scenario, throttle=Throttle(2))


def test_a_caller_has_so_many_answers_under_way_and_no_more() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.page_delays_s = (5.0, 0.0)
        path = "/md/v2/history?exchange=MOEX&symbol=SBER&tf=60&from=1&to=9999999999"
        asking = [asyncio.create_task(hall.raw(path)) for _ in range(ANSWERS_AT_ONCE_MAX + 5)]
        await asyncio.sleep(1)
        refused = [task.result() for task in asking if task.done()]
        assert [reply.status for reply in refused] == [429] * 5
        assert refused[0].value["message"] == f"Too many requests at once: at most {ANSWERS_AT_ONCE_MAX}"
        # Whoever shows another login, or no token, is another caller.
        assert (await hall.raw(TIME, token=hall.token(OTHER_REFRESH))).status == 200
        assert {(await task).status for task in asking} == {200, 429}
        assert (await hall.raw(path)).status == 200

    run(scenario, throttle=Throttle(None))
