"""The users of a trading system, their refresh tokens and the keys that sign access tokens, as one value.

Every change returns a new book or raises ``UserBookError`` and leaves the old one as it is; whoever keeps books
(``ports.users``) carries changes out one after the other. Pure: random texts and times are handed in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

__all__ = [
    "CASH_MAX",
    "DEMO_CASH",
    "DEMO_NAME",
    "LOCAL_TOKEN",
    "LOCAL_TOKENS_MAX",
    "PORTFOLIOS_PER_USER_MAX",
    "TOKENS_PER_USER_MAX",
    "USERS_MAX",
    "PortfolioEntry",
    "SigningKey",
    "TokenEntry",
    "UserBook",
    "UserBookError",
    "UserEntry",
    "grant_id",
    "hash_refresh_token",
]

#: The book is read as a whole when it has changed: a thousand users are about a tenth of a second.
USERS_MAX = 1_000
#: Each program of a user may have its own.
TOKENS_PER_USER_MAX = 32
#: They stand in every access token, of which 8,192 characters are read.
PORTFOLIOS_PER_USER_MAX = 32
NAME_CHARACTERS_MAX = 64
#: Signing keys whose tokens may still be good, the newest among them: eight rotations within half an hour.
KEYS_MAX = 9
#: Roubles that a portfolio may begin with; more would be refused by the exchange.
CASH_MAX = 100_000_000_000

#: The user of a new system.
DEMO_NAME = "demo"
DEMO_CASH = Decimal(1_000_000)
#: Name of the tokens that a system makes for the programs of its own machine, one at each start.
LOCAL_TOKEN = "local"  # noqa: S105  (a name, not a secret)
#: Those of so many starts are good, so that a program outlives a restart.
LOCAL_TOKENS_MAX = 4

#: The first user is P070001 with the portfolios D70001, G70001 and 7500T01.
_FIRST_NUMBER = 70_000
_FIRST_CLIENT = 123_455

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*\Z", re.ASCII)
_LOGIN = re.compile(r"[A-Za-z0-9]{1,32}\Z", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,18}\Z", re.ASCII)
#: What the name begins with says what is traded: shares and bonds, currency, derivatives.
_PORTFOLIO = re.compile(r"(?:D|G|75)[A-Z0-9]{1,18}\Z", re.ASCII)


class UserBookError(Exception):
    """A change that cannot be; the text is one line that says why, and holds no secret."""


class PortfolioEntry(msgspec.Struct, frozen=True):
    """A portfolio of a user and what it begins with, roubles."""

    name: str
    cash: Decimal


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a refresh token."""

    #: For people; several tokens of a user may have the same.
    name: str
    #: Of the token, in hex: see :func:`hash_refresh_token`.
    sha256: str
    #: Rights that its access tokens carry.
    scopes: tuple[str, ...]
    #: Those of the user's that it is for; None: all, also those that are opened later.
    portfolios: tuple[str, ...] | None = None
    #: Unix s UTC.
    created_at_s: int

    @property
    def id(self) -> str:
        """What the token is known by; no secret."""
        return grant_id(self.sha256)


class UserEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A person with portfolios."""

    name: str
    #: Login, client number and agreement, as access tokens say them.
    login: str
    client_id: str
    agreement: str
    portfolios: tuple[PortfolioEntry, ...] = ()
    #: Oldest first.
    tokens: tuple[TokenEntry, ...] = ()

    @property
    def portfolio_names(self) -> tuple[str, ...]:
        """In the order of opening."""
        return tuple(portfolio.name for portfolio in self.portfolios)

    @property
    def is_let_in(self) -> bool:
        """Whether the user has a refresh token beside those that systems make by themselves."""
        return any(token.name != LOCAL_TOKEN for token in self.tokens)


class SigningKey(msgspec.Struct, frozen=True):
    """A key pair of ES256."""

    id: str
    #: The private key while it signs, the public one afterwards; PEM.
    pem: str
    #: When it signed for the last time, Unix s UTC; None: it signs.
    retired_at_s: int | None = None

    def __repr__(self) -> str:
        return f"SigningKey(id={self.id!r}, pem=***, retired_at_s={self.retired_at_s})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # What pretty printers ask for instead.
        return [("id", self.id), ("pem", "***"), ("retired_at_s", self.retired_at_s)]


class UserBook(msgspec.Struct, frozen=True):
    """All users, in the order in which they were added, and all signing keys; the last one signs."""

    users: tuple[UserEntry, ...] = ()
    keys: tuple[SigningKey, ...] = ()

    def find(self, name: str) -> UserEntry | None:
        """Return the user of a name; None: there is none."""
        return next((user for user in self.users if user.name == name), None)

    def user(self, name: str) -> UserEntry:
        """Return the user of a name.

        Raises:
            UserBookError: There is none.
        """
        found = self.find(name)
        if found is None:
            known = ", ".join(user.name for user in self.users[:10])
            raise UserBookError(f"there is no user {_shown(name)}" + (f": {known}" if known else ""))
        return found

    # --- users ------------------------------------------------------------------------------------------

    def added(
        self,
        name: str,
        portfolios: Sequence[PortfolioEntry] | None = None,
        *,
        cash: Decimal = DEMO_CASH,
        login: str | None = None,
        client_id: str | None = None,
        agreement: str | None = None,
    ) -> UserBook:
        """Add a user. What is not given is numbered on from the first user: P070001, 123456, 70001.

        Args:
            portfolios: None: one for shares and bonds, one for currency, one for derivatives, with ``cash`` each.

        Raises:
            UserBookError: A name is taken or cannot be, or there would be too many.
        """
        if len(name) > NAME_CHARACTERS_MAX or not _NAME.match(name):
            raise UserBookError(
                f"{_shown(name)} is no name for a user: up to {NAME_CHARACTERS_MAX} letters, digits and . _ @ -"
            )
        if self.find(name) is not None:
            raise UserBookError(f"there is a user {name} already")
        if len(self.users) >= USERS_MAX:
            raise UserBookError(f"there are {USERS_MAX} users, and no more can be")
        number = self._free_number(login, portfolios)
        added = UserEntry(
            name=name,
            login=login if login is not None else f"P{_FIRST_NUMBER + number:06}",
            client_id=client_id if client_id is not None else str(_FIRST_CLIENT + number),
            agreement=agreement if agreement is not None else str(_FIRST_NUMBER + number),
        )
        if not _LOGIN.match(added.login):
            raise UserBookError(f"{_shown(added.login)} is no login: up to 32 letters and digits")
        if any(user.login == added.login for user in self.users):
            raise UserBookError(f"the login {added.login} is taken")
        for what, text in (("client number", added.client_id), ("agreement", added.agreement)):
            if not _DIGITS.match(text):
                raise UserBookError(f"{_shown(text)} is no {what}: up to 18 digits")
        if portfolios is None:
            portfolios = [PortfolioEntry(each, cash) for each in _usual_portfolios(number)]
        return UserBook((*self.users, added), self.keys).opened(name, portfolios)

    def opened(self, name: str, portfolios: Sequence[PortfolioEntry]) -> UserBook:
        """Give a user more portfolios.

        Raises:
            UserBookError: There is no such user, a portfolio's name is taken or cannot be, its cash is not between
                0 and ``CASH_MAX`` in whole kopecks, or there would be too many.
        """
        user = self.user(name)
        taken = {portfolio: each.name for each in self.users for portfolio in each.portfolio_names}
        for portfolio in portfolios:
            if not _PORTFOLIO.match(portfolio.name):
                raise UserBookError(
                    f"{_shown(portfolio.name)} is no name for a portfolio: D (shares and bonds), G (currency)"
                    " or 75 (derivatives), then up to 18 capital letters and digits"
                )
            if portfolio.name in taken:
                raise UserBookError(f"portfolio {portfolio.name} belongs to {taken[portfolio.name]} already")
            _check_cash(portfolio)
            taken[portfolio.name] = name
        if len(user.portfolios) + len(portfolios) > PORTFOLIOS_PER_USER_MAX:
            raise UserBookError(f"a user has at most {PORTFOLIOS_PER_USER_MAX} portfolios")
        return self._with(msgspec.structs.replace(user, portfolios=(*user.portfolios, *portfolios)))

    # --- refresh tokens ---------------------------------------------------------------------------------

    def granted(self, name: str, token: TokenEntry) -> UserBook:
        """Give a user one more refresh token.

        Raises:
            UserBookError: There is no such user, the token's name cannot be, it is for a portfolio that the user
                does not have, or the user has too many.
        """
        user = self.user(name)
        if not 0 < len(token.name) <= NAME_CHARACTERS_MAX or not token.name.isprintable():
            raise UserBookError(
                f"{_shown(token.name)} is no name for a token: up to {NAME_CHARACTERS_MAX} characters"
            )
        for portfolio in token.portfolios or ():
            if portfolio not in user.portfolio_names:
                raise UserBookError(f"{name} has no portfolio {_shown(portfolio)}")
        if len(user.tokens) >= TOKENS_PER_USER_MAX:
            raise UserBookError(f"{name} has {TOKENS_PER_USER_MAX} refresh tokens: revoke one first")
        return self._with(msgspec.structs.replace(user, tokens=(*user.tokens, token)))

    def granted_locally(self, name: str, token: TokenEntry) -> UserBook:
        """Give a user a token of this start of a system in the place of the oldest of them.

        Raises:
            UserBookError: There is no such user.
        """
        user = self.user(name)
        local = [each for each in user.tokens if each.name == LOCAL_TOKEN]
        gone = {each.id for each in local[: max(len(local) + 1 - LOCAL_TOKENS_MAX, 0)]}
        kept = [each for each in user.tokens if each.id not in gone]
        if len(kept) >= TOKENS_PER_USER_MAX:
            # Whoever has so many of his own does without.
            return self
        return self._with(msgspec.structs.replace(user, tokens=(*kept, token)))

    def revoked(self, name: str, which: str | None = None) -> UserBook:
        """Take refresh tokens away from a user: all, or those that ``which`` names or whose id begins with it.

        Raises:
            UserBookError: There is no such user, or no such token of his; an id that is cut must be of one token.
        """
        user = self.user(name)
        gone = {token.id for token in user.tokens if which in (None, token.name, token.id)}
        if which and not gone:
            gone = {token.id for token in user.tokens if token.id.startswith(which)}
            if len(gone) > 1:
                raise UserBookError(f"several tokens of {name} have ids that begin with {_shown(which)}")
        if which is not None and not gone:
            raise UserBookError(f"{name} has no refresh token {_shown(which)}")
        return self._with(
            msgspec.structs.replace(user, tokens=tuple(token for token in user.tokens if token.id not in gone))
        )

    # --- keys -------------------------------------------------------------------------------------------

    def rotated(self, key: SigningKey, public_pem: str | None, now_s: int, token_life_s: int) -> UserBook:
        """Let another key sign. What the one before has signed stays good until it ends; of it only the public
        part is kept.

        Args:
            public_pem: Of the key that has signed; None: drop it and all before it, and what they have signed.
            token_life_s: How long an access token is good.

        Raises:
            UserBookError: There were too many rotations within the life of a token.
        """
        old: tuple[SigningKey, ...] = ()
        if public_pem is not None and self.keys:
            *before, last = self.aged(now_s, token_life_s).keys
            old = (*before, SigningKey(last.id, public_pem, now_s))
        if len(old) >= KEYS_MAX:
            raise UserBookError(f"{KEYS_MAX - 1} rotations in {token_life_s} s are enough: try again later")
        return UserBook(self.users, (*old, key))

    def aged(self, now_s: int, token_life_s: int) -> UserBook:
        """Forget the keys of which no good token can be left."""
        kept = tuple(
            key for key in self.keys if key.retired_at_s is None or now_s < key.retired_at_s + token_life_s
        )
        return self if len(kept) == len(self.keys) else UserBook(self.users, kept)

    # --- inside -----------------------------------------------------------------------------------------

    def _with(self, changed: UserEntry) -> UserBook:
        users = tuple(changed if user.name == changed.name else user for user in self.users)
        return UserBook(users, self.keys)

    def _free_number(self, login: str | None, portfolios: Sequence[PortfolioEntry] | None) -> int:
        """Return the first number under which a user has all that is not given for himself."""
        logins = {user.login for user in self.users} if login is None else set()
        taken = {each for user in self.users for each in user.portfolio_names} if portfolios is None else set()
        numbers = {user.agreement for user in self.users}
        number = 1
        while (
            f"P{_FIRST_NUMBER + number:06}" in logins
            or str(_FIRST_NUMBER + number) in numbers
            or not taken.isdisjoint(_usual_portfolios(number))
        ):
            number += 1
        return number


def hash_refresh_token(token: str) -> str:
    """Return what is kept of a refresh token. It is random and long, so a plain hash suffices."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def grant_id(sha256: str) -> str:
    """Return by what access tokens name the refresh token they were issued for: 20 hex digits, no secret."""
    return hashlib.sha256(sha256.encode()).hexdigest()[:20]


def _usual_portfolios(number: int) -> Iterable[str]:
    return f"D{_FIRST_NUMBER + number}", f"G{_FIRST_NUMBER + number}", f"7500T{number:02}"


def _check_cash(portfolio: PortfolioEntry) -> None:
    cash = portfolio.cash
    # Compared first: a number with a million digits behind the point is not reckoned with.
    if not cash.is_finite() or not 0 <= cash <= CASH_MAX:
        raise UserBookError(
            f"portfolio {portfolio.name} cannot begin with {_shown(str(cash))}: 0 to {CASH_MAX} roubles"
        )
    exponent = cash.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -2:
        raise UserBookError(f"portfolio {portfolio.name} cannot begin with parts of a kopeck")


def _shown(text: str) -> str:
    """Return a text from outside as it stands in a line."""
    return repr(text[:80])
