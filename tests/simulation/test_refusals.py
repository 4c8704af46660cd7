"""Every refusal of an order, through the gateway into the embedded venue: the same words at both doors, no change.

What the gateway refuses by itself is in the first table, what the trading system refuses in the second. Rights,
repeats and a venue that is silent are in ``unit/gateway/test_command_session.py`` and ``http/test_orders.py``.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from tapewire.gateway.limits import Limits
from tapewire.model import TradingCode
from two_doors import GOOD, ORDERS, SHARE, Answer, TwoDoors, run

Fields = dict[str, Any]

FUT = {"symbol": "FUT", "exchange": "MOEX"}
PRIVATE = {"symbol": "PRIVATE", "exchange": "MOEX"}
CLOSED = {"symbol": "BOND", "exchange": "MOEX"}
UNKNOWN = "2030000000000000001"


def user(portfolio: str) -> Fields:
    return {"user": {"portfolio": portfolio}}


# --- fields ---------------------------------------------------------------------------------------------

QUANTITIES = {
    "0": 0,
    "-1": -1,
    "1.5": 1.5,
    "2^31": 2**31,
    "text": "one",
    "text 1.5": "1.5",
    "true": True,
    "[]": [1],
}
PRICES = {
    "0": 0,
    "-1": -1,
    "NaN as text": "NaN",
    "Infinity as text": "Infinity",
    "1e308": 1e308,
    "-1e308": -1e308,
    "1e-20": 1e-20,
    "a word": "much",
    "empty": "",
    "true": True,
    "a list": [10],
}
#: Of which kinds of orders, the field, its bad values.
BAD_VALUES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "quantity": (("market", "limit", "stop", "stopLimit"), QUANTITIES),
    "price": (("limit", "stopLimit"), PRICES),
    "triggerPrice": (("stop", "stopLimit"), PRICES),
    "comment": (("market", "limit", "stop", "stopLimit"), {"101 characters": "я" * 101, "a number": 5}),
    "side": (("market", "limit", "stop", "stopLimit"), {"a word": "hold", "empty": "", "a number": 1}),
    "timeInForce": (("market", "limit", "stopLimit"), {"a word": "forever", "a number": 1}),
    "condition": (("stop", "stopLimit"), {"a word": "equal", "a number": 1}),
    "stopEndUnixTime": (("stop", "stopLimit"), {"-1": -1, "2^63": 2**63, "1.5": 1.5, "a word": "never"}),
    "protectingSeconds": (("stop", "stopLimit"), {"0": 0, "301": 301, "1.5": 1.5}),
    "icebergFixed": (("limit", "stopLimit"), {"0": 0, "-1": -1, "the whole": 1, "1.5": 1.5}),
    "icebergVariance": (("limit", "stopLimit"), {"-1": -1, "21": 21, "NaN": "NaN", "2.5": 2.5}),
    "allowMargin": (("market", "limit", "stop", "stopLimit"), {"a word": "perhaps"}),
    "activate": (("stop", "stopLimit"), {"a word": "perhaps"}),
    "instrument.exchange": (("limit", "stop"), {"a word": "NYSE"}),
    "instrument": (("limit", "stop"), {"a word": "SHARE"}),
    "user": (("limit", "stop"), {"a word": "D1"}),
}
BAD_FIELDS = [
    pytest.param(f"create:{kind}", field, value, id=f"{kind}-{field}-{title}")
    for field, (kinds, values) in BAD_VALUES.items()
    for kind in kinds
    for title, value in values.items()
]


@pytest.mark.parametrize(("opcode", "field", "value"), BAD_FIELDS)
def test_a_bad_field_is_named_at_both_doors(opcode: str, field: str, value: Any) -> None:
    async def scenario(doors: TwoDoors) -> None:
        before = doors.digest()
        good = GOOD[opcode.partition(":")[2]]
        changes = {"instrument": SHARE | {"exchange": value}} if "." in field else {field: value}
        expected = Answer(400, "", f"Invalid or unsupported {field}")
        # What a creation does not take, its update does not take either.
        for command, more in ((opcode, {}), (opcode.replace("create", "update"), {"orderId": UNKNOWN})):
            if command.startswith("update") and field in NOT_OF_UPDATES.get(command, ()):
                continue
            assert await doors.by_socket(command, good | changes | more) == expected
            assert await doors.by_http(command, good | changes | more) == expected
        assert doors.digest() == before

    run(scenario)


#: What an update does not have, and therefore does not look at.
NOT_OF_UPDATES = {
    "update:limit": ("timeInForce", "icebergVariance"),
    "update:stopLimit": ("icebergVariance",),
}

REQUIRED = {
    "market": ("side", "quantity", "instrument", "user"),
    "limit": ("side", "quantity", "price", "instrument", "user"),
    "stop": ("side", "quantity", "condition", "triggerPrice", "instrument", "user"),
    "stopLimit": ("side", "quantity", "price", "condition", "triggerPrice", "instrument", "user"),
}


@pytest.mark.parametrize("kind", REQUIRED)
def test_a_missing_field_is_named_at_both_doors(kind: str) -> None:
    async def scenario(doors: TwoDoors) -> None:
        for field in REQUIRED[kind]:
            for left_out in (
                {key: value for key, value in GOOD[kind].items() if key != field},
                GOOD[kind] | {field: None},
            ):
                expected = Answer(400, "", f"The field {field} is missing")
                assert await doors.by_socket(f"create:{kind}", left_out) == expected
                assert await doors.by_http(f"create:{kind}", left_out) == expected
        for verb, missing in (("update", "orderId"), ("delete", "orderId"), ("delete", "exchange")):
            fields = GOOD[kind] | {"orderId": UNKNOWN, "exchange": "MOEX"}
            del fields[missing]
            answer = await doors.by_socket(f"{verb}:{kind}", fields)
            assert answer == Answer(400, "", f"The field {missing} is missing")

    run(scenario)


def test_the_longest_comment_and_the_largest_quantity_reach_the_venue() -> None:
    async def scenario(doors: TwoDoors) -> None:
        assert await doors.placed(comment="я" * 100)
        answer = await doors.by_socket("create:limit", GOOD["limit"] | {"quantity": 2**31 - 1})
        assert answer.code == "ExchangeIncorrectQuantity (304)"

    run(scenario)


# --- what the trading system refuses --------------------------------------------------------------------

LIMIT = "create:limit"
#: Command, what differs from a good one, the code.
REFUSED: dict[str, tuple[str, Fields, int]] = {
    "good till cancelled on a share": (LIMIT, {"timeInForce": "goodtillcancelled"}, 300),
    "a variance on a share": (LIMIT, {"quantity": 10, "icebergFixed": 5, "icebergVariance": 5}, 300),
    "a price above the limits of the day": (LIMIT, {"price": 11.01}, 301),
    "a price below them": (LIMIT, {"price": 8.99}, 301),
    "a price far above them": (LIMIT, {"price": 99_999_999_999_999}, 301),
    "more lots than any order has": (LIMIT, {"quantity": 1_000_000_001}, 304),
    "a visible part that is too small": (LIMIT, {"quantity": 1_000, "icebergFixed": 9}, 304),
    "an instrument that is not traded now": (LIMIT, {"instrument": CLOSED, "price": 10.00}, 306),
    "contracts without collateral": (
        LIMIT,
        {"instrument": FUT, "price": 1_000, "quantity": 1_000} | user("751"),
        309,
    ),
    "a short sale without margin": (LIMIT, {"side": "sell", "quantity": 100_000}, 400),
    "a purchase without money": (LIMIT, {"quantity": 100_000}, 401),
    "a market order without money": ("create:market", {"quantity": 100_000}, 401),
    "a sale of what cannot be sold short": (LIMIT, {"side": "sell", "instrument": PRIVATE}, 405),
    "an instrument of another segment": (LIMIT, {"instrument": FUT, "price": 1_000}, 406),
    "a blocked portfolio": (LIMIT, user("D4"), 407),
    "a price off the step": (LIMIT, {"price": 10.005}, 409),
    "a price off the step, as text": (LIMIT, {"price": "10.0000001"}, 409),
    "a contract whose test has not been passed": (
        LIMIT,
        {"instrument": FUT, "price": 1_000} | user("752"),
        410,
    ),
    "a passive market order": ("create:market", {"timeInForce": "bookorcancel"}, 412),
    "an iceberg that cannot rest": (
        LIMIT,
        {"quantity": 10, "icebergFixed": 5, "timeInForce": "immediateorcancel"},
        412,
    ),
    "a short sale of a client of low risk": (LIMIT, {"side": "sell"} | user("D3"), 413),
    "a conditional order of a client of low risk": ("create:stop", user("D3"), 413),
    "a conditional order that has ended": ("create:stop", {"stopEndUnixTime": 1}, 502),
    "a trigger price off the step": ("create:stop", {"triggerPrice": 9.505}, 503),
    "a trigger price off the step with a price": ("create:stopLimit", {"triggerPrice": 9.505}, 503),
    "a conditional order's price off the step": ("create:stopLimit", {"price": 9.405}, 503),
}

#: Said where the order that is meant is wrong, see below.
OF_ORDERS = {403, 404}
#: Said elsewhere: no price for the portfolio and too many conditional orders (``unit/exchange``), silence
#: (``unit/gateway``).
ELSEWHERE = {411, 501, 900}
#: Of an exchange behind the broker, of a command that does not exist here, and of what has no better name.
NEVER_SAID = {253, 402, 408}


def test_every_code_of_the_trading_system_is_accounted_for() -> None:
    said = {code for _, _, code in REFUSED.values()}
    groups = (said, OF_ORDERS, ELSEWHERE, NEVER_SAID)
    assert set().union(*groups) == set(TradingCode)
    assert sum(map(len, groups)) == len(TradingCode)


@pytest.mark.parametrize("case", REFUSED)
def test_the_trading_system_refuses_with_its_code_at_both_doors(case: str) -> None:
    opcode, changes, code = REFUSED[case]
    named = f"{TradingCode(code).wire_name} ({code})"

    async def scenario(doors: TwoDoors) -> None:
        fields = GOOD[opcode.partition(":")[2]] | changes
        before = doors.digest()
        at_socket = await doors.by_socket(opcode, fields)
        at_http = await doors.by_http(opcode, fields)
        assert (at_socket.status, at_socket.code) == (400, named)
        assert at_socket.text
        assert at_http == at_socket
        assert doors.digest() == before

    run(scenario)


@pytest.mark.parametrize(
    ("opcode", "kind", "changes"),
    [
        (opcode.replace("create", "update"), opcode.partition(":")[2], changes)
        for opcode, changes, code in REFUSED.values()
        # A replacement whose account is another one is refused for that; a variance it does not have.
        if "user" not in changes and "icebergVariance" not in changes and "timeInForce" not in changes
    ],
)
def test_an_update_that_cannot_be_leaves_the_old_order_where_it_was(
    opcode: str, kind: str, changes: Fields
) -> None:
    async def scenario(doors: TwoDoors) -> None:
        placed = "limit" if kind == "market" else kind
        number = await doors.placed(placed)
        before = doors.digest()
        fields = GOOD[kind] | changes | {"orderId": number}
        at_socket = await doors.by_socket(opcode, fields)
        assert at_socket.status == 400
        assert at_socket.code
        assert await doors.by_http(opcode, fields) == at_socket
        assert doors.digest() == before
        deleted = await doors.by_socket(f"delete:{placed}", {"orderId": number, "exchange": "MOEX", **user("D1")})
        assert deleted.status == 200

    run(scenario)


# --- the order that is meant ----------------------------------------------------------------------------


async def filled(doors: TwoDoors) -> str:
    number = await doors.placed()
    # The other user sells short into it.
    await doors.placed(peer=doors.other, side="sell", **user("D2"))
    return number


async def cancelled(doors: TwoDoors) -> str:
    number = await doors.placed()
    answer = await doors.by_socket("delete:limit", delete(number))
    assert answer.status == 200
    return number


async def foreign(doors: TwoDoors) -> str:
    return await doors.placed(peer=doors.other, **user("D2"))


async def foreign_conditional(doors: TwoDoors) -> str:
    return await doors.placed("stop", peer=doors.other, **user("D2"))


async def of_another_portfolio(doors: TwoDoors) -> str:
    return await doors.placed(**user("D3"))


async def unknown(_: TwoDoors) -> str:
    return UNKNOWN


async def direct(doors: TwoDoors) -> str:
    return await doors.placed()


async def conditional(doors: TwoDoors) -> str:
    return await doors.placed("stop")


def delete(number: str) -> Fields:
    return {"orderId": number, "exchange": "MOEX", **user("D1")}


#: The order that is meant, and the suffixes under which there is no such order.
NO_SUCH_ORDER = {
    "unknown": (unknown, ("market", "limit", "stop", "stopLimit")),
    "filled": (filled, ("market", "limit")),
    "cancelled": (cancelled, ("market", "limit")),
    "of another user": (foreign, ("market", "limit")),
    "conditional, of another user": (foreign_conditional, ("stop", "stopLimit")),
    "of another portfolio": (of_another_portfolio, ("market", "limit")),
    "direct, with the suffix of a conditional one": (direct, ("stop", "stopLimit")),
    "conditional, with the suffix of a direct one": (conditional, ("market", "limit")),
}


@pytest.mark.parametrize(
    ("case", "suffix"), [(case, suffix) for case, (_, suffixes) in NO_SUCH_ORDER.items() for suffix in suffixes]
)
def test_an_order_that_is_not_there_is_not_found_and_all_look_alike(case: str, suffix: str) -> None:
    make, _ = NO_SUCH_ORDER[case]

    async def scenario(doors: TwoDoors) -> None:
        number = await make(doors)
        before = doors.digest()

        async def said(opcode: str, fields: Fields) -> set[Answer]:
            answers = [await doors.by_socket(opcode, fields), await doors.by_http(opcode, fields)]
            return {answer._replace(text=answer.text.replace(fields["orderId"], "#")) for answer in answers}

        for opcode, fields, named in (
            (f"delete:{suffix}", delete(number), "OrderToCancelNotFound (404)"),
            (f"update:{suffix}", GOOD[suffix] | {"orderId": number}, "OrderToModifyNotFound (403)"),
        ):
            # The same words at both doors, and the same as for a number that nobody has.
            (answer,) = await said(opcode, fields)
            assert (answer.status, answer.code) == (400, named)
            assert await said(opcode, fields | {"orderId": "99"}) == {answer}
        assert doors.digest() == before

    run(scenario)


def test_the_suffixes_of_one_series_of_numbers_mean_the_same() -> None:
    async def scenario(doors: TwoDoors) -> None:
        for kind, suffix in (
            ("limit", "market"),
            ("limit", "limit"),
            ("stop", "stopLimit"),
            ("stopLimit", "stop"),
        ):
            number = await doors.placed(kind)
            answer = await doors.by_socket(f"delete:{suffix}", delete(number))
            assert answer == Answer(200, "", f"An order '{number}' has been deleted.", number)

    run(scenario)


def test_an_order_on_another_exchange_is_not_the_one() -> None:
    async def scenario(doors: TwoDoors) -> None:
        number = await doors.placed()
        for door in (doors.by_socket, doors.by_http):
            answer = await door("delete:limit", delete(number) | {"exchange": "SPBX"})
            assert (answer.status, answer.code) == (400, "OrderToCancelNotFound (404)")

    run(scenario)


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "٣", "1" * 21, 1.5, True, -1, 2**63, [7]])
def test_a_number_that_no_order_can_have_is_a_bad_field(number: Any) -> None:
    async def scenario(doors: TwoDoors) -> None:
        for opcode, fields in (("delete:limit", delete(number)), ("update:limit", GOOD["limit"])):
            answer = await doors.by_socket(opcode, fields | {"orderId": number})
            assert answer == Answer(400, "", "Invalid or unsupported orderId")

    run(scenario)


def test_nothing_to_cancel_is_said_in_the_broker_s_words() -> None:
    async def scenario(doors: TwoDoors) -> None:
        for which in ("", "&stop=true", "&stop=false"):
            reply = await doors.http.request(
                "DELETE",
                f"http://gateway{ORDERS}/all?portfolio=D1&exchange=MOEX{which}",
                headers={"Authorization": f"Bearer {doors.token()}"},
                timeout_s=10,
            )
            assert reply.status == 400
            assert reply.body == b'{"code":"OrderToCancelNotFound","message":"Orders to cancel not found"}'

    run(scenario)


def test_a_group_cannot_name_what_its_login_does_not_have() -> None:
    async def scenario(doors: TwoDoors) -> None:
        own, theirs = await direct(doors), await foreign(doors)
        before = doors.digest()

        async def made(*orders: tuple[str, str, str]) -> tuple[int, str]:
            body = {
                "orders": [
                    {"portfolio": portfolio, "exchange": "MOEX", "orderId": number, "type": kind}
                    for portfolio, number, kind in orders
                ],
                "executionPolicy": "OnExecuteOrCancel",
            }
            reply = await doors.http.request(
                "POST",
                "http://gateway/commandapi/api/orderGroups",
                headers={"Authorization": f"Bearer {doors.token()}"},
                body=json.dumps(body).encode(),
                timeout_s=10,
            )
            error = json.loads(reply.body)
            assert error["status"] == reply.status
            return reply.status, error["detail"]

        for portfolio, number, kind in (("D1", theirs, "Limit"), ("D1", own, "Stop"), ("D3", own, "Limit")):
            status, detail = await made((portfolio, number, kind))
            unknown = await made((portfolio, UNKNOWN, kind))
            assert (status, detail.replace(number, "#")) == (400, unknown[1].replace(UNKNOWN, "#"))
        assert (await made(("D2", theirs, "Limit")))[0] == 403
        assert doors.digest() == before

    run(scenario)


# --- who asks -------------------------------------------------------------------------------------------


def every_command(number: str) -> list[tuple[str, Fields]]:
    return [
        command
        for kind, fields in GOOD.items()
        for command in (
            (f"create:{kind}", fields),
            (f"update:{kind}", fields | {"orderId": number}),
            (f"delete:{kind}", delete(number)),
        )
    ]


def test_a_command_after_the_end_of_its_token_is_answered_401_until_a_new_one_comes() -> None:
    async def scenario(doors: TwoDoors) -> None:
        number = await doors.placed()
        await asyncio.sleep(1_801)
        before = doors.digest()
        for opcode, fields in every_command(number):
            assert await doors.by_socket(opcode, fields) == Answer(401, "", "Invalid JWT token!")
        assert doors.digest() == before
        assert await doors.peer.ask("authorize", "again", token=doors.token()) == 200
        assert (await doors.by_socket("delete:limit", delete(number))).status == 200

    run(scenario)


def test_a_command_before_authorize_is_answered_401_and_changes_nothing() -> None:
    async def scenario(doors: TwoDoors) -> None:
        before = doors.digest()
        stranger = type(doors.peer)()
        await doors.network.connector().connect("ws://gateway/cws", stranger, timeout_s=10)
        for opcode, fields in every_command("7"):
            assert await doors.by_socket(opcode, fields, stranger) == Answer(401, "", "Invalid JWT token!")
        assert doors.digest() == before

    run(scenario)


def test_no_reason_tells_more_than_the_one_who_asks_may_know() -> None:
    """A number that the other user has must not even be told from one that nobody has by its misuse points."""

    async def scenario(doors: TwoDoors) -> None:
        theirs = await foreign(doors)
        points = []
        for number in (theirs, UNKNOWN):
            before = doors.gateway._misuse.points("login P1")
            answer = await doors.by_socket("delete:limit", delete(number))
            assert not re.search(r"D2|P2|exist", answer.text)
            points.append(round(doors.gateway._misuse.points("login P1") - before))
        assert points == [100, 100]

    run(scenario, limits=Limits(misuse_points=100_000))
