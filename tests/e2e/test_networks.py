"""The client through proxies and with an authority of its own, beside a real system."""

from __future__ import annotations

import asyncio
import re
import socket
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

import tapewire
from proxy_servers import CREDENTIALS, PASSWORD, Authority, ProxyServer, tls_end
from tapewire.adapters import picows_client
from tapewire.adapters.http_client import AiohttpClient
from tapewire.adapters.picows_client import KEEP_ALIVE_IDLE_S, PicowsConnector
from tapewire.adapters.proxies import Proxies, Proxy
from tapewire.app import Settings, System
from tapewire.ports.network import ConnectError, Transport

DEADLINE_S = 20.0
SCHEMES = ["http", "socks5"]
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test on each loop."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("TAPEWIRE_URL", "TAPEWIRE_REFRESH_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def start(main: Coroutine[Any, Any, None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(DEADLINE_S):
                await main

        (asyncio.run if request.param == "asyncio" else uvloop.run)(bounded())

    return start


@asynccontextmanager
async def system() -> AsyncIterator[System]:
    async with System(Settings(port=0, symbols=2, events_per_second=500)) as running:
        yield running


class Nobody:
    """A listener that must not be called."""

    def connected(self, transport: Transport) -> None:
        raise AssertionError

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        raise AssertionError

    def writable(self) -> None:
        raise AssertionError

    def disconnected(self, code: int, reason: str) -> None:
        raise AssertionError


async def use(broker: tapewire.Broker) -> None:
    """Use both sockets and HTTP."""
    async with broker.book("SBER") as books:
        assert (await anext(aiter(books))).bids
    assert (await broker.time()).tzinfo is not None
    await broker.orders.open()


@pytest.mark.parametrize("behaviour", ["good", "dribbles"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_everything_goes_through_the_proxy(run: Run, scheme: str, behaviour: str) -> None:
    async def main() -> None:
        proxy = ProxyServer(scheme, wants_password=True, behaviour=behaviour)
        async with system() as there, proxy.running():
            token = there.ready_line()["refresh_token"]
            async with tapewire.connect(there.url, refresh_token=token, proxy=proxy.url(CREDENTIALS)) as broker:
                await use(broker)
            # The token and the clock, each on its own or on one connection; market data; orders.
            assert len(proxy.targets) >= 3
            assert set(proxy.targets) == {there.url.removeprefix("http://")}

    run(main())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tls_goes_through_the_proxy_and_an_authority_of_ones_own_is_trusted(
    run: Run, scheme: str, tmp_path: Path
) -> None:
    async def main() -> None:
        authority, proxy = Authority(tmp_path), ProxyServer(scheme)
        async with system() as there, proxy.running():
            port = int(there.url.rpartition(":")[2])
            async with tls_end(authority.server_context, port) as secure:
                where: dict[str, Any] = {
                    "url": f"https://localhost:{secure}",
                    "refresh_token": there.ready_line()["refresh_token"],
                    "proxy": proxy.url(),
                }
                async with tapewire.connect(**where, ca_file=str(authority.ca_file)) as broker:
                    await use(broker)
                assert set(proxy.targets) == {f"localhost:{secure}"}
                # Without it nobody is trusted, neither over HTTP nor on a socket.
                with pytest.raises(tapewire.TokenServiceError, match="certificate"):
                    async with tapewire.connect(**where):
                        pytest.fail("nobody vouches for it")
                through = PicowsConnector(proxies=Proxies(Proxy.parse(proxy.url())))
                with pytest.raises(ConnectError, match="certificate"):
                    await through.connect(f"wss://localhost:{secure}/ws", Nobody(), timeout_s=5)

    run(main())


def test_a_certificate_for_another_name_is_refused(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        authority = Authority(tmp_path, ("broker.example",))
        async with (
            system() as there,
            tls_end(authority.server_context, int(there.url.rpartition(":")[2])) as secure,
        ):
            with pytest.raises(tapewire.TokenServiceError, match=r"(?i)hostname|not valid for"):
                async with tapewire.connect(
                    f"https://localhost:{secure}", refresh_token="t", ca_file=str(authority.ca_file)
                ):
                    pytest.fail("it is another's")

    run(main())


FAULTS = [
    ("http", "wrong password", "407"),
    ("socks5", "wrong password", "(?i)authentication"),
    ("http", "no password", "407"),
    ("socks5", "no password", "(?i)auth"),
    ("http", "refuses", "403"),
    ("socks5", "refuses", "(?i)not allowed"),
    ("http", "hangs up", "proxy"),
    ("socks5", "hangs up", "proxy"),
    ("http", "greets", "proxy"),
    ("socks5", "greets", "proxy"),
    ("http", "hangs", "within 0.2 s"),
    ("socks5", "hangs", "within 0.2 s"),
    ("http", "nobody there", "proxy"),
    ("socks5", "nobody there", "proxy"),
]


@pytest.mark.parametrize("is_socket", [True, False], ids=["websocket", "http"])
@pytest.mark.parametrize(("scheme", "fault", "said"), FAULTS)
def test_a_proxy_that_does_not_help_is_one_clear_error_without_the_password(
    run: Run, scheme: str, fault: str, said: str, is_socket: bool
) -> None:
    async def main() -> None:
        proxy = ProxyServer(scheme, wants_password="password" in fault, behaviour=fault)
        credentials = {"no password": "", "wrong password": f"{CREDENTIALS}x"}.get(fault, CREDENTIALS)
        async with proxy.running():
            url = proxy.url(credentials)
            if fault == "nobody there":
                with socket.socket() as taken:
                    taken.bind(("127.0.0.1", 0))
                    url = f"{scheme}://{credentials}@127.0.0.1:{taken.getsockname()[1]}"
            proxies = Proxies(Proxy.parse(url))
            timeout_s = 0.2 if fault == "hangs" else 5.0
            with pytest.raises(ConnectError) as caught:
                await (ask_socket if is_socket else ask_http)(proxies, timeout_s)
        assert re.search(said, caught.value.reason), caught.value.reason
        # It is not the broker that has refused.
        assert caught.value.status is None
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert "proxy" in told.lower()
        assert PASSWORD not in told
        assert CREDENTIALS not in told
        assert proxy.targets == []

    async def ask_socket(proxies: Proxies, timeout_s: float) -> None:
        await PicowsConnector(proxies=proxies).connect("ws://broker.test/ws", Nobody(), timeout_s=timeout_s)

    async def ask_http(proxies: Proxies, timeout_s: float) -> None:
        client = AiohttpClient(proxies=proxies)
        try:
            await client.request("GET", "https://broker.test/x", timeout_s=timeout_s)
        finally:
            await client.close()

    run(main())


def test_what_no_library_was_to_raise_is_a_failed_connection_and_is_logged(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(host: str, port: int) -> socket.socket:
        raise ArithmeticError("a year that none can have")

    async def main() -> None:
        with pytest.raises(ConnectError, match="ArithmeticError"):
            await PicowsConnector().connect("ws://broker.test/ws", Nobody(), timeout_s=5)

    monkeypatch.setattr(picows_client, "_connected_socket", broken)
    run(main())
    assert "a year that none can have" in caplog.text


def test_plain_http_that_the_proxy_refuses_is_not_taken_for_an_answer_of_the_broker(run: Run) -> None:
    async def main() -> None:
        proxy = ProxyServer("http", wants_password=True)
        async with proxy.running():
            with pytest.raises(tapewire.TokenServiceError, match=r"the proxy http://127.0.0.1:.* 407"):
                async with tapewire.connect("http://broker.test", refresh_token="t", proxy=proxy.url("a:b")):
                    pytest.fail("it has the wrong password")

    run(main())


@pytest.mark.parametrize("scheme", [None, *SCHEMES])
def test_tcp_looks_after_idle_connections(run: Run, scheme: str | None) -> None:
    class Quiet(Nobody):
        def connected(self, transport: Transport) -> None: ...
        def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None: ...
        def writable(self) -> None: ...
        def disconnected(self, code: int, reason: str) -> None: ...

    async def main() -> None:
        proxy = ProxyServer(scheme or "http")
        async with system() as there, proxy.running():
            proxies = Proxies(Proxy.parse(proxy.url())) if scheme else None
            url = there.url.replace("http", "ws") + "/ws"
            transport = await PicowsConnector(proxies=proxies).connect(url, Quiet(), timeout_s=5)
            opened = transport._websocket.underlying_transport.get_extra_info("socket")
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            if hasattr(socket, "TCP_KEEPIDLE"):
                assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEP_ALIVE_IDLE_S < 60
            transport.abort()

    run(main())
