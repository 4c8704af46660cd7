"""The tree of errors: whose fault, what next, and no secrets."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime

import pytest

from tapewire.client import errors
from tapewire.client.errors import (
    AnswerTimeoutError,
    ArgumentError,
    BufferOverflowError,
    BusyError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    Fault,
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
    ArgumentError("since: 5 is not a moment"),
    InvalidOrderError("lots: 0"),
    NotSentError("no connection"),
    BufferOverflowError("trades:SBER", 100),
    GapError(Gap(stream="trades:SBER", since=datetime(2026, 1, 1, tzinfo=UTC), cause="cut")),
    BusyError("two at once"),
    ClosedError("closed"),
]


def test_the_samples_are_all_there_is() -> None:
    named = {getattr(errors, name) for name in errors.__all__} - {
        errors.Fault,
        errors.shown_url,
        TapewireError,
    }
    assert named == {type(sample) for sample in SAMPLES}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_an_error_can_be_raised_again_and_copied_as_an_equal_one(sample: TapewireError) -> None:
    for other in (sample.again(), copy.copy(sample)):
        assert other is not sample
        assert type(other) is type(sample)
        assert str(other) == str(sample)
        assert vars(other) == vars(sample)


def test_the_drawing_agrees_with_the_classes() -> None:
    columns = r"── (\w+) .*  (caller|network|broker|by \w+) +(final|retriable|by \w+)"
    drawn = re.findall(columns, errors.__doc__ or "")
    assert {name for name, _, _ in drawn} == {type(sample).__name__ for sample in SAMPLES}
    by_name = {type(sample).__name__: sample for sample in SAMPLES}
    for name, fault, what_next in drawn:
        if not fault.startswith("by "):
            assert by_name[name].fault.value == fault
        if not what_next.startswith("by "):
            assert by_name[name].retriable == (what_next == "retriable"), name


@pytest.mark.parametrize(
    ("code", "fault", "retriable"),
    [
        (400, Fault.CALLER, False),
        (401, Fault.CALLER, False),
        (404, Fault.CALLER, False),
        (408, Fault.BROKER, True),
        (429, Fault.CALLER, True),
        (500, Fault.BROKER, True),
        (503, Fault.BROKER, True),
    ],
)
def test_a_refusal_has_fault_and_hope_by_its_code(code: int, fault: Fault, retriable: bool) -> None:
    error = RefusedError(code, "")
    assert (error.fault, error.retriable) == (fault, retriable)


@pytest.mark.parametrize("cause", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_what_was_not_sent_has_fault_and_hope_of_its_cause(cause: TapewireError) -> None:
    error = NotSentError.because(cause)
    for told in (error, error.again()):
        assert (told.fault, told.retriable) == (cause.fault, cause.retriable)
        assert str(told) == f"the command was not sent: {cause}"


def test_an_answer_that_cannot_be_read_is_the_brokers_fault() -> None:
    error = ConnectError("https://host/time?x=1", "this is no time", Fault.BROKER).again()
    assert (str(error), error.fault) == (
        "cannot read the answer of https://host/time: this is no time",
        Fault.BROKER,
    )
    assert str(ConnectError("/md/v2/history", "a bar says no time", Fault.BROKER)).count("/") == 3


def test_only_limits_of_what_is_under_way_pass() -> None:
    assert not LimitError("depth", 51, "1..50").retriable
    assert LimitError("commands in flight", 101, 100, passes=True).again().retriable


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
