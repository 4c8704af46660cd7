"""``tapewire order``: place, replace, cancel and list orders.

Statuses: 0 accepted, 1 nothing was sent or asked for, 2 a value that cannot be, 3 rejected or not done, 4 nobody
knows. Each is one line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Optional

import msgspec
import typer

from tapewire.cli.endpoint_options import Contour, ContourName, ProfileName, RefreshToken, Url, endpoints_of
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


@order.command("buy")
def buy(
    symbol: Symbol,
    lots: Lots,
    limit: Limit = None,
    stop: Stop = None,
    when: When = None,
    portfolio: PortfolioName = None,
    tif: Tif = None,
    comment: Comment = None,
    allow_margin: Margin = False,
    url: Url = None,
    contour: Contour = None,
    profile: ProfileName = None,
    refresh_token: RefreshToken = None,
) -> None:
    """Buy: at the market, or as --limit and --stop say."""
    place = _placing(Side.BUY, symbol, lots, limit, stop, when, portfolio, tif, comment, allow_margin)
    _carry_out(place, url, contour, profile, refresh_token)


@order.command("sell")
def sell(
    symbol: Symbol,
    lots: Lots,
    limit: Limit = None,
    stop: Stop = None,
    when: When = None,
    portfolio: PortfolioName = None,
    tif: Tif = None,
    comment: Comment = None,
    allow_margin: Margin = False,
    url: Url = None,
    contour: Contour = None,
    profile: ProfileName = None,
    refresh_token: RefreshToken = None,
) -> None:
    """Sell: at the market, or as --limit and --stop say."""
    place = _placing(Side.SELL, symbol, lots, limit, stop, when, portfolio, tif, comment, allow_margin)
    _carry_out(place, url, contour, profile, refresh_token)


@order.command("replace")
def replace(
    number: Number,
    price: Annotated[Optional[Decimal], typer.Option(parser=_price, help="New price.")] = None,  # noqa: UP045
    lots: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Size of the new order. Default: what is not filled."),
    ] = None,
    stop: Annotated[Optional[Decimal], typer.Option(parser=_price, help="New trigger price.")] = None,  # noqa: UP045
    portfolio: PortfolioName = None,
    url: Url = None,
    contour: Contour = None,
    profile: ProfileName = None,
    refresh_token: RefreshToken = None,
) -> None:
    """Put an order in the place of another. It has a new number."""

    async def send(broker: Broker) -> CommandResult:
        return await broker.orders.replace(number, lots=lots, price=price, trigger_price=stop, portfolio=portfolio)

    _carry_out(send, url, contour, profile, refresh_token)


@order.command("cancel")
def cancel(
    number: Number,
    portfolio: PortfolioName = None,
    url: Url = None,
    contour: Contour = None,
    profile: ProfileName = None,
    refresh_token: RefreshToken = None,
) -> None:
    """Cancel an order."""

    async def send(broker: Broker) -> CommandResult:
        return await broker.orders.cancel(number, portfolio=portfolio)

    _carry_out(send, url, contour, profile, refresh_token)


@order.command("list")
def list_orders(
    all_: Annotated[bool, typer.Option("--all", help="Also those that have ended today.")] = False,
    portfolio: PortfolioName = None,
    url: Url = None,
    contour: Contour = None,
    profile: ProfileName = None,
    refresh_token: RefreshToken = None,
) -> None:
    """List working orders: a table on a terminal, one JSON object a line in a pipe."""
    endpoints = endpoints_of(url, contour, profile)

    async def main() -> None:
        async with connect(refresh_token=refresh_token, endpoints=endpoints, profile=profile) as broker:
            rows = await broker.orders.list(portfolio)
        await _show([row for row in rows if all_ or row.status == OrderStatus.WORKING])

    run_program(until_stopped(main()))


def _placing(
    side: Side,
    symbol: str,
    lots: int,
    limit: Decimal | None,
    stop: Decimal | None,
    when: str | None,
    portfolio: str | None,
    tif: str | None,
    comment: str | None,
    allow_margin: bool,
) -> Callable[[Broker], Awaitable[CommandResult]]:
    """Return what places the order that the options describe."""
    ticker, _, board = symbol.partition("@")
    if when is not None and stop is None:
        fail("--when needs --stop", MISUSE_STATUS)
    if tif is not None and not TimeInForce(tif).known:
        fail(f"--tif: {tif!r} is no time in force: {', '.join(TimeInForce)}", MISUSE_STATUS)
    if when is not None and not Condition(when).known:
        fail(f"--when: {when!r} is no condition: {', '.join(Condition)}", MISUSE_STATUS)
    if tif is not None and stop is not None and limit is None:
        fail("--tif means nothing to an order that becomes one at the market", MISUSE_STATUS)

    async def send(broker: Broker) -> CommandResult:
        orders = broker.orders
        if stop is not None and limit is not None:
            return await orders.stop_limit(
                ticker,
                side,
                lots=lots,
                trigger_price=stop,
                price=limit,
                condition=when,
                portfolio=portfolio,
                board=board,
                time_in_force=tif,
                comment=comment,
                allow_margin=allow_margin,
            )
        if stop is not None:
            return await orders.stop(
                ticker,
                side,
                lots=lots,
                trigger_price=stop,
                condition=when,
                portfolio=portfolio,
                board=board,
                comment=comment,
                allow_margin=allow_margin,
            )
        if limit is not None:
            return await orders.limit(
                ticker,
                side,
                lots=lots,
                price=limit,
                portfolio=portfolio,
                board=board,
                time_in_force=tif,
                comment=comment,
                allow_margin=allow_margin,
            )
        return await orders.market(
            ticker,
            side,
            lots=lots,
            portfolio=portfolio,
            board=board,
            time_in_force=tif,
            comment=comment,
            allow_margin=allow_margin,
        )

    return send


def _carry_out(
    send: Callable[[Broker], Awaitable[CommandResult]],
    url: str | None,
    contour: ContourName | None,
    profile: str | None,
    refresh_token: str | None,
) -> None:
    """Send one command and say how it ended, by a line and a status."""
    endpoints = endpoints_of(url, contour, profile)
    ends: list[Resolution] = []

    async def main() -> None:
        async with connect(refresh_token=refresh_token, endpoints=endpoints, profile=profile) as broker:
            ends.append(await send(broker))
            if isinstance(ends[0], Unknown):
                try:
                    ends.append(await ends[0].resolve())
                except TapewireError as error:
                    ends.append(Unknown(ends[0].guid, f"{ends[0].why}; {error}"))
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
