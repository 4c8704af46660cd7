"""Which faults can be ordered."""

from __future__ import annotations

from typing import Any

import pytest

from tapewire.faults import FaultKind, FaultRule, Since, Trigger, Whose
from tapewire.faults.kinds import KINDS


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": FaultKind.CUT},
        {"kind": FaultKind.CUT, "after_s": 0.0, "times": 1},
        {"kind": FaultKind.CUT, "every_s": 1.0, "probability": 0.5, "login": "P*"},
        {"kind": FaultKind.CUT, "on": Trigger.DATA, "nth": 3, "symbol": "SBER", "for_s": 5.0},
        {"kind": FaultKind.MUTE, "for_s": 1.0, "every_s": 2.0, "guid": "x"},
        {"kind": FaultKind.MUTE, "on": Trigger.MESSAGE, "each": 3, "for_s": 1.0},
        {"kind": FaultKind.DELAY, "on": Trigger.HTTP, "by_s": 1.0, "login": "P1", "path": "/md/*"},
        {"kind": FaultKind.REFUSED, "on": Trigger.CONNECT, "nth": 1, "retry_after_s": 1.0},
        {"kind": FaultKind.MAINTENANCE, "at": "Fri 18:50", "for_s": 600.0, "code": 4000},
        {"kind": FaultKind.TOKEN_EXPIRY, "life_s": 60.0, "after_s": 5.0, "path": "/md/*"},
        {"kind": FaultKind.LATE_ANSWER, "behind": 1, "opcode": "create:*", "every_s": 5.0, "for_s": 1.0},
    ],
)
def test_what_makes_sense_can_be_ordered(settings: dict[str, Any]) -> None:
    rule = FaultRule(**settings)
    assert rule.trigger in KINDS[rule.kind].triggers


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"kind": FaultKind.DELAY, "on": Trigger.REQUEST, "by_s": 1.0},
            "delay strikes on data, message or http, not on request",
        ),
        ({"kind": FaultKind.DUPLICATE, "on": Trigger.TIME}, "duplicate strikes on data, not on time"),
        ({"kind": FaultKind.CUT, "nth": 1}, "nth needs on: what is counted, request, answer, data or message"),
        (
            {"kind": FaultKind.CUT, "symbol": "SBER"},
            "symbol needs on: what is counted, request, answer, data or message",
        ),
        ({"kind": FaultKind.MAINTENANCE, "each": 2}, "maintenance takes no each"),
        ({"kind": FaultKind.MAINTENANCE, "probability": 0.5}, "maintenance takes no probability"),
        ({"kind": FaultKind.MAINTENANCE, "login": "P1"}, "maintenance takes no login"),
        ({"kind": FaultKind.CUT, "lost": True}, "cut takes no lost"),
        ({"kind": FaultKind.CUT, "by_s": 1.0}, "cut takes no by"),
        ({"kind": FaultKind.REFUSED, "on": Trigger.CONNECT, "guid": "x"}, "refused on connect takes no guid"),
        ({"kind": FaultKind.REFUSED, "on": Trigger.CONNECT, "login": "x"}, "refused on connect takes no login"),
        ({"kind": FaultKind.REFUSED, "retry_after_s": 1.0}, "retry_after needs on: connect or http"),
        ({"kind": FaultKind.REFUSED, "code": 200}, "code is 400 to 599"),
        ({"kind": FaultKind.REFUSED, "on": Trigger.HTTP, "code": 599}, "code 599 is no status of HTTP"),
        ({"kind": FaultKind.MAINTENANCE, "code": 1006}, "code 1006 may not be in a close frame"),
        ({"kind": FaultKind.MAINTENANCE, "text": "я" * 62}, "text is at most 123 bytes in a close frame"),
        ({"kind": FaultKind.GARBAGE, "text": "x" * 4_097}, "text is at most 4096 characters"),
        ({"kind": FaultKind.DELAY}, "delay needs by or jitter"),
        ({"kind": FaultKind.LATE_ANSWER}, "late-answer needs by, jitter or behind"),
        ({"kind": FaultKind.DUPLICATE, "nth": 0}, "nth is 1 or more"),
        ({"kind": FaultKind.DUPLICATE, "nth": 1, "each": 1}, "nth and each exclude each other"),
        ({"kind": FaultKind.DUPLICATE, "probability": 0.0}, "probability is above 0 and at most 1"),
        ({"kind": FaultKind.DUPLICATE, "probability": float("nan")}, "probability is above 0 and at most 1"),
        ({"kind": FaultKind.CUT, "after_s": float("inf")}, "after is at most 366 days"),
        ({"kind": FaultKind.MUTE, "for_s": 0.0}, "for is longer than nothing"),
        ({"kind": FaultKind.CUT, "every_s": 0.001}, "every is 10ms or more"),
        (
            {"kind": FaultKind.CUT, "at": "25:00"},
            'at is a time of the day in Moscow, such as "19:00" or "Fri 19:00"',
        ),
        ({"kind": FaultKind.CUT, "at": "19:00", "after_s": 1.0}, "at and after exclude each other"),
        ({"kind": FaultKind.CUT, "for_s": 1.0}, "cut takes no for: it strikes at a moment"),
        (
            {"kind": FaultKind.HALF_OPEN, "on": Trigger.DATA, "for_s": 1.0},
            "half-open takes no for: it strikes at a moment",
        ),
        ({"kind": FaultKind.MUTE, "every_s": 1.0}, "every needs for: how long it lasts each time"),
        ({"kind": FaultKind.DUPLICATE, "every_s": 1.0}, "every needs for: how long it lasts each time"),
        ({"kind": FaultKind.MUTE, "every_s": 1.0, "for_s": 1.0}, "for is shorter than every"),
        (
            {"kind": FaultKind.MUTE, "on": Trigger.DATA, "every_s": 2.0, "for_s": 1.0},
            "mute on data takes no every",
        ),
        (
            {"kind": FaultKind.CUT, "since": Since.START},
            "since start needs after or every: nobody is connected yet",
        ),
        ({"kind": FaultKind.CUT, "path": "/wss"}, "path '/wss' matches neither /ws nor /cws"),
        ({"kind": FaultKind.NO_ANSWER, "on": Trigger.HTTP, "path": "md"}, "path 'md' does not begin with /"),
        ({"kind": FaultKind.DUPLICATE, "opcode": "Trades"}, "opcode 'Trades' matches no opcode"),
        ({"kind": FaultKind.DUPLICATE, "symbol": ""}, "symbol is empty"),
        ({"kind": FaultKind.CUT, "name": "a\nb"}, "name is one printable line of at most 64 characters"),
        (
            {"kind": FaultKind.TOKEN_EXPIRY, "life_s": 1.0, "whose": Whose.LOGIN},
            "life ends every token early: it takes no whose",
        ),
    ],
)
def test_what_makes_none_is_said_in_the_words_of_the_file(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError) as refused:
        FaultRule(**settings)
    assert str(refused.value) == problem
