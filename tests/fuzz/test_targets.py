"""Every target on every seed, and on everything that was ever found: fuzzing begins where nothing fails."""

from __future__ import annotations

import pytest

from fuzz.run import main
from fuzz.seeds import FOUND, dictionary, found, seeds
from fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_takes_its_seeds(target: str) -> None:
    inputs = seeds(target)
    assert len(inputs) > 5
    for data in inputs:
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_a_fault_once_is_none_now(target: str) -> None:
    for data in found(target):
        TARGETS[target](data)


def test_what_was_found_belongs_to_a_target() -> None:
    assert {path.name for path in FOUND.glob("*") if path.is_dir()} <= TARGETS.keys()


def test_the_words_of_the_protocol_are_one_a_line() -> None:
    lines = dictionary().splitlines()
    assert b'"OrderBookGetAndSubscribe"' in lines
    assert b'"instrumentGroup"' in lines
    assert all(line.startswith(b'"') and line.endswith(b'"') for line in lines)


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert "no target 'nonsense'; there are: requests, commands" in capsys.readouterr().err
