"""Requests made from the description of HTTP, right and wrong, many of each: every answer is one it names.

The application runs in this process over a venue with a past, on the system's clock.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from portfolio import RECORDS, estimate, fill, money
from tapewire.adapters.clock import SystemClock
from tapewire.gateway.http import Throttle, http_application
from tapewire.gateway.http.routes import ENDPOINTS
from tapewire.gateway.order_entry import OrderEntry
from tapewire.gateway.tokens import TokenAuthority
from tapewire.model import (
    Bar,
    GroupMember,
    GroupPolicy,
    GroupStatus,
    InstrumentKind,
    OrderGroup,
    Side,
    Topic,
    TopicKind,
)
from tapewire.simulation import ScriptedVenue
from trading import instrument
from unit.gateway.http.hall import INSTRUMENTS, MINUTE_S
from unit.gateway.world import KEY, REFRESH, USERS

#: For each endpoint and kind of request. All of them take a third of a minute.
EXAMPLES = int(os.environ.get("TAPEWIRE_HTTP_EXAMPLES", "20"))
#: What chance never hits: put in the place of what was made, requests get as far as the venue.
REAL = {
    "symbols": "MOEX:SBER,MOEX:SiH6",
    "tf": "60",
    "instrumentGroup": "",
    "market": "FOND",
    "riskCategoryId": "1",
    "portfolio": "D1",
    "exchange": "MOEX",
    "login": "P1",
    "orderGroupId": "1",
    "dateFrom": "2026-01-01",
}
#: Likewise in bodies.
REAL_BODY = {
    "instrument": {"symbol": "SBER", "exchange": "MOEX"},
    "user": {"portfolio": "D1"},
    "portfolio": "D1",
    "ticker": "SBER",
    "exchange": "MOEX",
    "board": None,
    "quantity": 3,
    "price": 10,
    "triggerPrice": 10,
    "stopEndUnixTime": 0,
    "comment": None,
    "icebergFixed": None,
    "icebergVariance": None,
    "protectingSeconds": None,
    "orderId": "1",
    "lotQuantity": 1,
    "budget": None,
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

#: Path and status of the answers so far.
SEEN: set[tuple[str, int]] = set()

clock = SystemClock()
tokens = TokenAuthority(KEY, USERS, clock)


#: One that does not end while this test is run.
FUTURE = instrument("SiZ9", kind=InstrumentKind.FUTURE, board="RFUD", underlying="Si")


def venue() -> ScriptedVenue:
    """Return a venue where every instrument has a book, a quote, bars and trades."""
    instruments = (*INSTRUMENTS, FUTURE)
    made = ScriptedVenue(instruments, portfolios=("D1", "G1"), clock=clock)
    now_s = clock.wall_ns() // 1_000_000_000 // MINUTE_S * MINUTE_S
    for listed in instruments:
        made.set_book(listed, bids=[(10.0, 5), (9.99, 7)], asks=[(10.01, 3)])
        made.set_quote(listed, 10.0, bid=10.0, ask=10.01)
        for number in range(3):
            made.publish_trade(listed, 10.0, number + 1, Side.SELL if number % 2 else Side.BUY)
        made.set_past_bars(
            made.topic(TopicKind.BAR, listed, MINUTE_S),
            (
                Bar(time_s=now_s - n * MINUTE_S, open=10.0, close=10.0, high=10.5, low=9.5, volume=n)
                for n in range(600)
            ),
        )
    for kind, records in RECORDS.items():
        for record in records:
            if kind.is_state:
                made.set_state(Topic(kind, "MOEX", "D1"), record)
            elif kind is not TopicKind.LEGACY_STOP_ORDERS:
                made.publish(Topic(kind, "MOEX", "D1"), record)
    made.portfolios.set_past_fills("MOEX", "D1", [fill("7"), fill("8", side=Side.SELL)])
    made.portfolios.set_money("MOEX", money())
    made.portfolios.estimate = estimate()
    group = OrderGroup(
        id="1",
        login="P1",
        orders=(GroupMember(order_number="1"),),
        policy=GroupPolicy.IGNORE_CANCEL,
        status=GroupStatus.ACTIVE,
        created_at="2026-01-12T07:00:00.0000000Z",
        closed_at=None,
    )
    made.portfolios.set_groups("P1", [group])
    return made


VENUE = venue()
schema = schemathesis.openapi.from_asgi(
    "/openapi.json", http_application(tokens, clock, VENUE, Throttle(None), orders=OrderEntry(VENUE))
)


# The suite makes coroutines that its own client never awaits when a path cannot be sent at all.
@pytest.mark.filterwarnings("default")
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.parametrize(
    ("has_token", "is_real"),
    [(True, True), (False, True), (True, False)],
    ids=["real names", "without token", "any names"],
)
def test_every_answer_is_one_that_the_description_names(
    case: schemathesis.Case, has_token: bool, is_real: bool
) -> None:
    if is_real:
        symbol = "Si" if case.path.endswith("actualFuturesQuote") else "SBER"
        for parameters in (case.path_parameters, case.query):
            real = REAL | {"symbol": symbol}
            parameters.update({name: real[name] for name in parameters if name in real})
        case.body = real_body(case.body)
    case.headers.pop("Authorization", None)
    headers = {"Authorization": f"Bearer {tokens.refresh(REFRESH)}"} if has_token else None
    answer = case.call_and_validate(headers=headers, checks=CHECKS)
    SEEN.add((case.method, case.path, answer.status_code))


def real_body(body: Any) -> Any:
    """Put what the venue knows in the place of what was made."""
    if isinstance(body, list):
        return [real_body(each) for each in body]
    if not isinstance(body, dict):
        return body
    real = {name: REAL_BODY.get(name, value) for name, value in body.items()}
    if isinstance(real.get("orders"), list):
        # One order cannot be in a group many times.
        real["orders"] = [real_body(each) for each in real["orders"][:1]]
    return real


def test_every_endpoint_was_reached() -> None:
    reached = {(method, path) for method, path, status in SEEN if status == 200}
    assert reached == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
