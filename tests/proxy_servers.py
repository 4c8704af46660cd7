"""Small real proxies, and a TLS end with an authority of its own, for tests of connections through networks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import ipaddress
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "us/er", "p@ss w0rd"
#: As they stand in an address.
CREDENTIALS = "us%2Fer:p%40ss%20w0rd"


class ProxyServer:
    """A proxy on a free port: ``http`` (CONNECT, and whole addresses for plain HTTP) or ``socks5``."""

    def __init__(self, scheme: str, *, wants_password: bool = False, behaviour: str = "good") -> None:
        self.scheme = scheme
        self.wants_password = wants_password
        #: ``good``, ``hangs`` (says nothing), ``hangs up``, ``greets`` (hangs up after the
        #: greeting), ``refuses``, ``dribbles`` (answers byte by byte).
        self.behaviour = behaviour
        #: What was asked for: ``host:port``, in order.
        self.targets: list[str] = []
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, credentials: str = "") -> str:
        return f"{self.scheme}://{credentials and credentials + '@'}127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ProxyServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if self.behaviour == "hangs":
                    await reader.read()
                elif self.behaviour == "greets":
                    await reader.read(1024)
                elif self.behaviour != "hangs up":
                    await (self._http if self.scheme == "http" else self._socks)(reader, writer)
        finally:
            writer.close()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        wanted = b"Proxy-Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()) + b"\r\n"
        if self.wants_password and wanted not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        if self.behaviour == "refuses":
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            answer, first = b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n", b""
        else:
            parts = urlsplit(target)
            host, port = parts.hostname or "", str(parts.port or 80)
            answer, first = b"", head.replace(target.encode(), parts.path.encode() or b"/", 1)
        self.targets.append(f"{host}:{port}")
        await self._join(reader, writer, host, int(port), answer, first)

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        offered = await reader.readexactly(count)
        if self.wants_password:
            if 2 not in offered:
                writer.write(b"\x05\xff")
                return
            writer.write(b"\x05\x02")
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            good = (user.decode(), password.decode()) == (USER, PASSWORD)
            writer.write(b"\x01" + (b"\0" if good else b"\1"))
            if not good:
                return
        else:
            writer.write(b"\x05\x00")
        kind = (await reader.readexactly(4))[3]
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        if self.behaviour == "refuses":
            writer.write(b"\x05\x02\0\x01" + bytes(6))
            return
        self.targets.append(f"{host}:{port}")
        await self._join(reader, writer, host, port, b"\x05\0\0\x01" + bytes(6), b"")

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: str,
        port: int,
        answer: bytes,
        first: bytes,
    ) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, port)
        try:
            for piece in (
                [answer[i : i + 1] for i in range(len(answer))] if self.behaviour == "dribbles" else [answer]
            ):
                writer.write(piece)
                await writer.drain()
                # The next turn of the loop: the pieces leave apart.
                await asyncio.sleep(0)
            far_writer.write(first)
            await _pump_both(reader, writer, far_reader, far_writer)
        finally:
            far_writer.close()


async def _pump_both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    pumps = [asyncio.ensure_future(_pump(reader, far_writer)), asyncio.ensure_future(_pump(far_reader, writer))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


class Authority:
    """A certificate authority that nobody knows, with one certificate for this machine."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("localhost",)) -> None:
        self.ca_file = folder / "authority.pem"
        own_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
        own = _certificate(
            issuer, issuer, own_key, own_key, x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        leaf = _certificate(subject, issuer, key, own_key, alternative, critical=False)
        self.ca_file.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        chain = folder / "server.pem"
        chain.write_bytes(
            leaf.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_context.load_cert_chain(chain)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
    *,
    critical: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(extension, critical=critical)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )


@asynccontextmanager
async def tls_end(context: ssl.SSLContext, port: int) -> AsyncIterator[int]:
    """Take TLS connections on a free port and pass what is in them to ``port``; yields the free port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await _pump_both(reader, writer, far_reader, far_writer)
            finally:
                far_writer.close()
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
