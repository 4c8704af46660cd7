"""The load of ``http``: a few keep-alive connections, each asks again as soon as it has its answer."""

from __future__ import annotations

import hashlib
import os
import selectors
import sys
import time
from pathlib import Path

import msgspec

from bench.http_client import HttpConnection, get, whole_body
from bench.join_load import percentile

__all__ = ["HttpLoad", "HttpReading"]

CLIENTS = 4
#: Answers before those that count.
WARM_UP = 20


class HttpLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask whom, and how often."""

    port: int
    pid: int
    token: str
    target: str
    requests: int


class HttpReading(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. The digest tells answers apart, the server's time is user and system."""

    requests: int
    wall_seconds: float
    server_cpu_seconds: float
    p50_s: float
    p99_s: float
    body_bytes: int
    digest: str


def _run(load: HttpLoad) -> HttpReading:
    request = get(load.target, load.token)
    first = HttpConnection(load.port, is_kept=True)
    _measure([first], request, 1)
    body = whole_body(first.kept)
    first.close()
    clients = [HttpConnection(load.port) for _ in range(CLIENTS)]
    _measure(clients, request, WARM_UP)
    cpu, began = _cpu_seconds(load.pid), time.monotonic()
    late = _measure(clients, request, load.requests)
    reading = HttpReading(
        requests=len(late),
        wall_seconds=time.monotonic() - began,
        server_cpu_seconds=_cpu_seconds(load.pid) - cpu,
        p50_s=percentile(late, 0.5),
        p99_s=percentile(late, 0.99),
        body_bytes=len(body),
        digest=hashlib.sha256(body).hexdigest(),
    )
    for client in clients:
        client.close()
    return reading


def _measure(clients: list[HttpConnection], request: bytes, count: int) -> list[float]:
    """Return how long each answer took, from the request to its last byte."""
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.ask(request)
    taken: list[float] = []
    asked, waiting = len(clients), len(clients)
    while waiting:
        for key, _ in selector.select():
            client = key.data
            assert isinstance(client, HttpConnection)
            if not client.read():
                continue
            taken.append(time.monotonic() - client.asked_at)
            if asked < count:
                asked += 1
                client.ask(request)
            else:
                waiting -= 1
    selector.close()
    return taken


def _cpu_seconds(pid: int) -> float:
    # Behind the name, which may hold anything but ends with the last bracket.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print(msgspec.json.encode(_run(msgspec.json.decode(sys.argv[1], type=HttpLoad))).decode())
