"""Whose a connection is, and what it may ask: what both sockets look at before they handle a request."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import NamedTuple

from tapewire.gateway.addresses import address_of
from tapewire.gateway.bounded_log import BoundedLog
from tapewire.gateway.counters import Counters
from tapewire.gateway.limits import Limit, Limits
from tapewire.gateway.misuse import Misuse, Offence, address_name, login_name
from tapewire.gateway.quotas import ConnectionQuota
from tapewire.gateway.tokens import TokenAuthority
from tapewire.protocol.assembler import Message
from tapewire.protocol.codes import INVALID_TOKEN, ResultCode
from tapewire.protocol.errors import BadRequestError, NotJsonError
from tapewire.protocol.limits import GUID_CHARACTERS_MAX
from tapewire.protocol.reading import Envelope, read_envelope
from tapewire.protocol.tokens import Claims, Secret

__all__ = ["Reception", "Standing"]


class Reception(NamedTuple):
    """What decides about all connections of a gateway alike."""

    tokens: TokenAuthority
    quota: ConnectionQuota
    misuse: Misuse
    counters: Counters
    limits: Limits
    log: BoundedLog
    #: The loop's time in seconds.
    now: Callable[[], float]


class Standing:
    """One connection: who it is once it has shown a good token, how much it asks, what it is refused."""

    def __init__(self, reception: Reception, number: int, path: str, peer: str) -> None:
        self._reception = reception
        self.number = number
        self.path = path
        self.peer = peer
        self.address = address_of(peer.rpartition(":")[0])
        self.opened_s = reception.now()
        #: None until a good token has come.
        self.login: str | None = None
        #: Messages that were read as requests, good or not.
        self.requests = 0
        # Refresh tokens behind the access tokens that were shown, by their ids: hardly ever more than one.
        self._grants: set[str] = set()
        self._second_began = 0.0
        self._requests_in_second = 0

    def read(self, message: Message, *, guid_characters_max: int = GUID_CHARACTERS_MAX) -> Envelope:
        """Count a message and read what every request has.

        Raises:
            BadRequestError: It cannot be read, or is one too many in this second.
        """
        is_too_many = self._count()
        if not message.is_text:
            raise BadRequestError("", ResultCode.BAD_REQUEST, "Binary messages are not taken")
        try:
            envelope = read_envelope(message.payload, guid_characters_max=guid_characters_max)
        except NotJsonError:
            self.refused(Limit.UNREADABLE)
            self.charge(Offence.UNREADABLE)
            raise
        if is_too_many:
            per_second = self._reception.limits.requests_per_second
            text = f"Too many requests: at most {per_second} a second"
            raise self.refusal(envelope.guid, Limit.REQUESTS_PER_SECOND, text)
        return envelope

    def authorise(self, guid: str, token: str) -> Claims:
        """Return what a token says; the first good one tells whose the connection is.

        Raises:
            BadRequestError: It is not good, or its user has too many connections.
        """
        claims = self._reception.tokens.verify(token)
        if claims is None:
            self._check(guid, address_name(self.address))
            raise BadRequestError(guid, ResultCode.UNAUTHORIZED, INVALID_TOKEN)
        self._grants.add(claims.azp)
        if self.login is None:
            if not self._reception.quota.claim(claims.sub):
                raise self.refusal(guid, Limit.USER_CONNECTIONS, "Too many connections of this user")
            self.login = claims.sub
            self.charge(Offence.CONNECTION)
            self._write(logging.INFO, "session authorised")
        return claims

    @property
    def is_revoked(self) -> bool:
        """Whether a refresh token behind what was shown here is not good any more."""
        return not all(self._reception.tokens.is_good(grant) for grant in self._grants)

    def knows(self, token: Secret) -> bool:
        """Return whether a token is still good."""
        return self._reception.tokens.verify(token.reveal()) is not None

    def greet(self, guid: str, token: str) -> None:
        """Let a ping say whose the connection is, if it brings a good token; one without is answered as well.

        Raises:
            BadRequestError: The user has too many connections.
        """
        if self.login is None and token and self._reception.tokens.verify(token) is not None:
            self.authorise(guid, token)

    def check_block(self, guid: str, login: str) -> None:
        """Look whether a login is blocked for misuse.

        Raises:
            BadRequestError: It is.
        """
        self._check(guid, login_name(login))

    def charge(self, offence: Offence, login: str | None = None) -> None:
        """Give misuse points to a login, else to that of the connection, else to the address."""
        login = login or self.login
        name = address_name(self.address) if login is None else login_name(login)
        self._reception.misuse.charge(name, offence)

    def refusal(self, guid: str, limit: Limit, text: str) -> BadRequestError:
        """Count a refusal and return it, to be raised."""
        self.refused(limit)
        return BadRequestError(guid, ResultCode.TOO_MANY, text)

    def refused(self, limit: Limit) -> None:
        """Count a refusal."""
        self._reception.counters.refusals[limit] += 1
        self._write(logging.INFO, "request refused", limit=limit.value)

    def leave(self) -> None:
        """Give the place of the connection back."""
        if self.login is None:
            self.charge(Offence.CONNECTION)
        else:
            self._reception.quota.release(self.login)

    def _check(self, guid: str, name: str) -> None:
        left_s = self._reception.misuse.blocked_for_s(name)
        if left_s > 0:
            text = f"Too many points for misuse: blocked for {math.ceil(left_s)} s more"
            raise self.refusal(guid, Limit.MISUSE, text)

    def _count(self) -> bool:
        """Count one request; return whether it is one too many."""
        self.requests += 1
        per_second = self._reception.limits.requests_per_second
        if per_second is None:
            return False
        now = self._reception.now()
        if now - self._second_began >= 1:
            self._second_began, self._requests_in_second = now, 0
        self._requests_in_second += 1
        return self._requests_in_second > per_second

    def _write(self, level: int, event: str, **fields: object) -> None:
        who = {"session": self.number, "path": self.path, "peer": self.peer, "login": self.login}
        self._reception.log.write(level, event, **who, **fields)
