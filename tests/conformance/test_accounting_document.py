"""docs/accounting.md: its day is played, and every figure of it must come out."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounting import Desk
from tapewire.exchange import AccountTerms, Refusal
from tapewire.exchange.commission import CommissionRates
from tapewire.market import catalogue
from tapewire.market.bonds import BOND_TERMS
from tapewire.model import DerivativesRisk, InstrumentKind, LegacyMoney, Position, Record, Risk, Summary
from tapewire.protocol.formats import fields_of
from tapewire.protocol.words import Format
from trading import BUY, SELL

TEXT = (Path(__file__).parents[2] / "docs" / "accounting.md").read_text()
STEP = re.compile(
    r"^\| ?(\w*) \| (buys|sells|bids|last price|clearing) \| ?(\w*) \| ?(\d*) \| ?([\d.]*) \|$", re.MULTILINE
)
FIGURE = re.compile(r"^\| (\w+) \| (\w+) `(\w+)` \|.*\| (\S+) \|$", re.MULTILINE)
STEPS = STEP.findall(TEXT)
EVENING, MORNING = (FIGURE.findall(part) for part in TEXT.split("### The next morning"))

LISTED = catalogue()
NUMBERS = {listing.symbol: number for number, listing in enumerate(LISTED)}
DAY = 20_759  # 2026-11-02
CASH = {"D39004": 250_000, "7500ABC": 200_000, "G39004": 100_000}


def play() -> tuple[Desk, dict[int, str]]:
    """Return the desk in the evening and the orders that still work."""
    terms = [AccountTerms(name=name, cash=Decimal(cash)) for name, cash in CASH.items()]
    desk = Desk(*terms, listed=LISTED, bonds=BOND_TERMS, day=DAY)
    working = {}
    for portfolio, what, symbol, lots, price in STEPS:
        if what == "clearing":
            desk.clear()
            continue
        number = NUMBERS[symbol]
        ticks = LISTED[number].ticks(Decimal(price))
        if what == "last price":
            desk.prices[number] = ticks
        elif what == "bids":
            order = desk.place(portfolio, BUY, int(lots), ticks, instrument=number)
            assert not isinstance(order, Refusal)
            working[order] = portfolio
        else:
            desk.trade(portfolio, BUY if what == "buys" else SELL, int(lots), ticks, instrument=number)
    return desk, working


def figure(desk: Desk, portfolio: str, what: str, key: str) -> str:
    evaluation = desk.evaluation(portfolio)
    record: Record
    if what == "summary":
        record = evaluation.summary()
    elif what == "risk":
        record = evaluation.risk(0)
    elif what == "derivatives":
        record = evaluation.derivatives_risk()
    elif what == "money":
        record = evaluation.legacy_money()
    else:
        record = next(row for row in evaluation.positions(existing=True) if row.symbol == what)
    return str(value(record, key))


def value(record: Record, key: str) -> Any:
    (name,) = (field.name for field in fields_of(type(record)) if field.key(Format.SIMPLE) == key)
    return getattr(record, name)


@pytest.mark.parametrize(("portfolio", "what", "key", "stated"), EVENING)
def test_the_evening_is_as_the_document_says(portfolio: str, what: str, key: str, stated: str) -> None:
    desk, _ = play()
    assert figure(desk, portfolio, what, key) == stated


@pytest.mark.parametrize(("portfolio", "what", "key", "stated"), MORNING)
def test_the_next_morning_is_as_the_document_says(portfolio: str, what: str, key: str, stated: str) -> None:
    desk, working = play()
    for order, owner in working.items():
        desk.cancel(owner, order)
    desk.turn()
    assert figure(desk, portfolio, what, key) == stated


def test_the_whole_document_was_read() -> None:
    assert (len(STEPS), len(EVENING), len(MORNING)) == (14, 41, 16)


def test_commissions_are_those_of_the_document() -> None:
    rates = CommissionRates()
    stated = dict(
        re.findall(r"^\| ([a-z, ]+) \| ([\d.]+) (?:% of the value|roubles a contract)", TEXT, re.MULTILINE)
    )
    assert {name: Decimal(rate) for name, rate in stated.items()} == {
        "shares": rates.shares * 100,
        "bonds": rates.bonds * 100,
        "currency": rates.currencies * 100,
        "futures, options": rates.contract,
    }


def test_what_the_document_says_of_its_instruments_is_so() -> None:
    desk, _ = play()
    bond = desk.accounts.instruments[NUMBERS["SU26238RMFS4"]]
    assert bond.accrued == 29_560_000
    desk.turn()
    assert bond.accrued == 29_760_000
    future = desk.accounts.instruments[NUMBERS["SiH7"]]
    assert (future.margin_buy, future.margin_sell, future.tick_money) == (
        14_200_000_000,
        14_050_000_000,
        1_000_000,
    )
    assert [LISTED[NUMBERS[symbol]].lot_size for symbol in ("SBER", "GAZP", "CNYRUB_TOM")] == [10, 10, 1000]
    assert LISTED[NUMBERS["CNYRUB_TOM"]].kind is InstrumentKind.CURRENCY


@pytest.mark.parametrize("record", [Position, Summary, Risk, DerivativesRisk, LegacyMoney])
def test_every_figure_of_the_records_is_explained(record: type[Record]) -> None:
    """Names, times and words explain themselves; all numbers must be in the document."""
    plain = {"symbol", "brokerSymbol", "portfolio", "exchange", "lotSize", "shortName", "isCurrency", "existing"}
    plain |= {"clientType", "calculationTime", "derivativesDebt", "comission"}
    keys = {key for field in fields_of(record) if (key := field.key(Format.SIMPLE)) and key not in plain}
    told = set(re.findall(r"`(\w+)`", TEXT))
    assert {key for key in keys - told if not key.endswith("Batch")} == set()
