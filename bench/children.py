"""Child processes of a bench. Each has an owner that waits for it; none outlives the bench.

A child that serves stops when its standard input ends, so it goes even if its owner is killed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

__all__ = ["ChildError", "run", "serving"]

S = TypeVar("S", bound=msgspec.Struct)

ROOT = Path(__file__).parent.parent
STOP_TIMEOUT_S = 5.0


class ChildError(Exception):
    """A child did not do its work; the text says which and why."""


def run(module: str, argument: msgspec.Struct, answer: type[S], *, timeout_s: float) -> S:
    """Run a module to its end with one argument, as JSON, and return the JSON that it printed.

    Raises:
        ChildError: It failed, took too long or printed something else.
    """
    try:
        done = subprocess.run(
            _command(module, argument),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChildError(f"{module} was not ready within {timeout_s:g} s") from None
    if done.returncode != 0:
        raise ChildError(f"{module} failed: {_last_line(done.stderr) or f'status {done.returncode}'}")
    return _read(module, done.stdout, answer)


@contextmanager
def serving(module: str, argument: msgspec.Struct | None, answer: type[S]) -> Iterator[S]:
    """Keep a module running for the length of a block; give the line of JSON that it printed when ready.

    Raises:
        ChildError: It ended before it was ready.
    """
    with subprocess.Popen(
        _command(module, argument), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield _read(module, child.stdout.readline(), answer)
        finally:
            child.stdin.close()
            try:
                child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()


def _command(module: str, argument: msgspec.Struct | None) -> list[str]:
    arguments = [] if argument is None else [msgspec.json.encode(argument).decode()]
    return [sys.executable, "-m", module, *arguments]


def _read(module: str, printed: bytes, answer: type[S]) -> S:
    try:
        return msgspec.json.decode(printed, type=answer)
    except msgspec.DecodeError as error:
        raise ChildError(f"{module} printed no {answer.__name__}: {error}") from error


def _last_line(errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
