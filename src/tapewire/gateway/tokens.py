"""Access tokens: issued for refresh tokens, checked on every request, remembered so that checking costs once.

Checking a signature costs about 0.18 ms, a request far less, so a token that was found good is remembered until
it ends. Refresh tokens are kept as hashes only. An access token says in ``azp`` for which of them it was issued,
and is good as long as that one is.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tapewire.model.user_book import SigningKey, UserBook, grant_id, hash_refresh_token
from tapewire.ports.clock import Clock
from tapewire.protocol.limits import TOKEN_LIFE_SECONDS
from tapewire.protocol.tokens import Claims, Scope

__all__ = [
    "TokenAuthority",
    "User",
    "hash_refresh_token",
    "key_of",
    "new_signing_key",
    "public_part",
    "users_of",
]

_ALGORITHM = "ES256"
#: Good tokens that are remembered; the one that was used longest ago goes first.
REMEMBERED_TOKENS_MAX = 4_096
#: Tokens that were refused and are remembered as such, by their hash: a client whose token has ended brings it
#: with each of 5,000 subscriptions.
REFUSED_TOKENS_MAX = 4_096
#: No access token is near this long; a longer text is refused unread.
TOKEN_CHARACTERS_MAX = 8_192


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person with an account, as access tokens are to tell of him for some of his refresh tokens."""

    login: str
    client_id: str
    agreement: str
    portfolios: tuple[str, ...]
    #: SHA-256 of each refresh token that is good, in hex.
    refresh_token_hashes: tuple[str, ...]
    scopes: tuple[str, ...] = Scope.ALL


class _Verifier(NamedTuple):
    key: ec.EllipticCurvePublicKey
    #: When its private part signed for the last time, Unix s; None: it signs.
    retired_at_s: int | None


def users_of(book: UserBook) -> Iterator[User]:
    """Yield what each refresh token of a book gives."""
    for entry in book.users:
        for token in entry.tokens:
            yield User(
                login=entry.login,
                client_id=entry.client_id,
                agreement=entry.agreement,
                portfolios=tuple(
                    name for name in entry.portfolio_names if token.portfolios is None or name in token.portfolios
                ),
                refresh_token_hashes=(token.sha256,),
                scopes=token.scopes,
            )


def new_signing_key() -> bytes:
    """Make a private key for signing access tokens, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_of(pem: bytes) -> SigningKey:
    """Return a private key as it is kept; its id is made of the public part.

    Raises:
        ValueError: It is no key on an elliptic curve.
    """
    public = _private(pem).public_key()
    octets = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(hashlib.sha256(octets).hexdigest()[:16], pem.decode())


def public_part(key: SigningKey) -> str:
    """Return what is kept of a key that signs no more, as PEM."""
    public = _private(key.pem.encode()).public_key()
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


class TokenAuthority:
    """Issues and checks access tokens. Several may be good at once; one alone cannot be revoked.

    Args:
        signing_key: The key that signs until :meth:`update` brings another one, PEM.

    Raises:
        ValueError: It is no key on an elliptic curve.
    """

    def __init__(self, signing_key: bytes, users: Iterable[User], clock: Clock) -> None:
        self._clock = clock
        self._keys: tuple[SigningKey, ...] = ()
        self._remembered: OrderedDict[str, Claims] = OrderedDict()
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self.update(users, (key_of(signing_key),))

    def update(self, users: Iterable[User], keys: Sequence[SigningKey]) -> None:
        """Know these users and no others from now on, and these keys, of which the last one signs.

        Raises:
            ValueError: A key cannot be read; nothing has changed.
        """
        if tuple(keys) != self._keys:
            *retired, current = keys
            private = _private(current.pem.encode())
            verifiers = {key.id: _Verifier(_public(key.pem.encode()), key.retired_at_s) for key in retired}
            verifiers[current.id] = _Verifier(private.public_key(), None)
            self._keys, self._private_key, self._verifiers = tuple(keys), private, verifiers
            # Both were said about other keys.
            self._remembered.clear()
            self._refused.clear()
        self._by_refresh_hash = {
            refresh_hash: user for user in users for refresh_hash in user.refresh_token_hashes
        }
        self._grants = {grant_id(refresh_hash) for refresh_hash in self._by_refresh_hash}

    def refresh(self, refresh_token: str, allowed_portfolios: Iterable[str] | None = None) -> str | None:
        """Return a new access token, None if the refresh token is not good.

        ``allowed_portfolios`` limits the token to those of the user's portfolios that it names.
        """
        # How long looking up takes may tell of hashes, but nobody can choose the hash of what is offered.
        offered = hash_refresh_token(refresh_token)
        user = self._by_refresh_hash.get(offered)
        return None if user is None else self._issue(user, grant_id(offered), allowed_portfolios)

    def is_good(self, grant: str) -> bool:
        """Return whether the refresh token of an id is good."""
        return grant in self._grants

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
        elif claims.azp not in self._grants or claims.exp <= self._clock.wall_ns() // 1_000_000_000:
            # What was revoked or has ended does not become good again.
            del self._remembered[token]
            return None
        self._remembered[token] = claims
        self._remembered.move_to_end(token)
        if len(self._remembered) > REMEMBERED_TOKENS_MAX:
            self._remembered.popitem(last=False)
        return claims

    def _check_signature(self, token: str) -> Claims | None:
        try:
            # A token that names no key is one of the newest.
            verifier = self._verifiers.get(jwt.get_unverified_header(token).get("kid", self._keys[-1].id))
            if verifier is None:
                return None
            # The audience is one text, not a list, and the time is our clock's: neither is the library's to judge.
            payload = jwt.decode(
                token,
                verifier.key,
                algorithms=[_ALGORITHM],
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            claims = msgspec.convert(payload, Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError, TypeError):
            return None
        if claims.azp not in self._grants:
            return None
        if verifier.retired_at_s is not None:
            # Whoever has got hold of an old key cannot make tokens that last.
            ends_s = verifier.retired_at_s + TOKEN_LIFE_SECONDS
            if claims.iat > verifier.retired_at_s or claims.exp > ends_s:
                return None
        return claims

    def _issue(self, user: User, grant: str, allowed_portfolios: Iterable[str] | None) -> str:
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
            azp=grant,
            agreements=user.agreement,
            iss="Tapewire.Identity",
            aud="Client WARP subscriptionsApi CommandApi InstrumentApi",
        )
        headers = {"typ": "JWT", "kid": self._keys[-1].id}
        return jwt.encode(msgspec.to_builtins(claims), self._private_key, algorithm=_ALGORITHM, headers=headers)


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the signing key is no elliptic-curve key")
    return key


def _public(pem: bytes) -> ec.EllipticCurvePublicKey:
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("a key that has signed is no elliptic-curve key")
    return key
