"""What a receiver is asked to do and what it reports."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Collection

import msgspec
import uvloop

from bench.messages import OPCODES, Kind

__all__ = ["Load", "Meter", "Reading", "receive", "requests"]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: so many messages of one kind, over so many subscriptions of one connection."""

    ws: str
    oauth: str
    kind: Kind
    streams: int
    messages: int

    @property
    def url(self) -> str:
        """The address that makes the blaster send this load."""
        return f"{self.ws}?kind={self.kind}&streams={self.streams}&messages={self.messages}"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one receiver has used for its load."""

    messages: int
    #: User and system time of the process, from before the first subscription to the end of the data.
    cpu_seconds: float
    wall_seconds: float


class Meter:
    """Takes the time between the first subscription and the end of the data."""

    def start(self) -> None:
        """Begin: what came before (imports, token, handshake) does not count."""
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def stop(self, load: Load, counts: Collection[int]) -> Reading:
        """Return what was used; ``counts`` are the records of each stream, or of all together.

        Raises:
            SystemExit: A message was lost or came twice.
        """
        cpu_seconds = time.process_time() - self._cpu
        wall_seconds = time.perf_counter() - self._wall
        if sum(counts) != load.messages or max(counts) - min(counts) > 1:
            raise SystemExit(f"of {load.messages} messages {sum(counts)} were received: {list(counts)}")
        return Reading(messages=load.messages, cpu_seconds=cpu_seconds, wall_seconds=wall_seconds)


def requests(load: Load) -> dict[str, str]:
    """Return the subscriptions of a load, by guid, for receivers that write their own."""
    return {
        guid: msgspec.json.encode({"opcode": OPCODES[load.kind], "guid": guid, "format": "Slim"}).decode()
        for guid in (f"{stream:032x}" for stream in range(load.streams))
    }


def receive(receiver: Callable[[Load, Meter], Awaitable[Reading]]) -> None:
    """Run a receiver with the load of the command line, on uvloop, and print its reading."""
    load = msgspec.json.decode(sys.argv[1], type=Load)

    async def run() -> Reading:
        return await receiver(load, Meter())

    print(msgspec.json.encode(uvloop.run(run())).decode())
