"""Requests about portfolios and orders over HTTP: rows in, typed records out."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from tapewire.client.errors import ConnectError, Fault, RefusedError
from tapewire.client.tokens import TokenKeeper
from tapewire.model import Record
from tapewire.ports.network import ConnectError as TransportError
from tapewire.ports.network import HttpAnswer, HttpClient
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import UNREADABLE, MalformedMessageError
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

__all__ = ["HTTP_TIMEOUT_S", "HttpReader", "path_of"]

R = TypeVar("R", bound=Record)

#: Of every request over HTTP but those for tokens.
HTTP_TIMEOUT_S = 10.0


class _Refusal(msgspec.Struct):
    code: str | int | None = None
    message: str | None = None
    detail: str | None = None


def path_of(*parts: str) -> str:
    """Return a path of these parts, whatever stands in them."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _refusal_text(body: bytes) -> str:
    """Return what a refusal says, its code first: ``OrderToCancelNotFound (404): …``; empty if it is no JSON."""
    try:
        read = msgspec.json.decode(body, type=_Refusal)
    except UNREADABLE:
        return ""
    return ": ".join(str(part) for part in (read.code, read.message or read.detail) if part)


class HttpReader:
    """Reads with the newest token. One that is not good any more is renewed once: a reading may be repeated."""

    def __init__(self, url: str, tokens: TokenKeeper, http: HttpClient) -> None:
        self._url = url
        self._tokens = tokens
        self._http = http

    async def rows(self, record: type[R], path: str, **query: str) -> list[R]:
        """Return a list of records.

        Raises:
            ConnectError: The broker cannot be reached, or this is no such list.
            RefusedError: It does not answer this.
            TokenRefusedError: The refresh token has ceased to be good.
            TokenServiceError: A new token was needed and could not be had.
        """
        body = await self._read(path, query)
        read = codec(record, Format.SIMPLE).decode
        try:
            return [read(row) for row in msgspec.json.decode(body, type=list[msgspec.Raw])]
        except (*UNREADABLE, MalformedMessageError):
            raise self.unreadable(path, f"this is no list of {record.__name__}") from None

    async def row(self, record: type[R], path: str, **query: str) -> R:
        """Return one record; raises as :meth:`rows` does."""
        body = await self._read(path, query)
        try:
            found: R = codec(record, Format.SIMPLE).decode(body)
        except MalformedMessageError:
            raise self.unreadable(path, f"this is no {record.__name__}") from None
        return found

    async def time_s(self) -> int:
        """Return the broker's clock, Unix s; raises as :meth:`rows` does."""
        path = "/md/v2/time"
        try:
            return msgspec.json.decode(await self._read(path, {}), type=int)
        except UNREADABLE:
            raise self.unreadable(path, "this is no time") from None

    def unreadable(self, path: str, reason: str) -> ConnectError:
        """Return the error of an answer that is not what was asked for."""
        return ConnectError(self._url + path, reason, Fault.BROKER)

    async def once(self, method: str, path: str, guid: str, body: bytes = b"") -> HttpAnswer:
        """Make a request that changes something, once, whatever is answered.

        After 401 the token is renewed for the next request; this one is not made again.

        Raises:
            ConnectError: No answer came: the request may have reached the broker or not.
            TokenRefusedError: The refresh token has ceased to be good; nothing has changed.
            TokenServiceError: The token is not taken, and there is no new one; nothing has changed.
        """
        fetched = self._tokens.fetched
        headers = self._headers() | {"X-REQID": guid} | ({"Content-Type": "application/json"} if body else {})
        try:
            answer = await self._http.request(
                method, self._url + path, headers=headers, body=body, timeout_s=HTTP_TIMEOUT_S
            )
        except TransportError as error:
            raise ConnectError(self._url + path, self._tokens.shown(error.reason)) from None
        if answer.status == ResultCode.UNAUTHORIZED and self._tokens.fetched == fetched:
            await self._tokens.renew()
        return answer

    def said(self, answer: HttpAnswer) -> str:
        """Return what a refusal says, fit to be told."""
        return self._tokens.shown(_refusal_text(answer.body))

    async def _read(self, path: str, query: dict[str, str]) -> bytes:
        address = self._url + path
        asked = f"{address}?{urlencode({**query, 'format': Format.SIMPLE})}"
        for is_second in (False, True):
            fetched = self._tokens.fetched
            try:
                answer = await self._http.request("GET", asked, headers=self._headers(), timeout_s=HTTP_TIMEOUT_S)
            except TransportError as error:
                raise ConnectError(address, self._tokens.shown(error.reason)) from None
            if answer.status != ResultCode.UNAUTHORIZED or is_second:
                break
            if self._tokens.fetched == fetched:
                await self._tokens.renew()
        if answer.status != ResultCode.OK:
            text = self.said(answer) or f"GET {path}"
            raise RefusedError(answer.status, text, answer.retry_after_s)
        return answer.body

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens.current()}"}
