"""The system of this machine that a program has its token from: it may end, and be started anew.

Without ``--data`` it then has other tokens, and perhaps another port. ``tapewire.connect()`` means the system of
this machine, so the program goes on with the new token; to another address it does not move by itself.
"""

from __future__ import annotations

import logging

from tapewire.adapters.running_systems import RunningSystem, running_systems
from tapewire.client.endpoints import Endpoints
from tapewire.ports.network import ConnectError, Connector, FrameListener, Transport

__all__ = ["LocalSystem", "RemarkingConnector", "systems_at"]

log = logging.getLogger("tapewire.client")


class LocalSystem:
    """Knows what the file of a running system says now. A ``TokenSource``."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._remarked = ""

    def refresh_token(self) -> str | None:
        """Return the refresh token of the system that runs at the address now; None: none says that it does."""
        found = systems_at(self._endpoints, running_systems())
        return found[-1].refresh_token or None if found else None

    def remark(self) -> str:
        """Return why nobody may answer at the address, for people; empty: the system is there.

        A new reason is also logged, once.
        """
        systems = running_systems()
        if systems_at(self._endpoints, systems):
            self._remarked = ""
            return ""
        if systems:
            others = ", ".join(system.url for system in systems)
            remark = f"the system of this machine is at {others} now: connect anew"
        else:
            remark = "no system runs on this machine any more: start it with `tapewire up`"
        if remark != self._remarked:
            self._remarked = remark
            log.warning("%s cannot be reached: %s", self._endpoints.http, remark)
        return remark


class RemarkingConnector:
    """A ``Connector`` to a local system, whose errors say what became of the system."""

    def __init__(self, connector: Connector, system: LocalSystem) -> None:
        self._connector = connector
        self._system = system

    async def connect(self, url: str, listener: FrameListener, *, timeout_s: float) -> Transport:
        """Open a connection as the connector within does.

        Raises:
            ConnectError: There is no connection.
        """
        try:
            return await self._connector.connect(url, listener, timeout_s=timeout_s)
        except ConnectError as error:
            remark = "" if error.status is not None else self._system.remark()
            if not remark:
                raise
            raise ConnectError(f"{error.reason}; {remark}") from error


def systems_at(endpoints: Endpoints, systems: list[RunningSystem]) -> list[RunningSystem]:
    """Return those of the systems that are at an address, under whichever name of this machine."""
    wanted = _loopback(endpoints)
    return [each for each in systems if _loopback(Endpoints.from_base(each.url)) == wanted]


def _loopback(endpoints: Endpoints) -> str:
    """Return an address by which systems on this machine compare: its names for itself are one."""
    for name in ("//localhost:", "//0.0.0.0:", "//[::1]:", "//[::]:"):
        if name in endpoints.http:
            return endpoints.http.replace(name, "//127.0.0.1:")
    return endpoints.http
