"""docs/execution.md says what the exchange does: its examples are played, its codes and bounds compared."""

from __future__ import annotations

import re

import pytest

from conformance.execution_scenarios import DOCUMENT, Scenario, Stage, scenarios
from tapewire import exchange
from tapewire.model import GroupPolicy, TimeInForce, TradingCode

TEXT = DOCUMENT.read_text()
SCENARIOS = list(scenarios())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.title)
def test_an_example_happens_as_told(scenario: Scenario) -> None:
    stage = Stage(scenario.listed)

    assert [stage.play(step) for step in scenario.steps] == [step.happens for step in scenario.steps]
    assert stage.book() == scenario.book


def test_no_example_is_overlooked() -> None:
    assert len(SCENARIOS) == TEXT.count("| who | does | what happens |") == TEXT.count("\nBook: ") > 30


def test_every_time_in_force_and_policy_is_told_of() -> None:
    for word in (*TimeInForce, *GroupPolicy):
        assert f"| `{word}` |" in TEXT


def test_every_cause_of_a_cancellation_has_an_example() -> None:
    told = {step.happens for scenario in SCENARIOS for step in scenario.steps}
    for cause in exchange.CancelCause:
        assert any(f": {cause}" in happens for happens in told), cause


def test_the_codes_are_those_of_the_trading_system() -> None:
    codes = {
        int(code)
        for row in re.findall(r"^\| ([\d, …]+) \| [a-z]", TEXT, re.MULTILINE)
        for code in row.split(", ")
        if code.isdigit()
    }
    assert len(codes) > 10
    assert codes <= set(TradingCode)


def test_the_numbers_are_the_bounds() -> None:
    for number in (
        exchange.RESTING_ORDERS_MAX,
        exchange.CONDITIONAL_ORDERS_MAX,
        exchange.ENDED_ORDERS_MAX,
        exchange.GROUPS_ACTIVE_MAX,
        exchange.GROUPS_ENDED_MAX,
        exchange.GROUP_ORDERS_MAX,
        exchange.LOTS_MAX,
    ):
        assert f"{number:,}" in TEXT
    assert f"1 to {exchange.PROTECTING_SECONDS_MAX} seconds" in TEXT
    assert f"{exchange.GOOD_TILL_DAYS_MAX} days" in TEXT
    assert f"{exchange.ICEBERG_VARIANCE_PERCENT_MAX} per cent" in TEXT
    assert exchange.ICEBERG_PARTS_MAX == 100
    assert "a hundredth of it" in TEXT
