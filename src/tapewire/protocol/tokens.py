"""Access tokens and the call that renews them. Source: reference of authorization.

Reading a token's claims here does not check its signature: a client cannot, a server uses its own verifier.
"""

from __future__ import annotations

import base64
import hmac
from typing import Any

import msgspec

from tapewire.protocol.errors import UNREADABLE, MalformedMessageError

__all__ = [
    "REFRESH_TOKEN_PREFIX",
    "AccessToken",
    "Claims",
    "RefreshRequest",
    "Scope",
    "Secret",
    "claims_of",
    "read_access_token",
    "read_refresh_body",
]


#: How refresh tokens begin that tapewire makes, so that they are known where they must not be.
REFRESH_TOKEN_PREFIX = "twr_"  # noqa: S105  (a part of a secret)


class Secret:
    """A token that no print, log, format or repr shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the token itself, for the one place that needs it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "***"

    def __rich_repr__(self) -> list[Any]:
        # What pretty printers ask for instead.
        return ["***"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


class Scope:
    """Rights that a token may carry."""

    ORDERS_READ = "OrdersRead"
    ORDERS_CREATE = "OrdersCreate"
    TRADES = "Trades"
    PERSONAL = "Personal"
    STATS = "Stats"
    ALL = (ORDERS_READ, ORDERS_CREATE, TRADES, PERSONAL, STATS)
    #: Everything but trading.
    READ_ONLY = (ORDERS_READ, TRADES, PERSONAL, STATS)


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. Lists are texts with blanks between, as the broker writes them."""

    #: Login of the person.
    sub: str
    #: End of life and time of issue, Unix s UTC.
    exp: int
    iat: int
    portfolios: str = ""
    scope: str = ""
    ent: str = "client"
    ein: str = ""
    clientid: str = ""
    azp: str = ""
    agreements: str = ""
    iss: str = ""
    aud: str = ""

    @property
    def portfolio_list(self) -> tuple[str, ...]:
        """The portfolios that the token may touch, in the token's order."""
        return tuple(self.portfolios.split())

    def may(self, scope: str) -> bool:
        """Whether the token carries a right."""
        return scope in self.scope.split()


_TEXT_CLAIMS = frozenset(Claims.__struct_fields__) - {"sub", "exp", "iat"}


class AccessToken(msgspec.Struct, frozen=True, rename={"token": "AccessToken"}):
    """The answer of ``POST /refresh``."""

    token: str

    def __repr__(self) -> str:
        return "AccessToken(***)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # What pretty printers ask for instead.
        return [("token", "***")]


class RefreshRequest(msgspec.Struct, frozen=True):
    """The body of ``POST /refresh``. ``allowed_portfolios`` None: all that the refresh token grants."""

    token: str
    allowed_portfolios: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"RefreshRequest(***, allowed_portfolios={self.allowed_portfolios!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # What pretty printers ask for instead.
        return [("token", "***"), ("allowed_portfolios", self.allowed_portfolios)]


def claims_of(token: str) -> Claims:
    """Read the claims of an access token without checking its signature.

    Raises:
        MalformedMessageError: It is no JWT with the claims that clients need. The text never holds the token.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise MalformedMessageError("an access token has three parts")
    payload = parts[1]
    try:
        raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        fields: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
        return msgspec.convert({**fields, **_texts(fields)}, Claims, strict=False)
    except (ValueError, *UNREADABLE):
        raise MalformedMessageError("the claims of the access token cannot be read") from None


def _texts(claims: dict[str, Any]) -> dict[str, str]:
    """Read the claims that are texts here: issuers write some of them as numbers, lists or null."""
    texts = {}
    for name in _TEXT_CLAIMS & claims.keys():
        value = claims[name]
        if isinstance(value, list):
            value = " ".join(item for item in value if isinstance(item, str))
        texts[name] = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    return texts


def read_access_token(body: bytes) -> str:
    """Return the token in the answer of ``POST /refresh``: printable ASCII without blanks, as a header takes it.

    Raises:
        MalformedMessageError: There is none, or it has other characters. The text never holds the token.
    """
    try:
        token = msgspec.json.decode(body, type=AccessToken).token
    except UNREADABLE:
        token = ""
    if not token:
        raise MalformedMessageError("the token service sent no AccessToken")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise MalformedMessageError("the AccessToken has characters that no token has")
    return token


def read_refresh_body(body: bytes) -> RefreshRequest:
    """Read the body of ``POST /refresh``; keys in any letter case. The token is empty where it names none.

    Raises:
        MalformedMessageError: It is no JSON object, or its values have other types.
    """
    if not body.strip():
        return RefreshRequest("")
    try:
        fields: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
        folded = {key.casefold(): value for key, value in fields.items()}
        token = folded.get("token")
        if token is None:
            token = ""
        allowed = folded.get("allowedportfolios")
        return RefreshRequest(msgspec.convert(token, str), msgspec.convert(allowed, tuple[str, ...] | None))
    except UNREADABLE:
        raise MalformedMessageError("the body is no refresh request") from None
