"""The examples of docs/execution.md: read from the document and played on an exchange."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tapewire import exchange as core
from tapewire.model import Condition, Exchange, GroupPolicy, Instrument, InstrumentKind, Side, TimeInForce
from trading import instrument

DOCUMENT = Path(__file__).parents[2] / "docs" / "execution.md"

_TABLE = re.compile(
    r"^(?P<title>.*)\n\n\| who \| does \| what happens \|\n\|---\|---\|---\|\n"
    r"(?P<rows>(?:\|.*\n)+)\nBook: (?P<book>.*)$",
    re.MULTILINE,
)
_SECOND = 1_000_000_000
_INSTRUMENTS: dict[str, dict[str, object]] = {
    "(a future)": {"kind": InstrumentKind.FUTURE},
    "(a share on SPBX)": {"exchange": Exchange.SPBX},
}

_TERMS = re.compile(
    r"(?P<side>buy|sell) (?P<lots>\d+) at (?P<price>[\d.]+|market)"
    r"(?: (?P<tif>[a-z]+orcancel|fillorkill|attheclose|goodtillcancelled))?"
    r"(?: iceberg (?P<visible>\d+)(?:±(?P<variance>\d+)%)?)?(?: until (?P<until>\d+) s)?"
)
_STOP = re.compile(
    r"stop (?P<side>buy|sell) (?P<lots>\d+) (?P<condition>more|less|moreorequal|lessorequal) (?P<trigger>[\d.]+)"
    r"(?: limit (?P<price>[\d.]+))?(?: held (?P<held>\d+) s)?(?: until (?P<until>\d+) s)?(?P<inactive> inactive)?"
)


@dataclass(frozen=True)
class Step:
    who: str
    does: str
    happens: str


@dataclass(frozen=True)
class Scenario:
    title: str
    listed: Instrument
    steps: tuple[Step, ...]
    book: str


def scenarios() -> Iterator[Scenario]:
    """Yield the examples of the document in order."""
    for found in _TABLE.finditer(DOCUMENT.read_text()):
        title = found["title"]
        changes = next((terms for mark, terms in _INSTRUMENTS.items() if title.endswith(mark)), {})
        steps = tuple(
            Step(*(cell.strip() for cell in row.strip("|").split("|"))) for row in found["rows"].splitlines()
        )
        yield Scenario(title.strip("* ")[:60], instrument(**changes), steps, found["book"])  # type: ignore[arg-type]


class Stage:
    """One instrument, traded by people with first names."""

    def __init__(self, listed: Instrument) -> None:
        self.listed = listed
        self.exchange = core.Exchange([listed], first_order_id=1, first_conditional_id=1)
        self.at_ns = 0
        self.rules = core.SetRules(instrument=0, price_band_ticks=listed.price_band_ticks, is_open=True)

    def play(self, step: Step) -> str:
        """Do a step and return what happened, in the words of the document."""
        command = self._command(step.who, step.does)
        events = self.exchange.apply(command, at_ns=self.at_ns)
        return "; ".join(map(self._told, events)) or "nothing"

    def book(self) -> str:
        """Return the book in the words of the document."""
        book = self.exchange.book(0)
        bids, asks = (
            ", ".join(f"{self._price(ticks)} × {lots}" for ticks, lots in book.levels(side, 99)) or "empty"
            for side in (Side.BUY, Side.SELL)
        )
        return f"bids {bids}; asks {asks}"

    def _command(self, who: str, does: str) -> core.Command:
        if who == "exchange":
            return self._act_of_the_exchange(does)
        if found := re.fullmatch(r"cancel (stop )?#(\d+)", does):
            cancel = core.CancelConditional if found[1] else core.Cancel
            return cancel(account=who, order_id=int(found[2]))
        if does == "cancel all":
            return core.CancelAll(account=who)
        if found := re.fullmatch(r"cancel group (\d+)", does):
            return core.CancelGroup(owner=who, group_id=int(found[1]))
        if found := re.fullmatch(r"group (\w+): (.+)", does):
            orders = tuple(
                core.OrderRef(who, int(name.split("#")[1]), name.startswith("stop"))
                for name in found[2].split(", ")
            )
            return core.MakeGroup(owner=who, orders=orders, policy=GroupPolicy(found[1]))
        if found := re.fullmatch(r"replace #(\d+) by (.+)", does):
            place = self._place(who, found[2])
            return core.Replace(
                account=who,
                order_id=int(found[1]),
                instrument=0,
                side=place.side,
                lots=place.lots,
                price_ticks=place.price_ticks,
                visible_lots=place.visible_lots,
            )
        if found := re.fullmatch(r"replace stop #(\d+) by (.+)", does):
            return core.ReplaceConditional(order_id=int(found[1]), by=self._stop(who, found[2]))
        return self._stop(who, does) if does.startswith("stop") else self._place(who, does)

    def _act_of_the_exchange(self, does: str) -> core.Command:
        if found := re.fullmatch(r"(\d+) s pass", does):
            self.at_ns += int(found[1]) * _SECOND
            return core.PassTime()
        if does == "day ends":
            return core.EndOfDay(day=1)
        band, is_open, auction = self.rules.price_band_ticks, True, None
        if found := re.fullmatch(r"limits ([\d.]+) to ([\d.]+)", does):
            band = (self._ticks(found[1]), self._ticks(found[2]))
        elif found := re.fullmatch(r"(opening|closing) auction", does):
            auction = core.Auction(found[1])
        elif does == "closes":
            is_open = False
        else:
            assert does == "continuous trading", does
        return core.SetRules(instrument=0, price_band_ticks=band, is_open=is_open, auction=auction)

    def _place(self, who: str, does: str) -> core.Place:
        found = _TERMS.fullmatch(does)
        assert found, does
        return core.Place(
            account=who,
            instrument=0,
            side=Side(found["side"]),
            lots=int(found["lots"]),
            price_ticks=None if found["price"] == "market" else self._ticks(found["price"]),
            time_in_force=TimeInForce(found["tif"] or "oneday"),
            visible_lots=None if found["visible"] is None else int(found["visible"]),
            visible_variance_percent=int(found["variance"] or 0),
            expires_at_ns=self._moment(found["until"]),
        )

    def _stop(self, who: str, does: str) -> core.PlaceConditional:
        found = _STOP.fullmatch(does)
        assert found, does
        return core.PlaceConditional(
            order=self._place(who, f"{found['side']} {found['lots']} at {found['price'] or 'market'}"),
            condition=Condition(found["condition"]),
            trigger_ticks=self._ticks(found["trigger"]),
            protecting_s=None if found["held"] is None else int(found["held"]),
            expires_at_ns=self._moment(found["until"]),
            is_active=not found["inactive"],
        )

    def _moment(self, seconds: str | None) -> int | None:
        return None if seconds is None else self.at_ns + int(seconds) * _SECOND

    def _ticks(self, price: str) -> int:
        return self.listed.ticks(Decimal(price))

    def _price(self, ticks: int) -> str:
        return f"{self.listed.price(ticks):.2f}"

    def _told(self, event: core.Event) -> str:
        match event:
            case core.OrderAccepted():
                return f"#{event.order_id} accepted"
            case core.OrderRejected(order_id=None) | core.CancelRejected() | core.GroupRejected():
                return f"refused {event.code:d}"
            case core.OrderRejected():
                return f"#{event.order_id} rejected {event.code:d}"
            case core.Traded():
                later, earlier = event.buy_order_id, event.sell_order_id
                if event.aggressor is Side.SELL:
                    later, earlier = earlier, later
                return f"#{later} trades {event.lots} at {self._price(event.price_ticks)} with #{earlier}"
            case core.OrderCancelled():
                by = "" if event.replaced_by is None else f" by #{event.replaced_by}"
                return f"#{event.order_id} cancelled, {event.remaining_lots} left: {event.cause}{by}"
            case core.ConditionalAccepted():
                return f"stop #{event.order_id} accepted"
            case core.ConditionalActivated():
                return f"stop #{event.order_id} active"
            case core.ConditionalFired():
                return f"stop #{event.order_id} fires #{event.placed_id}"
            case core.ConditionalCancelled():
                by = "" if event.replaced_by is None else f" by stop #{event.replaced_by}"
                return f"stop #{event.order_id} cancelled: {event.cause}{by}"
            case core.GroupMade():
                return f"group {event.group_id} made"
            case core.GroupEnded():
                return f"group {event.group_id} {event.status}"
            case core.RulesSet():
                return "rules set"
            case core.DayTurned():
                return "day turned"
        raise AssertionError(event)
