"""Orders over HTTP: bodies, names of requests, what the venue says, groups, estimates, old calls."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from portfolio import estimate
from tapewire.gateway.order_entry import COMMAND_DEADLINE_S
from tapewire.model import (
    CancelAllOrders,
    CancelOrder,
    CancelStopOrder,
    ChangeGroup,
    CommandKey,
    Condition,
    DeleteGroup,
    Done,
    Exchange,
    GroupedOrder,
    GroupedType,
    GroupMember,
    GroupPolicy,
    GroupStatus,
    MakeGroup,
    OrderGroup,
    OrderScope,
    PlaceOrder,
    PlaceStopOrder,
    Refused,
    ReplaceOrder,
    ReplaceStopOrder,
    Unavailable,
)
from tapewire.ports.query import EstimateOrder
from unit.gateway.commands import LIMIT, MARKET, STOP, STOP_LIMIT
from unit.gateway.http.hall import Hall, run
from unit.gateway.world import OTHER_REFRESH, READER_REFRESH, REFRESH

ORDERS = "/commandapi/warptrans/TRADE/v2/client/orders"
OLD = "/warptrans/TRADE/v2/client/orders"
GROUPS = "/commandapi/api/orderGroups"
BODIES = {"market": MARKET, "limit": LIMIT, "stop": STOP, "stopLimit": STOP_LIMIT}
CANCEL = {"portfolio": "D1", "exchange": "MOEX", "stop": "false"}


async def sent(hall: Hall, method: str, path: str, body: object = b"", **options: Any) -> tuple[int, Any]:
    """Send a request; return status and JSON of its answer."""
    status, answer = await hall.send(method, path, body, **options)
    return status, json.loads(answer)


@pytest.mark.parametrize("kind", BODIES)
def test_an_order_is_placed_and_its_number_told(kind: str) -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.answer_next(Done("2030000000000000031"))
        status, answer = await hall.send("POST", f"{ORDERS}/actions/{kind}", BODIES[kind])
        assert (status, answer) == (200, b'{"message":"success","orderNumber":"2030000000000000031"}')
        (command,) = hall.venue.commands
        assert type(command) is (PlaceStopOrder if "stop" in kind else PlaceOrder)
        assert command.board == "TQBR"

    run(scenario)


@pytest.mark.parametrize("kind", BODIES)
def test_an_order_is_put_in_the_place_of_another(kind: str) -> None:
    async def scenario(hall: Hall) -> None:
        path = f"{ORDERS}/actions/{kind}/2030000000000000031"
        status, answer = await sent(hall, "PUT", path, BODIES[kind])
        assert (status, answer["message"]) == (200, "success")
        (command,) = hall.venue.commands
        assert isinstance(command, ReplaceStopOrder if "stop" in kind else ReplaceOrder)
        assert command.order_number == "2030000000000000031"

    run(scenario)


def test_bodies_are_read_as_tolerantly_as_programs_need() -> None:
    body = {
        "Side": "Buy",
        "Quantity": "3",
        "price": "301.45",
        "Instrument": {"Symbol": "SBER", "exchange": None},
        "user": {"account": "L01", "portfolio": "D1", "exchange": "MOEX"},
        "board": "TQBR",
        "type": "limit",
        "id": 7,
        "guid": 5,
        "orderId": {},
        "checkDuplicates": "x",
    }

    async def scenario(hall: Hall) -> None:
        assert (await sent(hall, "post", f"{ORDERS.upper()}/ACTIONS/LIMIT/", body))[0] == 405
        assert (await sent(hall, "POST", f"{ORDERS.upper()}/ACTIONS/LIMIT/", body))[0] == 200
        (command,) = hall.venue.commands
        assert isinstance(command, PlaceOrder)
        assert (command.exchange, command.price, command.quantity_lots) == (Exchange.MOEX, Decimal("301.45"), 3)

    run(scenario)


BAD: dict[str, tuple[object, int, str]] = {
    "nothing": (b"", 400, "The body is not valid JSON"),
    "no JSON": (b"{", 400, "The body is not valid JSON"),
    "NaN": (b'{"price":NaN}', 400, "The body is not valid JSON"),
    "bytes that are no text": (b'{"comment":"\xff"}', 400, "The body is not valid JSON"),
    "an array": ([], 400, "The body is not a JSON object"),
    "no side": ({key: LIMIT[key] for key in LIMIT if key != "side"}, 400, "The field side is missing"),
    "no portfolio": (LIMIT | {"user": {}}, 400, "The field user.portfolio is missing"),
    "no symbol": (LIMIT | {"instrument": {}}, 400, "The field instrument.symbol is missing"),
    "quantity 0": (LIMIT | {"quantity": 0}, 400, "Invalid or unsupported quantity"),
    "quantity -1": (LIMIT | {"quantity": -1}, 400, "Invalid or unsupported quantity"),
    "quantity 1.5": (LIMIT | {"quantity": 1.5}, 400, "Invalid or unsupported quantity"),
    "quantity 2^31": (LIMIT | {"quantity": 2**31}, 400, "Invalid or unsupported quantity"),
    "price 1e308": (LIMIT | {"price": 1e308}, 400, "Invalid or unsupported price"),
    "price as another word": (LIMIT | {"price": "much"}, 400, "Invalid or unsupported price"),
    "a comment of 101 characters": (LIMIT | {"comment": "x" * 101}, 400, "Invalid or unsupported comment"),
    "a foreign portfolio": (LIMIT | {"user": {"portfolio": "D2"}}, 403, "The portfolio D2 is not in the token"),
    "an unknown instrument": (
        LIMIT | {"instrument": {"symbol": "NONE"}},
        404,
        "Unknown instrument MOEX:NONE",
    ),
    "more than 64 KiB": (b" " * 65_537, 413, "The body is larger than 65536 bytes"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_bodies_are_refused_and_nothing_reaches_the_venue(case: str) -> None:
    body, code, text = BAD[case]

    async def scenario(hall: Hall) -> None:
        status, error = await sent(hall, "POST", f"{ORDERS}/actions/limit", body)
        assert (status, error["message"]) == (code, text)
        assert hall.venue.commands == []

    run(scenario)


@pytest.mark.parametrize("number", ["x", "-1", "1.5", str(2**63), "%20"])
def test_the_number_in_the_path_is_a_number(number: str) -> None:
    async def scenario(hall: Hall) -> None:
        status, error = await sent(hall, "PUT", f"{ORDERS}/actions/limit/{number}", LIMIT)
        assert (status, error) == (400, {"code": "BadRequest", "message": "Invalid or unsupported orderId"})

    run(scenario)


def test_who_may_trade() -> None:
    async def scenario(hall: Hall) -> None:
        path = f"{ORDERS}/actions/limit"
        assert (await sent(hall, "POST", path, LIMIT, token=None))[0] == 401
        assert (await sent(hall, "POST", path, LIMIT, token="x"))[0] == 401
        status, error = await sent(hall, "POST", path, LIMIT, token=hall.token(READER_REFRESH))
        assert (status, error["code"]) == (403, "Forbidden")
        assert error["message"] == "The token carries no right to create orders"
        status, error = await sent(hall, "DELETE", f"{ORDERS}/1", token=hall.token(OTHER_REFRESH), **CANCEL)
        assert (status, error["message"]) == (403, "The portfolio D1 is not in the token")
        assert hall.venue.commands == []

    run(scenario)


# --- what the venue says --------------------------------------------------------------------------------


def test_a_refusal_has_the_name_and_the_number_of_its_code() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.answer_next(Refused(404, "Order to cancel not found"), Refused(4711, "not today"))
        assert await hall.send("DELETE", f"{ORDERS}/7", **CANCEL) == (
            400,
            b'{"code":"OrderToCancelNotFound (404)","message":"Order to cancel not found"}',
        )
        assert await sent(hall, "POST", f"{ORDERS}/actions/limit", LIMIT) == (
            400,
            {"code": "4711", "message": "not today"},
        )

    run(scenario)


def test_a_venue_that_is_silent_closed_or_fails() -> None:
    path = f"{ORDERS}/actions/limit"

    async def scenario(hall: Hall) -> None:
        hall.venue.answer_next(Unavailable("the journal cannot write"), RuntimeError("fault"), Done("1"))
        hall.venue.desk.delay_next(0.0, 0.0, COMMAND_DEADLINE_S + 1)
        assert await sent(hall, "POST", path, LIMIT) == (
            503,
            {"code": "Unavailable", "message": "Nothing was done: the journal cannot write"},
        )
        for text in ("The venue has failed", "The venue did not answer within 5 s"):
            assert await sent(hall, "POST", path, LIMIT) == (
                504,
                {"code": "CommandResponseTimeout (900)", "message": f"{text}. The outcome is unknown"},
            )

    run(scenario)


def test_what_does_not_exist_and_what_is_no_json_costs_points() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.answer_next(Refused(404, "none"))
        await hall.send("DELETE", f"{ORDERS}/7", **CANCEL)
        assert hall.misuse.points("login P1") == pytest.approx(100, abs=1)
        assert (await hall.ask("/md/v2/Clients/MOEX/D1/orders/7"))[0] == 404
        assert hall.misuse.points("login P1") == pytest.approx(200, abs=1)
        await hall.send("POST", f"{ORDERS}/actions/limit", b"{")
        assert hall.misuse.points("login P1") == pytest.approx(5_200, abs=10)

    run(scenario, misuse_points=100_000)


# --- names of requests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["X-REQID", "X-ALOR-REQID"])
def test_a_named_request_is_carried_out_once_and_its_first_answer_told_again(header: str) -> None:
    async def scenario(hall: Hall) -> None:
        path, named = f"{ORDERS}/actions/limit", {header: "D1;17"}
        hall.venue.answer_next(Done("31"), Refused(401, "not enough"))
        assert (await sent(hall, "POST", path, LIMIT, headers=named))[0] == 200
        status, answer = await hall.send("POST", path, LIMIT, headers=named)
        assert status == 400
        assert answer == (
            b'{"message":"Request with such X-ALOR-REQID was already handled. We return the response to that '
            b'request.","oldResponse":{"statusCode":200,"body":{"message":"success","orderNumber":"31"}}}'
        )
        assert (await sent(hall, "POST", path, LIMIT, headers={header: "x"}))[0] == 400
        status, wrapped = await sent(hall, "POST", path, LIMIT, headers={header: "x"})
        assert wrapped["oldResponse"] == {
            "statusCode": 400,
            "body": {"code": "NotEnoughCash (401)", "message": "not enough"},
        }
        assert hall.venue.desk.keys == [CommandKey("P1", "D1;17"), CommandKey("P1", "x")]

    run(scenario)


def test_a_repeated_cancellation_wraps_the_word() -> None:
    async def scenario(hall: Hall) -> None:
        named = {"X-REQID": "1"}
        query = {"portfolio": "D1", "stop": "false"}
        assert await hall.send("DELETE", f"{OLD}/7", headers=named, **query) == (200, b"success")
        status, wrapped = await sent(hall, "DELETE", f"{OLD}/7", headers=named, **query)
        assert status == 400
        assert wrapped["oldResponse"] == {"statusCode": 200, "body": "success"}

    run(scenario)


def test_requests_without_a_name_are_not_remembered_and_names_have_a_bound() -> None:
    async def scenario(hall: Hall) -> None:
        path = f"{ORDERS}/actions/limit"
        for headers in ({}, {}, {"X-REQID": ""}):
            assert (await sent(hall, "POST", path, LIMIT, headers=headers))[0] == 200
        assert hall.venue.desk.keys == [None] * 3
        status, error = await sent(hall, "POST", path, LIMIT, headers={"X-REQID": "x" * 257})
        assert (status, error["message"]) == (400, "X-REQID is longer than 256 characters")
        assert (await sent(hall, "POST", path, LIMIT, headers={"X-REQID": "x" * 256}))[0] == 200

    run(scenario)


def test_two_at_once_under_one_name_are_one() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.desk.delay_s = 0.5
        path, named = f"{ORDERS}/actions/limit", {"X-REQID": "1"}
        answers = await asyncio.gather(*(sent(hall, "POST", path, LIMIT, headers=named) for _ in range(3)))
        assert sorted(status for status, _ in answers) == [200, 400, 400]
        assert len(hall.venue.commands) == 1

    run(scenario)


# --- cancelling -----------------------------------------------------------------------------------------


def test_an_order_is_cancelled_in_words_or_in_json() -> None:
    async def scenario(hall: Hall) -> None:
        assert await hall.send("DELETE", f"{ORDERS}/7", **CANCEL) == (200, b"success")
        stop = CANCEL | {"stop": "True", "jsonResponse": "true", "format": "Slim"}
        assert await hall.send("DELETE", f"{ORDERS}/8", **stop) == (200, b'{"message":"success"}')
        assert hall.venue.commands == [
            CancelOrder(portfolio="D1", exchange=Exchange.MOEX, order_number="7"),
            CancelStopOrder(portfolio="D1", exchange=Exchange.MOEX, order_number="8"),
        ]
        status, error = await sent(hall, "DELETE", f"{ORDERS}/7", portfolio="D1", exchange="MOEX")
        assert (status, error["message"]) == (400, "The parameter stop is missing")

    run(scenario)


def test_all_orders_are_cancelled() -> None:
    async def scenario(hall: Hall) -> None:
        scopes = {None: OrderScope.BOTH, "true": OrderScope.CONDITIONAL, "false": OrderScope.DIRECT}
        for stop, scope in scopes.items():
            query = {"portfolio": "D1", "exchange": "MOEX"} | ({} if stop is None else {"stop": stop})
            assert await hall.send("DELETE", f"{ORDERS}/all", **query) == (200, b'"success"')
            assert hall.venue.commands[-1] == CancelAllOrders(portfolio="D1", exchange=Exchange.MOEX, scope=scope)
        hall.venue.answer_next(Refused(404, "Orders to cancel not found"))
        assert await hall.send("DELETE", f"{ORDERS}/all", **query) == (
            400,
            b'{"code":"OrderToCancelNotFound","message":"Orders to cancel not found"}',
        )

    run(scenario)


# --- estimates ------------------------------------------------------------------------------------------

ESTIMATE: dict[str, Any] = {"portfolio": "D1", "ticker": "SBER", "exchange": "MOEX", "price": 301.4}


def test_an_order_is_weighed() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.portfolios.estimate = estimate()
        body = ESTIMATE | {"lotQuantity": 5, "budget": 0, "includeLimitOrders": True}
        status, answer = await sent(hall, "POST", f"{ORDERS}/estimate", body)
        assert (status, answer["ticker"], answer["quantityToBuy"]) == (200, "SBER", 1)
        assert hall.venue.portfolios.estimates == [
            EstimateOrder(
                portfolio="D1",
                exchange=Exchange.MOEX,
                symbol="SBER",
                board="TQBR",
                price=Decimal("301.4"),
                quantity_lots=5,
                includes_limit_orders=True,
            )
        ]
        status, rows = await sent(hall, "POST", f"{ORDERS}/estimate/all", [ESTIMATE, ESTIMATE | {"budget": 7}])
        assert (status, len(rows)) == (200, 2)
        assert hall.venue.portfolios.estimates[-1].budget == 7
        assert hall.venue.commands == []

    run(scenario)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ([ESTIMATE] * 101, 400, "Too many orders to estimate: at most 100"),
        (ESTIMATE, 400, "The body is not a JSON array"),
        ([5], 400, "The body is not a JSON object"),
        ([ESTIMATE | {"price": -1}], 400, "Invalid or unsupported price"),
        ([ESTIMATE | {"budget": "1e99"}], 400, "Invalid or unsupported budget"),
        ([ESTIMATE | {"lotQuantity": 2**31}], 400, "Invalid or unsupported lotQuantity"),
        ([ESTIMATE | {"exchange": "NYSE"}], 400, "Invalid or unsupported exchange"),
        ([ESTIMATE, ESTIMATE | {"portfolio": "D2"}], 403, "The portfolio D2 is not in the token"),
        ([ESTIMATE | {"ticker": "NONE"}], 404, "Unknown MOEX:NONE"),
    ],
)
def test_what_cannot_be_weighed(body: object, code: int, text: str) -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.portfolios.estimate = estimate()
        status, error = await sent(hall, "POST", f"{ORDERS}/estimate/all", body)
        assert (status, error["message"]) == (code, text)

    run(scenario)


def test_what_the_venue_will_not_weigh() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.portfolios.estimate = Refused(411, "there is no price")
        for path, body in (("estimate", ESTIMATE), ("estimate/all", [ESTIMATE])):
            assert await sent(hall, "POST", f"{ORDERS}/{path}", body) == (
                400,
                {"code": "NoOrderPriceFound (411)", "message": "there is no price"},
            )

    run(scenario)


# --- groups ---------------------------------------------------------------------------------------------

GROUP: dict[str, Any] = {
    "orders": [
        {"portfolio": "D1", "exchange": "MOEX", "orderId": "7", "type": "Limit"},
        {"portfolio": "D1", "exchange": "MOEX", "orderId": 8, "type": "stoplimit"},
    ],
    "executionPolicy": "TriggerBracketOrders",
}
FIRST: dict[str, Any] = GROUP["orders"][0]
GROUPED = (
    GroupedOrder(portfolio="D1", exchange=Exchange.MOEX, order_number="7", type=GroupedType.LIMIT),
    GroupedOrder(portfolio="D1", exchange=Exchange.MOEX, order_number="8", type=GroupedType.STOP_LIMIT),
)


def test_groups_are_made_changed_and_cancelled() -> None:
    policy = GroupPolicy.TRIGGER_BRACKET_ORDERS

    async def scenario(hall: Hall) -> None:
        hall.venue.answer_next(Done("g-1"))
        status, answer = await hall.send("POST", GROUPS, GROUP)
        assert (status, answer) == (200, b'{"message":"success","groupId":"g-1"}')
        assert await hall.send("PUT", f"{GROUPS}/g-1", GROUP) == (200, b"success")
        assert await hall.send("DELETE", f"{GROUPS}/g-1") == (200, b"success")
        assert hall.venue.commands == [
            MakeGroup(login="P1", orders=GROUPED, policy=policy),
            ChangeGroup(login="P1", id="g-1", orders=GROUPED, policy=policy),
            DeleteGroup(login="P1", id="g-1"),
        ]

    run(scenario)


def test_groups_are_shown_to_their_login() -> None:
    group = OrderGroup(
        id="g-1",
        login="P1",
        orders=(GroupMember(order_number="7"),),
        policy=GroupPolicy.IGNORE_CANCEL,
        status=GroupStatus.ACTIVE,
        created_at="2026-01-12T07:00:00.0000000Z",
        closed_at=None,
    )
    shown = {
        "id": "g-1",
        "login": "P1",
        "orders": [{"orderId": "7"}],
        "executionPolicy": "IgnoreCancel",
        "status": "Active",
        "createdAt": "2026-01-12T07:00:00.0000000Z",
        "closedAt": None,
    }
    unknown = {"title": "BadRequest", "status": 400, "detail": "Unknown group g-1"}

    async def scenario(hall: Hall) -> None:
        assert await hall.get(GROUPS) == []
        hall.venue.portfolios.set_groups("P1", [group])
        assert await hall.get(GROUPS) == [shown]
        assert await hall.get(f"{GROUPS}/g-1") == shown
        assert await hall.ask(f"{GROUPS}/g-1", token=hall.token(OTHER_REFRESH)) == (400, unknown)

    run(scenario)


def test_a_group_with_an_order_of_a_portfolio_outside_the_token_is_unknown_to_it() -> None:
    group = OrderGroup(
        id="g-1",
        login="P1",
        orders=(GroupMember(order_number="7"),),
        policy=GroupPolicy.IGNORE_CANCEL,
        status=GroupStatus.ACTIVE,
        created_at="2026-01-12T07:00:00.0000000Z",
        closed_at=None,
    )
    unknown = {"title": "BadRequest", "status": 400, "detail": "Unknown group g-1"}
    of_g1 = GROUP | {"orders": [FIRST | {"portfolio": "G1"}]}

    async def scenario(hall: Hall) -> None:
        hall.venue.portfolios.set_groups("P1", [group], {"g-1": ["D1", "G1"]})
        limited = hall.tokens.refresh(REFRESH, allowed_portfolios=["G1"])
        assert limited is not None
        assert await hall.get(GROUPS, token=limited) == []
        assert await hall.ask(f"{GROUPS}/g-1", token=limited) == (400, unknown)
        for method, body in (("PUT", of_g1), ("DELETE", b"")):
            status, answer = await hall.send(method, f"{GROUPS}/g-1", body, token=limited)
            assert (status, json.loads(answer)) == (400, unknown)
        assert hall.venue.commands == []
        assert len(await hall.get(GROUPS)) == 1
        assert await hall.send("DELETE", f"{GROUPS}/g-1") == (200, b"success")

    run(scenario)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b"x", 400, "The body is not valid JSON"),
        ({}, 400, "The field orders is missing"),
        (GROUP | {"orders": []}, 400, "A group has between 1 and 100 orders"),
        (GROUP | {"orders": GROUP["orders"] * 51}, 400, "A group has between 1 and 100 orders"),
        (GROUP | {"executionPolicy": "Never"}, 400, "Invalid or unsupported executionPolicy"),
        (GROUP | {"orders": [FIRST | {"type": "x"}]}, 400, "Invalid or unsupported orders.type"),
        (
            GROUP | {"orders": [FIRST | {"orderId": "x"}]},
            400,
            "Invalid or unsupported orders.orderId",
        ),
        (GROUP | {"orders": [FIRST | {"portfolio": "D2"}]}, 403, "The portfolio D2 is not in the token"),
    ],
)
def test_bad_groups_are_refused_in_words_of_their_own(body: object, code: int, text: str) -> None:
    async def scenario(hall: Hall) -> None:
        names = {400: "BadRequest", 403: "Forbidden"}
        expected = {"title": names[code], "status": code, "detail": text}
        for method, path in (("POST", GROUPS), ("PUT", f"{GROUPS}/g-1")):
            assert await sent(hall, method, path, body) == (code, expected)
        assert hall.venue.commands == []

    run(scenario)


def test_a_refusal_of_a_group_by_the_venue() -> None:
    async def scenario(hall: Hall) -> None:
        hall.venue.answer_next(Refused(300, "an order is in the group twice"))
        assert await sent(hall, "POST", GROUPS, GROUP) == (
            400,
            {
                "title": "BadRequest",
                "status": 400,
                "detail": "ExchangeOperationNotSupported (300): an order is in the group twice",
            },
        )

    run(scenario)


# --- old calls ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "side", "condition"),
    [
        ("stopLoss", "sell", Condition.LESS_OR_EQUAL),
        ("stopLoss", "Buy", Condition.MORE_OR_EQUAL),
        ("takeProfit", "Sell", Condition.MORE_OR_EQUAL),
        ("takeProfit", "buy", Condition.LESS_OR_EQUAL),
        ("stopLossLimit", "s\\u0065ll", Condition.LESS_OR_EQUAL),
        ("takeProfitLimit", "sell", Condition.MORE_OR_EQUAL),
    ],
)
def test_old_calls_say_the_condition_by_their_name(kind: str, side: str, condition: Condition) -> None:
    body = (
        '{"Quantity":3,"Side":"' + side + '","TriggerPrice":289.5,"Price":288.9,"OrderEndUnixTime":1767225600,'
        '"Instrument":{"symbol":"SBER","exchange":"MOEX"},"User":{"account":"L01","portfolio":"D1"}}'
    ).encode()

    async def scenario(hall: Hall) -> None:
        assert (await sent(hall, "POST", f"{OLD}/actions/{kind}", body))[0] == 200
        assert (await sent(hall, "PUT", f"{OLD}/actions/{kind}/7", body))[0] == 200
        placed, replaced = hall.venue.commands
        assert isinstance(placed, PlaceStopOrder)
        assert replaced == ReplaceStopOrder(order_number="7", order=placed)
        assert (placed.condition, placed.ends_at_s) == (condition, 1_767_225_600)
        assert placed.price == (Decimal("288.9") if "Limit" in kind else None)

    run(scenario)


def test_the_old_call_cancels_too() -> None:
    async def scenario(hall: Hall) -> None:
        for stop in ("true", "false"):
            answer = await hall.send("DELETE", f"{OLD}/7", portfolio="D1", stop=stop)
            assert answer == (200, b"success")
        assert hall.venue.commands == [
            CancelStopOrder(portfolio="D1", order_number="7"),
            CancelOrder(portfolio="D1", order_number="7"),
        ]

    run(scenario)
