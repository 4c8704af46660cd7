"""``tapewire portfolio``: what a portfolio is worth and holds."""

from __future__ import annotations

import sys
from typing import Annotated, Optional

import typer

from tapewire.cli.endpoint_options import BrokerOptions
from tapewire.cli.option_group import grouped
from tapewire.cli.output import Output
from tapewire.cli.program import run_program, until_stopped
from tapewire.client.broker import Broker
from tapewire.client.errors import ConfigurationError
from tapewire.connect import connect
from tapewire.model import Position, Summary
from tapewire.protocol.formats import codec, write_json
from tapewire.protocol.words import Format

__all__ = ["portfolio"]

Holding = tuple[str, Summary, list[Position]]


@grouped
def portfolio(
    to: BrokerOptions,
    names: Annotated[
        Optional[list[str]],  # noqa: UP045  (read by typer at run time)
        typer.Argument(metavar="[NAME]...", help="Default: all of the token."),
    ] = None,
) -> None:
    """Show what portfolios are worth and hold: tables on a terminal, one JSON object a line in a pipe."""
    arguments = to.arguments()

    async def main() -> None:
        async with connect(**arguments) as broker:
            found = [await _read(broker, name) for name in names or broker.portfolios]
        if not found:
            raise ConfigurationError("the token names no portfolio")
        await _show(found)

    run_program(until_stopped(main()))


async def _read(broker: Broker, name: str) -> Holding:
    account = broker.portfolio(name)
    return name, await account.summary(), await account.positions()


async def _show(found: list[Holding]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        from tapewire.cli.portfolio_table import portfolio_table

        console = Console()
        for holding in found:
            console.print(portfolio_table(*holding, console.width))
        return
    summary, position = codec(Summary, Format.SIMPLE).encode, codec(Position, Format.SIMPLE).encode
    lines = []
    for name, figures, rows in found:
        lines.append(b'{"record":"summary","portfolio":' + write_json(name) + b"," + summary(figures)[1:])
        lines += [b'{"record":"position",' + position(row)[1:] for row in rows]
    await Output().write(b"".join(line + b"\n" for line in lines))
