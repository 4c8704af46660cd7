"""Codecs: derived from the field tables, tolerant in reading, exact in writing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest

from tapewire.model import (
    UNSET,
    Bar,
    Book,
    BookLevel,
    CurrencyPower,
    Exchange,
    Fill,
    Iceberg,
    InstrumentUpdate,
    Maybe,
    Quote,
    Record,
    Risk,
    Side,
    StopOrder,
    Summary,
    Trade,
    TradingStatus,
    Wire,
)
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.formats import codec, fields_of
from tapewire.protocol.requests import STREAMS
from tapewire.protocol.words import Format

RECORDS = [stream.record for stream in STREAMS.values()]
INSIDE = [BookLevel, CurrencyPower, Iceberg]


def data_of(record_type: type[Record], message_format: Format, record: Any) -> Any:
    return json.loads(codec(record_type, message_format).encode(record))


# --- tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record_type", RECORDS + INSIDE)
@pytest.mark.parametrize("message_format", Format)
def test_no_two_fields_share_a_key(record_type: type[Record], message_format: Format) -> None:
    keys = [key for field in fields_of(record_type) if (key := field.key(message_format))]
    assert len(set(keys)) == len(keys)
    assert "guid" not in keys


@pytest.mark.parametrize("record_type", RECORDS + INSIDE)
def test_a_field_that_a_format_lacks_may_be_left_out_of_the_record(record_type: type[Record]) -> None:
    """Else a record decoded from that format could not be told from one built by hand."""
    required = {field.name for field in msgspec.structs.fields(record_type) if field.required}
    for field in fields_of(record_type):
        if None in field.wire.names():
            assert field.name not in required


@pytest.mark.parametrize("record_type", RECORDS + INSIDE)
def test_another_spelling_never_hides_a_key_of_the_format(record_type: type[Record]) -> None:
    for message_format in Format:
        others = codec(record_type, message_format)._other_keys
        keys = {f'"{f.key(message_format)}":'.encode() for f in fields_of(record_type)}
        assert not others.keys() & keys
        assert set(others.values()) <= keys


def test_a_field_without_its_names_is_a_mistake_of_ours() -> None:
    class Odd(Record, frozen=True, kw_only=True, gc=False):
        named: Annotated[int, Wire("named")]
        nameless: int = 0

    with pytest.raises(TypeError, match="nameless"):
        fields_of(Odd)


def test_a_codec_is_made_once() -> None:
    assert codec(Quote, Format.SLIM) is codec(Quote, Format.SLIM)
    assert codec(Quote, Format.SLIM) is not codec(Quote, Format.HEAVY)


# --- reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record_type", RECORDS)
@pytest.mark.parametrize("message_format", Format)
def test_an_empty_object_is_a_record_of_nothing(record_type: type[Record], message_format: Format) -> None:
    record = codec(record_type, message_format).decode(b"{}")
    assert isinstance(record, record_type)
    assert all(getattr(record, name) is UNSET for name in record.__struct_fields__)
    assert codec(record_type, message_format).encode(record) == b"{}"


@pytest.mark.parametrize("record_type", RECORDS)
@pytest.mark.parametrize("message_format", Format)
def test_null_anywhere_is_none_and_is_written_as_null(record_type: type[Record], message_format: Format) -> None:
    keys = [key for field in fields_of(record_type) if (key := field.key(message_format))]
    data = json.dumps(dict.fromkeys(keys), separators=(",", ":")).encode()
    record = codec(record_type, message_format).decode(data)
    values = [getattr(record, name) for name in record.__struct_fields__]
    assert {value for value in values if value is not UNSET} == {None}
    assert codec(record_type, message_format).encode(record) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"5",
        b'{"time":',
        b'{"time":"soon"}',
        b'{"time":1.5}',
        b'{"close":1e999}',
        b'{"time":' + b"1" * 5_000 + b"}",
        b'{"time":"' + b"1" * 5_000 + b'"}',
        b'{"x":"\xff"',
        b'{"x":' + b"[" * 5_000,
        b'{"time":{}}',
    ],
)
def test_what_is_no_bar_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        codec(Bar, Format.SIMPLE).decode(data)
    assert caught.value.reason
    with pytest.raises(MalformedMessageError):
        codec(Bar, Format.SIMPLE).decode_message(b'{"data":' + data + b',"guid":"g"}')


@pytest.mark.parametrize("data", [b'{"symbol":"\xff"}', b'{"symbol":"\\ud800"}', b'{"exchange":"\xed\xa0\x80"}'])
def test_a_text_that_is_no_text_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        codec(Quote, Format.SIMPLE).decode(data)


@pytest.mark.parametrize("message", [b"{}", b'{"data":null}', b'{"guid":"g"}', b'{"data":[]}', b"[]"])
def test_a_message_without_data_is_malformed(message: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        codec(Bar, Format.SIMPLE).decode_message(message)


def test_money_keeps_its_digits_and_market_data_is_a_double() -> None:
    risk = codec(Risk, Format.SLIM).decode(b'{"pe":12345678901234567890.10,"mgi":"7.50","r1":-0.0}')
    assert str(risk.evaluation) == "12345678901234567890.10"
    assert str(risk.initial_margin) == "7.50"
    quote = codec(Quote, Format.SLIM).decode(b'{"c":168.4,"bid":168}')
    assert (quote.last_price, type(quote.bid)) == (168.4, float)


def test_a_text_that_says_null_stays_a_text() -> None:
    fill = codec(Fill, Format.SIMPLE).decode(b'{"comment":"null","symbol":"null","board":""}')
    assert (fill.comment, fill.symbol, fill.board) == ("null", "null", "")


def test_an_unknown_word_costs_nothing_and_goes_back_as_it_came() -> None:
    order = codec(StopOrder, Format.SIMPLE).decode(b'{"side":"Hold","status":"Frozen","type":"STOP"}')
    assert (order.side, order.side.known, order.status.known, order.type.known) == ("Hold", False, False, True)
    assert codec(StopOrder, Format.SIMPLE).encode(order) == b'{"type":"stop","side":"Hold","status":"Frozen"}'


def test_an_unknown_trading_status_stays_a_number() -> None:
    code = codec(InstrumentUpdate, Format.SLIM)
    update = code.decode(b'{"sym":"A","st":77}')
    assert update.trading_status == 77
    assert code.encode(update) == b'{"sym":"A","st":77}'
    assert code.decode(b'{"st":"17"}').trading_status is TradingStatus.NORMAL


@pytest.mark.parametrize(
    "comment",
    ['"orderno":', '\\"orderno":', 'x,"orderno":1', "orderno", '{"orderno":"1"}', "\\", '"', '\\\\"orderno":'],
)
def test_a_comment_that_looks_like_another_spelling_is_left_alone(comment: str) -> None:
    data = json.dumps({"comment": comment, "orderNo": "1", "symbol": comment}, separators=(",", ":")).encode()
    fill = codec(Fill, Format.HEAVY).decode(data)
    assert (fill.comment, fill.order_number, fill.symbol) == (comment, "1", comment)


def test_all_other_spellings_are_read_in_the_formats_that_lack_them() -> None:
    for record_type in RECORDS:
        for field in fields_of(record_type):
            for other in field.wire.also:
                for message_format in Format:
                    if field.key(message_format) is not None:
                        value = codec(record_type, message_format).decode(f'{{"{other}":null}}'.encode())
                        found = [n for n in value.__struct_fields__ if getattr(value, n) is None]
                        assert found == [field.name], (other, message_format)


def test_records_inside_are_tolerant_too() -> None:
    book = codec(Book, Format.SLIM).decode(b'{"b":[{"p":"1.5","v":2.0,"new":[]},{}],"a":null}')
    assert book.bids[0].price == 1.5
    assert (book.bids[0].volume, book.bids[0].yield_percent, book.bids[1].price) == (2, UNSET, UNSET)
    assert isinstance(book.bids[0], BookLevel)
    summary = codec(Summary, Format.HEAVY).decode(b'{"buyingPowerByCurrency":[{"currency":null}]}')
    assert summary.buying_power_by_currency[0].currency is None


# --- writing --------------------------------------------------------------------------------------------

LEVELS = (BookLevel(price=1.5, volume=2, yield_percent=None), BookLevel(price=1.25, volume=3, yield_percent=7.5))
BOOK = Book(bids=LEVELS, asks=(), time_ms=5, existing=True, snapshot=True, time_s=1)


def test_each_format_gets_its_keys_in_the_order_of_the_table() -> None:
    assert codec(Book, Format.SIMPLE).encode(BOOK) == (
        b'{"snapshot":true,"bids":[{"price":1.5,"volume":2},{"price":1.25,"volume":3}],"asks":[],"timestamp":1,'
        b'"ms_timestamp":5,"existing":true}'
    )
    assert codec(Book, Format.SLIM).encode(BOOK) == (
        b'{"b":[{"p":1.5,"v":2,"y":null},{"p":1.25,"v":3,"y":7.5}],"a":[],"t":5,"h":true}'
    )
    assert codec(Book, Format.HEAVY).encode(BOOK) == (
        b'{"bids":[{"price":1.5,"volume":2},{"price":1.25,"volume":3}],"asks":[],"msTimestamp":5,"existing":true}'
    )


def test_what_is_unset_is_left_out() -> None:
    update = InstrumentUpdate(symbol="A", trading_status=TradingStatus.CLOSED, trading_status_info=None)
    assert codec(InstrumentUpdate, Format.HEAVY).encode(update) == (
        b'{"symbol":"A","tradingStatus":18,"tradingStatusInfo":null}'
    )


def test_a_record_of_one_field_is_written() -> None:
    class Single(Record, frozen=True, kw_only=True, gc=False):
        only: Annotated[int, Wire("only", "o")]

    assert codec(Single, Format.SLIM).encode(Single(only=1)) == b'{"o":1}'
    assert codec(Single, Format.SLIM).decode(b'{"o":1}').only == 1


def test_a_record_read_as_slim_and_written_as_simple_lacks_what_slim_lacks() -> None:
    slim = codec(Book, Format.SLIM).decode(codec(Book, Format.SLIM).encode(BOOK))
    assert set(data_of(Book, Format.SIMPLE, slim)) == {"bids", "asks", "ms_timestamp", "existing"}
    assert data_of(Book, Format.SIMPLE, slim)["bids"] == [
        {"price": 1.5, "volume": 2},
        {"price": 1.25, "volume": 3},
    ]


@pytest.mark.parametrize("number", ["NaN", "sNaN", "-NaN", "Infinity", "-Infinity", "NaN123"])
def test_a_number_that_json_does_not_have_is_written_as_null(number: str) -> None:
    code = codec(Summary, Format.SLIM)
    summary = msgspec.structs.replace(
        code.decode(b'{"bpm":1.10,"cms":2,"bpv2":[]}'),
        buying_power=Decimal(number),
        buying_power_by_currency=(CurrencyPower(currency="NaN", buying_power=Decimal(number)),),
    )
    assert code.encode(summary) == b'{"bpm":1.10,"bp":null,"cms":2,"bpv2":[{"cr":"NaN","bp":null}]}'


def test_only_records_that_hold_decimals_are_looked_through() -> None:
    with_decimals = {record.__name__ for record in RECORDS if codec(record, Format.SIMPLE)._has_decimals}
    market_data = {"Book", "Bar", "Quote", "InstrumentUpdate", "Trade", "Cluster"}
    assert with_decimals == {record.__name__ for record in RECORDS} - market_data


def test_several_messages_are_read_as_one_by_one() -> None:
    code = codec(Quote, Format.SLIM)
    messages = [b'{"data":{"l":1},"guid":"g"}', b'{"data":{"le":2},"guid":"g"}']
    assert code.decode_messages(messages) == [code.decode_message(message) for message in messages]
    assert code.decode_messages([]) == []
    with pytest.raises(MalformedMessageError):
        code.decode_messages([*messages, b'{"data":{"l":"\xff"},"guid":"g"}', b"{}"])


def test_a_text_that_says_nan_or_infinity_is_left_alone() -> None:
    code = codec(Fill, Format.SIMPLE)
    data = b'{"orderno":"1","comment":"NaN Infinity","symbol":"NaN","price":1.50,"side":"buy"}'
    assert code.encode(code.decode(data)) == data


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_double_that_json_does_not_have_is_written_as_null(number: float) -> None:
    bar = Bar(time_s=1, close=number, open=1.0, high=1.0, low=1.0, volume=1)
    assert data_of(Bar, Format.SIMPLE, bar)["close"] is None


@pytest.mark.parametrize(
    "number", ["0", "-0", "1E+2", "0E-8", "1E+999999", "1E-999999", "123456789012345678901234567890.1234567890"]
)
def test_a_decimal_is_written_as_a_json_number(number: str) -> None:
    code = codec(Summary, Format.SIMPLE)
    data = code.encode(msgspec.structs.replace(code.decode(b"{}"), profit=Decimal(number)))
    assert Decimal(json.loads(data, parse_float=str, parse_int=str)["profit"]) == Decimal(number)


def test_texts_are_utf8_and_escaped() -> None:
    quote = codec(Quote, Format.SLIM).decode('{"sym":"\\u0000\\"\\\\","desc":"Газпром 𝄞"}'.encode())
    data = codec(Quote, Format.SLIM).encode(quote)
    assert data == '{"sym":"\\u0000\\"\\\\","desc":"Газпром 𝄞"}'.encode()


def test_a_trade_is_written_from_the_class_the_exchange_makes() -> None:
    trade = Trade(
        id=2**40,
        symbol="A",
        board="B",
        quantity=1,
        price=1.0,
        time_ms=5,
        open_interest=None,
        existing=False,
        side=Side.BUY,
    )
    assert codec(Trade, Format.SLIM).encode(trade) == (
        b'{"id":1099511627776,"sym":"A","bd":"B","q":1,"px":1.0,"t":5,"oi":null,"h":false,"s":"buy"}'
    )


def test_an_exchange_is_written_as_its_word() -> None:
    assert data_of(Quote, Format.SLIM, codec(Quote, Format.SLIM).decode(b'{"ex":"moex"}')) == {"ex": Exchange.MOEX}


def test_an_optional_record_inside_may_be_null_unset_or_there() -> None:
    class Outer(Record, frozen=True, kw_only=True, gc=False):
        level: Annotated[Maybe[BookLevel | None], Wire("level", "l")] = UNSET

    code = codec(Outer, Format.SLIM)
    assert code.encode(Outer()) == b"{}"
    assert code.encode(Outer(level=None)) == b'{"l":null}'
    assert code.encode(Outer(level=LEVELS[0])) == b'{"l":{"p":1.5,"v":2,"y":null}}'
