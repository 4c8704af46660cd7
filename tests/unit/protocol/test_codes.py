"""The tables of codes."""

from __future__ import annotations

import pytest

from tapewire.model import TradingCode
from tapewire.protocol.codes import CloseCode, ResultCode
from tapewire.protocol.frames import is_close_code_allowed


def test_only_two_close_codes_are_never_sent() -> None:
    assert {code for code in CloseCode if not is_close_code_allowed(code)} == {
        CloseCode.NO_STATUS,
        CloseCode.ABNORMAL,
    }


def test_results_are_http_statuses() -> None:
    assert all(200 <= code < 600 for code in ResultCode)
    assert [code for code in ResultCode if code < 300] == [ResultCode.OK]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (404, "OrderToCancelNotFound"),
        (405, "InstrumentCantBeShortSelled"),
        (503, "PriceInStopOrderNotMultipleOfMinIncrement"),
        (900, "CommandResponseTimeout"),
    ],
)
def test_a_trading_code_has_the_name_of_the_broker(code: int, name: str) -> None:
    assert TradingCode(code).wire_name == name


def test_names_of_trading_codes_differ() -> None:
    assert len({code.wire_name for code in TradingCode}) == len(TradingCode)
