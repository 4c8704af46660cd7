"""What answers mean: the table, row by row."""

from __future__ import annotations

import pytest

from tapewire.client.command_end import CommandEnd, Taken, Untold, end_of
from tapewire.client.command_result import Rejected

ACCOUNT = "NotEnoughCash (401): 3 RUB are missing"
LATE = "CommandResponseTimeout (900): silence. The outcome is unknown"


@pytest.mark.parametrize(
    ("code", "text", "number", "expected"),
    [
        (200, "An order '7' has been created.", "7", Taken("7")),
        (400, ACCOUNT, "", Rejected(400, ACCOUNT, "g", 401)),
        (400, "Invalid or unsupported quantity", "", Rejected(400, "Invalid or unsupported quantity", "g")),
        (401, "Invalid JWT token!", "", Rejected(401, "Invalid JWT token!", "g")),
        (403, "no", "", Rejected(403, "no", "g")),
        (404, "no", "", Rejected(404, "no", "g")),
        (429, "too many", "", Rejected(429, "too many", "g")),
        (501, "not served", "", Rejected(501, "not served", "g")),
        (503, "Nothing was done", "", Rejected(503, "Nothing was done", "g")),
        (200, "", "", Untold("the broker took it and told no number")),
        (200, "", "   ", Untold("the broker took it and told what is no number")),
        (200, "", "1\n2", Untold("the broker took it and told what is no number")),
        (200, "", "x" * 100_000, Untold("the broker took it and told what is no number")),
        (200, "", "0f8fad5b-d9cb-469f-a165-70867728950e", Taken("0f8fad5b-d9cb-469f-a165-70867728950e")),
        (400, "was already handled", "   ", Untold("the broker answered 400 was already handled")),
        (400, "was already handled", "7", Untold("the broker answered 400 was already handled")),
        (400, LATE, "", Untold(f"the broker answered 400 {LATE}")),
        (400, "900", "", Untold("the broker answered 400 900")),
        (400, "CommandResponseTimeout", "", Untold("the broker answered 400 CommandResponseTimeout")),
        (408, "", "", Untold("the broker answered 408")),
        (500, "oops", "", Untold("the broker answered 500 oops")),
        (502, "", "", Untold("the broker answered 502")),
        (504, LATE, "", Untold(f"the broker answered 504 {LATE}")),
        (0, "", "", Untold("the broker answered 0")),
        (201, "", "7", Untold("the broker answered 201")),
        (302, "", "", Untold("the broker answered 302")),
    ],
)
def test_an_answer_to_a_new_order(code: int, text: str, number: str, expected: CommandEnd) -> None:
    assert end_of("g", code, text, number, needs_number=True) == expected


def test_a_cancellation_needs_no_number() -> None:
    assert end_of("g", 200, "", "", needs_number=False) == Taken("")
    assert end_of("g", 200, "", "7", needs_number=False) == Taken("7")
    assert end_of("g", 200, "", "x" * 100_000, needs_number=False) == Taken("")
