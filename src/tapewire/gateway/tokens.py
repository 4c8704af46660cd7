"""Access tokens: issued for refresh tokens, checked on every request, remembered so that checking costs once.

Checking a signature costs about 0.18 ms, a request far less, so a token that was found good is remembered until
it ends. Refresh tokens are kept as hashes only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Iterable

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tapewire.ports.clock import Clock
from tapewire.protocol.limits import TOKEN_LIFE_SECONDS
from tapewire.protocol.tokens import Claims, Scope

__all__ = ["TokenAuthority", "User", "hash_refresh_token", "new_signing_key"]

_ALGORITHM = "ES256"
#: Good tokens that are remembered; the one that was used longest ago goes first.
REMEMBERED_TOKENS_MAX = 4_096
#: Tokens that were refused and are remembered as such, by their hash: a client whose token has ended brings it
#: with each of 5,000 subscriptions.
REFUSED_TOKENS_MAX = 4_096
#: No access token is near this long; a longer text is refused unread.
TOKEN_CHARACTERS_MAX = 8_192


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person with an account."""

    login: str
    client_id: str
    agreement: str
    portfolios: tuple[str, ...]
    #: SHA-256 of each refresh token that is good, in hex.
    refresh_token_hashes: tuple[str, ...]
    scopes: tuple[str, ...] = Scope.ALL


def hash_refresh_token(token: str) -> str:
    """Return what is kept of a refresh token. It is random and long, so a plain hash suffices."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_signing_key() -> bytes:
    """Make a private key for signing access tokens, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class TokenAuthority:
    """Issues and checks access tokens. Several may be good at once; one alone cannot be revoked."""

    def __init__(self, signing_key: bytes, users: Iterable[User], clock: Clock) -> None:
        private_key = serialization.load_pem_private_key(signing_key, None)
        if not isinstance(private_key, ec.EllipticCurvePrivateKey):
            raise ValueError("the signing key is no elliptic-curve key")
        self._private_key = private_key
        self._public_key = private_key.public_key()
        self._clock = clock
        self._by_refresh_hash = {
            refresh_hash: user for user in users for refresh_hash in user.refresh_token_hashes
        }
        self._remembered: OrderedDict[str, Claims] = OrderedDict()
        self._refused: OrderedDict[bytes, None] = OrderedDict()

    def refresh(self, refresh_token: str, allowed_portfolios: Iterable[str] | None = None) -> str | None:
        """Return a new access token, None if the refresh token is not good.

        ``allowed_portfolios`` limits the token to those of the user's portfolios that it names.
        """
        offered = hash_refresh_token(refresh_token)
        for known, user in self._by_refresh_hash.items():
            if hmac.compare_digest(known, offered):
                return self._issue(user, allowed_portfolios)
        return None

    def verify(self, token: str) -> Claims | None:
        """Return what a good token says, None for one that is missing, forged, foreign or at its end."""
        claims = self._remembered.get(token)
        if claims is None:
            if not token or len(token) > TOKEN_CHARACTERS_MAX:
                return None
            name = hashlib.blake2b(token.encode(errors="replace"), digest_size=16).digest()
            if name in self._refused:
                return None
            claims = self._check_signature(token)
            # Tokens of the future do not become good by waiting, nor do ended ones: clocks go on.
            if claims is None or claims.exp <= self._clock.wall_ns() // 1_000_000_000:
                self._refused[name] = None
                if len(self._refused) > REFUSED_TOKENS_MAX:
                    self._refused.popitem(last=False)
                return None
        elif claims.exp <= self._clock.wall_ns() // 1_000_000_000:
            del self._remembered[token]
            return None
        self._remembered[token] = claims
        self._remembered.move_to_end(token)
        if len(self._remembered) > REMEMBERED_TOKENS_MAX:
            self._remembered.popitem(last=False)
        return claims

    def _check_signature(self, token: str) -> Claims | None:
        try:
            # The audience is one text, not a list, and the time is our clock's: neither is the library's to judge.
            payload = jwt.decode(
                token,
                self._public_key,
                algorithms=[_ALGORITHM],
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            return msgspec.convert(payload, Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError):
            return None

    def _issue(self, user: User, allowed_portfolios: Iterable[str] | None) -> str:
        granted = user.portfolios
        if allowed_portfolios is not None:
            allowed = set(allowed_portfolios)
            granted = tuple(portfolio for portfolio in granted if portfolio in allowed)
        now = self._clock.wall_ns() // 1_000_000_000
        claims = Claims(
            sub=user.login,
            iat=now,
            exp=now + TOKEN_LIFE_SECONDS,
            portfolios=" ".join(granted),
            scope=" ".join(user.scopes),
            ein=user.agreement,
            clientid=user.client_id,
            azp=hashlib.sha256(user.login.encode()).hexdigest()[:20],
            agreements=user.agreement,
            iss="Tapewire.Identity",
            aud="Client WARP subscriptionsApi CommandApi InstrumentApi",
        )
        return jwt.encode(
            msgspec.to_builtins(claims), self._private_key, algorithm=_ALGORITHM, headers={"typ": "JWT"}
        )
