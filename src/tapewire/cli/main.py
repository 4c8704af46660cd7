"""The command ``tapewire``."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any, Optional

from tapewire import __version__
from tapewire.cli.program import MISUSE_STATUS, fail, run_program, until_stopped

try:
    import typer
    from typer.core import TyperGroup
except ImportError:  # the command is installed with the SDK, its libraries with the extra
    print("tapewire: the command line needs an extra: pip install 'tapewire[terminal]'", file=sys.stderr)
    sys.exit(1)

from tapewire.cli.endpoint_options import BrokerOptions, CaFile, Proxy, Url, check_url
from tapewire.cli.journal import journal
from tapewire.cli.option_group import grouped
from tapewire.cli.order import order
from tapewire.cli.portfolio import portfolio
from tapewire.cli.profile import profile as profiles
from tapewire.cli.streams import StreamName, StreamOptions
from tapewire.cli.system import run, up
from tapewire.cli.user import user
from tapewire.configuration import ADMIN_TOKEN_VARIABLE
from tapewire.connect import connect
from tapewire.protocol.words import Format

__all__ = ["main"]


class _Commands(TyperGroup):
    """The commands; what is wrong with an option is said in words for people."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            # How the library that converts values begins: it means nothing to whoever typed them.
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    cls=_Commands,
    help="The ALOR Broker WebSocket API, both ends of the wire. Not affiliated with ALOR.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(journal, name="journal")
app.add_typer(user, name="user")
app.add_typer(order, name="order")
app.add_typer(profiles, name="profile")
app.command()(up)
app.command()(run)
app.command()(portfolio)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"tapewire {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """The ALOR Broker WebSocket API, both ends of the wire. Not affiliated with ALOR."""


@app.command()
@grouped
def watch(
    streams: Annotated[
        list[str],
        typer.Argument(
            help="book:SBER, quotes:GAZP, trades:LKOH@TQBR, bars:SBER:5m, clusters:SBER:1m, instrument:SBER; of a"
            " portfolio orders:D70001, stop-orders, fills, positions, summary, risk, derivatives-risk,"
            " legacy-stop-orders"
        ),
    ],
    to: BrokerOptions,
    format: Annotated[Optional[str], typer.Option(help="Simple, Slim or Heavy.")] = None,  # noqa: A002, UP045
    depth: Annotated[Optional[int], typer.Option(help="Levels of a book, past trades, bars or clusters.")] = None,  # noqa: UP045
    frequency: Annotated[Optional[int], typer.Option(min=0, help="Width of the window, ms.")] = None,  # noqa: UP045
    count: Annotated[Optional[int], typer.Option(min=1, help="Lines to write, then end.")] = None,  # noqa: UP045
) -> None:
    """Watch streams: a live view on a terminal, one JSON object a line in a pipe."""
    from tapewire.cli.watch import show, write_lines

    try:
        names = [StreamName.parse(text) for text in streams]
    except ValueError as error:
        fail(str(error), MISUSE_STATUS)
    chosen = Format(format) if format is not None else None
    if chosen is not None and not chosen.known:
        fail(f"{format!r} is no format: Simple, Slim or Heavy", MISUSE_STATUS)
    options = StreamOptions(format=chosen, depth=depth, frequency_ms=frequency)
    arguments = to.arguments()

    async def main() -> None:
        async with connect(**arguments) as broker:
            if sys.stdout.isatty() and count is None:
                await show(broker, names, options)
            else:
                await write_lines(broker, names, options, count)

    run_program(until_stopped(main()))


@app.command()
@grouped
def token(to: BrokerOptions) -> None:
    """Print an access token, good for half an hour."""
    from tapewire.connect import fetch_token

    arguments = to.arguments()

    async def main() -> None:
        print(await fetch_token(**arguments))

    run_program(until_stopped(main()))


@app.command()
def sessions(
    url: Url = None,
    admin_token: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help=f"Admin token. Better ${ADMIN_TOKEN_VARIABLE}: options are seen by other users."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second.")] = False,
    end: Annotated[Optional[str], typer.Option(metavar="ID", help="End this session.")] = None,  # noqa: UP045
    proxy: Proxy = None,
    ca_file: CaFile = None,
) -> None:
    """Show who is connected to a system: tables on a terminal, one JSON object a line in a pipe."""
    from tapewire.cli.sessions import show_sessions
    from tapewire.connect import admin

    check_url(url)

    async def main() -> None:
        async with admin(url, admin_token=admin_token, proxy=proxy, ca_file=ca_file) as operator:
            if end is not None:
                await operator.end(end)
            else:
                await show_sessions(operator, is_watching=watch)

    run_program(until_stopped(main()))


@app.command()
@grouped
def symbols(
    to: BrokerOptions,
    query: Annotated[str, typer.Argument(help="Part of a symbol or of a name. Default: all.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the most traded first.")] = 100,
) -> None:
    """List instruments: a table on a terminal, one JSON object a line in a pipe."""
    from tapewire.cli.symbols import show_symbols
    from tapewire.connect import fetch_securities

    arguments = to.arguments()

    async def main() -> None:
        await show_symbols(await fetch_securities(query, limit=limit, **arguments), query)

    run_program(until_stopped(main()))


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    app()


if __name__ == "__main__":
    main()
