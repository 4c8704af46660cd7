"""What one stream costs the others on its connection: nothing, whatever is wrong with it."""

from __future__ import annotations

import decimal

import pytest

from tapewire.client.sieve import Sieve
from tapewire.simulation import run_virtual
from unit.client.rows import order_fields, stop_fields
from unit.client.stage import data, settle, staged


def test_a_fault_of_our_own_with_a_message_costs_no_connection_and_no_record(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Sieve, message: bytes) -> bool:
        raise decimal.InvalidOperation

    monkeypatch.setattr(Sieve, "passes", fail)

    async def main() -> None:
        async with staged() as stage:
            portfolio = stage.client.portfolio("D1")
            async with portfolio.watch_orders() as orders, portfolio.watch_stop_orders() as stops:
                peers = len(stage.broker.peers)
                asked = {request["opcode"]: request["guid"] for request in stage.broker.requests}
                rows = [order_fields(number, filled=0, existing=False) for number in ("A", "B")]
                stage.broker.send(*(data(asked["OrdersGetAndSubscribeV2"], one) for one in rows))
                stage.broker.send(data(asked["StopOrdersGetAndSubscribeV2"], stop_fields("C")))
                await settle()
                assert [(await anext(orders)).id for _ in range(2)] == ["A", "B"]
                assert (await anext(stops)).id == "C"
                assert len(stage.broker.peers) == peers

    run_virtual(main)
    assert [record.message for record in caplog.records if record.exc_info] == [
        f"{name}: a message could not be looked at, and is delivered as it is"
        for name in ("orders:D1", "stop_orders:D1")
    ]
