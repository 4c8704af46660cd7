"""``tapewire up --faults FILE`` as a client of somebody else's sees it, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from e2e.test_cli import END_S, Desk, Desks, Program, at_desk
from tapewire.app import Settings, System
from tapewire.connect import fetch_token
from tapewire.faults import read_faults
from tapewire.protocol.tokens import Secret

__all__ = ["at_desk"]

DEADLINE_S = 10.0
#: Long enough to be sure that nothing comes: trades come a hundred times in it.
SILENCE_S = 0.5

FAULTS = """
seed = 1

[[fault]]
kind = "cut"
on = "request"
guid = "cut*"

[[fault]]
kind = "mute"
on = "request"
guid = "mute*"
for = "700ms"

[[fault]]
kind = "half-open"
on = "request"
guid = "half*"

[[fault]]
kind = "overflow"
on = "request"
guid = "overflow*"

[[fault]]
kind = "duplicate"
guid = "twice*"

[[fault]]
kind = "late-answer"
guid = "late*"
behind = 2

[[fault]]
kind = "no-answer"
guid = "never*"

[[fault]]
kind = "refused"
guid = "no*"
code = 429
text = "slow down"

[[fault]]
kind = "token-expiry"
on = "request"
guid = "expire*"

[[fault]]
kind = "garbage"
on = "answer"
guid = "garbage*"

[[fault]]
kind = "refused"
on = "http"
path = "/md/v2/time"
nth = 2
code = 503
retry_after = "7s"

[[fault]]
kind = "no-answer"
on = "http"
path = "/md/v2/securities"
"""


class Client:
    """One connection of a foreign client."""

    def __init__(self, socket: ClientConnection, token: str) -> None:
        self.socket = socket
        self.token = token

    async def send(self, opcode: str, guid: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"opcode": opcode, "guid": guid, "token": self.token} | fields))

    async def subscribe(self, guid: str) -> None:
        await self.send("AllTradesGetAndSubscribe", guid, exchange="MOEX", code="SBER", depth=5)

    async def message(self) -> str:
        async with asyncio.timeout(DEADLINE_S):
            text = await self.socket.recv()
        assert isinstance(text, str)
        return text

    async def messages(self, count: int) -> list[dict[str, Any]]:
        return [json.loads(await self.message()) for _ in range(count)]

    async def answer(self, guid: str) -> int:
        while True:
            (message,) = await self.messages(1)
            if message.get("requestGuid") == guid:
                return int(message["httpCode"])

    async def ended(self) -> ConnectionClosed:
        try:
            while True:
                await self.message()
        except ConnectionClosed as closed:
            return closed

    async def is_silent(self) -> bool:
        try:
            async with asyncio.timeout(SILENCE_S):
                await self.socket.recv()
        except TimeoutError:
            return True
        return False


class Broker:
    """A running system and a client's way to it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.ready = program.ready
        self._sockets: list[ClientConnection] = []

    async def token(self) -> str:
        return await fetch_token(self.ready["http"], refresh_token=self.ready["refresh_token"])

    async def connect(self, socket: str = "ws") -> Client:
        # What websockets itself sends would count as frames of ours.
        opened = await connect(self.ready[socket], ping_interval=None, close_timeout=0.5)
        self._sockets.append(opened)
        return Client(opened, await self.token())

    async def drop(self) -> None:
        """End all connections."""
        for socket in self._sockets:
            socket.transport.abort()
            await socket.wait_closed()


async def broker_with(desk: Desk, faults: str) -> Broker:
    file = desk.folder / "faults.toml"
    file.write_text(faults)
    broker = Broker(await desk.system("--faults", str(file)))
    desk.stack.push_async_callback(broker.drop)
    return broker


def test_a_foreign_client_meets_every_fault_of_a_session(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        broker = await broker_with(desk, FAULTS)

        cut = await broker.connect()
        await cut.send("ping", "cut")
        end = await cut.ended()
        assert isinstance(end, ConnectionClosedError)
        assert (end.rcvd, end.sent) == (None, None)

        overflow = await broker.connect()
        await overflow.send("ping", "overflow")
        end = await overflow.ended()
        assert end.rcvd is not None
        assert (end.rcvd.code, end.rcvd.reason) == (1013, "too many unprocessed messages")

        mute = await broker.connect()
        await mute.subscribe("t")
        await mute.messages(10)
        await mute.send("ping", "mute")
        # What was on its way comes first.
        while not await mute.is_silent():
            pass
        assert await mute.answer("mute") == 200

        half = await broker.connect()
        await half.subscribe("t")
        await half.messages(10)
        await half.send("ping", "half")
        while not await half.is_silent():
            pass
        await half.socket.close()
        assert half.socket.close_code == 1006

        twice = await broker.connect()
        await twice.subscribe("twice")
        assert await twice.answer("twice") == 200
        ids = [message["data"]["id"] for message in await twice.messages(40)]
        assert ids[::2] == ids[1::2]
        assert len(set(ids)) == 20

        late = await broker.connect()
        await late.subscribe("late")
        keys = [next(iter(message)) for message in await late.messages(4)]
        assert keys == ["data", "data", "requestGuid", "data"]

        client = await broker.connect()
        await client.subscribe("never")
        assert [next(iter(message)) for message in await client.messages(5)] == ["data"] * 5
        await client.send("ping", "no")
        assert await client.answer("no") == 429
        await client.send("ping", "garbage")
        while (text := await client.message()) != '{"data":{"symbol":':
            json.loads(text)
        assert await client.answer("garbage") == 200

        expired = await broker.connect()
        await expired.send("ping", "expire")
        await expired.subscribe("t")
        assert await expired.answer("t") == 401
        expired.token = await broker.token()
        await expired.subscribe("t")
        assert await expired.answer("t") == 200

        host, _, port = broker.ready["http"].removeprefix("http://").partition(":")
        silence, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /md/v2/Securities HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                await silence.read(1)

        ended = await broker.program.end(signal.SIGTERM)
        writer.close()
        assert ended.seconds < END_S
        assert "ERROR" not in ended.err
        assert (ended.status, desk.left) == (0, [])
        line = "INFO tapewire.faults: fault struck fault=cut-1 kind=cut session=1 path=/ws peer=127.0.0.1:"
        assert line in ended.err
        assert broker.ready["refresh_token"] not in ended.err
        assert expired.token not in ended.err

    at_desk(scenario)


def test_maintenance_closes_refuses_and_passes_and_http_is_refused_with_a_time(at_desk: Desks) -> None:
    async def scenario(desk: Desk) -> None:
        faults = '[[fault]]\nkind = "maintenance"\nafter = "3s"\nfor = "2s"\ntext = "closed on Fridays"'
        broker = await broker_with(desk, FAULTS + faults)
        client = await broker.connect()
        other = await broker.connect("cws")
        for each in (client, other):
            end = await each.ended()
            assert end.rcvd is not None
            assert (end.rcvd.code, end.rcvd.reason) == (1001, "closed on Fridays")
        with pytest.raises(InvalidStatus) as refused:
            await broker.connect()
        assert refused.value.response.status_code == 503
        assert refused.value.response.body == b'{"code":"Unavailable","message":"closed on Fridays"}'
        assert [await _time(broker) for _ in range(3)] == [(200, ""), (503, "7"), (200, "")]
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    again = await broker.connect()
                except InvalidStatus:
                    await asyncio.sleep(0.1)
                else:
                    break
        await again.send("ping", "p")
        assert await again.answer("p") == 200

    at_desk(scenario)


async def _time(broker: Broker) -> tuple[int, str]:
    """Ask for the time; return the status and when to come back."""
    host, _, port = broker.ready["http"].removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /md/v2/time HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        head = (await reader.read()).partition(b"\r\n\r\n")[0].decode().lower()
    writer.close()
    lines = dict(line.partition(": ")[::2] for line in head.splitlines()[1:])
    return int(head.split()[1]), lines.get("retry-after", "")


@pytest.mark.parametrize(
    ("faults", "line"),
    [
        (
            '[[fault]]\nkind = "cut"\n\n[[fault]]\nkind = "cut"\nevry = "5s"',
            "fault 2: unknown key 'evry', did you mean 'every'?",
        ),
        ("seed = ", "no TOML: Invalid value (at end of document)"),
        ("", "no [[fault]] in it"),
    ],
)
def test_a_bad_file_is_one_line_and_status_2_before_anything_listens(
    at_desk: Desks,
    faults: str,
    line: str,
) -> None:
    async def scenario(desk: Desk) -> None:
        file = desk.folder / "bad.toml"
        file.write_text(faults)
        for command in ("up", "run"):
            ended = await desk.run(command, "--port", "0", "--faults", str(file))
            assert (ended.status, ended.lines, ended.err) == (2, [], f"tapewire: {file}: {line}\n")
        missing = desk.folder / "missing.toml"
        ended = await desk.run("up", "--port", "0", "--faults", str(missing))
        assert (ended.status, ended.lines) == (2, [])
        assert ended.err == f"tapewire: {missing}: No such file or directory\n"

    at_desk(scenario)


@pytest.mark.parametrize(
    ("level", "levels"),
    [("error", []), ("warning", ["INFO"]), ("info", ["INFO"]), ("debug", ["INFO", "DEBUG"])],
)
def test_strikes_are_logged_as_the_level_says_and_as_json(at_desk: Desks, level: str, levels: list[str]) -> None:
    async def scenario(desk: Desk) -> None:
        file = desk.folder / "faults.toml"
        file.write_text('[[fault]]\nname = "my fault"\nkind = "duplicate"\ntimes = 2')
        options = ("--faults", str(file), "--log-format", "json", "--log-level", level)
        broker = Broker(await desk.system(*options))
        desk.stack.push_async_callback(broker.drop)
        client = await broker.connect()
        await client.subscribe("t")
        await client.messages(10)
        ended = await broker.program.end(signal.SIGTERM)
        records = [json.loads(line) for line in ended.err.splitlines()]
        strikes = [record for record in records if record["logger"] == "tapewire.faults"]
        assert [record["level"] for record in strikes] == levels
        for record in strikes:
            assert (record["message"], record["fault"], record["kind"]) == (
                "fault struck",
                "my fault",
                "duplicate",
            )
            assert (record["session"], record["path"]) == (1, "/ws")
            assert record["peer"].startswith("127.0.0.1:")

    at_desk(scenario)


@pytest.mark.parametrize("are_gone", [True, False])
def test_answers_that_are_a_year_late_end_with_their_clients_and_with_the_system(
    are_gone: bool, caplog: pytest.LogCaptureFixture
) -> None:
    late = '[[fault]]\nkind = "delay"\non = "http"\nby = "366d"\n'
    faults = read_faults(late + '[[fault]]\nkind = "refused"\non = "http"\neach = 2')

    async def main() -> float:
        writers = []
        # Answers are owed to clients that wait; to those that have gone, none.
        settings = Settings(port=0, symbols=1, faults=faults, drain_s=5 if are_gone else 0)
        async with System(settings) as system, asyncio.timeout(DEADLINE_S):
            host, _, port = system.url.removeprefix("http://").partition(":")
            for _ in range(6):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET /md/v2/time HTTP/1.1\r\nHost: x\r\n\r\n")
                writers.append(writer)
            assert system.fault_plan is not None
            while system.fault_plan.struck["delay-1"] < len(writers):  # noqa: ASYNC110  (nothing tells of it)
                await asyncio.sleep(0.01)
            if are_gone:
                await _close(writers)
            ending_s = asyncio.get_running_loop().time()
        taken_s = asyncio.get_running_loop().time() - ending_s
        await _close(writers)
        return taken_s

    assert asyncio.run(main()) < END_S
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def _close(writers: list[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def test_faults_that_have_struck_are_counted_for_the_operator() -> None:
    async def main() -> str:
        faults = read_faults('[[fault]]\nname = "gone"\nkind = "cut"\non = "request"\nguid = "cut*"')
        settings = Settings(
            port=0, symbols=1, faults=faults, admin_token=Secret("chosen-by-the-operator"), drain_s=0
        )
        async with System(settings) as system, asyncio.timeout(DEADLINE_S):
            async with connect(system.ready_line()["ws"]) as client:
                await client.send('{"opcode":"ping","guid":"cut here"}')
                with pytest.raises(ConnectionClosedError):
                    await client.recv()
            async with aiohttp.ClientSession() as session:
                headers = {"Authorization": "Bearer chosen-by-the-operator"}
                async with session.get(f"{system.url}/metrics", headers=headers) as answer:
                    return await answer.text()

    assert 'tapewire_faults_struck_total{fault="gone"} 1.0' in asyncio.run(main())
