"""The HTTP client against a real socket: answers, bounds, and errors that keep secrets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine

import pytest

from tapewire.adapters.http_client import ANSWER_BYTES_MAX, AiohttpClient
from tapewire.adapters.proxies import Proxies, Proxy
from tapewire.ports.network import ConnectError

SECRET = "s3cr3t"


class Server:
    """Answers each connection with fixed bytes and writes down what it was asked."""

    def __init__(self, answer: bytes, *, hangs: bool = False) -> None:
        self.answer = answer
        self.hangs = hangs
        self.asked: list[bytes] = []
        self.port = 0
        self._hang = asyncio.Event()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self.asked.append(head + await reader.readexactly(length))
        writer.write(self.answer)
        if self.hangs:
            await self._hang.wait()
        writer.close()

    def release(self) -> None:
        self._hang.set()


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(
    server_answer: bytes,
    scenario: Callable[[AiohttpClient, Server], Coroutine[object, object, None]],
    *,
    hangs: bool = False,
    answer_bytes_max: int = ANSWER_BYTES_MAX,
) -> None:
    async def main() -> None:
        server = Server(server_answer, hangs=hangs)
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        client = AiohttpClient(answer_bytes_max=answer_bytes_max)
        try:
            async with asyncio.timeout(10):
                await scenario(client, server)
        finally:
            await client.close()
            server.release()
            listener.close()
            await listener.wait_closed()

    asyncio.run(main())


async def refused(request: Awaitable[object]) -> ConnectError:
    """Return the error of a request, having checked that nothing of it tells the query."""
    with pytest.raises(ConnectError) as caught:
        await request
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    return caught.value


def test_request_and_answer_pass_unchanged() -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        got = await client.request(
            "POST", server.url("/refresh?token=x"), headers={"X-A": "b"}, body=b"hello", timeout_s=5
        )
        assert got == (200, b"world", None)
        (asked,) = server.asked
        assert asked.startswith(b"POST /refresh?token=x HTTP/1.1\r\n")
        assert b"X-A: b\r\n" in asked
        assert asked.endswith(b"\r\n\r\nhello")

    run(answer(b"world"), scenario)


@pytest.mark.parametrize("status", ["302 Found", "401 Unauthorized", "429 Too Many Requests", "500 Oops"])
def test_any_status_is_an_answer(status: str) -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        got = await client.request("GET", server.url(), timeout_s=5)
        assert got.status == int(status[:3])
        assert len(server.asked) == 1

    run(answer(b"", status, "Location: /elsewhere"), scenario)


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST"])
def test_what_changes_something_is_sent_once_though_the_server_hangs_up(method: str) -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        with pytest.raises(ConnectError):
            await client.request(method, server.url(), body=b"x", timeout_s=5)
        assert [asked.split()[0] for asked in server.asked] == [method.encode()]

    run(b"", scenario)


def test_cookies_are_not_kept() -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        # By name: cookies of plain addresses are not kept by anybody.
        url = server.url().replace("127.0.0.1", "localhost")
        for _ in range(2):
            await client.request("GET", url, timeout_s=5)
        assert b"cookie" not in server.asked[1].lower()

    run(answer(b"", "200 OK", "Set-Cookie: a=b"), scenario)


def test_a_refused_connection_is_a_connect_error() -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        # Port 1 of the local host: nobody listens there.
        error = await refused(client.request("GET", f"http://127.0.0.1:1/x?token={SECRET}", timeout_s=5))
        assert error.status is None
        assert error.reason.startswith("Connect call failed")

    run(b"", scenario)


def test_silence_ends_with_the_timeout() -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        error = await refused(client.request("GET", server.url(f"/?token={SECRET}"), timeout_s=0.05))
        assert "no answer within 0.05 s" in error.reason

    run(b"", scenario, hangs=True)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"this is no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut short",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    ],
)
def test_a_broken_answer_is_a_connect_error(broken: bytes) -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        await refused(client.request("GET", server.url(f"/a?token={SECRET}"), timeout_s=5))

    run(broken, scenario)


@pytest.mark.parametrize("url", ["no-scheme/x", "ftp://host/x", "http://", "http://a:port/x", "http://[::1/x"])
def test_a_bad_url_is_a_connect_error_without_its_query(url: str) -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        await refused(client.request("GET", f"{url}?token={SECRET}", timeout_s=5))

    run(b"", scenario)


def test_an_answer_may_be_as_large_as_the_bound_and_no_larger() -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        assert len((await client.request("GET", server.url(), timeout_s=5)).body) == 1000
        server.answer = answer(b"x" * 1001)
        error = await refused(client.request("GET", server.url(f"/?token={SECRET}"), timeout_s=5))
        assert "answer larger than 1000 bytes" in error.reason

    run(answer(b"x" * 1000), scenario, answer_bytes_max=1000)


def test_the_bound_is_64_mib() -> None:
    assert ANSWER_BYTES_MAX == 64 * 2**20


def test_a_closed_client_refuses_and_may_be_closed_again() -> None:
    async def scenario(client: AiohttpClient, server: Server) -> None:
        await client.request("GET", server.url(), timeout_s=5)
        await client.close()
        await client.close()
        error = await refused(client.request("GET", server.url(), timeout_s=5))
        assert "closed" in error.reason

    run(answer(b""), scenario)


def test_a_proxy_is_asked_for_the_whole_url() -> None:
    async def scenario(client: AiohttpClient, proxy: Server) -> None:
        through = AiohttpClient(proxies=Proxies(Proxy.parse(proxy.url())))
        assert await through.request("GET", "http://broker.test/x", timeout_s=5) == (200, b"proxied", None)
        await through.close()
        assert proxy.asked[0].startswith(b"GET http://broker.test/x HTTP/1.1\r\n")

    run(answer(b"proxied"), scenario)


def test_importing_the_adapter_does_not_import_aiohttp() -> None:
    program = "import sys, tapewire.adapters.http_client; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
