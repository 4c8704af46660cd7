"""The tokens of one connection: which were shown, and which of them have ended by a fault. Pure."""

from __future__ import annotations

from collections.abc import Callable

from tapewire.faults.kinds import Whose
from tapewire.faults.plan import SessionPlan
from tapewire.faults.subject import read_claims
from tapewire.faults.tally import Strike

__all__ = ["SessionTokens"]


class SessionTokens:
    """Sees the tokens of requests and says which are refused. Holds tokens, shows none.

    Args:
        opened_s: When the connection began.
        wall_s: The time of day, Unix s UTC.
        struck: Told of each strike that ends a token.
    """

    def __init__(
        self,
        session: SessionPlan,
        opened_s: float,
        wall_s: Callable[[], float],
        struck: Callable[[Strike], None],
    ) -> None:
        self._session = session
        self._opened_s = opened_s
        self._wall_s = wall_s
        self._struck = struck
        # The one that the order socket goes by.
        self._token = ""

    def see(self, token: str) -> None:
        """Remember the token that a request brings, and whose the connection is."""
        claims = read_claims(token) if token else None
        if claims is not None:
            self._session.login = claims.sub
            self._session.tokens.see(token)
            self._session.plan.see_token(token, claims)

    def is_expired(self, offered: str, now_s: float) -> bool:
        """Whether the token of a request, or the one that the order socket was given, has ended by a fault."""
        session = self._session
        token = offered or (self._token if session.path == "/cws" else "")
        claims = read_claims(token) if token else None
        if claims is None:
            return False
        if session.tokens.is_dead(token, claims.iat):
            return True
        elapsed_s = now_s - self._opened_s
        refused = session.plan.refused_token(token, claims, session.path, elapsed_s, now_s, self._wall_s())
        if isinstance(refused, Strike):
            self._struck(refused)
        if refused:
            return True
        self._token = token
        return False

    def end(self, whose: Whose | None) -> None:
        """End the tokens of the connection, or of its login."""
        if whose is Whose.LOGIN and self._session.login:
            self._session.plan.tokens_of(self._session.login).end(self._wall_s())
        else:
            self._session.tokens.end(self._wall_s())
