"""Words of closed lists that are read tolerantly."""

from __future__ import annotations

import copy
import pickle

import pytest

from tapewire.model import (
    ClientType,
    Condition,
    Exchange,
    GroupedType,
    GroupPolicy,
    GroupStatus,
    OrderScope,
    OrderStatus,
    OrderType,
    RiskStatus,
    Side,
    StopType,
    TimeInForce,
    TradingStatus,
    Word,
)

LISTS: list[type[Word]] = [
    GroupPolicy,
    GroupStatus,
    GroupedType,
    OrderScope,
    ClientType,
    Condition,
    Exchange,
    OrderStatus,
    OrderType,
    RiskStatus,
    Side,
    StopType,
    TimeInForce,
]


@pytest.mark.parametrize("words", LISTS)
def test_every_member_is_found_in_any_letter_case(words: type[Word]) -> None:
    for member in words:
        for text in (member.value, member.value.upper(), member.value.lower(), member.value.title()):
            assert words(text) is member
        assert member.known


@pytest.mark.parametrize("words", LISTS)
def test_a_word_that_is_not_in_the_list_keeps_its_letters(words: type[Word]) -> None:
    for text in ("Stranger", "", "ы", "x" * 1_000):
        word = words(text)
        assert word == text
        assert (word.value, str(word), f"{word}") == (text, text, text)
        assert not word.known
        assert isinstance(word, words)
    assert all(member.known for member in words)
    assert "Stranger" not in words.__members__


@pytest.mark.parametrize("words", LISTS)
def test_the_python_name_of_a_member_is_not_its_word(words: type[Word]) -> None:
    values = {member.value.casefold() for member in words}
    for name in words.__members__:
        assert words(name).known == (name.casefold() in values)


@pytest.mark.parametrize("value", [5, None, b"buy", 1.5, ["buy"]])
def test_what_is_no_text_is_no_word(value: object) -> None:
    with pytest.raises(ValueError):
        Side(value)


def test_strangers_are_values() -> None:
    stranger = Side("hold")
    assert stranger == Side("hold")
    assert hash(stranger) == hash(Side("hold"))
    assert stranger != Side("keep")
    assert pickle.loads(pickle.dumps(stranger)) == stranger
    assert copy.deepcopy(stranger) == stranger
    assert not pickle.loads(pickle.dumps(stranger)).known
    assert pickle.loads(pickle.dumps(Side.BUY)) is Side.BUY
    assert "hold" in repr(stranger)


def test_the_other_side() -> None:
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY


def test_a_trading_status_that_is_not_in_the_list_stays_readable() -> None:
    status = TradingStatus(77)
    assert status == 77
    assert status.name == "STATUS_77"
    assert TradingStatus(-1) == -1
    assert TradingStatus(17) is TradingStatus.NORMAL
    assert pickle.loads(pickle.dumps(status)) == 77
    with pytest.raises(ValueError):
        TradingStatus("17")


def test_orders_of_a_group_are_direct_or_conditional() -> None:
    conditional = {word for word in GroupedType if word.is_conditional}
    assert conditional == {GroupedType.STOP, GroupedType.STOP_LIMIT}
    assert GroupedType("stoplimit") is GroupedType.STOP_LIMIT
