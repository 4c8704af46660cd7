"""``tapewire up`` and ``tapewire run``: a trading system on this machine."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Optional

import typer

from tapewire.cli.option_group import grouped
from tapewire.cli.program import MISUSE_STATUS, fail, run_program, until_stopped
from tapewire.configuration import ADMIN_TOKEN_VARIABLE
from tapewire.faults import Faults, FaultsError, read_faults_file
from tapewire.protocol.tokens import Secret

__all__ = ["run", "up"]

DEFAULT_PORT = 8700
#: By what power of two a unit of a size multiplies.
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30}
_SIZE_DIGITS_MAX = 15
_LIMITS, _OPERATION = "Limits", "Operation"

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
        rich_help_panel=_OPERATION,
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


class SystemOptions(NamedTuple):
    """What a trading system is like."""

    host: Host = "127.0.0.1"
    port: Port = DEFAULT_PORT
    data: Data = None
    journal_max: JournalMax = "1G"
    seed: Seed = 1
    symbols: Symbols = None
    events_per_second: EventsPerSecond = None
    speed: Speed = 1.0
    exchange_hours: Hours = False
    auctions: Auctions = False
    strict: Strict = False
    misuse_points: MisusePoints = None
    misuse_block: MisuseBlock = 7_200
    address_connections: AddressConnections = 1_000
    authorise_within: AuthoriseWithin = 60
    log_format: LogFormat = LogFormatName.TEXT
    log_level: Level = LogLevel.WARNING
    drain_seconds: DrainSeconds = 5
    admin_token: AdminToken = None
    faults: FaultsFile = None
    safety: Safety = False

    def settings(self) -> dict[str, Any]:
        """Return fields of the system's ``Settings``; an option that cannot be ends the program."""
        limits = {
            "misuse_points": self.misuse_points,
            "misuse_block_s": self.misuse_block,
            # On the command line 0 is none.
            "connections_per_address": self.address_connections or None,
            "authorise_within_s": self.authorise_within or None,
        }
        settings: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "data": self.data,
            "journal_bytes_max": _bytes(self.journal_max),
            "seed": self.seed,
            "symbols": self.symbols,
            "events_per_second": self.events_per_second,
            "speed": self.speed,
            "exchange_hours": self.exchange_hours,
            "auctions": self.auctions,
            "is_strict": self.strict,
            "drain_s": self.drain_seconds,
            "admin_token": Secret(self.admin_token) if self.admin_token else None,
            "safety": self.safety,
            "limits": limits,
        }
        if self.faults is not None:
            settings["faults"] = _read_faults(self.faults)
        return settings


@grouped
def up(options: SystemOptions) -> None:
    """Run a trading system on this machine. The first line says where it is, as JSON."""

    async def serve(system: Any) -> None:
        if sys.stderr.isatty():
            print(f"listening on {system.url}, WebSockets at /ws and /cws; Ctrl-C ends it", file=sys.stderr)
        await system.wait()

    # Each strike is a line unless another level was asked for; beside the live view of ``run`` there is no place.
    if options.log_level is LogLevel.WARNING:
        logging.getLogger("tapewire.faults").setLevel(logging.INFO)
    _serve(serve, options)


@grouped
def run(options: SystemOptions) -> None:
    """Run a trading system and watch a few instruments of it through the client."""

    async def show(system: Any) -> None:
        from tapewire.cli.run import run_system  # needs the server extra, which is looked for before this runs

        await run_system(system)

    _serve(show, options)


def _serve(serve: Callable[..., Awaitable[None]], options: SystemOptions) -> None:
    """Run a system until it is asked to stop."""
    settings = options.settings()
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

    write_logs(LogFormat(options.log_format.value), options.log_level.value)
    limits = Limits(**settings.pop("limits"))

    async def main() -> None:
        async with System(Settings(limits=limits, owns_process=True, **settings)) as system:
            print(json.dumps(system.ready_line()), flush=True)
            await serve(system)

    run_program(until_stopped(main()), StartError, RunError, misuse=(SettingsError,))


def _bytes(size: str) -> int:
    """Return the bytes that a size says: a whole number, or one with K, M, G behind it."""
    digits, unit = (size[:-1], size[-1].upper()) if size[-1:].isalpha() else (size, "")
    if not digits.isascii() or not digits.isdecimal() or unit not in _UNITS or len(digits) > _SIZE_DIGITS_MAX:
        fail(f"{size[:40]!r} is no size: write 512M or 4G", MISUSE_STATUS)
    return int(digits) << _UNITS[unit]


def _read_faults(path: Path) -> Faults:
    try:
        return read_faults_file(path)
    except FaultsError as error:
        fail(str(error), MISUSE_STATUS)
