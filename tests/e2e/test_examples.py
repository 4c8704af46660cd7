"""The examples and the program of the README as they stand, beside a running system."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Bound of every wait; nothing here takes a quarter of it.
DEADLINE_S = 20.0

#: What each program prints, as one line; for those that take symbols, more than one of them is tried.
_AMOUNT = r"\d+ @ [\d.]+"
_HOLDS = r"D70001 holds [\d.]+ (RUB|lots of \w+)"
_HELD = r"\w+ holds [\d.]+ of \w+"
_STEP = r"placed: limit order \d+ of D70001 buy 1 (SBER|GAZP) at [\d.]+"
_AVERAGE = r"[\d.]+ over \d+ minutes"
PROGRAMS = {
    "average.py": [([], rf"SBER: {_AVERAGE}"), (["GAZP"], rf"GAZP: {_AVERAGE}")],
    "best_prices.py": [
        ([], rf"SBER: {_AMOUNT}  \|  {_AMOUNT}"),
        (["GAZP"], rf"GAZP: {_AMOUNT}  \|  {_AMOUNT}"),
    ],
    "tape_volume.py": [
        ([], r"SBER \+\d+ -\d+   GAZP \+\d+ -\d+   LKOH \+\d+ -\d+"),
        (["LKOH"], r"LKOH \+\d+ -\d+"),
    ],
    "positions.py": [
        ([], rf"{_HELD}|SBER: [\d.]+ to [\d.]+"),
        (["GAZP"], rf"{_HELD}|GAZP: [\d.]+ to [\d.]+"),
    ],
    "trade.py": [
        ([], rf"{_HOLDS}|{_STEP}"),
        (["GAZP"], rf"{_HOLDS}|{_STEP}"),
    ],
    "README.md": [([], r"SBER (buy|sell) \d+ lots at [\d.]+")],
}
EXAMPLES = [name for name in PROGRAMS if name.endswith(".py")]
WRONG = [
    ("average.py", ["NOPE"]),
    ("best_prices.py", ["NOPE"]),
    ("tape_volume.py", ["NOPE"]),
    ("tape_volume.py", ["SBER", "NOPE", "NADA"]),
]


class Machine:
    """A machine of its own, with a system that runs on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        # Pipes are given out line by line only by programs that ask for it: the README's need not.
        self._environment = inherited | {"XDG_RUNTIME_DIR": str(folder), "PYTHONUNBUFFERED": "1"}

    @asynccontextmanager
    async def running(
        self, *command: str | Path, stdout: int = asyncio.subprocess.PIPE
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            # Reads what is left and closes the pipes.
            await process.communicate()

    @asynccontextmanager
    async def program(
        self, name: str, *arguments: str, stdout: int = asyncio.subprocess.PIPE
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        file = ROOT / "examples" / name
        if name == "README.md":
            file = self._folder / "readme.py"
            file.write_text(readme_program())
        async with self.running(sys.executable, file, *arguments, stdout=stdout) as process:
            yield process


def readme_program() -> str:
    program, *_ = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return str(program)


async def next_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().rstrip("\n")


def beside_a_system(folder: Path, scenario: Callable[[Machine], Awaitable[None]]) -> None:
    async def main() -> None:
        machine = Machine(folder)
        options = ("--port", "0", "--symbols", "3", "--events-per-second", "3000")
        async with (
            asyncio.timeout(DEADLINE_S),
            machine.running(Path(sys.executable).with_name("tapewire"), "up", *options) as system,
        ):
            assert json.loads(await next_line(system))["event"] == "ready"
            await scenario(machine)

    asyncio.run(main())


def test_every_example_is_tried() -> None:
    assert {file.name for file in (ROOT / "examples").glob("*.py")} | {"README.md"} == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_prints_what_it_promises_and_ends_quietly_on_ctrl_c(tmp_path: Path, name: str) -> None:
    async def shows(machine: Machine, arguments: list[str], pattern: str) -> None:
        async with machine.program(name, *arguments) as program:
            for _ in range(2):
                assert re.fullmatch(pattern, await next_line(program))
            program.send_signal(signal.SIGINT)
            _, complaints = await program.communicate()
            assert (program.returncode, complaints) == (0, b"")

    async def scenario(machine: Machine) -> None:
        await asyncio.gather(*(shows(machine, *expected) for expected in PROGRAMS[name]))

    beside_a_system(tmp_path, scenario)


def test_the_trading_example_goes_through_the_life_of_an_order(tmp_path: Path) -> None:
    number, price = r"(\d+)", r"[\d.]+"
    steps = [
        rf"placed: limit order {number} of D70001 buy 1 SBER at {price}",
        rf"replaced: limit order {number} in place of \d+ of D70001 buy 1 SBER at {price}",
        rf"cancelled: limit order {number} in place of \d+ of D70001 buy 1 SBER at {price}",
        rf"placed: market order {number} of D70001 buy 1 SBER at the market",
        rf"filled: buy 1 SBER at {price}",
    ]

    async def scenario(machine: Machine) -> None:
        async with machine.program("trade.py") as program:
            lines = []
            while len(lines) < len(steps):
                line = await next_line(program)
                if not re.fullmatch(_HOLDS, line):
                    lines.append(line)
            for line, step in zip(lines, steps, strict=True):
                assert re.fullmatch(step, line), line

    beside_a_system(tmp_path, scenario)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_ends_quietly_when_asked_to_or_when_its_reader_has_gone(tmp_path: Path, name: str) -> None:
    async def is_asked(machine: Machine) -> None:
        async with machine.program(name) as program:
            assert await next_line(program)
            program.terminate()
            _, complaints = await program.communicate()
            assert (program.returncode, complaints) == (0, b"")

    async def is_left_alone(machine: Machine) -> None:
        reader, writer = os.pipe()
        async with machine.program(name, stdout=writer) as program:
            os.close(writer)
            with os.fdopen(reader, "rb") as lines:
                assert await asyncio.to_thread(lines.readline)
            _, complaints = await program.communicate()
            assert (program.returncode, complaints) == (0, b"")

    async def scenario(machine: Machine) -> None:
        await asyncio.gather(is_asked(machine), is_left_alone(machine))

    beside_a_system(tmp_path, scenario)


def test_a_wrong_symbol_is_one_line(tmp_path: Path) -> None:
    async def refused(machine: Machine, name: str, arguments: list[str]) -> None:
        async with machine.program(name, *arguments) as program:
            printed, complaints = await program.communicate()
            assert (program.returncode, printed) == (1, b"")
            assert re.fullmatch(rb"the broker refused: 404 [^\n]*\n", complaints), complaints.decode()

    async def scenario(machine: Machine) -> None:
        await asyncio.gather(*(refused(machine, *wrong) for wrong in WRONG))

    beside_a_system(tmp_path, scenario)


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_a_system_it_is_one_line(tmp_path: Path, name: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S), Machine(tmp_path).program(name) as program:
            printed, complaints = await program.communicate()
            assert (printed + complaints).startswith(b"no broker: ")
            assert (printed + complaints).count(b"\n") == 1

    asyncio.run(main())
