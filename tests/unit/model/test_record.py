"""What all records share: names, values, times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tapewire.model import UNSET, Bar, Record, Wire, from_iso, to_iso

BAR = Bar(time_s=1, close=1.0, open=1.0, high=1.0, low=1.0, volume=1)


@pytest.mark.parametrize(
    ("wire", "names"),
    [
        (Wire("id"), ("id", "id", "id")),
        (Wire("symbol", "sym"), ("symbol", "sym", "symbol")),
        (Wire("prev", None, "prevClose"), ("prev", None, "prevClose")),
        (Wire("qty", None), ("qty", None, "qty")),
        (Wire("qty", None, None), ("qty", None, None)),
        (Wire(None, "y", None), (None, "y", None)),
        (Wire(None, None, "currency"), (None, None, "currency")),
    ],
)
def test_a_name_left_out_is_that_of_simple(wire: Wire, names: tuple[str | None, ...]) -> None:
    assert wire.names() == names


def test_records_are_values_that_cannot_be_changed() -> None:
    assert Bar(time_s=1, close=1.0, open=1.0, high=1.0, low=1.0, volume=1) == BAR
    assert hash(BAR) == hash(Bar(time_s=1, close=1.0, open=1.0, high=1.0, low=1.0, volume=1))
    with pytest.raises(AttributeError):
        BAR.volume = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        Bar(1, 1.0, 1.0, 1.0, 1.0, 1)  # type: ignore[misc]
    assert isinstance(BAR, Record)


def test_unset_is_not_none() -> None:
    assert UNSET is not None
    assert not UNSET


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.0000000Z"),
        (1_718_006_400_125_000_000, "2024-06-10T08:00:00.1250000Z"),
        (1_718_006_400_123_456_789, "2024-06-10T08:00:00.1234567Z"),
        (1_718_006_400_999_999_999, "2024-06-10T08:00:00.9999999Z"),
        (-1, "1969-12-31T23:59:59.9999999Z"),
        (253_402_300_799_999_999_999, "9999-12-31T23:59:59.9999999Z"),
    ],
)
def test_a_time_is_written_with_seven_digits(time_ns: int, text: str) -> None:
    assert to_iso(time_ns) == text
    read = from_iso(text)
    assert read.tzinfo is not None
    assert read.replace(microsecond=0).timestamp() == time_ns // 1_000_000_000


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-06-10T08:00:00.1250000Z", datetime(2024, 6, 10, 8, 0, 0, 125_000, UTC)),
        ("2024-06-10T23:59:59.9990000", datetime(2024, 6, 10, 23, 59, 59, 999_000, UTC)),
        ("2024-06-10T08:00:00Z", datetime(2024, 6, 10, 8, tzinfo=UTC)),
        ("2024-06-10T11:00:00+03:00", datetime(2024, 6, 10, 11, tzinfo=timezone(timedelta(hours=3)))),
        ("2050-12-31T23:59:59.0000000Z", datetime(2050, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2024-06-10T08:00:00.1234567Z", datetime(2024, 6, 10, 8, 0, 0, 123_456, UTC)),
    ],
)
def test_a_time_is_read_with_or_without_zone(text: str, time: datetime) -> None:
    assert from_iso(text) == time


@pytest.mark.parametrize("text", ["", "soon", "2024-13-01T00:00:00Z", "10000-01-01T00:00:00Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_iso(text)
