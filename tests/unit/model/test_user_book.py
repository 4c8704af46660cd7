"""The book of users: names, numbers, bounds, and changes that leave no trace when they are refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from rich.pretty import pretty_repr

from tapewire.exchange import AccountTerms
from tapewire.exchange import account as exchange_account
from tapewire.exchange.account import Account
from tapewire.model.user_book import (
    CASH_MAX,
    KEYS_MAX,
    LOCAL_TOKEN,
    LOCAL_TOKENS_MAX,
    NAME_CHARACTERS_MAX,
    PORTFOLIOS_PER_USER_MAX,
    TOKENS_PER_USER_MAX,
    USERS_MAX,
    PortfolioEntry,
    SigningKey,
    TokenEntry,
    UserBook,
    UserBookError,
    grant_id,
    hash_refresh_token,
)

LIFE_S = 1_800
DEMO = UserBook().added("demo")


def entry(number: int = 0, name: str = "bot", portfolios: tuple[str, ...] | None = None) -> TokenEntry:
    sha256 = hash_refresh_token(f"token {number}")
    return TokenEntry(name=name, sha256=sha256, scopes=("OrdersRead",), portfolios=portfolios, created_at_s=number)


def opened(*names: str, cash: int | str = 5) -> list[PortfolioEntry]:
    return [PortfolioEntry(name, Decimal(cash)) for name in names]


def refusal(change: object) -> str:
    """Return why a change is refused, in one line."""
    with pytest.raises(UserBookError) as caught:
        change()  # type: ignore[operator]
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert len(text) < 300
    return text


def test_users_are_numbered_on_from_the_first_one() -> None:
    book = DEMO.added("anna")
    demo, anna = book.users
    assert (demo.login, demo.client_id, demo.agreement) == ("P070001", "123456", "70001")
    assert demo.portfolio_names == ("D70001", "G70001", "7500T01")
    assert (anna.login, anna.client_id, anna.agreement) == ("P070002", "123457", "70002")
    assert anna.portfolio_names == ("D70002", "G70002", "7500T02")
    assert {portfolio.cash for portfolio in anna.portfolios} == {Decimal(1_000_000)}
    assert not anna.tokens


def test_a_number_of_which_something_is_taken_is_left_out() -> None:
    book = DEMO.added("bob", opened("D70002"), login="P070003", agreement="70004")
    assert book.added("anna").user("anna").login == "P070005"
    # Whoever names his own portfolios needs no others.
    assert book.added("eve", opened("D1")).user("eve").login == "P070002"


def test_the_cash_of_usual_portfolios_is_said_once() -> None:
    anna = DEMO.added("anna", cash=Decimal("12.50")).user("anna")
    assert {portfolio.cash for portfolio in anna.portfolios} == {Decimal("12.50")}


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "-a", ".a", "a\n", "Анна", "a/b", "x" * (NAME_CHARACTERS_MAX + 1)]
)
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    assert "is no name for a user" in refusal(lambda: DEMO.added(name))


@pytest.mark.parametrize("name", ["a", "Anna.B@home-1_2", "x" * NAME_CHARACTERS_MAX])
def test_a_name_that_can_be_is_taken(name: str) -> None:
    assert DEMO.added(name).user(name).name == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "is no name for a portfolio"),
        ("E70001", "is no name for a portfolio"),
        ("D", "is no name for a portfolio"),
        ("D7 G7", "is no name for a portfolio"),
        ("~maker", "is no name for a portfolio"),
        ("d70009", "is no name for a portfolio"),
        ("D" + "7" * 19, "is no name for a portfolio"),
        ("D70001\n", "is no name for a portfolio"),
        ("D70001", "portfolio D70001 belongs to demo already"),
    ],
)
def test_a_portfolio_that_cannot_be_is_refused(name: str, text: str) -> None:
    assert text in refusal(lambda: DEMO.added("anna", opened(name)))
    assert text in refusal(lambda: DEMO.opened("demo", opened(name)))


def test_one_portfolio_twice_is_refused() -> None:
    assert refusal(lambda: DEMO.opened("demo", opened("D5", "D5"))) == "portfolio D5 belongs to demo already"


@pytest.mark.parametrize(
    "cash", ["-1", "-0.01", "NaN", "Infinity", "1E+20", str(CASH_MAX + 1), "0.001", "1E-999999"]
)
def test_cash_that_cannot_be_is_refused(cash: str) -> None:
    assert "portfolio D5 cannot begin with" in refusal(lambda: DEMO.opened("demo", opened("D5", cash=cash)))


@pytest.mark.parametrize("cash", ["0", "0.01", "1E+3", str(CASH_MAX)])
@pytest.mark.parametrize("name", ["D5", "G5", "755", "7500ABC"])
def test_whatever_is_taken_the_exchange_opens(name: str, cash: str) -> None:
    portfolio = DEMO.opened("demo", opened(name, cash=cash)).user("demo").portfolios[-1]
    Account(AccountTerms(name=portfolio.name, cash=portfolio.cash))
    assert CASH_MAX == exchange_account.CASH_MAX


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"login": "P070001"}, "the login P070001 is taken"),
        ({"login": "P 1"}, "is no login"),
        ({"login": ""}, "is no login"),
        ({"client_id": "x"}, "is no client number"),
        ({"agreement": "1 2"}, "is no agreement"),
    ],
)
def test_what_access_tokens_say_is_looked_at(fields: dict[str, str], text: str) -> None:
    assert text in refusal(lambda: DEMO.added("anna", **fields))


def test_a_user_is_there_once_and_has_to_be_there() -> None:
    assert refusal(lambda: DEMO.added("demo")) == "there is a user demo already"
    for change in (
        lambda: DEMO.opened("anna", opened("D5")),
        lambda: DEMO.granted("anna", entry()),
        lambda: DEMO.revoked("anna"),
    ):
        assert refusal(change) == "there is no user 'anna': demo"


def test_everything_is_bounded() -> None:
    book = UserBook(tuple(DEMO.users * USERS_MAX))
    assert f"there are {USERS_MAX} users" in refusal(lambda: book.added("anna"))
    many = opened(*(f"D{number}" for number in range(PORTFOLIOS_PER_USER_MAX)))
    full = UserBook().added("anna", many)
    assert "at most 32 portfolios" in refusal(lambda: full.opened("anna", opened("G1")))
    for number in range(TOKENS_PER_USER_MAX):
        full = full.granted("anna", entry(number))
    assert "anna has 32 refresh tokens" in refusal(lambda: full.granted("anna", entry(99)))
    # A start needs a token of its own less than anna needs hers.
    assert full.granted_locally("anna", entry(99, LOCAL_TOKEN)) == full


def test_a_token_is_for_portfolios_that_its_user_has() -> None:
    assert DEMO.granted("demo", entry(portfolios=("D70001",))).user("demo").tokens[0].portfolios == ("D70001",)
    text = "demo has no portfolio 'D1'"
    assert refusal(lambda: DEMO.granted("demo", entry(portfolios=("D70001", "D1")))) == text
    for name in ("", "a\nb", "x" * (NAME_CHARACTERS_MAX + 1)):
        assert "is no name for a token" in refusal(lambda name=name: DEMO.granted("demo", entry(name=name)))


def test_tokens_are_revoked_by_name_id_beginning_of_an_id_or_all() -> None:
    book = DEMO
    for number, name in enumerate(("bot", "bot", "phone", "desk")):
        book = book.granted("demo", entry(number, name))
    phone = book.user("demo").tokens[2]

    def left(which: str | None) -> list[str]:
        return [token.name for token in book.revoked("demo", which).user("demo").tokens]

    assert left("bot") == ["phone", "desk"]
    assert left(phone.id) == left(phone.id[:6]) == ["bot", "bot", "desk"]
    assert left(None) == []
    assert refusal(lambda: book.revoked("demo", "nope")) == "demo has no refresh token 'nope'"
    assert refusal(lambda: book.revoked("demo", "")) == "demo has no refresh token ''"
    assert phone.id == grant_id(phone.sha256)


def test_a_beginning_of_two_ids_is_refused() -> None:
    book = DEMO
    for number in range(TOKENS_PER_USER_MAX):
        book = book.granted("demo", entry(number))
    ids = [token.id for token in book.user("demo").tokens]
    # 32 ids have 16 first digits.
    twice = next(each[0] for each in ids if sum(other[0] == each[0] for other in ids) > 1)
    assert "several tokens of demo" in refusal(lambda: book.revoked("demo", twice))


def test_local_tokens_of_the_last_starts_are_kept_and_let_nobody_in_by_themselves() -> None:
    book = DEMO.granted("demo", entry(0, "first"))
    for number in range(1, 8):
        book = book.granted_locally("demo", entry(number, LOCAL_TOKEN))
        tokens = book.user("demo").tokens
        kept = list(range(max(1, number + 1 - LOCAL_TOKENS_MAX), number + 1))
        assert [token.created_at_s for token in tokens] == [0, *kept]
    assert book.user("demo").is_let_in
    assert not book.revoked("demo", "first").user("demo").is_let_in
    assert not DEMO.user("demo").is_let_in


def test_keys_rotate_and_the_old_ones_go_when_their_tokens_have_ended() -> None:
    book = UserBook().rotated(SigningKey("a", "private a"), "nobody's", 0, LIFE_S)
    assert book.keys == (SigningKey("a", "private a"),)
    book = book.rotated(SigningKey("b", "private b"), "public a", 100, LIFE_S)
    assert book.keys == (SigningKey("a", "public a", 100), SigningKey("b", "private b"))
    assert book.aged(100 + LIFE_S - 1, LIFE_S) is book
    assert book.aged(100 + LIFE_S, LIFE_S).keys == (SigningKey("b", "private b"),)
    assert book.rotated(SigningKey("c", "private c"), None, 200, LIFE_S).keys == (SigningKey("c", "private c"),)
    for number in range(KEYS_MAX - 2):
        book = book.rotated(SigningKey(f"k{number}", "private"), "public", 200, LIFE_S)
    assert len(book.keys) == KEYS_MAX
    assert "8 rotations" in refusal(lambda: book.rotated(SigningKey("z", "private"), "public", 200, LIFE_S))
    later = 200 + LIFE_S
    assert len(book.rotated(SigningKey("z", "private"), "public", later, LIFE_S).keys) == 2


def test_no_repr_shows_a_key() -> None:
    book = UserBook(keys=(SigningKey("a", "s3cr3t"),))
    assert "s3cr3t" not in repr(book) + pretty_repr(book)
