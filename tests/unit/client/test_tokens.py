"""The token keeper: renewal in time, one request for all, what is final, and no secrets anywhere."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

import pytest

from tapewire.client.errors import ClosedError, TapewireError, TokenRefusedError, TokenServiceError
from tapewire.client.tokens import RENEW_JITTER, RETRY_LAST_S, TokenKeeper
from tapewire.ports.network import HttpAnswer
from tapewire.simulation import HttpAddress, SimulatedHttp, run_virtual
from unit.client.stage import ENDPOINTS, REFRESH_TOKEN, SECRET, TokenService, access_token, token_answer, told

Scenario = Callable[[TokenKeeper, TokenService, HttpAddress], Awaitable[None]]
FIRST = access_token(1)


def now() -> float:
    return asyncio.get_running_loop().time()


def run(
    scenario: Scenario, *, life_s: int = 1_800, start: bool = True, seed: int = 1, limit_s: float = 40_000
) -> None:
    async def main() -> None:
        http = SimulatedHttp()
        service = TokenService(life_s=life_s)
        address = http.listen("oauth.broker.test:443", service)
        keeper = TokenKeeper(http, ENDPOINTS.oauth, REFRESH_TOKEN, random.Random(seed))
        try:
            if start:
                await keeper.start()
            await scenario(keeper, service, address)
        finally:
            await keeper.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main, limit_s=limit_s)


def test_the_refresh_token_travels_in_the_body_and_not_in_the_address() -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        (request,) = address.requests
        assert (request.method, request.url) == ("POST", "https://oauth.broker.test/refresh")
        assert request.body == b'{"token":"%s"}' % REFRESH_TOKEN.encode()
        assert keeper.current() == keeper.newest == FIRST
        assert keeper.claims.portfolio_list == ("D1", "G1")

    run(scenario)


@pytest.mark.parametrize("seed", range(5))
def test_the_token_is_renewed_at_half_of_its_life_give_or_take_the_jitter(seed: int) -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        await asyncio.sleep(10_000)
        gaps = [later - earlier for earlier, later in zip(service.asked_at, service.asked_at[1:], strict=False)]
        assert len(gaps) >= 9
        assert all(900 * (1 - RENEW_JITTER) <= gap <= 900 * (1 + RENEW_JITTER) + 1 for gap in gaps)
        assert len(set(gaps)) == len(gaps), "no jitter"
        assert keeper.current() == access_token(service.issued)

    run(scenario, seed=seed)


def test_a_token_of_no_life_is_not_asked_for_without_pause() -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        await asyncio.sleep(100)
        assert service.issued < 120

    run(scenario, life_s=-5)


def test_failed_renewals_are_repeated_after_growing_pauses_and_the_old_token_serves_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        failures = 20
        for _ in range(failures):
            address.answer_next(503, SECRET.encode())
        await asyncio.sleep(900 * (1 - RENEW_JITTER) - 1)
        while address.canned:
            assert keeper.current() == FIRST
            await asyncio.sleep(RETRY_LAST_S / 4)
        await asyncio.sleep(RETRY_LAST_S + 1)
        assert keeper.current() == access_token(2)

    with caplog.at_level(logging.DEBUG):
        run(scenario)
    assert SECRET not in caplog.text
    assert "answered 503" in caplog.text


class Highest(random.Random):
    """Draws the longest pause every time."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_pauses_double_up_to_their_bound_and_begin_anew_after_a_success() -> None:
    async def main() -> None:
        http = SimulatedHttp(latency_s=0)
        asked: list[float] = []
        service = TokenService()
        address = http.listen("oauth.broker.test:443", service)
        keeper = TokenKeeper(http, ENDPOINTS.oauth, REFRESH_TOKEN, Highest())
        await keeper.start()
        for _ in range(9):
            address.answer_next(500)
        await asyncio.sleep(990 + 500)
        assert service.issued == 2
        address.answer_next(500)
        await asyncio.sleep(990)
        await keeper.close()
        asked = service.asked_at
        # 1 + 2 + 4 + 8 + 16 + 32 + 60 + 60 + 60, then half a life and 1 again
        assert asked == pytest.approx([0, 990 + 243, 990 + 243 + 990 + 1], abs=0.01)

    run_virtual(main)


def test_calls_that_overlap_share_one_request() -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        tokens = await asyncio.gather(*(keeper.renew() for _ in range(10)))
        assert tokens == [access_token(2)] * 10
        assert service.issued == 2
        assert await keeper.renew() == access_token(3)

    run(scenario)


def test_a_waiter_that_gives_up_does_not_take_the_token_from_the_others() -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        address.delay_s = 1
        first = asyncio.create_task(keeper.renew())
        second = asyncio.create_task(keeper.renew())
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == access_token(2)
        assert first.cancelled()

    run(scenario)


def test_all_who_share_a_failed_request_get_an_error_of_their_own() -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        address.answer_next(500)
        errors = await asyncio.gather(keeper.renew(), keeper.renew(), return_exceptions=True)
        assert [str(error) for error in errors] == ["the token service answered 500"] * 2
        assert errors[0] is not errors[1]

    run(scenario)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_final_and_visible(status: int) -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        address.answer_next(status)
        with pytest.raises(TokenRefusedError) as caught:
            await keeper.renew()
        assert caught.value.status == status
        asked = len(address.requests)
        for _ in range(3):
            with pytest.raises(TokenRefusedError):
                keeper.current()
            with pytest.raises(TokenRefusedError):
                await keeper.renew()
        await asyncio.sleep(10_000)
        assert len(address.requests) == asked, "a refused token is not asked for again"
        assert keeper.newest == FIRST

    run(scenario)


def test_a_refusal_of_the_own_renewal_ends_it_with_one_loud_line(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        address.answer_next(403)
        await asyncio.sleep(10_000)
        assert len(address.requests) == 2
        with pytest.raises(TokenRefusedError):
            keeper.current()

    run(scenario)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR


def test_an_error_that_nobody_expected_is_told_without_its_text_and_renewal_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        failures = iter(range(3))

        def fail() -> None:
            if next(failures, None) is not None:
                raise RuntimeError(SECRET)

        keeper.on_renewed = fail
        await asyncio.sleep(10_000)
        assert next(failures, None) is None
        assert len(service.asked_at) >= 3 + 9
        assert keeper.current() == access_token(service.issued)

    run(scenario)
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING] * 3
    assert "RuntimeError" in caplog.text
    assert "in _new_token" in caplog.text
    assert SECRET not in caplog.text


def test_a_raised_refusal_does_not_gather_tracebacks() -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        address.answer_next(403)
        errors = []
        for ask in (keeper.renew, keeper.renew):
            with pytest.raises(TokenRefusedError) as caught:
                await ask()
            errors.append(caught.value)
        assert errors[0] is not errors[1]

    run(scenario)


def test_who_waits_for_a_token_when_the_keeper_is_closed_is_told_so_and_not_cancelled() -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        address.swallow()
        waiting = asyncio.create_task(keeper.renew())
        await asyncio.sleep(1)
        await keeper.close()
        with pytest.raises(ClosedError):
            await waiting
        with pytest.raises(ClosedError):
            await keeper.renew()

    run(scenario)


def test_what_nobody_foresaw_is_a_failed_renewal_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        """HTTP with a fault of its own."""

        def __init__(self) -> None:
            self.service = TokenService()
            self.asked = 0

        async def request(self, method: str, url: str, **what: object) -> HttpAnswer:
            self.asked += 1
            if self.asked in (2, 3):
                raise EOFError(SECRET)
            return HttpAnswer(200, token_answer(self.asked))

        async def close(self) -> None:
            """Nothing is open."""

    async def main() -> None:
        http = Broken()
        keeper = TokenKeeper(http, ENDPOINTS.oauth, REFRESH_TOKEN, random.Random(1))
        await keeper.start()
        with pytest.raises(TokenServiceError) as caught:
            await keeper.renew()
        assert SECRET not in told(caught.value)
        await asyncio.sleep(1_200)
        assert (keeper.current(), http.asked) == (access_token(4), 4)
        await keeper.close()

    run_virtual(main)
    assert "EOFError" in caplog.text
    assert SECRET not in caplog.text


def test_closing_twice_is_closing_once() -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        await keeper.close()
        await keeper.close()

    run(scenario)


# --- a token that may be another later ------------------------------------------------------------------


class Source:
    """What a file says, and how often it was read."""

    def __init__(self) -> None:
        self.says: str | None = None
        self.read = 0

    def refresh_token(self) -> str | None:
        self.read += 1
        return self.says


def run_with(source: Source, scenario: Scenario) -> None:
    async def main() -> None:
        http = SimulatedHttp()
        service = TokenService()
        address = http.listen("oauth.broker.test:443", service)
        keeper = TokenKeeper(http, ENDPOINTS.oauth, REFRESH_TOKEN, random.Random(1), source)
        try:
            await keeper.start()
            await scenario(keeper, service, address)
        finally:
            await keeper.close()

    run_virtual(main)


def test_a_refused_token_is_looked_up_and_the_new_one_serves_on(caplog: pytest.LogCaptureFixture) -> None:
    source = Source()

    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        assert not source.read, "nothing was refused yet"
        source.says = f"another {SECRET}"
        address.answer_next(403)
        assert await keeper.renew() == access_token(2)
        assert address.requests[-1].body == b'{"token":"another %s"}' % SECRET.encode()
        await keeper.renew()
        assert (source.read, len(address.requests)) == (1, 4)

    run_with(source, scenario)
    assert "started anew" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("says", [REFRESH_TOKEN, "another that is refused"])
def test_it_is_refused_for_good_when_nothing_better_is_there(says: str) -> None:
    source = Source()

    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        source.says = says
        address.answer_next(403)
        address.answer_next(401)
        for _ in range(2):
            with pytest.raises(TokenRefusedError):
                await keeper.renew()
        assert source.read == 1

    run_with(source, scenario)


def test_a_system_that_starts_has_half_a_minute_to_say_its_token() -> None:
    source = Source()

    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        for _ in range(3):
            address.answer_next(403)
        with pytest.raises(TokenServiceError, match="not there yet") as caught:
            await keeper.renew()
        assert caught.value.retriable
        await asyncio.sleep(29)
        with pytest.raises(TokenServiceError):
            await keeper.renew()
        await asyncio.sleep(2)
        with pytest.raises(TokenRefusedError):
            await keeper.renew()

    run_with(source, scenario)


# --- secrets --------------------------------------------------------------------------------------------


def unreachable(address: HttpAddress) -> None:
    address.unreachable()


def swallows(address: HttpAddress) -> None:
    address.swallow()


def answers(status: int, body: bytes) -> Callable[[HttpAddress], None]:
    return lambda address: address.answer_next(status, body)


FAILURES = {
    "unreachable": unreachable,
    "silent": swallows,
    "refused": answers(403, SECRET.encode()),
    "broken": answers(500, SECRET.encode()),
    "no json": answers(200, SECRET.encode()),
    "no token": answers(200, b'{"Token":"%s"}' % SECRET.encode()),
    "token of two parts": answers(200, b'{"AccessToken":"%s.x"}' % SECRET.encode()),
    "token without claims": answers(200, b'{"AccessToken":"%s.x.y"}' % SECRET.encode()),
    "token with wrong claims": answers(200, token_answer(1).replace(b".", b".AA", 1)),
    "redirect": answers(302, SECRET.encode()),
    "empty": answers(200, b""),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_no_failure_tells_a_token(
    failure: Callable[[HttpAddress], None], caplog: pytest.LogCaptureFixture
) -> None:
    caught: list[TapewireError] = []

    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        failure(address)
        try:
            await keeper.start()
        except (TokenRefusedError, TokenServiceError) as error:
            caught.append(error)
        assert SECRET not in repr(keeper)

    with caplog.at_level(logging.DEBUG):
        run(scenario, start=False)
    (error,) = caught
    # Even a traceback that shows the variables of every frame.
    assert SECRET not in told(error)
    assert SECRET not in caplog.text
    assert "\n" not in str(error)


def test_no_token_is_shown_once_there_is_one() -> None:
    async def scenario(keeper: TokenKeeper, service: TokenService, address: HttpAddress) -> None:
        assert SECRET not in repr(keeper) + repr(keeper.claims) + repr(asyncio.all_tasks())
        address.answer_next(403)
        with pytest.raises(TokenRefusedError) as caught:
            await keeper.renew()
        assert SECRET not in told(caught.value)

    run(scenario)
