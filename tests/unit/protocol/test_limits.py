"""What the maxima have to do with each other."""

from __future__ import annotations

import pytest

from tapewire.protocol import limits
from tapewire.protocol.limits import effective_frequency_ms
from tapewire.protocol.requests import interval_seconds
from tapewire.protocol.words import Format


def test_every_limit_is_exported() -> None:
    constants = {name for name in vars(limits) if name.isupper()}
    assert constants | {"effective_frequency_ms"} == set(limits.__all__)


def test_defaults_are_within_their_bounds() -> None:
    assert 1 <= limits.BOOK_DEPTH_DEFAULT <= limits.BOOK_DEPTH_MAX
    assert min(limits.FREQUENCY_FLOOR_MS.values()) < limits.FREQUENCY_DEFAULT_MS < limits.FREQUENCY_MAX_MS
    assert set(limits.FREQUENCY_FLOOR_MS) == set(Format)
    assert max(limits.FREQUENCY_FLOOR_MS.values()) <= limits.FREQUENCY_MAX_MS


def test_one_history_and_one_round_of_subscriptions_fit_the_queue_that_cuts() -> None:
    assert limits.TRADES_HISTORY_MAX <= limits.UNPROCESSED_MESSAGES_MAX
    assert limits.SUBSCRIPTIONS_PER_CONNECTION_MAX <= limits.UNPROCESSED_MESSAGES_MAX


def test_a_client_may_ask_for_all_its_subscriptions_at_once() -> None:
    # A request with its token is well under 1,600 bytes.
    assert limits.REQUEST_BACKLOG_BYTES_MAX >= limits.SUBSCRIPTIONS_PER_CONNECTION_MAX * 1_600


def test_a_request_with_the_longest_texts_fits_a_message() -> None:
    longest = 4 * (limits.GUID_CHARACTERS_MAX + limits.COMMENT_CHARACTERS_MAX) + 16_384
    assert longest < limits.MESSAGE_BYTES_MAX
    assert limits.STRICT_GUID_CHARACTERS_MAX < limits.GUID_CHARACTERS_MAX


def test_the_deepest_book_fits_a_message() -> None:
    level = len('{"price":12345678901234.567,"volume":9223372036854775807},')
    assert 2 * limits.BOOK_DEPTH_MAX * level < limits.MESSAGE_BYTES_MAX // 8


def test_a_close_reason_fits_a_control_frame() -> None:
    assert limits.CLOSE_REASON_BYTES_MAX + 2 == 125


def test_the_longest_interval_and_the_last_time_are_dates_that_can_be_shown() -> None:
    assert interval_seconds("Y") is not None
    assert interval_seconds(limits.INTERVAL_SECONDS_MAX) == limits.INTERVAL_SECONDS_MAX
    assert interval_seconds(limits.INTERVAL_SECONDS_MAX + 1) is None
    assert limits.INTERVAL_SECONDS_MAX < limits.UNIX_SECONDS_MAX


def test_prices_stay_within_the_digits_of_decimal_arithmetic() -> None:
    assert 2 * limits.PRICE_DIGITS_MAX <= 28


@pytest.mark.parametrize(
    ("asked", "message_format", "width"),
    [
        (0, Format.SIMPLE, 25),
        (0, Format.SLIM, 10),
        (175, Format.HEAVY, 500),
        (175, Format.SIMPLE, 175),
        (24, Format.SIMPLE, 25),
        (11, Format.SLIM, 11),
        (10**12, Format.SLIM, limits.FREQUENCY_MAX_MS),
    ],
)
def test_a_window_is_never_narrower_than_its_floor(asked: int, message_format: Format, width: int) -> None:
    assert effective_frequency_ms(asked, message_format) == width
