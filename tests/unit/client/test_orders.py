"""``broker.orders`` against a scripted desk: what goes out, what comes back, what is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

import tapewire
from tapewire.client.command_result import Accepted, AllCanceled, CommandResult, NotDone, Rejected, Unknown
from tapewire.client.errors import (
    ArgumentError,
    ConfigurationError,
    Fault,
    InvalidOrderError,
    NotSentError,
    RefusedError,
    TokenRefusedError,
)
from tapewire.client.order_resolver import INQUIRY_MAX_S
from tapewire.client.orders import Orders
from tapewire.model import GroupedType, GroupPolicy, OrderScope
from tapewire.simulation import HttpAddress, run_virtual
from unit.client.rows import order_fields, order_row, stop_fields, stop_row
from unit.client.stage import FakeHttp, Stage, answer, numbered, settle, silence, staged

ALL = "/commandapi/warptrans/TRADE/v2/client/orders/all"
GROUPS = "/commandapi/api/orderGroups"
PRICE = Decimal("10.50")


class Desk:
    """A client with its desk and its HTTP."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.desk = stage.broker.desk
        self.orders: Orders = stage.client.orders
        self.http = FakeHttp()
        self.address: HttpAddress = stage.http.listen("broker.test:443", self.http)
        self.lists()

    def lists(self, *rows: dict[str, Any], portfolio: str = "D1", stops: tuple[dict[str, Any], ...] = ()) -> None:
        """Have HTTP list these orders."""
        for name in ("D1", "G1"):
            is_it = name == portfolio
            self.http.answers[f"GET /md/v2/Clients/MOEX/{name}/orders"] = 200, list(rows) if is_it else []
            self.http.answers[f"GET /md/v2/Clients/MOEX/{name}/stoporders"] = 200, list(stops) if is_it else []

    async def unknown(self, command: Awaitable[CommandResult]) -> Unknown:
        """Cut the connection when the command has been sent."""
        self.desk.reply_command = silence
        sending = asyncio.ensure_future(command)
        await self.desk.asked(len(self.desk.commands) + 1)
        self.desk.peer.transport.abort()
        result = await sending
        assert isinstance(result, Unknown)
        return result


def run(scenario: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged() as stage:
            await scenario(Desk(stage))

    run_virtual(main)


def limit(desk: Desk, **fields: Any) -> Awaitable[CommandResult]:
    asked: dict[str, Any] = {"lots": 2, "price": PRICE, "portfolio": "D1"} | fields
    return desk.orders.limit("TEST", "buy", **asked)


# --- what goes out, what comes back ---------------------------------------------------------------------


def test_an_accepted_order_shows_its_number_and_what_it_is() -> None:
    async def scenario(desk: Desk) -> None:
        match await limit(desk):
            case Accepted(order=order) as accepted:
                assert (accepted.order_number, order.number, order.type) == ("1001", "1001", GroupedType.LIMIT)
                assert str(order) == "limit order 1001 of D1 buy 2 TEST at 10.50"
            case other:
                pytest.fail(str(other))
        (command,) = desk.desk.commands
        assert command["opcode"] == "create:limit"
        assert command["comment"] == f"tapewire:{command['guid']}"
        assert accepted.guid == command["guid"]

    run(scenario)


@pytest.mark.parametrize(
    ("send", "expected"),
    [
        (
            lambda orders: orders.market("TEST", "sell", lots=1, portfolio="D1", board="SMAL"),
            {"opcode": "create:market", "side": "sell", "quantity": 1},
        ),
        (
            lambda orders: orders.stop("TEST", "sell", lots=1, trigger_price=PRICE, portfolio="D1"),
            {"opcode": "create:stop", "condition": "lessorequal", "triggerPrice": 10.5, "stopEndUnixTime": 0},
        ),
        (
            lambda orders: orders.stop(
                "TEST",
                "buy",
                lots=1,
                trigger_price=PRICE,
                portfolio="D1",
                ends_at=datetime(2026, 1, 1, tzinfo=UTC),
                protecting_seconds=3,
                is_active=False,
            ),
            {
                "condition": "moreorequal",
                "stopEndUnixTime": 1767225600,
                "protectingSeconds": 3,
                "activate": False,
            },
        ),
        (
            lambda orders: orders.stop_limit(
                "TEST", "buy", lots=1, trigger_price=PRICE, price=Decimal(11), condition="LESS", portfolio="D1"
            ),
            {"opcode": "create:stopLimit", "condition": "less", "triggerPrice": 10.5, "price": 11},
        ),
        (
            lambda orders: orders.limit(
                "TEST", "buy", lots=1, price=PRICE, portfolio="D1", comment="mine", time_in_force="FillOrKill"
            ),
            {"comment": "mine", "timeInForce": "fillorkill"},
        ),
    ],
)
def test_arguments_reach_the_wire(
    send: Callable[[Orders], Awaitable[CommandResult]], expected: dict[str, Any]
) -> None:
    async def scenario(desk: Desk) -> None:
        assert isinstance(await send(desk.orders), Accepted)
        (command,) = desk.desk.commands
        assert {key: command.get(key) for key in expected} == expected

    run(scenario)


def test_an_empty_comment_leaves_it_empty() -> None:
    async def scenario(desk: Desk) -> None:
        await limit(desk, comment="")
        assert "comment" not in desk.desk.commands[0]

    run(scenario)


def test_a_rejection_is_an_outcome_with_code_and_reason() -> None:
    async def scenario(desk: Desk) -> None:
        text = "NotEnoughCash (401): 3 RUB are missing"
        desk.desk.reply_command = lambda request: [answer(request["guid"], 400, text)]
        result = await limit(desk)
        assert isinstance(result, Rejected)
        assert (result.code, result.reason, result.trading_code) == (
            400,
            text,
            tapewire.TradingCode.NOT_ENOUGH_CASH,
        )

    run(scenario)


@pytest.mark.parametrize(
    "send",
    [
        lambda orders: orders.limit("TEST", "buy", lots=2, price=10.5),
        lambda orders: orders.limit("TEST", "buy", lots=0, price=PRICE),
        lambda orders: orders.limit("TEST", "hold", lots=2, price=PRICE),
        lambda orders: orders.market("", "buy", lots=2),
        lambda orders: orders.stop("TEST", "buy", lots=1, trigger_price=PRICE, ends_at=datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda orders: orders.stop("TEST", "buy", lots=1, trigger_price=PRICE, condition="near"),
        lambda orders: orders.groups.make([], GroupPolicy.IGNORE_CANCEL),
    ],
)
def test_what_cannot_be_is_refused_here_and_asks_nobody_anything(
    send: Callable[[Orders], Awaitable[object]],
) -> None:
    async def scenario(desk: Desk) -> None:
        with pytest.raises(InvalidOrderError, match="nothing was sent"):
            await send(desk.orders)
        assert (desk.desk.peers, desk.http.asked) == ([], [])

    run(scenario)


# --- which portfolio ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "portfolio"), [("FOND", "D1"), ("CURR", "G1")])
def test_the_portfolio_is_the_only_one_that_fits_the_market(market: str, portfolio: str) -> None:
    async def scenario(desk: Desk) -> None:
        desk.http.answers["GET /md/v2/Securities/MOEX/TEST"] = 200, {"symbol": "TEST", "market": market}
        for _ in range(2):
            assert isinstance(await limit(desk, portfolio=None), Accepted)
        assert [command["user"]["portfolio"] for command in desk.desk.commands] == [portfolio] * 2
        assert len(desk.http.asked) == 1

    run(scenario)


def test_a_portfolio_that_is_not_clear_is_asked_for_and_nothing_is_sent() -> None:
    async def scenario(desk: Desk) -> None:
        desk.http.answers["GET /md/v2/Securities/MOEX/TEST"] = 200, {"symbol": "TEST", "market": "FORTS"}
        with pytest.raises(
            ConfigurationError, match=r"no portfolio fits TEST \(the token has D1, G1\): pass portfolio"
        ):
            await limit(desk, portfolio=None)
        with pytest.raises(
            ConfigurationError, match=r"several portfolios fit the token \(D1, G1\): pass portfolio"
        ):
            await desk.orders.cancel_all()
        with pytest.raises(ConfigurationError, match="pass portfolio"):
            desk.stage.client.portfolio()
        with pytest.raises(RefusedError, match="404"):
            await desk.orders.limit("NOPE", "buy", lots=1, price=PRICE)
        assert desk.desk.commands == []

    run(scenario)


# --- replacing and cancelling ---------------------------------------------------------------------------


def test_a_ticket_is_replaced_without_a_look_where_lots_are_given() -> None:
    async def scenario(desk: Desk) -> None:
        first = await limit(desk, comment="mine", allow_margin=True)
        assert isinstance(first, Accepted)
        second = await desk.orders.replace(first.order, price=Decimal(11), lots=5)
        assert isinstance(second, Accepted)
        assert (second.order_number, second.order.replaced_number) == ("1002", "1001")
        third = await desk.orders.replace(second.order, lots=4, comment="")
        assert isinstance(third, Accepted)
        update = desk.desk.commands[1]
        assert update["opcode"] == "update:limit"
        assert (update["orderId"], update["price"], update["quantity"]) == ("1001", 11, 5)
        assert (update["comment"], update["allowMargin"]) == ("mine", True)
        assert (desk.desk.commands[2]["orderId"], desk.desk.commands[2]["price"]) == ("1002", 11)
        assert "comment" not in desk.desk.commands[2]
        assert desk.http.asked == []

    run(scenario)


def test_what_is_left_of_an_order_is_read_anew_where_lots_are_not_given() -> None:
    async def scenario(desk: Desk) -> None:
        first = await limit(desk, allow_margin=True)
        assert isinstance(first, Accepted)
        mark = desk.desk.commands[0]["comment"]
        desk.lists(order_fields("1001", qtyBatch=2, filledQtyBatch=1, comment=mark))
        assert isinstance(await desk.orders.replace(first.order, price=Decimal(11)), Accepted)
        update = desk.desk.commands[1]
        assert (update["quantity"], update["price"], update["allowMargin"]) == (1, 11, True)
        assert update["comment"] == f"tapewire:{update['guid']}"
        # Only this portfolio's lists are read.
        assert {path for _, path, _, _ in desk.http.asked} == {
            "/md/v2/Clients/MOEX/D1/orders",
            "/md/v2/Clients/MOEX/D1/stoporders",
        }

    run(scenario)


def test_an_order_is_found_by_its_number_in_all_portfolios() -> None:
    async def scenario(desk: Desk) -> None:
        desk.lists(order_fields("7"), portfolio="G1", stops=(stop_fields("8", portfolio="G1"),))
        assert isinstance(await desk.orders.replace("8", lots=1, trigger_price=Decimal(9)), Accepted)
        assert isinstance(await desk.orders.cancel("8"), Accepted)
        update, delete = desk.desk.commands
        assert (update["opcode"], update["triggerPrice"], update["quantity"]) == ("update:stopLimit", 9, 1)
        assert (delete["opcode"], delete["user"], delete["orderId"]) == (
            "delete:stopLimit",
            {"portfolio": "G1"},
            "8",
        )

    run(scenario)


def test_rows_are_cancelled_and_replaced_as_they_are() -> None:
    async def scenario(desk: Desk) -> None:
        cancelled = await desk.orders.cancel(stop_row("8", type="stop"))
        assert isinstance(cancelled, Accepted)
        assert cancelled.order_number == "8"
        assert isinstance(await desk.orders.replace(order_row("9", type="market", price=0), lots=1), Accepted)
        assert [command["opcode"] for command in desk.desk.commands] == ["delete:stop", "update:market"]
        assert desk.http.asked == []

    run(scenario)


def test_orders_that_are_not_there_or_not_clear_are_refused_here() -> None:
    async def scenario(desk: Desk) -> None:
        desk.lists(order_fields("7"), stops=(stop_fields("7"),))
        with pytest.raises(InvalidOrderError, match="there is no order 5 in D1, G1: nothing was sent"):
            await desk.orders.cancel("5")
        with pytest.raises(InvalidOrderError, match="there is more than one order 7 in D1: nothing was sent"):
            await desk.orders.cancel("7", portfolio="D1")
        with pytest.raises(InvalidOrderError, match="a market order has no price"):
            await desk.orders.replace(order_row(type="market"), lots=1, price=PRICE)
        with pytest.raises(InvalidOrderError, match="a limit order has no trigger price"):
            await desk.orders.replace(order_row(), lots=1, trigger_price=PRICE)
        assert desk.desk.commands == []

    run(scenario)


# --- unknown outcomes -----------------------------------------------------------------------------------


def test_a_command_that_was_cut_off_is_found_by_its_mark() -> None:
    async def scenario(desk: Desk) -> None:
        unknown = await desk.unknown(limit(desk))
        mark = desk.desk.commands[0]["comment"]
        # It turns up while it is looked for.
        asyncio.get_running_loop().call_later(2, desk.lists, order_fields("77", comment=mark))
        found = await unknown.resolve()
        assert isinstance(found, Accepted)
        assert (found.order_number, found.guid) == ("77", unknown.guid)
        assert len(desk.desk.commands) == 1

    run(scenario)


def test_what_cannot_be_told_stays_unknown_and_may_be_asked_again() -> None:
    async def scenario(desk: Desk) -> None:
        unknown = await desk.unknown(limit(desk, comment="mine"))
        desk.lists(order_fields("77", comment="mine"))
        still = await unknown.resolve()
        assert isinstance(still, Unknown)
        assert [row.id for row in still.candidates] == ["77"]
        assert str(still).endswith("1 orders fit, and may be another command's")
        again = await still.resolve()
        assert isinstance(again, Unknown)
        assert again.why == still.why

    run(scenario)


def test_a_late_answer_is_believed_before_any_list() -> None:
    async def scenario(desk: Desk) -> None:
        desk.desk.reply_command = silence
        first = asyncio.ensure_future(limit(desk))
        request = await desk.desk.asked()
        # Something else comes meanwhile, so that the connection is not taken for a dead one.
        desk.desk.reply_command = desk.desk.take
        await limit(desk)
        unknown = await first
        assert isinstance(unknown, Unknown)
        assert unknown.why == "no answer within 10 s"
        desk.desk.peer.transport.send([answer(request["guid"], 400, "no")])
        await settle()
        rejected = await unknown.resolve()
        assert isinstance(rejected, Rejected)
        assert desk.http.asked == []

    run(scenario)


def test_a_cancellation_and_a_replacement_are_found_out_by_the_order() -> None:
    async def scenario(desk: Desk) -> None:
        placed = await limit(desk)
        assert isinstance(placed, Accepted)
        cancelling = await desk.unknown(desk.orders.cancel(placed.order))
        await desk.orders.open()
        replacing = await desk.unknown(desk.orders.replace(placed.order, lots=1))
        desk.lists(order_fields("1001", status="canceled"))
        found = await cancelling.resolve()
        assert isinstance(found, Accepted)
        assert found.order == placed.order
        assert isinstance(await replacing.resolve(), Unknown)
        desk.lists(order_fields("1001", status="filled"))
        for unknown in (cancelling, replacing):
            assert await unknown.resolve() == NotDone("order 1001 is filled", unknown.guid)

    run(scenario)


def test_a_broker_that_cannot_be_asked_leaves_it_unknown_after_four_looks() -> None:
    async def scenario(desk: Desk) -> None:
        unknown = await desk.unknown(limit(desk))
        assert str(unknown) == (
            f"the outcome of buy 2 TEST at 10.50 ({unknown.guid}) is unknown: the connection was lost (1006)"
        )
        desk.address.unreachable()
        began_s = asyncio.get_running_loop().time()
        still = await unknown.resolve()
        assert isinstance(still, Unknown)
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(3.5, abs=0.1)
        # The address once.
        assert still.why.startswith("the connection was lost (1006); cannot connect to https://broker.test/md/v2/")
        assert (still.why.count("https://"), still.what) == (1, unknown.what)
        desk.address.restore()
        desk.lists(order_fields("77", comment=desk.desk.commands[0]["comment"]))
        assert isinstance(await still.resolve(), Accepted)

    run(scenario)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_look_that_fails_for_now_is_followed_by_others(code: int) -> None:
    async def scenario(desk: Desk) -> None:
        unknown = await desk.unknown(limit(desk))
        for _ in range(2):
            desk.address.answer_next(code)
        desk.lists(order_fields("77", comment=desk.desk.commands[0]["comment"]))
        assert isinstance(await unknown.resolve(), Accepted)
        assert len(desk.address.requests) == 3

    run(scenario)


def test_a_broker_that_is_silent_is_looked_at_for_a_bounded_time() -> None:
    async def scenario(desk: Desk) -> None:
        unknown = await desk.unknown(limit(desk))
        desk.address.swallow()
        began_s = asyncio.get_running_loop().time()
        still = await unknown.resolve()
        assert isinstance(still, Unknown)
        assert still.why.endswith("no answer within 10 s")
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(INQUIRY_MAX_S)

    run(scenario)


def test_what_no_later_look_would_show_is_an_error_of_resolving() -> None:
    async def scenario(desk: Desk) -> None:
        unknown = await desk.unknown(limit(desk))
        desk.address.answer_next(403)
        with pytest.raises(RefusedError, match="403"):
            await unknown.resolve()

    run(scenario)


def test_many_that_are_resolved_at_once_share_their_looks_at_the_list() -> None:
    async def scenario(desk: Desk) -> None:
        desk.desk.reply_command = silence
        sending = [asyncio.ensure_future(limit(desk)) for _ in range(50)]
        await desk.desk.asked(50)
        desk.desk.peer.transport.abort()
        unknown = await asyncio.gather(*sending)
        marks = [command["comment"] for command in desk.desk.commands]
        rows = [order_fields(str(number), comment=mark) for number, mark in enumerate(marks)]
        desk.lists(*rows[:-1])
        desk.address.delay_s = 0.2
        found = await asyncio.gather(*(each.resolve() for each in unknown if isinstance(each, Unknown)))
        assert [type(each) for each in found] == [Accepted] * 49 + [Unknown]
        assert len({each.order_number for each in found if isinstance(each, Accepted)}) == 49
        # Two for the fifty, and three more for the one that is not there.
        assert len(desk.address.requests) == 5

    run(scenario)


def test_a_refused_refresh_token_makes_a_command_the_callers_and_final() -> None:
    async def scenario(desk: Desk) -> None:
        desk.stage.oauth.answer_next(403)
        with pytest.raises(TokenRefusedError):
            await desk.stage.tokens.renew()
        for send in (limit(desk), desk.orders.cancel_all("D1"), desk.orders.open()):
            with pytest.raises(NotSentError, match=r"the refresh token was refused \(403\)") as caught:
                await send
            assert (caught.value.fault, caught.value.retriable) == (Fault.CALLER, False)
            assert isinstance(caught.value.__cause__, TokenRefusedError)

    run(scenario)


def test_a_whole_price_is_exact() -> None:
    async def scenario(desk: Desk) -> None:
        assert isinstance(await limit(desk, price=300), Accepted)
        assert desk.desk.commands[0]["price"] == 300

    run(scenario)


@pytest.mark.parametrize(
    ("send", "text"),
    [
        (
            lambda orders: orders.cancel(123),
            r"order: 123 is not accepted.order, .* the number of an order \(a text\)",
        ),
        (lambda orders: orders.cancel(Accepted), "order: .* is not accepted.order"),
        (lambda orders: orders.cancel(""), "order: '' is not"),
        (lambda orders: orders.replace(None, lots=1), "order: None is not"),
        (lambda orders: orders.cancel("7", exchange="NYSE"), "exchange: 'NYSE' is not one of MOEX"),
        (lambda orders: orders.cancel("7", portfolio=7), "portfolio: 7 is not the id"),
        (lambda orders: orders.cancel_all(5), "portfolio: 5 is not the id"),
        (
            lambda orders: orders.cancel_all("D1", scope="some"),
            "scope: 'some' is not one of direct, conditional, both",
        ),
        (lambda orders: orders.list(5), "portfolio: 5 is not the id"),
        (lambda orders: orders.market("TEST", 1, lots=1), "side: 1 is not one of buy, sell"),
        (lambda orders: orders.market(5, "buy", lots=1), "symbol: 5 is not the ticker"),
        (lambda orders: orders.market("TEST", "buy", lots="1"), "lots: '1' is not a whole number"),
        (lambda orders: orders.market("TEST", "buy", lots=1, portfolio=5), "portfolio: 5 is not the id"),
        (lambda orders: orders.market("TEST", "buy", lots=1, time_in_force=5), "time_in_force: 5 is not one of"),
        (
            lambda orders: orders.stop("TEST", "buy", lots=1, trigger_price=PRICE, ends_at="soon"),
            "ends_at: 'soon' is not a datetime with its time zone",
        ),
        (
            lambda orders: orders.stop("TEST", "buy", lots=1, trigger_price=PRICE, protecting_seconds="3"),
            "protecting_seconds: '3' is not a whole number",
        ),
        (lambda orders: orders.groups.make(5, GroupPolicy.IGNORE_CANCEL), "orders: 5 is not an order"),
        (lambda orders: orders.groups.make(["7"], GroupPolicy.IGNORE_CANCEL), "orders: '7' is not an order"),
        (lambda orders: orders.groups.make([], "any"), "a group has 1 to"),
        (lambda orders: orders.groups.delete(5), "group_id: 5 is not the id of a group"),
        (lambda orders: orders.groups.get(None), "group_id: None is not the id of a group"),
    ],
)
def test_what_an_argument_cannot_be_is_one_clear_error(
    send: Callable[[Any], Awaitable[object]], text: str
) -> None:
    async def scenario(desk: Desk) -> None:
        with pytest.raises(ArgumentError, match=text) as caught:
            await send(desk.orders)
        assert str(caught.value).endswith(": nothing was sent")
        assert (desk.desk.peers, desk.http.asked) == ([], [])

    run(scenario)


def test_an_answer_that_leaves_it_open_is_unknown() -> None:
    async def scenario(desk: Desk) -> None:
        text = "CommandResponseTimeout (900): The venue did not answer within 5 s. The outcome is unknown"
        desk.desk.reply_command = lambda request: [answer(request["guid"], 504, text)]
        assert isinstance(await limit(desk), Unknown)
        desk.desk.reply_command = lambda request: [numbered(request["guid"], "5", 400, "was handled before")]
        assert isinstance(await limit(desk), Unknown)

    run(scenario)


# --- over HTTP ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "query"),
    [
        (OrderScope.BOTH, "exchange=MOEX&portfolio=D1"),
        (OrderScope.DIRECT, "exchange=MOEX&portfolio=D1&stop=false"),
        (OrderScope.CONDITIONAL, "exchange=MOEX&portfolio=D1&stop=true"),
    ],
)
def test_all_orders_are_cancelled_over_http(scope: OrderScope, query: str) -> None:
    async def scenario(desk: Desk) -> None:
        desk.http.answers[f"DELETE {ALL}"] = 200, b"success"
        assert isinstance(await desk.orders.cancel_all("D1", scope=scope), AllCanceled)
        assert desk.http.asked == [("DELETE", ALL, query, None)]
        assert "x-reqid" in desk.address.requests[0].headers

    run(scenario)


def test_that_there_was_nothing_to_cancel_is_a_rejection() -> None:
    async def scenario(desk: Desk) -> None:
        refusal = {"code": "OrderToCancelNotFound", "message": "Orders to cancel not found"}
        desk.http.answers[f"DELETE {ALL}"] = 400, refusal
        result = await desk.orders.cancel_all("D1")
        assert isinstance(result, Rejected)
        assert (result.code, result.trading_code) == (400, 404)
        assert result.reason == "OrderToCancelNotFound: Orders to cancel not found"

    run(scenario)


def test_after_401_over_http_the_command_is_rejected_and_the_next_one_has_a_new_token() -> None:
    async def scenario(desk: Desk) -> None:
        desk.http.answers[f"DELETE {ALL}"] = 401, b""
        result = await desk.orders.cancel_all("D1")
        assert isinstance(result, Rejected)
        assert str(result) == "rejected (401): Unauthorized"
        assert (desk.stage.service.issued, len(desk.http.asked)) == (2, 1)
        desk.stage.oauth.answer_next(500)
        with pytest.raises(NotSentError, match="the token service answered 500"):
            await desk.orders.cancel_all("D1")

    run(scenario)


def test_a_request_without_an_answer_is_unknown_and_found_out_by_what_works() -> None:
    async def scenario(desk: Desk) -> None:
        desk.http.answers[f"DELETE {ALL}"] = 200, b"success"
        desk.address.swallow()
        unknown = await desk.orders.cancel_all("D1", scope=OrderScope.DIRECT)
        desk.address.restore()
        assert isinstance(unknown, Unknown)
        assert [method for method, *_ in desk.http.asked] == ["DELETE"]
        desk.lists(order_fields("7"), stops=(stop_fields("8"),))
        still = await unknown.resolve()
        assert isinstance(still, Unknown)
        assert [row.id for row in still.candidates] == ["7"]
        desk.lists(order_fields("7", status="canceled"), stops=(stop_fields("8"),))
        assert isinstance(await unknown.resolve(), AllCanceled)

    run(scenario)


def test_groups_are_made_changed_deleted_and_read_over_http() -> None:
    async def scenario(desk: Desk) -> None:
        first, second = await limit(desk), await limit(desk)
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        orders, groups = [first.order, second.order], desk.orders.groups
        row = {"id": "g-1", "login": "P1", "orders": [{"orderId": "1001"}, {"orderId": "1002"}]}
        row |= {"executionPolicy": "IgnoreCancel", "status": "Active", "createdAt": "2026", "closedAt": None}
        answers = desk.http.answers
        answers[f"POST {GROUPS}"] = 200, {"message": "success", "groupId": "g-1"}
        answers[f"PUT {GROUPS}/g-1"] = answers[f"DELETE {GROUPS}/g-1"] = 200, b"success"
        answers[f"GET {GROUPS}"], answers[f"GET {GROUPS}/g-1"] = (200, [row]), (200, row)
        policy = GroupPolicy.IGNORE_CANCEL
        for result in (
            await groups.make(orders, policy),
            await groups.change("g-1", orders, policy),
            await groups.delete("g-1"),
        ):
            assert isinstance(result, tapewire.GroupAccepted)
            assert result.group_id == "g-1"
        assert desk.http.asked[0][3] == {
            "orders": [
                {"portfolio": "D1", "exchange": "MOEX", "orderId": "1001", "type": "Limit"},
                {"portfolio": "D1", "exchange": "MOEX", "orderId": "1002", "type": "Limit"},
            ],
            "executionPolicy": "IgnoreCancel",
        }
        assert [group.id for group in await groups.list()] == ["g-1"]
        assert (await groups.get("g-1")).policy == policy
        answers[f"DELETE {GROUPS}/g-1"] = 400, {"title": "BadRequest", "status": 400, "detail": "no such group"}
        refused = await groups.delete("g-1")
        assert isinstance(refused, Rejected)
        assert refused.reason == "no such group"

    run(scenario)


def test_groups_of_unknown_outcome_are_found_out_where_the_list_tells() -> None:
    async def scenario(desk: Desk) -> None:
        placed = await limit(desk)
        assert isinstance(placed, Accepted)
        groups, answers = desk.orders.groups, desk.http.answers
        row = {"id": "g-1", "login": "P1", "orders": [{"orderId": "1001"}], "createdAt": "", "closedAt": None}
        row |= {"executionPolicy": "IgnoreCancel", "status": "Canceled"}
        for key in (f"POST {GROUPS}", f"PUT {GROUPS}/g-1", f"DELETE {GROUPS}/g-1"):
            answers[key] = 504, b"gateway timeout"
        answers[f"GET {GROUPS}"] = 200, [row]
        made = await groups.make([placed.order], GroupPolicy.IGNORE_CANCEL)
        changed = await groups.change("g-1", [placed.order], GroupPolicy.IGNORE_CANCEL)
        deleted = await groups.delete("g-1")
        assert isinstance(made, Unknown)
        assert isinstance(changed, Unknown)
        assert isinstance(deleted, Unknown)
        assert isinstance(await made.resolve(), Unknown)
        assert isinstance(await changed.resolve(), tapewire.GroupAccepted)
        assert isinstance(await deleted.resolve(), tapewire.GroupAccepted)
        answers[f"GET {GROUPS}"] = 200, [row | {"status": "Filled", "executionPolicy": "OnExecuteOrCancel"}]
        assert isinstance(await deleted.resolve(), NotDone)
        assert isinstance(await changed.resolve(), Unknown)

    run(scenario)


def test_without_a_token_nothing_is_sent_over_http_either() -> None:
    async def scenario(desk: Desk) -> None:
        desk.stage.oauth.answer_next(403)
        with pytest.raises(tapewire.TokenRefusedError):
            await desk.stage.tokens.renew()
        with pytest.raises(NotSentError, match="the refresh token was refused"):
            await desk.orders.cancel_all("D1")
        assert desk.http.asked == []

    run(scenario)
