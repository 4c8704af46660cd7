"""Every program and every command of the documentation as it stands, all beside one running system."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import tapewire
from documents import DOCUMENTS, LANGUAGES, ROOT, Block, Command, blocks, commands, programs
from proxy_servers import ProxyServer

#: Bound of one program or command; nothing here takes a tenth of it.
DEADLINE_S = 60.0
#: Programs that run at the same time: a login has ten connections, and a machine few cores.
AT_ONCE = 3
#: Lines after which a program or command that has no end of its own is interrupted.
LINES = {"program": 2, "command": 1}
#: Commands that go on until they are interrupted, unless a pipe ends them.
ENDLESS = re.compile(r"tapewire (up|run|watch(?!.*--count))\b|tapewire sessions --watch")
#: What the running system was started with, under all its names in the documents.
THIS_SYSTEM = re.compile(r"tapewire up (--data DIR|--port 8700)$")
NUMBER = re.compile(r"\b20301\d{14}\b")
#: What a command tells and a later one of the same document names.
TOLD = {
    "number": re.compile(r'"order_number": "(\d+)"'),
    "token": re.compile(r"(twr_[\w-]+)"),
    "session": re.compile(r'"id": ?"(\d+)"'),
}
KEY = re.compile(r'"(\w+)":')
WRONG_FAULTS = '[[fault]]\nkind = "cut"\nafter = "1s"\n[[fault]]\nkind = "cut"\nevry = "1s"\n'


class Reader:
    """Somebody who tries what is written: a folder, an environment, a system that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("runtime", "other"):
            (folder / name).mkdir()
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
        (folder / "examples").symlink_to(ROOT / "examples")
        (folder / "bad.toml").write_text(WRONG_FAULTS)
        inherited = {key: os.environ[key] for key in ("HOME", "LANG") if key in os.environ}
        self.environment = inherited | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(folder / "runtime"),
            "XDG_CONFIG_HOME": str(folder / "config"),  # of programs; each document has its own
            # Pipes are given out line by line only by programs that ask for it.
            "PYTHONUNBUFFERED": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.ready: dict[str, str] = {}
        self.token = ""
        self.proxy = ProxyServer("socks5")

    async def meets(self, system: asyncio.subprocess.Process) -> None:
        """Wait until the system is ready."""
        assert system.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            self.ready = json.loads(await system.stdout.readline())
        self.token = self.ready["refresh_token"]
        (self.folder / "token.txt").write_text(self.token)

    @asynccontextmanager
    async def running(self, *command: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment | environment,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()

    async def run(
        self, *command: str, lines_max: int | None = None, **environment: str
    ) -> tuple[int | None, str, str]:
        """Run to the end, or until so many lines were printed and Ctrl-C: status, output, complaints."""
        async with (
            self.turns,
            asyncio.timeout(DEADLINE_S),
            self.running(*command, **environment) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(self.token.encode() + b"\n")
            process.stdin.close()
            printed = b""
            if lines_max is not None:
                for _ in range(lines_max):
                    printed += await process.stdout.readline()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)
            rest, complaints = await process.communicate()
            return process.returncode, (printed + rest).decode(), complaints.decode()

    # --- programs ---------------------------------------------------------------------------------------

    async def tries_program(self, block: Block) -> str | None:
        """Return what is wrong with a program, None if it does what it should."""
        name = block.place.replace(":", "_").replace(".", "_")
        folder = self.folder / name
        folder.mkdir()
        if "pytest_plugins" in block.text:
            return None  # goes with the tests
        if "import pytest" in block.text:
            (plugins,) = (each for each in programs() if "pytest_plugins" in each.text)
            (folder / "conftest.py").write_text(plugins.text)
            (folder / "test_program.py").write_text(block.text)
            return _complaint(block.place, await self.run("python", "-m", "pytest", "-q", str(folder)))
        (folder / "program.py").write_text(block.text)
        lines_max = LINES["program"] if "KeyboardInterrupt" in block.text else None
        ended = await self.run("python", "-W", "error", str(folder / "program.py"), lines_max=lines_max)
        is_silent = not ended[1] and "print(" in block.text
        return f"{block.place} printed nothing" if is_silent else _complaint(block.place, ended)

    # --- commands ---------------------------------------------------------------------------------------

    async def tries_commands(self, document: Path) -> list[str]:
        """Return what is wrong with the commands of a document, one after the other, as a reader would."""
        wrong = []
        known = {"number": "", "token": self.token, "session": "", "config": str(self.folder / document.name)}
        for command in commands(document):
            line = command.line.replace("…", "")
            if "tapewire" not in line or line.startswith("pip "):
                continue
            if THIS_SYSTEM.search(line):
                output, error = json.dumps(self.ready), None
            else:
                output, error = await self._try(command, self._as_here(line, known), known["config"])
            found = error or _not_shown(command, output)
            if found is not None:
                wrong.append(found)
            for what, pattern in TOLD.items():
                told = pattern.search(output)
                known[what] = told[1] if told is not None else known[what]
        return wrong

    def _as_here(self, line: str, known: dict[str, str]) -> str:
        """Put what is so here in the place of what a document can only invent."""
        line = NUMBER.sub(known["number"], line)
        line = re.sub(r"\btwr_", known["token"], line)
        line = re.sub(r"--end \d+", f"--end {known['session']}", line)
        line = line.replace("http://10.0.0.5:8700", self.ready["http"])
        line = line.replace("socks5://10.0.0.1:1080", self.proxy.url())
        return re.sub(r"(tapewire (?:up|run))\b", r"\1 --port 0", line)

    async def _try(self, command: Command, line: str, config: str) -> tuple[str, str | None]:
        is_other = "tapewire up" in line
        runtime = {"XDG_RUNTIME_DIR": str(self.folder / "other")} if is_other else {}
        is_refused = any(shown.startswith("tapewire: ") for shown in command.shown)
        is_endless = bool(ENDLESS.search(line)) and "|" not in line and not is_refused
        lines_max = LINES["command"] if is_endless else None
        ended = await self.run("bash", "-c", line, lines_max=lines_max, XDG_CONFIG_HOME=config, **runtime)
        what = f"{command.place}: {line}"
        if is_refused:
            is_right = ended[0] in (1, 2) and ended[2].rstrip("\n") == command.shown[0]
            return ended[2], None if is_right else f"{what}: {ended}"
        if is_endless and not ended[1]:
            return "", f"{what} printed nothing: {ended}"
        return ended[1], _complaint(what, ended)


def _complaint(what: str, ended: tuple[int | None, str, str]) -> str | None:
    status, printed, complaints = ended
    is_clean = status == 0 and "Traceback" not in complaints and "Error" not in complaints
    return None if is_clean else f"{what} ended with {status}\n{printed[-600:]}\n{complaints[-2_000:]}"


def _not_shown(command: Command, output: str) -> str | None:
    """Return what a document shows of a command's output and that is not in it."""
    missing = [key for line in command.shown for key in KEY.findall(line) if f'"{key}"' not in output]
    return f"{command.place}: {command.line} has no {missing}: {output[:600]}" if missing else None


def test_the_documentation_runs_as_it_stands(tmp_path: Path) -> None:
    async def main() -> None:
        reader = Reader(tmp_path)
        async with (
            reader.proxy.running(),
            reader.running("tapewire", "up", "--port", "0", "--data", "DIR") as system,
        ):
            await reader.meets(system)
            trying: list[Awaitable[str | list[str] | None]] = [
                *(reader.tries_commands(document) for document in DOCUMENTS),
                *(reader.tries_program(block) for block in programs()),
            ]
            # Somebody whom the operator sees.
            async with reader.running("tapewire", "watch", "trades:LKOH") as somebody:
                assert somebody.stdout is not None
                await somebody.stdout.readline()
                found = await asyncio.gather(*trying)
            assert reader.proxy.targets, "a profile has a proxy"
        wrong = [each for some in found for each in ([some] if isinstance(some, str) else some or [])]
        assert not wrong, "\n\n".join(wrong)

    asyncio.run(main())


def test_every_block_says_what_it_is_and_python_is_never_a_fragment() -> None:
    for document in DOCUMENTS:
        for block in blocks(document):
            assert block.language in LANGUAGES, block.place
    assert len(programs()) > 20


def test_the_guide_has_every_kind_of_stream_and_every_policy() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text()
    kinds = [name.removeprefix("on_") for name in dir(tapewire.Broker) if name.startswith("on_")]
    own = [name for name in dir(tapewire.Portfolio) if name.startswith("watch_") and "legacy" not in name]
    assert len(kinds) + len(own) == 13, "twelve kinds, and clusters"
    policies = ["Conflate", "DropOldest", "Fail", "Spill"]
    missing = [name for name in (*kinds, *own, *policies) if f"{name}(" not in guide]
    assert not missing
