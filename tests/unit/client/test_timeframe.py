"""Timeframes as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from tapewire.client.errors import ArgumentError
from tapewire.client.timeframe import Timeframe, timeframe_of


@pytest.mark.parametrize(
    ("written", "seconds", "wire", "shown"),
    [
        ("1s", 1, "1", "1s"),
        ("90s", 90, "90", "90s"),
        ("1m", 60, "60", "1m"),
        ("5m", 300, "300", "5m"),
        ("60m", 3_600, "3600", "1h"),
        ("4h", 14_400, "14400", "4h"),
        ("300", 300, "300", "5m"),
        (300, 300, "300", "5m"),
        ("D", 86_400, "D", "D"),
        ("1d", 86_400, "D", "D"),
        (86_400, 86_400, "D", "D"),
        ("2D", 172_800, "172800", "2D"),
        ("W", 604_800, "W", "W"),
        ("1w", 604_800, "W", "W"),
        ("M", 2_592_000, "M", "M"),
        ("1M", 2_592_000, "M", "M"),
        (" Y ", 31_536_000, "Y", "Y"),
    ],
)
def test_a_timeframe_has_seconds_and_the_spelling_of_the_wire(
    written: str | int, seconds: int, wire: str, shown: str
) -> None:
    frame = timeframe_of(written)
    assert (frame.interval_s, frame.wire, str(frame)) == (seconds, wire, shown)
    assert timeframe_of(frame) is frame
    assert timeframe_of(str(frame)) == frame == Timeframe(seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "m",
        "h",
        "0",
        0,
        -60,
        "0m",
        "1.5m",
        "5 m",
        "m5",
        "2W",
        "3M",
        "25h",
        90_000,
        "400D",
        "²",
        True,
        None,
        1.5,
    ],
)
def test_what_is_no_timeframe_is_refused_with_what_would_be(written: Any) -> None:
    with pytest.raises(ArgumentError, match="like 5m"):
        timeframe_of(written)
