"""Codes of the trading system in texts, as brokers write them."""

from __future__ import annotations

import pytest

from tapewire.model import TradingCode
from tapewire.protocol.replies import code_text, trading_code_of


@pytest.mark.parametrize("code", TradingCode)
def test_what_is_written_is_read(code: TradingCode) -> None:
    assert trading_code_of(f"{code_text(code)}: and why") == code
    assert trading_code_of(code_text(code)) == code
    assert trading_code_of(code.wire_name) == code
    assert trading_code_of(str(int(code))) == code
    assert trading_code_of(f"{code.wire_name}: and why") == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "no",
        "Invalid or unsupported quantity",
        "at (404) it ended",
        "price 300 is bad",
        "12345678901",
        "()",
    ],
)
def test_a_text_without_a_code_has_none(text: str) -> None:
    assert trading_code_of(text) is None


def test_a_code_that_is_not_listed_is_a_number_all_the_same() -> None:
    assert trading_code_of("SomethingNew (777): why") == 777
