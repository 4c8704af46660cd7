"""The tree of errors: whose fault, what next, and no secrets."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime

import pytest

from tapewire.client import errors
from tapewire.client.errors import (
    AnswerTimeoutError,
    BufferOverflowError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    GapError,
    InvalidOrderError,
    LimitError,
    NotSentError,
    RefusedError,
    TapewireError,
    TokenRefusedError,
    TokenServiceError,
)
from tapewire.client.gap import Gap

SAMPLES = [
    ConfigurationError("where to?"),
    ConnectError("ws://host/ws", "refused"),
    ConnectionLostError(1013, "too slow"),
    TokenRefusedError(403),
    TokenServiceError("answered 500"),
    RefusedError(404, "no such instrument"),
    AnswerTimeoutError(10.0),
    LimitError("depth", 51, "1..50"),
    InvalidOrderError("lots: 0"),
    NotSentError("no connection"),
    BufferOverflowError("trades:SBER", 100),
    GapError(Gap(stream="trades:SBER", since=datetime(2026, 1, 1, tzinfo=UTC), cause="cut")),
    ClosedError("closed"),
]


def test_the_samples_are_all_there_is() -> None:
    named = {getattr(errors, name) for name in errors.__all__} - {errors.Fault, TapewireError}
    assert named == {type(sample) for sample in SAMPLES}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_an_error_can_be_raised_again_and_copied_as_an_equal_one(sample: TapewireError) -> None:
    for other in (sample.again(), copy.copy(sample)):
        assert other is not sample
        assert type(other) is type(sample)
        assert str(other) == str(sample)
        assert vars(other) == vars(sample)


def test_the_drawing_agrees_with_the_classes() -> None:
    drawn = re.findall(r"── (\w+) .*  (caller|network|broker) +(final|retriable|by code)", errors.__doc__ or "")
    assert {name for name, _, _ in drawn} == {type(sample).__name__ for sample in SAMPLES}
    by_name = {type(sample).__name__: sample for sample in SAMPLES}
    for name, fault, what_next in drawn:
        assert by_name[name].fault.value == fault
        if what_next != "by code":
            assert by_name[name].retriable == (what_next == "retriable"), name


@pytest.mark.parametrize(
    ("code", "retriable"), [(400, False), (401, False), (404, False), (429, True), (500, True), (503, True)]
)
def test_a_refusal_is_retriable_by_its_code(code: int, retriable: bool) -> None:
    assert RefusedError(code, "").retriable is retriable


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://host/ws?token=s3cr3t", "wss://host/ws"),
        ("wss://user:s3cr3t@host:1/ws", "wss://host:1/ws"),
        ("wss://[s3cr3t", "(a malformed URL)"),
    ],
)
def test_a_connect_error_shows_no_secret_of_its_address(url: str, shown: str) -> None:
    error = ConnectError(url, "refused")
    assert error.url == shown
    assert "s3cr3t" not in str(error) + repr(error)
