"""The access token: one task renews it at about half of its life, everybody else reads it."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import Callable
from typing import Protocol

import msgspec

from tapewire.client.errors import (
    ClosedError,
    Fault,
    TapewireError,
    TokenRefusedError,
    TokenServiceError,
    shown_url,
)
from tapewire.client.foreign_text import shown
from tapewire.ports.network import ConnectError, HttpAnswer, HttpClient
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.tokens import Claims, claims_of, read_access_token

__all__ = ["TokenKeeper", "TokenSource"]

log = logging.getLogger("tapewire.client")

REQUEST_TIMEOUT_S = 10.0
#: Answers that say that the refresh token is not good.
_REFUSED = frozenset({400, 401, 403})
#: A token that claims to live longer is renewed as if it did not.
LIFE_MAX_S = 86_400
#: Renewal comes at this part of the token's life, give or take the jitter: programs must not ask all at once.
RENEW_AT = 0.5
RENEW_JITTER = 0.1
#: Pauses between failed renewals double from the first to the last; each is drawn at random below that.
RETRY_FIRST_S = 1.0
RETRY_LAST_S = 60.0
#: A system that was started anew says within this time what its refresh token is.
SOURCE_SILENT_MAX_S = 30.0


class TokenSource(Protocol):
    """Where the refresh token is from, if another may be there later."""

    def refresh_token(self) -> str | None:
        """Return the refresh token of now; None: there is none at the moment."""


class TokenKeeper:
    """Holds the newest access token of one refresh token. Neither is ever written to a log.

    A refresh token that is refused is looked up again, if there is a ``source``: what it says now is tried.
    """

    def __init__(
        self,
        http: HttpClient,
        oauth_url: str,
        refresh_token: str,
        rng: random.Random,
        source: TokenSource | None = None,
    ) -> None:
        self._http = http
        self._url = oauth_url.rstrip("/") + "/refresh"
        self._refresh_token = refresh_token
        self._random = rng
        self._source = source
        self._source_silent_since_s: float | None = None
        self._token = self._token_before = ""
        self._claims: Claims | None = None
        self._renewing: asyncio.Task[TapewireError | None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._refused: TokenRefusedError | None = None
        self._is_closed = False
        #: How many tokens there have been: tells whether a refused one was the newest.
        self.fetched = 0
        #: Called after each new token; whoever has shown the old one to somebody shows the new one.
        self.on_renewed: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"TokenKeeper({self._url!r}, ***)"

    @property
    def claims(self) -> Claims:
        """What the token says: portfolios, rights, end of life."""
        assert self._claims is not None
        return self._claims

    async def start(self) -> None:
        """Get the first token and begin to renew it.

        Raises:
            TokenRefusedError: The refresh token is not good.
            TokenServiceError: The service gave no usable answer.
        """
        await self.renew()
        self._keeping = asyncio.create_task(self._keep(), name="token renewal")

    async def close(self) -> None:
        """Renew no more; who waits for a token gets ``ClosedError``."""
        self._is_closed = True
        tasks = [task for task in (self._keeping, self._renewing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def current(self) -> str:
        """Return the newest token.

        Raises:
            TokenRefusedError: The refresh token has ceased to be good.
        """
        if self._refused is not None:
            raise self._refused.again()
        return self._token

    @property
    def newest(self) -> str:
        """The newest token, even if no newer one can be had: good enough to take something back."""
        return self._token

    def shown(self, text: str) -> str:
        """Return a text of the other end as it may be shown: without the tokens that it may repeat."""
        return shown(text, (self._token, self._token_before, self._refresh_token))

    async def renew(self) -> str:
        """Get a new token now; calls that overlap share one request.

        Raises:
            TokenRefusedError: The refresh token is not good, or was found so before.
            TokenServiceError: The service gave no usable answer.
            ClosedError: The broker was closed.
        """
        if self._is_closed:
            raise ClosedError("the broker was closed")
        if self._refused is not None:
            raise self._refused.again()
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._fetch(), name="token request")
            self._renewing.add_done_callback(self._fetched)
        renewing = self._renewing
        # Whoever gives up waiting does not take the token from the others.
        await asyncio.wait({renewing})
        if renewing.cancelled():
            raise ClosedError("the broker was closed")
        error = renewing.result()
        if error is not None:
            raise error.again()
        return self._token

    def _fetched(self, task: asyncio.Task[TapewireError | None]) -> None:
        self._renewing = None
        if not task.cancelled():
            task.exception()

    async def _fetch(self) -> TapewireError | None:
        """Get a token, or return what went wrong.

        Returned and not raised: it is for all who wait, and the frames below here hold secrets, which would
        go with a traceback to whatever prints one with its variables.
        """
        try:
            return await self._new_token()
        except Exception as error:  # noqa: BLE001  (whoever renews must go on: without it all ends in an hour)
            # Neither its text nor the variables of its frames, which may hold secrets.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("the token service could not be asked: %s\n%s", type(error).__name__, where)
            return TokenServiceError(f"the token service could not be asked: {type(error).__name__}")

    async def _new_token(self) -> TapewireError | None:
        answer = await self._ask()
        if isinstance(answer, HttpAnswer) and answer.status in _REFUSED and self._source is not None:
            error = self._look_up_again(self._source, answer.status)
            if error is not None:
                return error
            answer = await self._ask()
        if isinstance(answer, TapewireError):
            return answer
        if answer.status in _REFUSED:
            self._refused = TokenRefusedError(answer.status)
            return self._refused
        if answer.status != 200:
            return TokenServiceError(f"the token service answered {answer.status}")
        try:
            token = read_access_token(answer.body)
            self._claims = claims_of(token)
        except MalformedMessageError as malformed:
            return TokenServiceError(malformed.reason)
        self._token_before, self._token = self._token, token
        self.fetched += 1
        if self.on_renewed is not None:
            self.on_renewed()
        return None

    async def _ask(self) -> HttpAnswer | TapewireError:
        # In the body, not in the address: addresses end up in logs of proxies.
        body = msgspec.json.encode({"token": self._refresh_token})
        try:
            return await self._http.request(
                "POST",
                self._url,
                headers={"Content-Type": "application/json"},
                body=body,
                timeout_s=REQUEST_TIMEOUT_S,
            )
        except ConnectError as error:
            said = f"the token service cannot be reached: POST {shown_url(self._url)}: {self.shown(error.reason)}"
            return TokenServiceError(said, Fault.NETWORK)

    def _look_up_again(self, source: TokenSource, status: int) -> TapewireError | None:
        """Take the refresh token of now in place of one that was refused, or return what to say."""
        found = source.refresh_token()
        now_s = asyncio.get_running_loop().time()
        if found is None:
            # It listens a moment before it says what its token is.
            if self._source_silent_since_s is None:
                self._source_silent_since_s = now_s
            if now_s - self._source_silent_since_s < SOURCE_SILENT_MAX_S:
                return TokenServiceError(f"the refresh token was refused ({status}), a new one is not there yet")
        elif found != self._refresh_token:
            self._source_silent_since_s = None
            self._refresh_token = found
            log.warning("the system was started anew and has forgotten its tokens: going on with its new one")
            return None
        self._refused = TokenRefusedError(status)
        return self._refused

    async def _keep(self) -> None:
        retry_s = RETRY_FIRST_S
        while True:
            life_s = min(max(self.claims.exp - self.claims.iat, 2), LIFE_MAX_S)
            jitter = self._random.uniform(1 - RENEW_JITTER, 1 + RENEW_JITTER)
            await asyncio.sleep(life_s * RENEW_AT * jitter)
            while True:
                try:
                    await self.renew()
                except TokenRefusedError:
                    log.error("the refresh token has ceased to be good; the access token is not renewed")
                    return
                except TokenServiceError as error:
                    log.warning("the access token was not renewed: %s", error)
                else:
                    retry_s = RETRY_FIRST_S
                    break
                await asyncio.sleep(self._random.uniform(0, retry_s))
                retry_s = min(retry_s * 2, RETRY_LAST_S)
