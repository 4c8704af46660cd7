"""``tapewire order``: place, replace, cancel and list orders.

Statuses: 0 accepted, 1 nothing was sent or asked for, 2 a value that cannot be, 3 rejected or not done, 4 nobody
knows. Each is one line.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, NamedTuple, Optional, TypedDict

import msgspec
import typer

from tapewire.cli.endpoint_options import BrokerOptions
from tapewire.cli.option_group import grouped
from tapewire.cli.output import Output
from tapewire.cli.program import MISUSE_STATUS, fail, run_program, until_stopped
from tapewire.client.broker import Broker
from tapewire.client.command_result import (
    Accepted,
    CommandResult,
    NotDone,
    Rejected,
    Resolution,
    Unknown,
)
from tapewire.client.errors import InvalidOrderError, TapewireError
from tapewire.client.orders import Orders
from tapewire.connect import connect
from tapewire.model import Condition, Order, OrderStatus, Side, StopOrder, TimeInForce
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

__all__ = ["REJECTED_STATUS", "UNKNOWN_STATUS", "order", "report"]

REJECTED_STATUS = 3
UNKNOWN_STATUS = 4

order = typer.Typer(help="Place, replace, cancel and list orders.", no_args_is_help=True, add_completion=False)


def _price(text: str | Decimal) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no price") from None


Symbol = Annotated[str, typer.Argument(help="Ticker: SBER. With its board: SBER@SMAL.")]
Lots = Annotated[int, typer.Argument(min=1, help="Whole lots.")]
Limit = Annotated[
    Optional[Decimal],  # noqa: UP045  (read by typer at run time)
    typer.Option("--limit", parser=_price, metavar="PRICE", help="Of a limit order. Default: at the market."),
]
Stop = Annotated[
    Optional[Decimal],  # noqa: UP045
    typer.Option("--stop", parser=_price, metavar="PRICE", help="Wait at the broker until the price is there."),
]
When = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="With --stop: more, less, moreorequal, lessorequal. Default: as a stop-loss."),
]
Tif = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Time in force: oneday, immediateorcancel, fillorkill, bookorcancel, …"),
]
PortfolioName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--portfolio", help="Whose. Default: the token's only one that fits."),
]
Comment = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Kept with the order. Default: the client's mark, by which it finds the order."),
]
Margin = Annotated[bool, typer.Option("--allow-margin", help="The position may become uncovered.")]
Number = Annotated[str, typer.Argument(help="Number of the order.")]


class Terms(NamedTuple):
    """What an order is to be."""

    symbol: Symbol
    lots: Lots
    limit: Limit = None
    stop: Stop = None
    when: When = None
    portfolio: PortfolioName = None
    tif: Tif = None
    comment: Comment = None
    allow_margin: Margin = False

    def check(self) -> None:
        """End the program if the options do not go together."""
        if self.when is not None and self.stop is None:
            fail("--when needs --stop", MISUSE_STATUS)
        if self.tif is not None and not TimeInForce(self.tif).known:
            fail(f"--tif: {self.tif!r} is no time in force: {', '.join(TimeInForce)}", MISUSE_STATUS)
        if self.when is not None and not Condition(self.when).known:
            fail(f"--when: {self.when!r} is no condition: {', '.join(Condition)}", MISUSE_STATUS)
        if self.tif is not None and self.stop is not None and self.limit is None:
            fail("--tif means nothing to an order that becomes one at the market", MISUSE_STATUS)

    async def place(self, orders: Orders, side: Side) -> CommandResult:
        """Place the order."""
        ticker, _, board = self.symbol.partition("@")
        common: _Common = {
            "lots": self.lots,
            "portfolio": self.portfolio,
            "board": board,
            "comment": self.comment,
            "allow_margin": self.allow_margin,
        }
        if self.stop is not None and self.limit is not None:
            return await orders.stop_limit(
                ticker,
                side,
                trigger_price=self.stop,
                price=self.limit,
                condition=self.when,
                time_in_force=self.tif,
                **common,
            )
        if self.stop is not None:
            return await orders.stop(ticker, side, trigger_price=self.stop, condition=self.when, **common)
        if self.limit is not None:
            return await orders.limit(ticker, side, price=self.limit, time_in_force=self.tif, **common)
        return await orders.market(ticker, side, time_in_force=self.tif, **common)


class _Common(TypedDict):
    """What all kinds of order have."""

    lots: int
    portfolio: str | None
    board: str
    comment: str | None
    allow_margin: bool


@order.command("buy")
@grouped
def buy(terms: Terms, to: BrokerOptions) -> None:
    """Buy: at the market, or as --limit and --stop say."""
    _place(Side.BUY, terms, to)


@order.command("sell")
@grouped
def sell(terms: Terms, to: BrokerOptions) -> None:
    """Sell: at the market, or as --limit and --stop say."""
    _place(Side.SELL, terms, to)


@order.command("replace")
@grouped
def replace(
    number: Number,
    to: BrokerOptions,
    price: Annotated[Optional[Decimal], typer.Option(parser=_price, help="New price.")] = None,  # noqa: UP045
    lots: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Size of the new order. Default: what is not filled."),
    ] = None,
    stop: Annotated[Optional[Decimal], typer.Option(parser=_price, help="New trigger price.")] = None,  # noqa: UP045
    portfolio: PortfolioName = None,
) -> None:
    """Put an order in the place of another. It has a new number."""

    async def send(broker: Broker) -> CommandResult:
        return await broker.orders.replace(number, lots=lots, price=price, trigger_price=stop, portfolio=portfolio)

    _carry_out(send, to)


@order.command("cancel")
@grouped
def cancel(
    number: Number,
    to: BrokerOptions,
    portfolio: PortfolioName = None,
) -> None:
    """Cancel an order."""

    async def send(broker: Broker) -> CommandResult:
        return await broker.orders.cancel(number, portfolio=portfolio)

    _carry_out(send, to)


@order.command("list")
@grouped
def list_orders(
    to: BrokerOptions,
    all_: Annotated[bool, typer.Option("--all", help="Also those that have ended today.")] = False,
    portfolio: PortfolioName = None,
) -> None:
    """List working orders: a table on a terminal, one JSON object a line in a pipe."""
    arguments = to.arguments()

    async def main() -> None:
        async with connect(**arguments) as broker:
            rows = await broker.orders.list(portfolio)
        await _show([row for row in rows if all_ or row.status == OrderStatus.WORKING])

    run_program(until_stopped(main()))


def _place(side: Side, terms: Terms, to: BrokerOptions) -> None:
    terms.check()
    _carry_out(lambda broker: terms.place(broker.orders, side), to)


def _carry_out(send: Callable[[Broker], Awaitable[CommandResult]], to: BrokerOptions) -> None:
    """Send one command and say how it ended, by a line and a status."""
    arguments = to.arguments()
    ends: list[Resolution] = []

    async def main() -> None:
        async with connect(**arguments) as broker:
            ends.append(await send(broker))
            if isinstance(ends[0], Unknown):
                try:
                    ends.append(await ends[0].resolve())
                except TapewireError as error:
                    ends.append(dataclasses.replace(ends[0], why=f"{ends[0].why}; {error}"))
        if isinstance(ends[-1], Accepted):
            await Output().write(_line(ends[-1]).encode() + b"\n")

    run_program(until_stopped(main()), misuse=(InvalidOrderError,))
    report(ends)


def report(ends: Sequence[Resolution]) -> None:
    """End the program with what is said of a command that was not accepted; no end: the program was stopped."""
    match ends:
        case [*_, Rejected() as rejected]:
            fail(str(rejected), REJECTED_STATUS)
        case [*_, NotDone(reason=reason)]:
            fail(f"not done: {reason}", REJECTED_STATUS)
        case [*_, Unknown() as unknown]:
            fail(f"{unknown}; see `tapewire order list --all`", UNKNOWN_STATUS)
        case []:
            # Stopped by a signal while the command was on its way.
            fail("stopped before the outcome was known; see `tapewire order list --all`", UNKNOWN_STATUS)


def _line(accepted: Accepted) -> str:
    ticket = accepted.order
    if sys.stdout.isatty():
        return f"accepted: {ticket}"
    told = {
        "result": "accepted",
        "order_number": ticket.number,
        "type": str(ticket.type),
        "portfolio": ticket.portfolio,
        "exchange": str(ticket.exchange),
    }
    if ticket.replaced_number is not None:
        told["replaced_number"] = ticket.replaced_number
    return json.dumps(told)


async def _show(rows: Sequence[Order | StopOrder]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        from tapewire.cli.order_table import order_table

        console = Console()
        console.print(order_table(rows, console.width))
        return
    lines = []
    for row in rows:
        kind = "conditional" if isinstance(row, StopOrder) else "direct"
        encoded = (
            codec(StopOrder, Format.SIMPLE).encode(row)
            if isinstance(row, StopOrder)
            else codec(Order, Format.SIMPLE).encode(row)
        )
        lines.append(b'{"kind":' + msgspec.json.encode(kind) + b"," + encoded[1:] + b"\n")
    await Output().write(b"".join(lines))
