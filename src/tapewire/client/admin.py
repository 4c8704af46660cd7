"""The operator's side of a trading system: who is connected, and an end to a session."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from tapewire.client.errors import ConfigurationError, ConnectError, Fault, RefusedError, TapewireError
from tapewire.client.http_reader import HTTP_TIMEOUT_S
from tapewire.ports.network import ConnectError as TransportError
from tapewire.ports.network import HttpAnswer, HttpClient
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import UNREADABLE
from tapewire.protocol.tokens import Secret

__all__ = ["Admin", "Sessions", "UnknownSessionError"]


class UnknownSessionError(TapewireError):
    """There is no open session of this id."""

    def __init__(self, session: str) -> None:
        super().__init__(session)
        self.session = session

    def __str__(self) -> str:
        return f"there is no open session {self.session!r}"


class Sessions(msgspec.Struct, frozen=True):
    """The sessions of a system, each as the fields that docs/operation.md names."""

    #: In the order of opening.
    sessions: list[dict[str, Any]]
    #: Those that ended last, newest first.
    ended: list[dict[str, Any]]


class Admin:
    """Asks one trading system as its operator. Made by :func:`tapewire.connect.admin`, which also closes it."""

    def __init__(self, url: str, token: Secret, http: HttpClient) -> None:
        self.url = url
        self._token = token
        self._http = http

    async def sessions(self) -> Sessions:
        """Return the open sessions and those that ended last.

        Raises:
            ConfigurationError: The admin token is not good.
            ConnectError: The system cannot be reached, or it is none of ours.
            RefusedError: It does not answer this now.
        """
        answer = await self._ask("GET", "/admin/sessions", 200)
        try:
            return msgspec.json.decode(answer.body, type=Sessions)
        except UNREADABLE:
            raise ConnectError(self.url, "this is no list of sessions", Fault.BROKER) from None

    async def end(self, session: str) -> None:
        """End a session by its id.

        Raises:
            ConfigurationError: The admin token is not good.
            ConnectError: The system cannot be reached.
            UnknownSessionError: There is no such session; it may have ended.
            RefusedError: It does not answer this now.
        """
        try:
            await self._ask("DELETE", f"/admin/sessions/{quote(session, safe='')}", 204)
        except RefusedError as error:
            if error.code != ResultCode.NOT_FOUND:
                raise
            raise UnknownSessionError(session) from None

    async def _ask(self, method: str, path: str, expected: int) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {self._token.reveal()}"}
        try:
            answer = await self._http.request(method, self.url + path, headers=headers, timeout_s=HTTP_TIMEOUT_S)
        except TransportError as error:
            raise ConnectError(self.url, error.reason) from None
        if answer.status == 401:
            raise ConfigurationError(f"{self.url} does not take this admin token")
        if answer.status != expected:
            raise RefusedError(answer.status, f"{method} {path}")
        return answer
