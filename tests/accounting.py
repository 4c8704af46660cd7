"""What tests of accounts share: an exchange whose orders pass through accounts, and instruments of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal

from tapewire.exchange import (
    Accounts,
    AccountTerms,
    Cancel,
    Cleared,
    CommissionRates,
    DayTurned,
    Evaluation,
    Event,
    Exchange,
    OrderAccepted,
    Place,
    Refusal,
    Traded,
)
from tapewire.market import BondTerms
from tapewire.model import Instrument, InstrumentKind, Side, TimeInForce
from trading import BUY, SELL, instrument

#: 2026-11-02, a Monday.
DAY = 20_759
MAKER = "~maker-1"
SHARE, BOND, PAIR, FUTURE, OPTION, PRIVATE = range(6)

BOND_TERMS = BondTerms(
    face_value=Decimal(1000), coupon=Decimal("35.40"), period_days=182, matures_on=date(2027, 5, 3)
)


def instruments() -> tuple[Instrument, ...]:
    """Return one of each kind: a share, a bond, a currency pair, a future, an option, a share on cash only."""
    rates = {
        "risk_rate_up": Decimal("0.25"),
        "risk_rate_down": Decimal("0.2"),
        "is_marginal": True,
        "is_short_sell_possible": True,
    }
    contract = rates | {
        "lot_size": 1,
        "tick_size": Decimal(1),
        "prev_close_ticks": 1000,
        "tick_value": Decimal("1.5"),
        "margin_buy": Decimal(200),
        "margin_sell": Decimal(300),
        "complex_product_category": "9",
    }
    return (
        instrument("SHARE", **rates),
        instrument(
            "BOND",
            **rates
            | {
                "kind": InstrumentKind.BOND,
                "lot_size": 1,
                "tick_size": Decimal("0.01"),
                "prev_close_ticks": 10_000,
                "price_band_ticks": (9_000, 11_000),
                "face_value": Decimal(1000),
                "price_multiplier": Decimal(10),
                "is_short_sell_possible": False,
            },
        ),
        instrument("CNYRUB_TOM", **rates | {"kind": InstrumentKind.CURRENCY, "lot_size": 1000}),
        instrument("FUT", kind=InstrumentKind.FUTURE, **contract),
        instrument("OPT", kind=InstrumentKind.OPTION, **contract),
        instrument("PRIVATE"),
    )


class Desk:
    """An exchange with accounts beside it and a participant who takes the other side. Prices last until told."""

    def __init__(
        self,
        *accounts: AccountTerms,
        listed: tuple[Instrument, ...] | None = None,
        bonds: Mapping[str, BondTerms] | None = None,
        day: int = DAY,
    ) -> None:
        self.listed = instruments() if listed is None else listed
        self.core = Exchange(self.listed)
        self.prices: list[int | None] = [listing.prev_close_ticks for listing in self.listed]
        self.accounts = Accounts(self.listed, accounts, self, day=day, bonds=bonds or {"BOND": BOND_TERMS})
        self.events: list[Event | Cleared | DayTurned] = []
        #: Called after each event with it.
        self.watch: Callable[[Event | Cleared | DayTurned], None] = lambda event: None

    def last_ticks(self, instrument: int) -> int | None:
        return self.prices[instrument]

    def place(
        self,
        account: str,
        side: Side,
        lots: int,
        price_ticks: int | None,
        *,
        instrument: int = SHARE,
        allow_margin: bool = False,
        time_in_force: TimeInForce = TimeInForce.ONE_DAY,
    ) -> Refusal | int:
        """Place an order as the exchange would, and return its number or why it was refused."""
        order = Place(
            account=account,
            instrument=instrument,
            side=side,
            lots=lots,
            price_ticks=price_ticks,
            allow_margin=allow_margin,
            time_in_force=time_in_force,
        )
        low, high = self.listed[instrument].price_band_ticks
        limit_ticks = (high if side is BUY else low) if price_ticks is None else price_ticks
        refusal = self.accounts.refusal(order, limit_ticks)
        if refusal is not None:
            return refusal
        events = self.core.apply(order, at_ns=0)
        accepted = events[0]
        assert isinstance(accepted, OrderAccepted)
        self._note(events)
        return accepted.order_id

    def cancel(self, account: str, order_id: int) -> None:
        self._note(self.core.apply(Cancel(account=account, order_id=order_id), at_ns=0))

    def trade(
        self,
        account: str,
        side: Side,
        lots: int,
        price_ticks: int,
        *,
        instrument: int = SHARE,
        allow_margin: bool = False,
    ) -> None:
        """Let an account trade at this price with the participant."""
        resting = self.place(MAKER, side.opposite, lots, price_ticks, instrument=instrument)
        order = self.place(account, side, lots, price_ticks, instrument=instrument, allow_margin=allow_margin)
        assert not isinstance(resting, Refusal)
        assert not isinstance(order, Refusal), order

    def clear(self, *settlement: int) -> None:
        self._note([Cleared(settlement_ticks=settlement or self.settlement(), at_ns=0)])

    def turn(self, days: int = 1, **changes: object) -> None:
        turned = {"day": self.accounts.day + days, "settlement_ticks": self.settlement(), "at_ns": 0}
        self._note([DayTurned(**turned | changes)])  # type: ignore[arg-type]

    def settlement(self) -> tuple[int, ...]:
        return tuple(
            terms.settlement_ticks if ticks is None else ticks
            for terms, ticks in zip(self.accounts.instruments, self.prices, strict=True)
        )

    def evaluation(self, name: str) -> Evaluation:
        return Evaluation(self.accounts, name)

    def _note(self, events: list[Event] | list[Cleared] | list[DayTurned]) -> None:
        for event in events:
            self.events.append(event)
            if isinstance(event, Traded):
                self.prices[event.instrument] = event.price_ticks
            self.accounts.apply(event)
            self.watch(event)


FREE = CommissionRates(shares=Decimal(0), bonds=Decimal(0), currencies=Decimal(0), contract=Decimal(0))


def opened(name: str, cash: int | str = 100_000, **changes: object) -> AccountTerms:
    """A portfolio that pays no commission, unless it is said."""
    terms: dict[str, object] = {"name": name, "cash": Decimal(cash), "commission": FREE}
    return AccountTerms(**terms | changes)  # type: ignore[arg-type]


__all__ = [
    "BOND",
    "BOND_TERMS",
    "BUY",
    "DAY",
    "FREE",
    "FUTURE",
    "MAKER",
    "OPTION",
    "PAIR",
    "PRIVATE",
    "SELL",
    "SHARE",
    "Desk",
    "instruments",
    "opened",
]
