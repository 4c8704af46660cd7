"""The command line as its users run it: processes, pipes, signals, free ports."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import socket
import sys
import termios
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy_servers import ProxyServer

TAPEWIRE = Path(sys.executable).with_name("tapewire")
#: Bound of every wait; nothing here takes a tenth of it.
DEADLINE_S = 20.0
#: What ending may take.
END_S = 2.0
WRONG_TOKEN = "wr0ng-s3cr3t"
F_SETPIPE_SZ = 1031
PIPE_BYTES = 4_096


class Ended:
    """How a program ended."""

    def __init__(self, status: int, out: bytes, err: bytes, seconds: float) -> None:
        self.status = status
        self.lines = out.decode().splitlines()
        self.err = err.decode()
        self.seconds = seconds

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


class Program:
    """One running ``tapewire``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.ready: dict[str, Any] = {}

    async def line(self) -> bytes:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.stdout.readline()

    async def end(self, *signals: signal.Signals) -> Ended:
        """Send signals, then wait for the end."""
        began = asyncio.get_running_loop().time()
        for number in signals:
            self.process.send_signal(number)
        async with asyncio.timeout(DEADLINE_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, out or b"", err or b"", asyncio.get_running_loop().time() - began)


class Desk:
    """A user with a machine of his own: a runtime folder, an environment, programs that end with the test."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.runtime = folder / "runtime"
        self.runtime.mkdir()
        self.stack = stack

    async def start(
        self,
        *arguments: str,
        stdout: int = asyncio.subprocess.PIPE,
        stderr: int = asyncio.subprocess.PIPE,
        **environment: str,
    ) -> Program:
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        process = await asyncio.create_subprocess_exec(
            TAPEWIRE,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=inherited | {"XDG_RUNTIME_DIR": str(self.runtime)} | environment,
        )
        self.stack.push_async_callback(_kill, process)
        return Program(process)

    async def system(self, *arguments: str, command: str = "up") -> Program:
        """Start a small and busy system on a free port and wait until it is ready."""
        program = await self.start(
            command, "--port", "0", "--symbols", "3", "--events-per-second", "3000", *arguments
        )
        line = await program.line()
        if not line:
            raise AssertionError((await program.end()).err)
        program.ready = json.loads(line)
        return program

    async def run(self, *arguments: str, **environment: str) -> Ended:
        program = await self.start(*arguments, **environment)
        return await program.end()

    @property
    def left(self) -> list[Path]:
        # Locks of connections stay; who holds them is what counts.
        return [path for path in self.runtime.iterdir() if not path.name.startswith("tapewire-slots")]


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    # Reads what is left and closes the pipes.
    await process.communicate()


Scenario = Callable[[Desk], Awaitable[None]]
Desks = Callable[[Scenario], None]


@pytest.fixture
def at_desk(tmp_path: Path) -> Desks:
    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with asyncio.timeout(2 * DEADLINE_S), AsyncExitStack() as stack:
                await scenario(Desk(tmp_path, stack))

        asyncio.run(main())

    return run


async def until(condition: Callable[[], object]) -> None:
    """Wait for what no descriptor tells."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# --- up and run -----------------------------------------------------------------------------------------


def test_the_first_line_of_up_says_all_that_a_program_needs(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        system = await desk.system()
        ready = system.ready
        assert ready.keys() == {"event", "ws", "cws", "http", "oauth", "refresh_token", "portfolios"}
        port = int(ready["http"].rpartition(":")[2])
        assert ready["http"] == ready["oauth"] == f"http://127.0.0.1:{port}"
        assert (ready["ws"], ready["cws"]) == (f"ws://127.0.0.1:{port}/ws", f"ws://127.0.0.1:{port}/cws")
        assert ready["event"] == "ready"
        assert ready["portfolios"]
        # Ready means ready: what it names can be used at once.
        ended = await desk.run("token", "--url", ready["http"], TAPEWIRE_REFRESH_TOKEN=ready["refresh_token"])
        assert (ended.status, ended.lines[0].count("."), ended.err) == (0, 2, "")

    at_desk(scenario)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["up", "run"])
def test_a_signal_ends_it_soon_with_status_0_and_nothing_is_left(
    at_desk: Desks, command: str, number: signal.Signals
) -> None:
    async def scenario(desk: Desk) -> None:
        system = await desk.system(command=command)
        # With somebody connected on each interface.
        watcher = await desk.start("watch", "trades:SBER")
        assert await watcher.line()
        host, _, port = system.ready["http"].removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /md/v2/time HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(DEADLINE_S):
            await reader.readuntil(b"\r\n\r\n")
        if command == "run":
            rates = json.loads(await system.line())
            assert rates["event"] == "rates"
            assert rates["received"] > 0
            assert rates["per_second"].keys() == {"book", "quotes", "trades"}
        ended = await system.end(number)
        assert (ended.status, ended.err) == (0, "")
        assert ended.seconds < END_S
        assert desk.left == []
        # It waits for the next start until it is told otherwise.
        watched = await watcher.end(signal.SIGINT)
        assert watched.status == 0
        assert "was lost (1001: the server is going away) with 1 streams\n" in watched.err
        writer.close()

    at_desk(scenario)


def test_on_a_terminal_up_says_where_it_listens_and_how_it_ends(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        controller, terminal = pty.openpty()
        try:
            system = await desk.start("up", "--port", "0", "--symbols", "1", stderr=terminal)
            url = json.loads(await system.line())["http"]
            async with asyncio.timeout(DEADLINE_S):
                said = await asyncio.to_thread(os.read, controller, 1_000)
            assert said.decode().splitlines() == [
                f"listening on {url}, WebSockets at /ws and /cws; Ctrl-C ends it"
            ]
            assert (await system.end(signal.SIGINT)).status == 0
        finally:
            os.close(controller)
            os.close(terminal)

    at_desk(scenario)


def test_a_signal_before_the_system_is_ready_is_obeyed(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        program = await desk.start("up", "--port", "0")
        ended = await program.end(signal.SIGTERM)
        # Before or after the handlers were in place.
        assert ended.status in (0, -signal.SIGTERM)
        assert ended.err == ""
        assert desk.left == []

    at_desk(scenario)


def test_run_shows_what_is_traded_however_little_that_is(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        async def shows(symbols: str) -> None:
            system = await desk.start("run", "--port", "0", "--symbols", symbols)
            assert json.loads(await system.line())["event"] == "ready"
            assert json.loads(await system.line())["event"] == "rates"
            assert (await system.end(signal.SIGINT)).status == 0

        # The fourth of the catalogue is a future, not one of the shares that run shows.
        await asyncio.gather(shows("1"), shows("4"))

    at_desk(scenario)


def test_data_keeps_the_refresh_token_over_a_restart_and_over_a_kill_and_shows_it_once(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        data = desk.folder / "data"
        system = await desk.system("--data", str(data))
        first = system.ready["refresh_token"]
        for number in (signal.SIGTERM, signal.SIGKILL):
            await system.end(number)
            system = await desk.system("--data", str(data))
            assert system.ready["refresh_token"] is None
            how = f"tapewire user token demo --data {data}"
            assert system.ready["hint"] == f"a refresh token is shown once; another one: {how}"
            told = await desk.run("token", "--url", system.ready["http"], "--refresh-token", first)
            # Programs of this machine need none all the same.
            found = await desk.run("token", TAPEWIRE_URL=system.ready["http"])
            other = await desk.run(*how.split()[1:])
            assert [ended.status for ended in (told, found, other)] == [0, 0, 0]
            used = await desk.run("token", "--url", system.ready["http"], "--refresh-token", *other.lines)
            assert used.status == 0

    at_desk(scenario)


def test_a_data_folder_serves_one_system(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        data = desk.folder / "data"
        await desk.system("--data", str(data))
        ended = await desk.run("up", "--port", "0", "--data", str(data))
        assert (ended.status, ended.lines) == (1, [])
        assert ended.err == f"tapewire: cannot use {data}: another system is running on it\n"

    at_desk(scenario)


def test_a_system_that_was_killed_is_not_found_any_more(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await (await desk.system()).end(signal.SIGKILL)
        assert len(desk.left) == 1
        ended = await desk.run("token")
        assert ended.status == 1
        assert ended.err.startswith("tapewire: no broker: ")
        system = await desk.system()
        assert (await desk.run("token")).status == 0
        await system.end(signal.SIGTERM)
        assert desk.left == []

    at_desk(scenario)


# --- watch ----------------------------------------------------------------------------------------------


def test_watch_writes_books_quotes_and_trades_as_json_lines(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system()
        books, quotes, trades, both = await asyncio.gather(
            desk.run("watch", "book:SBER", "--depth", "3", "--frequency", "0", "--count", "5", "--format", "Slim"),
            desk.run("watch", "quotes:GAZP@TQBR", "--format", "heavy", "--count", "1"),
            desk.run("watch", "trades:LKOH", "--depth", "10", "--count", "20", "--format", "Simple"),
            desk.run("watch", "trades:SBER", "book:GAZP", "--count", "50"),
        )
        for ended, count in ((books, 5), (quotes, 1), (trades, 20), (both, 50)):
            assert (ended.status, ended.err) == (0, "")
            assert len(ended.records) == count
        for book in books.records:
            assert book["stream"] == "book:SBER"
            assert len(book["bids"]) <= 3
            assert book["bids"][0]["price"] < book["asks"][0]["price"]
        assert quotes.records[0]["stream"] == "quotes:GAZP@TQBR"
        assert quotes.records[0]["symbol"] == "GAZP"
        ids = [trade["id"] for trade in trades.records]
        assert ids == sorted(ids)
        assert [trade["existing"] for trade in trades.records[:1]] == [True]
        assert trades.records[-1]["existing"] is False
        assert {record["stream"] for record in both.records} == {"trades:SBER", "book:GAZP"}

    at_desk(scenario)


def test_watch_writes_every_other_kind_as_well(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system()
        placed = await asyncio.gather(
            desk.run("order", "buy", "SBER", "1", "--portfolio", "D70001"),
            desk.run("order", "sell", "SBER", "1", "--stop", "200", "--portfolio", "D70001"),
        )
        assert [ended.status for ended in placed] == [0, 0], [ended.err for ended in placed]
        names = {
            "bars:SBER:1m": "close",
            "clusters:SBER:1m": "tradeClusters",
            "instrument:SBER": "priceMax",
            "orders:D70001": "filledQtyBatch",
            "stop-orders:D70001": "stopPrice",
            "legacy-stop-orders:D70001": "stopPrice",
            "fills:D70001": "orderno",
            "positions:D70001": "avgPrice",
            "summary:D70001": "buyingPower",
            "risk:D70001": "initialMargin",
            "derivatives-risk:7500T01": "moneyFree",
        }
        watching = await desk.start("watch", *names, "--depth", "3")
        seen: set[str] = set()
        while seen != set(names):
            record = json.loads(await watching.line())
            assert names[record["stream"]] in record, record
            seen.add(record["stream"])
        ended = await watching.end(signal.SIGINT)
        assert (ended.status, ended.err) == (0, "")
        wrong = await asyncio.gather(
            desk.run("watch", "orders:D99999"),
            desk.run("watch", "derivatives-risk:D70001"),
            desk.run("watch", "bars:SBER:7x"),
        )
        assert [one_line(each, status)[:18] for each, status in zip(wrong, (1, 1, 2), strict=True)] == [
            "the broker refused",
            "the broker refused",
            "timeframe: '7x' is",
        ], [each.err for each in wrong]

    at_desk(scenario)


def test_commands_go_through_the_proxy_and_trust_the_authority_that_options_name(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system()
        async with ProxyServer("http").running() as proxy:
            through = ["--proxy", proxy.url()]
            done = await asyncio.gather(
                desk.run("watch", "book:SBER", "--count", "1", *through),
                desk.run("symbols", "SBER", *through),
                desk.run("order", "list", *through),
                desk.run("sessions", *through),
            )
            assert [(ended.status, ended.err) for ended in done] == [(0, "")] * len(done)
            assert len(proxy.targets) >= len(done) + 2, "a watcher has a socket beside HTTP, and so has an order"
        refused = await asyncio.gather(
            desk.run("sessions", "--ca-file", "nobody.pem"),
            desk.run("symbols", "--proxy", "http://anna:s3cret@127.0.0.1:9"),
        )
        texts = [one_line(ended) for ended in refused]
        assert texts[0] == "nobody.pem: No such file or directory"
        assert "through the proxy http://127.0.0.1:9" in texts[1]
        assert "s3cret" not in texts[1]

    at_desk(scenario)


def test_symbols_lists_what_is_traded(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system("--symbols", "33")
        everything, some, two = await asyncio.gather(
            desk.run("symbols"), desk.run("symbols", "sber"), desk.run("symbols", "--limit", "2")
        )
        for ended, count in ((everything, 33), (some, 2), (two, 2)):
            assert (ended.status, ended.err, len(ended.records)) == (0, "", count)
        assert {
            "symbol": "SBER",
            "board": "TQBR",
            "kind": "share",
            "name": "Сбербанк России ПАО ао",
        } in some.records
        assert {row["kind"] for row in everything.records} == {"share", "bond", "future", "option", "currency"}
        assert two.records == everything.records[:2]

    at_desk(scenario)


def test_two_watchers_see_the_same_trades_in_the_same_order(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system()
        first, second = await asyncio.gather(
            desk.run("watch", "trades:SBER", "--count", "200"),
            desk.run("watch", "trades:SBER", "--count", "200", "--format", "Heavy", "--depth", "50"),
        )
        tapes = [[(t["id"], t["price"], t["qty"], t["side"]) for t in ended.records] for ended in (first, second)]
        start = max(tape[0][0] for tape in tapes)
        end = min(tape[-1][0] for tape in tapes)
        common = [[trade for trade in tape if start <= trade[0] <= end] for tape in tapes]
        assert common[0] == common[1]
        assert len(common[0]) > 50

    at_desk(scenario)


def test_a_reader_that_goes_away_ends_watch_quietly(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system()
        reader, writer = os.pipe()
        watcher = await desk.start("watch", "book:SBER", "trades:SBER", stdout=writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as lines:
            assert json.loads(await asyncio.to_thread(lines.readline))["stream"]
        ended = await watcher.end()
        assert (ended.status, ended.err) == (0, "")

    at_desk(scenario)


@contextmanager
def small_pipe() -> Iterator[tuple[int, Callable[[], int]]]:
    """A small pipe that nobody reads, and how much is in it."""
    reader, writer = os.pipe()
    assert fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES) == PIPE_BYTES

    def waiting() -> int:
        return int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4), sys.byteorder)

    try:
        yield writer, waiting
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(sys.platform != "linux", reason="sets the size of a pipe")
def test_a_reader_that_stops_does_not_keep_watch_from_ending(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system()
        with small_pipe() as (writer, waiting):
            watcher = await desk.start("watch", "trades:SBER", stdout=writer)
            # Whatever the size of the last write: it does not fit when nothing has been added for a while.
            seen = [-n for n in range(30)]

            def is_stuck() -> bool:
                seen[:] = [*seen[1:], waiting()]
                return seen[0] > PIPE_BYTES // 2 and len(set(seen)) == 1

            await until(is_stuck)
            ended = await watcher.end(signal.SIGTERM)
            assert (ended.status, ended.err) == (0, "")
            assert ended.seconds < END_S

    at_desk(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="sets the size of a pipe")
def test_a_reader_that_stops_does_not_stop_the_system_of_run(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        with small_pipe() as (writer, waiting):
            # Room for the ready line and not for the first line of rates, which comes after a second.
            os.write(writer, b" " * (PIPE_BYTES - 340))
            system = await desk.start(
                "run", "--port", "0", "--symbols", "3", "--events-per-second", "1000", stdout=writer
            )
            await until(lambda: waiting() > PIPE_BYTES - 150)
            watched = await desk.run("watch", "trades:SBER", "--count", "150")
            assert (watched.status, len(watched.lines), watched.err) == (0, 150, "")
            assert waiting() < PIPE_BYTES
            ended = await system.end(signal.SIGTERM)
            assert (ended.status, ended.err) == (0, "")
            assert ended.seconds < END_S

    at_desk(scenario)


def test_watch_ends_on_a_signal_with_status_0(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.system()
        for number in (signal.SIGINT, signal.SIGTERM):
            watcher = await desk.start("watch", "book:SBER")
            assert await watcher.line()
            ended = await watcher.end(number)
            assert (ended.status, ended.err) == (0, "")
            assert ended.seconds < END_S

    at_desk(scenario)


def test_a_system_that_is_killed_and_started_again_goes_on_being_watched(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        folder = str(desk.folder / "data")
        system = await desk.system("--data", folder)
        port = system.ready["http"].rpartition(":")[2]
        watcher = await desk.start("watch", "book:SBER")
        assert await watcher.line()
        system.process.kill()
        await system.end()
        await desk.system("--data", folder, "--port", port)
        started_ms = time.time() * 1_000
        while json.loads(await watcher.line())["ms_timestamp"] <= started_ms:
            pass
        ended = await watcher.end(signal.SIGINT)
        assert ended.status == 0
        assert "was lost (1006) with 1 streams\n" in ended.err

    at_desk(scenario)


# --- where and as whom ----------------------------------------------------------------------------------


def test_the_environment_says_where_and_as_whom(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        system = await desk.system()
        nowhere = str(desk.folder)  # no system is announced there
        where, token = system.ready["http"], system.ready["refresh_token"]
        environments: list[dict[str, str]] = [
            {"TAPEWIRE_URL": where, "TAPEWIRE_REFRESH_TOKEN": token, "XDG_RUNTIME_DIR": nowhere},
            {"TAPEWIRE_URL": where + "/"},
            {"TAPEWIRE_REFRESH_TOKEN": token},
            {"TAPEWIRE_URL": "", "TAPEWIRE_REFRESH_TOKEN": ""},
        ]
        runs = [desk.run("watch", "book:SBER", "--count", "1", **environment) for environment in environments]
        for ended, environment in zip(await asyncio.gather(*runs), environments, strict=True):
            assert (ended.status, len(ended.lines), ended.err) == (0, 1, ""), environment
        ended = await desk.run("token", TAPEWIRE_URL=where, XDG_RUNTIME_DIR=nowhere)
        assert (ended.status, ended.lines) == (1, [])
        assert (
            ended.err
            == f"tapewire: no refresh token for {where}: pass refresh_token or set TAPEWIRE_REFRESH_TOKEN\n"
        )

    at_desk(scenario)


def test_an_argument_comes_before_the_environment(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        system = await desk.system()
        ended = await desk.run(
            "token", "--refresh-token", system.ready["refresh_token"], TAPEWIRE_REFRESH_TOKEN=WRONG_TOKEN
        )
        assert (ended.status, ended.err) == (0, "")

    at_desk(scenario)


def test_several_systems_have_to_be_told_apart(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        systems = [await desk.system() for _ in range(2)]
        ended = await desk.run("watch", "book:SBER", "--count", "1")
        assert (ended.status, ended.lines) == (1, [])
        assert ended.err.startswith("tapewire: several systems run on this machine (http://")
        for system in systems:
            ended = await desk.run("watch", "book:SBER", "--count", "1", TAPEWIRE_URL=system.ready["http"])
            assert (ended.status, ended.err) == (0, "")

    at_desk(scenario)


# --- what goes wrong ------------------------------------------------------------------------------------


def one_line(ended: Ended, status: int = 1) -> str:
    """Return what a program complained about, having checked that it did so properly."""
    assert (ended.status, ended.lines) == (status, [])
    assert ended.err.startswith("tapewire: ")
    assert ended.err.endswith("\n")
    assert ended.err.count("\n") == 1
    assert "Traceback" not in ended.err
    assert WRONG_TOKEN not in ended.err
    return ended.err.removeprefix("tapewire: ").rstrip("\n")


def test_what_a_system_refuses_is_one_line(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        system = await desk.system()
        cases: list[tuple[list[str], int, str]] = [
            (["watch", "book:NOPE"], 1, "the broker refused: 404 "),
            (["watch", "book:SBER", "trades:NOPE"], 1, "the broker refused: 404 "),
            (["watch", "book:SBER", "--refresh-token", WRONG_TOKEN], 1, "the refresh token was refused (403)"),
            (["watch", "book:SBER", "--depth", "0"], 2, "depth of a book: 0 asked for, the limit is 1..50"),
            (["watch", "book:SBER", "--depth", "51"], 2, "depth of a book: 51 asked for, the limit is 1..50"),
        ]
        runs: list[Coroutine[Any, Any, Ended]] = [desk.run(*arguments) for arguments, _, _ in cases]
        for ended, (arguments, status, text) in zip(await asyncio.gather(*runs), cases, strict=True):
            assert one_line(ended, status).startswith(text), arguments
            assert system.ready["refresh_token"] not in ended.err

    at_desk(scenario)


def test_what_cannot_be_is_one_line(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        file = desk.folder / "file"
        file.write_text("")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            secret = f"http://user:{WRONG_TOKEN}@127.0.0.1:1"
            cases: list[tuple[list[str], int, str]] = [
                (["up", "--port", port], 1, f"cannot listen on 127.0.0.1:{port}: Address already in use"),
                (["up", "--port", "0", "--data", str(file / "x")], 1, f"cannot use {file}/x: Not a directory"),
                (["run", "--port", "0", "--data", str(file)], 1, f"cannot use {file}: File exists"),
                (["up", "--port", "0", "--symbols", "100000"], 2, "the catalogue has 1 to "),
                (["up", "--port", "0", "--auctions"], 2, "auctions need --exchange-hours: "),
                (["watch", "SBER"], 2, "'SBER' is not like book:SBER, quotes:SBER, trades:SBER"),
                (["watch", "book:SBER", "--format", "fat"], 2, "'fat' is no format: Simple, Slim or Heavy"),
                (["watch", "book:SBER"], 1, "no broker: pass url, set TAPEWIRE_URL, or start a local system"),
                (["token", "--url", secret], 2, "the address of a broker has no user, query or fragment"),
                (
                    ["watch", "book:SBER", "--url", "http://127.0.0.1:1", "--refresh-token", WRONG_TOKEN],
                    1,
                    "the token service cannot be reached: POST http://127.0.0.1:1/refresh: ",
                ),
                (
                    ["token", "--url", "http://no.such.host.invalid", "--refresh-token", WRONG_TOKEN],
                    1,
                    "the token service cannot be reached: POST http://no.such.host.invalid/refresh: ",
                ),
            ]
            runs: list[Coroutine[Any, Any, Ended]] = [desk.run(*arguments) for arguments, _, _ in cases]
            for ended, (arguments, status, text) in zip(await asyncio.gather(*runs), cases, strict=True):
                assert one_line(ended, status).startswith(text), (arguments, ended.err)
        assert desk.left == []

    at_desk(scenario)


def test_help_and_wrong_options_are_no_tracebacks(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        shown, wrong = await asyncio.gather(desk.run("--help"), desk.run("watch", "book:SBER", "--count", "0"))
        assert shown.status == 0
        assert all(command in "\n".join(shown.lines) for command in ("up", "run", "watch", "token"))
        assert wrong.status == 2
        assert "Traceback" not in wrong.err

    at_desk(scenario)


# --- operation ------------------------------------------------------------------------------------------


def test_sessions_shows_who_is_connected_and_ends_one(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        system = await desk.system()
        watcher = await desk.start("watch", "trades:SBER")
        assert await watcher.line()
        shown = await desk.run("sessions")
        assert (shown.status, shown.err) == (0, "")
        [session] = shown.records
        assert (session["state"], session["path"], session["login"]) == ("open", "/ws", "P070001")
        assert (session["subscriptions"], session["messages"] > 0) == (1, True)
        unknown = await desk.run("sessions", "--end", "abc")
        assert one_line(unknown, 1) == "there is no open session 'abc'"
        ended = await desk.run("sessions", "--end", session["id"], "--url", system.ready["http"])
        assert (ended.status, ended.lines, ended.err) == (0, [], "")
        watched = await watcher.end(signal.SIGINT)
        assert "was lost (1008: ended by the operator) with 1 streams\n" in watched.err
        # The watcher may have come back in the meantime.
        [session] = [row for row in (await desk.run("sessions")).records if row["id"] == session["id"]]
        assert (session["state"], session["code"], session["reason"]) == ("ended", 1008, "ended by the operator")
        refused = await desk.run("sessions", TAPEWIRE_ADMIN_TOKEN=WRONG_TOKEN)
        assert one_line(refused, 1) == f"{system.ready['http']} does not take this admin token"
        assert WRONG_TOKEN not in refused.err

    at_desk(scenario)


def test_the_admin_token_is_the_operators_choice_and_is_never_shown(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        token = "chosen-by-the-operator"
        system = await desk.start(
            "up", "--port", "0", "--symbols", "1", "--log-level", "debug", TAPEWIRE_ADMIN_TOKEN=token
        )
        url = json.loads(await system.line())["http"]
        shown = await desk.run("sessions", "--url", url, TAPEWIRE_ADMIN_TOKEN=token)
        assert (shown.status, shown.err) == (0, "")
        ended = await system.end(signal.SIGTERM)
        assert ended.status == 0
        assert token not in ended.err + "".join(ended.lines)
        short = await desk.run("up", "--port", "0", TAPEWIRE_ADMIN_TOKEN="short")
        assert one_line(short, 2) == "an admin token has at least 16 characters"

    at_desk(scenario)


def test_the_log_is_json_and_tells_of_sessions_without_their_tokens(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        system = await desk.system("--log-format", "json", "--log-level", "debug")
        watcher = await desk.start("watch", "trades:SBER")
        assert await watcher.line()
        await watcher.end(signal.SIGTERM)
        ended = await system.end(signal.SIGTERM)
        records = [json.loads(line) for line in ended.err.splitlines()]
        events = [record["message"] for record in records if record["logger"] == "tapewire.gateway"]
        assert events == ["session opened", "session authorised", "session ended"]
        assert records[-1]["time"]
        assert system.ready["refresh_token"] not in ended.err
        assert "eyJ" not in ended.err

    at_desk(scenario)


async def stalled_reader(system: Program) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Subscribe to everything and stop to read."""
    host, _, port = system.ready["http"].removeprefix("http://").partition(":")
    body = json.dumps({"token": system.ready["refresh_token"]}).encode()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /refresh HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    async with asyncio.timeout(DEADLINE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        token = json.loads(await reader.readexactly(size))["AccessToken"]
    writer.close()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=connection, limit=1_024)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    async with asyncio.timeout(DEADLINE_S):
        await reader.readuntil(b"\r\n\r\n")
    request = {"opcode": "AllTradesGetAndSubscribe", "code": "SBER", "exchange": "MOEX", "depth": 5_000}
    for number in range(4):
        payload = json.dumps(request | {"guid": f"t{number}", "token": token}).encode()
        # Masked with zeros, which is to say not at all.
        writer.write(b"\x81\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload)
    await writer.drain()
    return reader, writer


async def is_waiting(desk: Desk) -> bool:
    """Whether somebody's queue is not empty."""
    return any(session["queued"] for session in (await desk.run("sessions")).records)


def test_the_end_waits_for_a_reader_within_its_bound_and_a_second_signal_ends_at_once(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        async def ended_after(*arguments: str, signals: int) -> Ended:
            system = await desk.system(*arguments)
            _, writer = await stalled_reader(system)
            async with asyncio.timeout(DEADLINE_S):
                while not await is_waiting(desk):
                    pass
            system.process.send_signal(signal.SIGTERM)
            if signals == 2:
                # The first has been heard when the system is no longer to be found.
                await until(lambda: not desk.left)
                await asyncio.sleep(0.2)
                ended = await system.end(signal.SIGTERM)
            else:
                ended = await system.end()
            writer.close()
            return ended

        bounded = await ended_after("--drain-seconds", "2", signals=1)
        assert (bounded.status, "Traceback" in bounded.err) == (0, False)
        assert 2 <= bounded.seconds < 2 + 2 * END_S
        at_once = await ended_after("--drain-seconds", "60", signals=2)
        assert (at_once.status, at_once.err) == (0, "")
        assert at_once.seconds < END_S

    at_desk(scenario)
