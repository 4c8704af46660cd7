"""Bare Starlette as a process of its own: routes that return, byte for byte, what a gateway has answered.

Nothing is looked up, checked or encoded; uvicorn runs with the gateway's settings. One more route encodes the
bars of its answer anew each time, in one go, as a plain application that has them in memory would.
"""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.request
from urllib.parse import urlsplit

import msgspec
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.books_server import Serving
from bench.http_server import TARGETS
from tapewire.adapters.http_server import open_listener
from tapewire.model import BarsHistory
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

__all__ = ["ENCODED"]

#: Where the bars are that are encoded for each request.
ENCODED = "/encoded"
_JSON = "application/json"
_TIMEOUT_S = 10.0


def _read(serving: Serving, target: str) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{serving.port}{target}", headers={"Authorization": f"Bearer {serving.tokens[0]}"}
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        body = answer.read()
        assert isinstance(body, bytes)
        return body


def _ready(path: str, body: bytes) -> Route:
    async def answer(request: Request) -> Response:
        return Response(body, media_type=_JSON)

    return Route(path, answer)


def _encoding(path: str, body: bytes) -> Route:
    bars = codec(BarsHistory, Format.SIMPLE)
    history = bars.decode(body)

    async def answer(request: Request) -> Response:
        return Response(bars.encode(history), media_type=_JSON)

    return Route(path, answer)


async def _serve(gateway: Serving) -> None:
    bodies = {name: _read(gateway, target) for name, target in TARGETS.items()}
    app = Starlette(
        routes=[
            *(_ready(urlsplit(target).path, bodies[name]) for name, target in TARGETS.items()),
            _encoding(ENCODED, bodies["bars"]),
        ]
    )
    listener = open_listener("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
    )
    serving = asyncio.create_task(server.serve([listener]))
    # The socket listens already: whoever comes early waits in its backlog.
    print(
        msgspec.json.encode(Serving(port=listener.getsockname()[1], pid=os.getpid(), tokens=[])).decode(),
        flush=True,
    )
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    uvloop.run(_serve(msgspec.json.decode(sys.argv[1], type=Serving)))
