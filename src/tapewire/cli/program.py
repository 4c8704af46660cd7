"""Running one asynchronous command: signals, clean ends, one clear line for what went wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn

from tapewire.cli.plain_text import printable
from tapewire.client.errors import ArgumentError, LimitError, TapewireError

__all__ = ["MISUSE_STATUS", "fail", "run_program", "until_stopped"]

try:
    import uvloop
except ImportError:  # where uvloop does not exist, asyncio's own loop serves
    _run: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run
else:
    _run = uvloop.run

#: Expected errors: each ends the program with its one line. Those of the server are named by the commands.
_EXPECTED: tuple[type[BaseException], ...] = (TapewireError,)
#: What ends a program that was asked for what cannot be, as opposed to what has gone wrong.
MISUSE_STATUS = 2


def run_program(
    main: Coroutine[Any, Any, None],
    *expected: type[BaseException],
    misuse: tuple[type[BaseException], ...] = (),
) -> None:
    """Run a command to its end; an expected error becomes one line and a status.

    Args:
        main: The command.
        expected: Errors beside those of the client that end it with status 1.
        misuse: Errors that say that an option's value is bad, beside ``LimitError`` and ``ArgumentError``:
            status 2.
    """
    misuse = (LimitError, ArgumentError, *misuse)
    kinds = (*_EXPECTED, *expected, *misuse)
    try:
        _run(main)
    except BrokenPipeError:
        _forget_output()
    except KeyboardInterrupt:
        # Only before the command has put its own handlers in place.
        sys.exit(130)
    except kinds as error:
        fail(str(error), MISUSE_STATUS if isinstance(error, misuse) else 1)
    except BaseExceptionGroup as group:
        first = _first(group, kinds)
        if first is None:
            raise
        if not isinstance(first, BrokenPipeError):
            fail(str(first), MISUSE_STATUS if isinstance(first, misuse) else 1)
        _forget_output()


def fail(text: str, status: int = 1) -> NoReturn:
    """Say what went wrong in one line and end the program."""
    # The text may be the broker's: no second line of its own, and nothing that a terminal would obey.
    print(f"tapewire: {' '.join(printable(text).split())}", file=sys.stderr)
    sys.exit(status)


def _forget_output() -> None:
    """Whoever read our output has gone. Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def until_stopped(work: Awaitable[None]) -> None:
    """Do ``work`` until it ends or the program is asked to stop by SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            task.cancel()
            raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _first(
    group: BaseExceptionGroup[BaseException], kinds: tuple[type[BaseException], ...]
) -> BaseException | None:
    """Return the first expected error of a group, None if something in it was not expected."""
    found: BaseExceptionGroup[BaseException] | None
    rest: BaseExceptionGroup[BaseException] | None
    found, rest = group.split((*kinds, BrokenPipeError))
    if rest is not None or found is None:
        return None
    error: BaseException = found
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
