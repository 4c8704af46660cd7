"""Ticks and prices, and the merging of partial updates."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tapewire.model import UNSET, Exchange, Instrument, InstrumentKind, InstrumentUpdate, TradingStatus
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

GAZP = Instrument(
    symbol="GAZP",
    exchange=Exchange.MOEX,
    board="TQBR",
    kind=InstrumentKind.SHARE,
    short_name="ГАЗПРОМ ао",
    description="Газпром ПАО ао",
    type_code="CS",
    currency="RUB",
    lot_size=10,
    tick_size=Decimal("0.01"),
    face_value=Decimal(5),
    prev_close_ticks=16_790,
    price_band_ticks=(15_120, 18_500),
)


@pytest.mark.parametrize("step", ["0.01", "0.00001", "1", "5", "0.25", "10", "0.0000005"])
@pytest.mark.parametrize("ticks", [0, 1, 7, 16_839, 10**9, -40])
def test_ticks_and_prices_are_two_writings_of_one_number(step: str, ticks: int) -> None:
    instrument = msgspec.structs.replace(GAZP, tick_size=Decimal(step))
    price = instrument.price(ticks)
    assert instrument.ticks(price) == ticks
    assert type(instrument.ticks(price)) is int
    assert instrument.price_float(ticks) == float(price)
    assert Decimal(repr(instrument.price_float(ticks))) == price


@pytest.mark.parametrize(
    "price",
    [
        "168.405",
        "0.001",
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "1e30",
        "1e999999",
        "1e-999999",
        "-168.405",
        "0." + "1" * 500,
    ],
)
def test_a_price_between_ticks_or_beyond_all_numbers_is_refused(price: str) -> None:
    with pytest.raises(ValueError):
        GAZP.ticks(Decimal(price))


def test_minus_zero_is_no_tick() -> None:
    assert GAZP.ticks(Decimal("-0")) == 0


def test_the_key_tells_boards_apart() -> None:
    assert GAZP.key == ("MOEX", "GAZP", "TQBR")
    assert GAZP.key != msgspec.structs.replace(GAZP, board="SMAL").key


def test_a_partial_update_is_laid_over_what_was_known() -> None:
    full = InstrumentUpdate(
        symbol="GAZP", board="TQBR", trading_status=TradingStatus.NORMAL, price_min=151.2, price_max=185.0
    )
    part = InstrumentUpdate(symbol="GAZP", trading_status=TradingStatus.CLOSED, trading_status_info="нет торгов")
    merged = full.merged(part)
    assert merged == InstrumentUpdate(
        symbol="GAZP",
        board="TQBR",
        trading_status=TradingStatus.CLOSED,
        trading_status_info="нет торгов",
        price_min=151.2,
        price_max=185.0,
    )
    assert full.trading_status is TradingStatus.NORMAL


def test_null_is_said_and_unset_is_not() -> None:
    known = InstrumentUpdate(symbol="A", trading_status_info="x", board="B")
    merged = known.merged(InstrumentUpdate(symbol="A", trading_status_info=None))
    assert (merged.trading_status_info, merged.board, merged.exchange) == (None, "B", UNSET)


def test_an_update_of_one_format_is_merged_into_a_record_of_another() -> None:
    slim = codec(InstrumentUpdate, Format.SLIM).decode(b'{"sym":"A","pxmn":2.5}')
    merged = InstrumentUpdate(symbol="A", price_min=1.0, price_max=3.0).merged(slim)
    assert merged == InstrumentUpdate(symbol="A", price_min=2.5, price_max=3.0)
    assert slim.merged(InstrumentUpdate(symbol="A", price_max=3.0)).price_min == 2.5
