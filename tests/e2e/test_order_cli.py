"""Orders on the command line beside a running system: statuses, lines, no traceback."""

from __future__ import annotations

import asyncio
import re

from e2e.test_cli import Desk, Desks, at_desk

__all__ = ["at_desk"]


def test_orders_are_placed_replaced_listed_and_cancelled(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system()
        placed = await desk.run("order", "buy", "SBER", "2", "--limit", "280.10", "--comment", "mine")
        assert (placed.status, placed.err) == (0, "")
        (taken,) = placed.records
        assert (taken["result"], taken["type"], taken["portfolio"]) == ("accepted", "Limit", "D70001")
        number = taken["order_number"]
        replaced, stopped, bought = await asyncio.gather(
            desk.run("order", "replace", number, "--price", "281", "--lots", "3"),
            desk.run("order", "sell", "SBER", "1", "--stop", "280", "--portfolio", "D70001", "--allow-margin"),
            desk.run("order", "buy", "SBER", "1"),
        )
        assert (replaced.status, replaced.records[0]["replaced_number"]) == (0, number)
        assert (stopped.status, stopped.records[0]["type"]) == (0, "Stop")
        assert (bought.status, bought.records[0]["type"]) == (0, "Market")
        new = replaced.records[0]["order_number"]
        works, everything, held = await asyncio.gather(
            desk.run("order", "list"), desk.run("order", "list", "--all"), desk.run("portfolio", "D70001")
        )
        (row, stop) = works.records
        assert (row["id"], row["price"], row["qtyBatch"], row["comment"]) == (new, 281, 3, "mine")
        assert (row["kind"], stop["kind"], stop["stopPrice"]) == ("direct", "conditional", 280)
        assert {row["status"] for row in everything.records} == {"working", "canceled", "filled"}
        summary, *positions = held.records
        assert (summary["record"], summary["portfolio"]) == ("summary", "D70001")
        assert {row["symbol"]: row["qtyTFutureBatch"] for row in positions}["SBER"] == 1
        cancelled = await desk.run("order", "cancel", new)
        again = await desk.run("order", "cancel", new)
        assert (cancelled.status, cancelled.records[0]["order_number"]) == (0, new)
        assert (again.status, again.lines) == (3, [])
        assert re.fullmatch(r"tapewire: rejected \(400\): OrderToCancelNotFound \(404\): .*\n", again.err)

    at_desk(scenario)


def test_what_goes_wrong_is_one_line_and_a_status(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system()
        tries = {
            ("buy", "SBER", "1", "--limit", "1"): (3, r"rejected \(400\): ExchangeLimitExceeded \(301\): .*"),
            ("buy", "SBER", "1", "--limit", "0"): (2, "invalid or unsupported price: nothing was sent"),
            ("buy", "SBER", "1", "--portfolio", "D1"): (
                3,
                r"rejected \(403\): The portfolio D1 is .*",
            ),
            ("buy", "NOPE", "1"): (1, "the broker refused: 404 .*"),
            ("sell", "SBER", "1", "--tif", "soon"): (2, "--tif: 'soon' is no time in force: .*"),
            ("sell", "SBER", "1", "--when", "less"): (2, "--when needs --stop"),
            ("sell", "SBER", "1", "--stop", "280", "--when", "near"): (2, "--when: 'near' is no condition: .*"),
            ("sell", "SBER", "1", "--stop", "280", "--tif", "oneday"): (2, "--tif means nothing to .*"),
            ("cancel", "77"): (2, "there is no order 77 in D70001, G70001, 7500T01: nothing was sent"),
        }
        ends = await asyncio.gather(*(desk.run("order", *arguments) for arguments in tries))
        for ended, (arguments, (status, text)) in zip(ends, tries.items(), strict=True):
            assert (ended.status, ended.lines) == (status, []), (arguments, ended.err)
            assert re.fullmatch(rf"tapewire: {text}\n", ended.err), ended.err

    at_desk(scenario)


def test_an_order_whose_answer_was_cut_off_is_found(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        faults = desk.folder / "faults.toml"
        # The first answer is that to ``authorize``.
        faults.write_text('[[fault]]\nkind = "cut"\non = "answer"\npath = "/cws"\nnth = 2\ntimes = 1')
        await desk.system("--faults", str(faults))
        placed = await desk.run("order", "buy", "SBER", "1", "--limit", "280", "--portfolio", "D70001")
        assert placed.status == 0
        listed = await desk.run("order", "list")
        assert [row["id"] for row in listed.records] == [placed.records[0]["order_number"]]

    at_desk(scenario)


def test_without_a_system_it_is_one_line(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        for ended in await asyncio.gather(desk.run("order", "buy", "SBER", "1"), desk.run("portfolio")):
            assert (ended.status, ended.lines, ended.err.count("\n")) == (1, [], 1)
            assert ended.err.startswith("tapewire: no broker: ")

    at_desk(scenario)
