"""The command ``tapewire``."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Optional

from tapewire import __version__
from tapewire.cli.program import MISUSE_STATUS, fail, run_program, until_stopped

try:
    import typer
    from typer.core import TyperGroup
except ImportError:  # the command is installed with the SDK, its libraries with the extra
    print("tapewire: the command line needs an extra: pip install 'tapewire[terminal]'", file=sys.stderr)
    sys.exit(1)

from tapewire.cli.endpoint_options import Contour, ProfileName, RefreshToken, Url, endpoints_of
from tapewire.cli.journal import journal
from tapewire.cli.order import order
from tapewire.cli.portfolio import portfolio
from tapewire.cli.profile import profile as profiles
from tapewire.cli.streams import StreamName, StreamOptions
from tapewire.cli.user import user
from tapewire.configuration import ADMIN_TOKEN_VARIABLE
from tapewire.connect import connect
from tapewire.faults import Faults, FaultsError, read_faults_file
from tapewire.protocol.tokens import Secret
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


Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port for HTTP and WebSocket; 0: a free one.")]
Data = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="Folder for what must outlive the system. Without it nothing does."),
]
Seed = Annotated[int, typer.Option(help="Decides all that the market does.")]
JournalMax = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="What the journal of --data may take on the disk: 512M, 4G.",
        rich_help_panel="Operation",
    ),
]
Symbols = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="How many instruments are traded. Default: all."),
]
EventsPerSecond = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        min=1, max=5_000, help="Market events a second, all instruments together. Default: as in the real market."
    ),
]
Speed = Annotated[
    float, typer.Option(min=0.01, max=100.0, help="How much faster than the real market the events come.")
]
Hours = Annotated[
    bool,
    typer.Option("--exchange-hours", help="Trade in the sessions of the exchange, not around the clock."),
]
Auctions = Annotated[
    bool,
    typer.Option("--auctions", help="Open and close shares with auctions; only with --exchange-hours."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Count every message toward the cut at 5,000; states are not conflated.")
]
Safety = Annotated[
    bool,
    typer.Option(
        "--safety", help="Let programs ask that orders do not outlive their connection (docs/safety.md)."
    ),
]
FaultsFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--faults", help="File of faults to commit (docs/faults.md)."),
]
DEFAULT_PORT = 8700
#: By what power of two a unit of a size multiplies.
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30}
_SIZE_DIGITS_MAX = 15
_LIMITS, _OPERATION = "Limits", "Operation"
MisusePoints = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        min=1, help="Misuse points of an hour that block a login. Default: no score.", rich_help_panel=_LIMITS
    ),
]
MisuseBlock = Annotated[
    float,
    typer.Option("--misuse-block-seconds", min=1, help="How long it is blocked then.", rich_help_panel=_LIMITS),
]
AddressConnections = Annotated[
    int,
    typer.Option(
        "--connections-per-address", min=0, help="WebSockets of one address; 0: any.", rich_help_panel=_LIMITS
    ),
]
AuthoriseWithin = Annotated[
    float,
    typer.Option(
        "--authorise-seconds",
        min=0,
        help="When a connection without a good token is ended; 0: never.",
        rich_help_panel=_LIMITS,
    ),
]


class LogFormatName(Enum):
    TEXT = "text"
    JSON = "json"


class LogLevel(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


LogFormat = Annotated[
    LogFormatName, typer.Option(help="Of the log, on standard error.", rich_help_panel=_OPERATION)
]
Level = Annotated[
    LogLevel, typer.Option("--log-level", help="The least that is logged.", rich_help_panel=_OPERATION)
]
DrainSeconds = Annotated[
    float,
    typer.Option(min=0, help="How long readers may take what is theirs at the end.", rich_help_panel=_OPERATION),
]
AdminToken = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        help=f"Opens /admin and /metrics. Better ${ADMIN_TOKEN_VARIABLE}. Default: a new one.",
        rich_help_panel=_OPERATION,
    ),
]


@app.command()
def up(
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    data: Data = None,
    journal_max: JournalMax = "1G",
    seed: Seed = 1,
    symbols: Symbols = None,
    events_per_second: EventsPerSecond = None,
    speed: Speed = 1.0,
    exchange_hours: Hours = False,
    auctions: Auctions = False,
    strict: Strict = False,
    misuse_points: MisusePoints = None,
    misuse_block: MisuseBlock = 7_200,
    address_connections: AddressConnections = 1_000,
    authorise_within: AuthoriseWithin = 60,
    log_format: LogFormat = LogFormatName.TEXT,
    log_level: Level = LogLevel.WARNING,
    drain_seconds: DrainSeconds = 5,
    admin_token: AdminToken = None,
    faults: FaultsFile = None,
    safety: Safety = False,
) -> None:
    """Run a trading system on this machine. The first line says where it is, as JSON."""

    async def serve(system: Any) -> None:
        if sys.stderr.isatty():
            print(f"listening on {system.url}, WebSockets at /ws and /cws; Ctrl-C ends it", file=sys.stderr)
        await system.wait()

    # Each strike is a line unless another level was asked for; beside the live view of ``run`` there is no place.
    if log_level is LogLevel.WARNING:
        logging.getLogger("tapewire.faults").setLevel(logging.INFO)
    _run_system(
        serve,
        host=host,
        port=port,
        data=data,
        journal_bytes_max=_bytes(journal_max),
        seed=seed,
        symbols=symbols,
        events_per_second=events_per_second,
        speed=speed,
        exchange_hours=exchange_hours,
        auctions=auctions,
        is_strict=strict,
        drain_s=drain_seconds,
        admin_token=Secret(admin_token) if admin_token else None,
        limits=_limits(misuse_points, misuse_block, address_connections, authorise_within),
        logs=(log_format.value, log_level.value),
        faults=faults,
        safety=safety,
    )


@app.command()
def run(
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    data: Data = None,
    journal_max: JournalMax = "1G",
    seed: Seed = 1,
    symbols: Symbols = None,
    events_per_second: EventsPerSecond = None,
    speed: Speed = 1.0,
    exchange_hours: Hours = False,
    auctions: Auctions = False,
    strict: Strict = False,
    misuse_points: MisusePoints = None,
    misuse_block: MisuseBlock = 7_200,
    address_connections: AddressConnections = 1_000,
    authorise_within: AuthoriseWithin = 60,
    log_format: LogFormat = LogFormatName.TEXT,
    log_level: Level = LogLevel.WARNING,
    drain_seconds: DrainSeconds = 5,
    admin_token: AdminToken = None,
    faults: FaultsFile = None,
    safety: Safety = False,
) -> None:
    """Run a trading system and watch a few instruments of it through the client."""

    async def show(system: Any) -> None:
        from tapewire.cli.run import run_system  # needs the server extra, which is looked for before this runs

        await run_system(system)

    _run_system(
        show,
        host=host,
        port=port,
        data=data,
        journal_bytes_max=_bytes(journal_max),
        seed=seed,
        symbols=symbols,
        events_per_second=events_per_second,
        speed=speed,
        exchange_hours=exchange_hours,
        auctions=auctions,
        is_strict=strict,
        drain_s=drain_seconds,
        admin_token=Secret(admin_token) if admin_token else None,
        limits=_limits(misuse_points, misuse_block, address_connections, authorise_within),
        logs=(log_format.value, log_level.value),
        faults=faults,
        safety=safety,
    )


@app.command()
def watch(
    streams: Annotated[list[str], typer.Argument(help="book:SBER, quotes:GAZP, trades:LKOH, trades:SBER@TQBR")],
    format: Annotated[Optional[str], typer.Option(help="Simple, Slim or Heavy.")] = None,  # noqa: A002, UP045
    depth: Annotated[Optional[int], typer.Option(help="Levels of a book, past trades of a tape.")] = None,  # noqa: UP045
    frequency: Annotated[Optional[int], typer.Option(min=0, help="Width of the window, ms.")] = None,  # noqa: UP045
    count: Annotated[Optional[int], typer.Option(min=1, help="Lines to write, then end.")] = None,  # noqa: UP045
    url: Url = None,
    contour: Contour = None,
    profile: ProfileName = None,
    refresh_token: RefreshToken = None,
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
    endpoints = endpoints_of(url, contour, profile)

    async def main() -> None:
        async with connect(refresh_token=refresh_token, endpoints=endpoints, profile=profile) as broker:
            if sys.stdout.isatty() and count is None:
                await show(broker, names, options)
            else:
                await write_lines(broker, names, options, count)

    run_program(until_stopped(main()))


@app.command()
def token(
    url: Url = None, contour: Contour = None, profile: ProfileName = None, refresh_token: RefreshToken = None
) -> None:
    """Print an access token, good for half an hour."""
    from tapewire.connect import fetch_token

    endpoints = endpoints_of(url, contour, profile)

    async def main() -> None:
        print(await fetch_token(refresh_token=refresh_token, endpoints=endpoints, profile=profile))

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
) -> None:
    """Show who is connected to a system: tables on a terminal, one JSON object a line in a pipe."""
    from tapewire.cli.sessions import show_sessions
    from tapewire.connect import admin

    endpoints_of(url, None)

    async def main() -> None:
        async with admin(url, admin_token=admin_token) as operator:
            if end is not None:
                await operator.end(end)
            else:
                await show_sessions(operator, is_watching=watch)

    run_program(until_stopped(main()))


@app.command()
def symbols(
    query: Annotated[str, typer.Argument(help="Part of a symbol or of a name. Default: all.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the most traded first.")] = 100,
    url: Url = None,
    contour: Contour = None,
    profile: ProfileName = None,
    refresh_token: RefreshToken = None,
) -> None:
    """List instruments: a table on a terminal, one JSON object a line in a pipe."""
    from tapewire.cli.symbols import show_symbols
    from tapewire.connect import fetch_securities

    endpoints = endpoints_of(url, contour, profile)

    async def main() -> None:
        await show_symbols(
            await fetch_securities(
                query, limit=limit, refresh_token=refresh_token, endpoints=endpoints, profile=profile
            )
        )

    run_program(until_stopped(main()))


def _limits(
    misuse_points: int | None, misuse_block: float, address_connections: int, authorise_within: float
) -> dict[str, Any]:
    """Return the limits that have options; on the command line 0 is none."""
    return {
        "misuse_points": misuse_points,
        "misuse_block_s": misuse_block,
        "connections_per_address": address_connections or None,
        "authorise_within_s": authorise_within or None,
    }


def _bytes(size: str) -> int:
    """Return the bytes that a size says: a whole number, or one with K, M, G behind it."""
    digits, unit = (size[:-1], size[-1].upper()) if size[-1:].isalpha() else (size, "")
    if not digits.isascii() or not digits.isdecimal() or unit not in _UNITS or len(digits) > _SIZE_DIGITS_MAX:
        fail(f"{size[:40]!r} is no size: write 512M or 4G", MISUSE_STATUS)
    return int(digits) << _UNITS[unit]


def _run_system(
    serve: Callable[..., Awaitable[None]],
    *,
    faults: Path | None,
    limits: dict[str, Any],
    logs: tuple[str, str],
    **settings: Any,
) -> None:
    """Run a system with the fields of its ``Settings`` until it is asked to stop."""
    if faults is not None:
        settings["faults"] = _read_faults(faults)
    try:
        from tapewire.app import (
            Limits,
            LogFormat,
            RunError,
            Settings,
            SettingsError,
            StartError,
            System,
            write_logs,
        )
    except ImportError as error:
        fail(f"the trading system needs an extra: pip install 'tapewire[server]' ({error.name} is missing)")

    write_logs(LogFormat(logs[0]), logs[1])

    async def main() -> None:
        async with System(Settings(limits=Limits(**limits), owns_process=True, **settings)) as system:
            print(json.dumps(system.ready_line()), flush=True)
            await serve(system)

    run_program(until_stopped(main()), StartError, RunError, misuse=(SettingsError,))


def _read_faults(path: Path) -> Faults:
    try:
        return read_faults_file(path)
    except FaultsError as error:
        fail(str(error), MISUSE_STATUS)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    app()


if __name__ == "__main__":
    main()
