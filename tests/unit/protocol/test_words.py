"""Word lists of the wire."""

from __future__ import annotations

import pytest

from tapewire.protocol.words import Format, SliceMode


@pytest.mark.parametrize("text", ["Slim", "slim", "SLIM", "sLiM"])
def test_a_format_is_read_in_any_letter_case(text: str) -> None:
    assert Format(text) is Format.SLIM


@pytest.mark.parametrize("text", ["", "fat", "Simple ", "SIMPLЕ"])
def test_a_format_that_does_not_exist_is_no_format(text: str) -> None:
    assert not Format(text).known


def test_a_member_s_name_in_python_is_no_word_of_the_wire() -> None:
    assert SliceMode("DailyIntervals").known
    assert not SliceMode("DAILY_INTERVALS").known
