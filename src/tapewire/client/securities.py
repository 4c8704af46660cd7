"""Instruments as the broker lists them over HTTP."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from tapewire.client.errors import ConnectError, Fault, RefusedError
from tapewire.model import Security
from tapewire.ports.network import ConnectError as TransportError
from tapewire.ports.network import HttpClient
from tapewire.protocol.errors import UNREADABLE, MalformedMessageError
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format

__all__ = ["search_securities"]

HTTP_TIMEOUT_S = 10.0


async def search_securities(
    url: str, access_token: str, http: HttpClient, query: str = "", *, limit: int
) -> list[Security]:
    """Return the instruments that match, the most traded first.

    Args:
        url: Base of the broker's HTTP.
        access_token: Without one the answer would be old.
        http: Who asks.
        query: Part of a symbol or of a name; empty: any.
        limit: How many at most.

    Raises:
        ConnectError: The broker cannot be reached, or this is no list of instruments.
        RefusedError: It does not answer this.
    """
    asked = {"limit": str(limit), "format": Format.SIMPLE} | ({"query": query} if query else {})
    headers = {"Authorization": f"Bearer {access_token}"}
    address = f"{url}/md/v2/Securities"
    try:
        answer = await http.request(
            "GET", f"{address}?{urlencode(asked)}", headers=headers, timeout_s=HTTP_TIMEOUT_S
        )
    except TransportError as error:
        raise ConnectError(address, error.reason) from None
    if answer.status != 200:
        raise RefusedError(answer.status, "GET /md/v2/Securities")
    read = codec(Security, Format.SIMPLE).decode
    try:
        return [read(row) for row in msgspec.json.decode(answer.body, type=list[msgspec.Raw])]
    except (*UNREADABLE, MalformedMessageError):
        raise ConnectError(address, "this is no list of instruments", Fault.BROKER) from None
