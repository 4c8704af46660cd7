"""A network of WebSocket connections in memory, seen at frame level: addresses, handshakes, faults.

``Network.listen`` gives a server an address, ``Network.connector`` gives a client a ``ports.Connector``. All
times are those of the running loop, so on a ``VirtualTimeLoop`` a day of latency costs nothing and a seed
repeats a run exactly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from tapewire.ports.network import ConnectError, FrameListener, HandshakeRefusedError
from tapewire.simulation.connection import ConnectionEnd, SimulatedConnection
from tapewire.simulation.link import LinkConditions

__all__ = ["Acceptor", "Address", "Network", "NetworkConnector", "parse_host_port"]

#: Called with the path of a handshake, query included, and the client's address; None refuses with 404,
#: ``HandshakeRefusedError`` with its status.
Acceptor = Callable[[str, str], FrameListener | None]

_DEFAULT_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443}
_FIRST_CLIENT_PORT = 40_000


class Address:
    """One listening address, with the faults of its handshakes. They hold for handshakes begun later.

    ``handshake_delay_s`` is added to the answer of each handshake, after the server has accepted it.
    """

    def __init__(self, host_port: str, acceptor: Acceptor, on_close: Callable[[Address], None]) -> None:
        self.host_port = host_port
        self.handshake_delay_s = 0.0
        self.acceptor = acceptor
        self.swallows = False
        self.refuses = False
        self.refusal_status: int | None = None
        self._on_close = on_close

    def refuse(self, status: int | None = None) -> None:
        """Refuse new connections: with an HTTP status, or as a closed port if None."""
        self.refuses = True
        self.refusal_status = status

    def swallow(self) -> None:
        """Leave new connections without any answer, until they time out."""
        self.swallows = True

    def restore(self) -> None:
        """Accept again, without delay."""
        self.swallows = False
        self.refuses = False
        self.handshake_delay_s = 0.0

    def close(self) -> None:
        """Stop listening. Open connections stay."""
        self._on_close(self)


class Network:
    """Addresses and the connections between them.

    Args:
        seed: Decides all jitter, with the number of each connection.
        conditions: Of both directions of new connections; may be replaced at any time. The conditions of an
            open connection are those of its links.
    """

    def __init__(self, *, seed: int = 0, conditions: LinkConditions | None = None) -> None:
        self.conditions = conditions or LinkConditions()
        self._seed = seed
        self._addresses: dict[str, Address] = {}
        self._connections: dict[int, SimulatedConnection] = {}
        self._made = 0

    @property
    def connections(self) -> tuple[SimulatedConnection, ...]:
        """The connections of which at least one end is not gone, in the order of opening."""
        return tuple(self._connections.values())

    @property
    def connections_made(self) -> int:
        """How many handshakes a server has accepted so far."""
        return self._made

    def listen(self, host_port: str, acceptor: Acceptor) -> Address:
        """Give ``acceptor`` an address, written ``host:port``.

        Raises:
            ValueError: The address is taken, or it is not of that form.
        """
        host_port = parse_host_port(f"ws://{host_port}")[0]
        if host_port in self._addresses:
            raise ValueError(f"{host_port} is taken")
        address = Address(host_port, acceptor, self._stop_listening)
        self._addresses[host_port] = address
        return address

    def connector(self, host: str = "127.0.0.1") -> NetworkConnector:
        """Return a connector for a client on ``host``."""
        return NetworkConnector(self, host)

    def cut(self) -> None:
        """Cut all connections."""
        for connection in self.connections:
            connection.cut()

    def handshake_delay_s(self, host_port: str) -> float:
        """Return what an address adds to the answer of a handshake."""
        address = self._addresses.get(host_port)
        return address.handshake_delay_s if address is not None else 0.0

    async def accept(self, host_port: str, path: str, client_host: str) -> SimulatedConnection:
        """Open the server's end of a new connection; the client's end is still opening.

        Never returns while the address swallows handshakes.

        Raises:
            ConnectError: Nobody listens, or the handshake is refused.
        """
        address = self._addresses.get(host_port)
        if address is None:
            raise ConnectError(f"{host_port}: connection refused")
        if address.swallows:
            await asyncio.Event().wait()
        if address.refuses:
            raise ConnectError(f"{host_port}: connection refused", status=address.refusal_status)
        client_address = f"{client_host}:{_FIRST_CLIENT_PORT + self._made}"
        try:
            listener = address.acceptor(path, client_address)
        except HandshakeRefusedError as refused:
            raise ConnectError(
                f"{host_port}: {refused.text}", status=refused.status, retry_after_s=refused.retry_after_s
            ) from refused
        if listener is None:
            raise ConnectError(f"{host_port}: nothing under {_bare(path)}", status=404)
        self._made += 1
        connection = SimulatedConnection(
            number=self._made,
            client_address=client_address,
            server_address=host_port,
            path=_bare(path),
            conditions=self.conditions,
            seed=self._seed,
            on_gone=self._forget,
        )
        self._connections[connection.number] = connection
        connection.server.open(listener)
        return connection

    def _stop_listening(self, address: Address) -> None:
        if self._addresses.get(address.host_port) is address:
            del self._addresses[address.host_port]

    def _forget(self, connection: SimulatedConnection) -> None:
        del self._connections[connection.number]


class NetworkConnector:
    """Opens connections from one host: a ``ports.Connector``."""

    def __init__(self, network: Network, host: str) -> None:
        self._network = network
        self._host = host

    async def connect(self, url: str, listener: FrameListener, *, timeout_s: float) -> ConnectionEnd:
        """Open a connection to ``ws://host:port/path``; ``wss`` differs in the default port only.

        The handshake takes the latency there and back. Cancelled, it leaves nothing open.

        Raises:
            ConnectError: There is no connection; ``listener`` was not called.
        """
        try:
            host_port, path = parse_host_port(url)
        except ValueError as error:
            raise ConnectError(str(error)) from error
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._shake_hands(host_port, path)
        except TimeoutError as error:
            raise ConnectError(f"{host_port}: no answer within {timeout_s:g} s") from error
        # Nothing is awaited from the end of the handshake to here, so the end cannot have been cut since.
        connection.client.open(listener)
        return connection.client

    async def _shake_hands(self, host_port: str, path: str) -> SimulatedConnection:
        latency_s = self._network.conditions.latency_s
        await asyncio.sleep(latency_s)
        try:
            connection = await self._network.accept(host_port, path, self._host)
        except ConnectError:
            await asyncio.sleep(latency_s)
            raise
        try:
            await asyncio.sleep(self._network.handshake_delay_s(host_port) + latency_s)
        except asyncio.CancelledError:
            connection.client.abort()
            raise
        if connection.client.ended:
            raise ConnectError(f"{host_port}: connection lost during the handshake")
        return connection


def parse_host_port(url: str) -> tuple[str, str]:
    """Return ``host:port`` and the path with its query.

    Raises:
        ValueError: The URL has no host, a bad port or an unknown scheme.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"not an address of a server: {_bare(url)}")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{parts.hostname}:{port}", path


def _bare(path: str) -> str:
    """Return the path without its query, which may hold a token."""
    return path.partition("?")[0]
