"""When a server that refuses wants to be asked again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tapewire.adapters.retry_after import retry_after_s

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 0 ", 0),
        ("Mon, 05 Jan 2026 10:01:30 GMT", 90),
        ("Mon, 05 Jan 2026 10:01:30 -0000", 90),
        ("Mon, 05 Jan 2026 09:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 400, None),
        ("", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 05 Jan 2026 99999999999999999999:00:00 GMT", None),
        ("Mon, 05 Jan 2026 10:00:00 +9999999999999", None),
        ("Mon, 05 Jan 2026 10:00:00 +2400", None),
    ],
)
def test_both_spellings_are_read_and_nonsense_is_nothing(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds
