"""Bodies of requests: bounded in size and in time."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from tapewire.protocol.limits import HTTP_BODY_BYTES_MAX

__all__ = ["BODY_DEADLINE_S", "read_body"]

#: How long a body may take to come.
BODY_DEADLINE_S = 10.0


async def read_body(request: Request) -> bytes:
    """Return the whole body of a request.

    Raises:
        HTTPException: 408, it has not come in time; 413, it is too large; 400, it has not come whole.
    """
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            return await _read(request)
    except TimeoutError as error:
        text = f"The body has not come within {BODY_DEADLINE_S:g} s"
        raise HTTPException(408, text, {"Connection": "close"}) from error


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > HTTP_BODY_BYTES_MAX:
                raise HTTPException(413, f"The body is larger than {HTTP_BODY_BYTES_MAX} bytes")
    except ClientDisconnect as error:
        # Nobody is there to read this, but an exception would be logged as a fault of ours.
        raise HTTPException(400, "The body has not come whole") from error
    return bytes(body)
