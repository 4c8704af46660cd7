"""The door to the broker's HTTP: few requests at once, the others in line, readings again after a "not now".

A broker counts the requests of a login, over all of its programs, and refuses with 429 what is too much at once.
So one program stays far below what the login may have. What changes something goes first and is made once,
whatever is answered; a reading that comes too early is made again when the broker wants it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping

from tapewire.client.errors import ClosedError, LimitError
from tapewire.ports.network import ConnectError, HttpAnswer, HttpClient
from tapewire.protocol.codes import ResultCode

__all__ = ["PAUSE_MAX_S", "READ_TRIES_MAX", "REQUESTS_AT_ONCE_MAX", "REQUESTS_WAITING_MAX", "HttpGate"]

#: Of one broker object. Gateways of this project answer 20 at once for a login: three programs fit in.
REQUESTS_AT_ONCE_MAX = 6
#: Requests that wait for their turn; the next is refused here.
REQUESTS_WAITING_MAX = 1_000
#: How often a reading is made that is answered "not now".
READ_TRIES_MAX = 4
#: A longer wish to be left alone is the caller's to obey.
PAUSE_MAX_S = 5.0
#: After a 429 that does not say for how long.
PAUSE_UNSAID_S = 1.0
#: Several programs must not come back at the same moment.
PAUSE_JITTER_S = 0.5

_READING = "GET"


class HttpGate:
    """A ``ports.HttpClient`` that keeps within what the broker takes at once."""

    def __init__(self, http: HttpClient, rng: random.Random) -> None:
        self._http = http
        self._random = rng
        self._free = REQUESTS_AT_ONCE_MAX
        #: Whose turn is next: what changes something, then readings.
        self._lines: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque())
        self._waiting = 0
        self._rests_until_s = 0.0
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<HttpGate {REQUESTS_AT_ONCE_MAX - self._free} under way, {self._waiting} waiting>"

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float,
    ) -> HttpAnswer:
        """Make a request when its turn has come; ``timeout_s`` begins then.

        A reading that is answered 429, or 503 with a time to come back, is made again after that time, up to
        ``READ_TRIES_MAX`` times, and holds up all other readings as long; the last answer is returned.

        Raises:
            ConnectError: No answer came.
            ClosedError: The broker was closed before its turn, or before a reading was answered.
            LimitError: Too many wait already; it passes.
        """
        is_reading = method == _READING
        for tries_left in range(READ_TRIES_MAX - 1, -1, -1):
            await self._enter(is_reading=is_reading)
            try:
                answer = await self._http.request(method, url, headers=headers, body=body, timeout_s=timeout_s)
            except ConnectError:
                # Of what changes something nobody knows whether it was done.
                if self._is_closed and is_reading:
                    raise _closed() from None
                raise
            finally:
                self._leave()
            pause_s = _pause_s(answer)
            if not is_reading or not tries_left or pause_s is None or pause_s > PAUSE_MAX_S:
                break
            until_s = asyncio.get_running_loop().time() + pause_s + self._random.uniform(0, PAUSE_JITTER_S)
            self._rests_until_s = max(self._rests_until_s, until_s)
        return answer

    async def close(self) -> None:
        """Release all connections; what waits for its turn gets ``ClosedError``."""
        self._is_closed = True
        for line in self._lines:
            for turn in line:
                if not turn.done():
                    turn.set_exception(_closed())
            line.clear()
        await self._http.close()

    async def _enter(self, *, is_reading: bool) -> None:
        """Wait until one more request may be made."""
        if self._waiting >= REQUESTS_WAITING_MAX:
            raise LimitError("requests over HTTP that wait", self._waiting + 1, REQUESTS_WAITING_MAX, passes=True)
        self._waiting += 1
        try:
            while True:
                if is_reading and (left_s := self._rest_left_s()) > 0:
                    await asyncio.sleep(left_s)
                await self._turn(self._lines[is_reading])
                if not is_reading or self._rest_left_s() <= 0:
                    return
                # Somebody has been told "not now" while this one was in line.
                self._leave()
        finally:
            self._waiting -= 1

    async def _turn(self, line: deque[asyncio.Future[None]]) -> None:
        if self._is_closed:
            raise _closed()
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with contextlib.suppress(ValueError):  # the client was closed
                    line.remove(turn)
            elif turn.exception() is None:
                # Its turn came in the moment that it gave up.
                self._leave()
            raise

    def _leave(self) -> None:
        """Let the next one in."""
        for line in self._lines:
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1

    def _rest_left_s(self) -> float:
        return self._rests_until_s - asyncio.get_running_loop().time()


def _pause_s(answer: HttpAnswer) -> float | None:
    """Return how long a server wants to be left alone that answers "not now"; None: it has answered."""
    if answer.status == ResultCode.TOO_MANY:
        return PAUSE_UNSAID_S if answer.retry_after_s is None else answer.retry_after_s
    return answer.retry_after_s if answer.status == ResultCode.UNAVAILABLE else None


def _closed() -> ClosedError:
    return ClosedError("the broker was closed")
