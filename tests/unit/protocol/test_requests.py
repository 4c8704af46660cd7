"""Requests of the data socket: values, topics, windows. What the wire looks like is in tests/conformance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tapewire.model import Exchange, Topic, TopicKind
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.reading import read_envelope
from tapewire.protocol.requests import (
    STREAMS,
    DataRequest,
    InstrumentRequest,
    SubscribeBars,
    SubscribeBook,
    SubscribeClusters,
    SubscribeOrders,
    SubscribeQuotes,
    SubscribeRequest,
    SubscribeTrades,
    interval_seconds,
    read_request,
    stream_of,
    topic_of,
    window_ms,
)
from tapewire.protocol.words import Format

BOOK = {"opcode": "OrderBookGetAndSubscribe", "guid": "g", "code": "GAZP", "exchange": "MOEX"}


def read(fields: dict[str, Any] | bytes) -> DataRequest:
    message = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return read_request(read_envelope(message), message)


def refusal(fields: dict[str, Any] | bytes) -> str:
    with pytest.raises(BadRequestError) as caught:
        read(fields)
    assert caught.value.guid == "g"
    assert caught.value.code == 400
    return caught.value.text


@pytest.mark.parametrize(
    ("timeframe", "seconds"),
    [
        ("1", 1),
        ("60", 60),
        (60, 60),
        ("060", 60),
        ("D", 86_400),
        ("d", 86_400),
        (" W ", 604_800),
        ("M", 2_592_000),
        ("Y", 31_536_000),
        (31_622_400, 31_622_400),
        (31_622_401, None),
        ("31622401", None),
        (0, None),
        ("0", None),
        (-1, None),
        ("-1", None),
        ("", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("²", None),
        ("9" * 5_000, None),
        (10**4_000, None),
        ("DD", None),
    ],
)
def test_a_timeframe_is_seconds_or_a_letter(timeframe: str | int, seconds: int | None) -> None:
    assert interval_seconds(timeframe) == seconds


def test_an_absent_field_has_the_documented_default() -> None:
    book = read(BOOK)
    assert isinstance(book, SubscribeBook)
    assert (book.depth, book.frequency, book.format, book.token, book.board) == (20, 175, Format.SIMPLE, "", "")
    trades = read({**BOOK, "opcode": "AllTradesGetAndSubscribe"})
    assert isinstance(trades, SubscribeTrades)
    assert (trades.depth, trades.include_virtual_trades) == (0, False)
    bars = read({**BOOK, "opcode": "BarsGetAndSubscribe", "tf": "D", "from": 1})
    assert isinstance(bars, SubscribeBars)
    assert (bars.skip_history, bars.split_adjust, bars.frequency) == (False, True, 175)


@pytest.mark.parametrize("value", [b"9" * 5_000, b"-" + b"9" * 5_000, b"1e400", b'"' + b"9" * 5_000 + b'"'])
@pytest.mark.parametrize("key", ["depth", "frequency", "from"])
def test_numbers_beyond_all_bounds_are_refused_by_their_field(key: str, value: bytes) -> None:
    message = b'{"opcode":"BarsGetAndSubscribe","guid":"g","code":"A","exchange":"MOEX","tf":"D"'
    if key == "depth":
        message = message.replace(b"Bars", b"AllTrades")
    message += b',"from":0' if key != "from" else b""
    assert refusal(message + b',"' + key.encode() + b'":' + value + b"}") == f"Invalid or unsupported {key}"


def test_minus_zero_is_zero() -> None:
    assert refusal(json.dumps(BOOK).encode()[:-1] + b',"depth":-0}') == "Invalid or unsupported depth"
    request = read(json.dumps(BOOK).encode()[:-1] + b',"frequency":-0}')
    assert isinstance(request, SubscribeBook)
    assert request.frequency == 0


def test_a_very_long_unknown_word_is_refused_without_being_repeated() -> None:
    assert refusal({**BOOK, "format": "x" * 100_000}) == "Invalid or unsupported format"
    assert len(refusal({**BOOK, "opcode": "x" * 100_000})) < 100


def test_opcodes_and_aliases_lead_to_one_stream() -> None:
    for stream in STREAMS.values():
        for opcode in (stream.opcode, *stream.aliases):
            fields = {**BOOK, "opcode": opcode, "portfolio": "D1", "tf": 60, "from": 0}
            request = read(fields)
            assert type(request) is stream.request
            assert stream_of(request) is stream  # type: ignore[arg-type]


def test_every_kind_of_topic_has_a_stream_and_its_own_record() -> None:
    assert list(STREAMS) == sorted(STREAMS, key=list(STREAMS).index)
    assert set(STREAMS) == set(TopicKind)
    assert len({stream.record for stream in STREAMS.values()}) == len(STREAMS)
    assert len({stream.request for stream in STREAMS.values()}) == len(STREAMS)
    for kind, stream in STREAMS.items():
        assert kind.of_portfolio != issubclass(stream.request, InstrumentRequest)


def test_a_topic_names_exchange_subject_board_and_interval() -> None:
    moex = Exchange.MOEX
    book = SubscribeBook(guid="g", exchange=moex, code="GAZP")
    assert topic_of(book, "TQBR") == Topic(TopicKind.BOOK, "MOEX", "GAZP", "TQBR", 0)
    assert topic_of(SubscribeBook(guid="g", exchange=moex, code="GAZP", instrument_group="SMAL")).board == "SMAL"
    for kind in (SubscribeBars, SubscribeClusters):
        bars = kind(guid="g", exchange=moex, code="GAZP", timeframe="D", since_s=0)
        assert topic_of(bars, "TQBR").interval_s == 86_400
    orders = SubscribeOrders(guid="g", exchange=moex, portfolio="D1")
    assert topic_of(orders) == Topic(TopicKind.ORDERS, "MOEX", "D1")


def test_equal_requests_in_other_letters_have_one_topic() -> None:
    one, other = read(BOOK), read({**BOOK, "exchange": "moex", "format": "simple"})
    assert isinstance(one, SubscribeRequest)
    assert isinstance(other, SubscribeRequest)
    assert hash(topic_of(one)) == hash(topic_of(other))
    assert topic_of(one) == topic_of(other)


@pytest.mark.parametrize(
    ("message_format", "asked", "width"),
    [(Format.SIMPLE, 0, 25), (Format.SLIM, 0, 10), (Format.HEAVY, 175, 500), (Format.SLIM, 100, 100)],
)
def test_a_window_is_that_of_the_request(message_format: Format, asked: int, width: int) -> None:
    fields = {"guid": "g", "exchange": Exchange.MOEX, "code": "A", "format": message_format, "frequency": asked}
    assert window_ms(SubscribeBook(**fields)) == width
    assert window_ms(SubscribeQuotes(**fields)) == width
    assert window_ms(SubscribeBars(**fields, timeframe=60, since_s=0)) == width


def test_streams_of_events_have_no_window() -> None:
    assert window_ms(SubscribeTrades(guid="g", exchange=Exchange.MOEX, code="A")) == 0
    assert window_ms(SubscribeOrders(guid="g", exchange=Exchange.MOEX, portfolio="D1")) == 0
