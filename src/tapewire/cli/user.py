"""``tapewire user``: the users of a data folder, whether a system runs on it or not.

Statuses: 0 done, 1 the folder cannot be used, 2 what was asked for cannot be.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar

import typer

from tapewire.cli.program import MISUSE_STATUS, fail
from tapewire.model.user_book import DEMO_CASH, PortfolioEntry, TokenEntry, UserEntry
from tapewire.protocol.tokens import Scope
from tapewire.user_accounts import (
    UserBookError,
    UserFolderError,
    add_user,
    give_token,
    list_users,
    open_portfolios,
    revoke_tokens,
    rotate_keys,
)

__all__ = ["user"]

T = TypeVar("T")

user = typer.Typer(
    help="The users of a data folder, whether a system runs on it or not.",
    no_args_is_help=True,
    add_completion=False,
)
Data = Annotated[Path, typer.Option(help="The folder that the system is given as --data.")]
Name = Annotated[str, typer.Argument(help="Of the user, as in `tapewire user list`.")]
Portfolios = Annotated[
    Optional[list[str]],  # noqa: UP045  (read by typer at run time)
    typer.Option("--portfolio", help="D… shares and bonds, G… currency, 75… derivatives; may be given again."),
]
Cash = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="Roubles to begin with: once for all portfolios, or once for each. Default: a million."),
]


@user.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Of the new user.")],
    data: Data,
    portfolio: Portfolios = None,
    cash: Cash = None,
    login: Annotated[Optional[str], typer.Option(help="In access tokens. Default: the next number.")] = None,  # noqa: UP045
    client_id: Annotated[Optional[str], typer.Option(help="The same.")] = None,  # noqa: UP045
    agreement: Annotated[Optional[str], typer.Option(help="The same.")] = None,  # noqa: UP045
) -> None:
    """Add a user, with one portfolio of each kind unless others are named. A token comes from `user token`."""
    amounts = _amounts(cash, len(portfolio or ()))
    opened = None if portfolio is None else _entries(portfolio, amounts)
    added = _done(
        lambda: add_user(
            data, name, opened, cash=amounts[0], login=login, client_id=client_id, agreement=agreement
        )
    )
    print(f"{added.name} has the login {added.login} and the portfolios {', '.join(added.portfolio_names)}")


@user.command("open")
def open_(name: Name, data: Data, portfolio: Annotated[list[str], typer.Option()], cash: Cash = None) -> None:
    """Give a user more portfolios."""
    opened = _done(lambda: open_portfolios(data, name, _entries(portfolio, _amounts(cash, len(portfolio)))))
    print(f"{opened.name} has the portfolios {', '.join(opened.portfolio_names)}")


@user.command("list")
def list_(data: Data) -> None:
    """Show users, their portfolios and refresh tokens: for people on a terminal, else one JSON object a line."""
    for entry in _done(lambda: list_users(data)):
        if not sys.stdout.isatty():
            print(json.dumps(_record(entry)))
            continue
        print(f"{entry.name}: login {entry.login}, client {entry.client_id}, agreement {entry.agreement}")
        for portfolio in entry.portfolios:
            print(f"  portfolio {portfolio.name}, began with {portfolio.cash:,} roubles")
        for token in entry.tokens:
            print(f"  token {token.id[:8]}, {_described(token)}")


@user.command("token")
def token(
    name: Name,
    data: Data,
    read_only: Annotated[bool, typer.Option("--read-only", help="It cannot trade.")] = False,
    portfolio: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="It is for this one; may be given again. Default: for all."),
    ] = None,
    label: Annotated[str, typer.Option("--name", help="What the token is called.")] = "",
) -> None:
    """Print a new refresh token. It is shown once: only a hash of it is kept."""
    print(
        _done(lambda: give_token(data, name, label=label, is_read_only=read_only, portfolios=portfolio)).reveal()
    )


@user.command("revoke")
def revoke(
    name: Name,
    data: Data,
    which: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--token", metavar="ID", help="Of this id, its beginning, or of this name. Default: all."),
    ] = None,
) -> None:
    """Take refresh tokens away: a running system ends their access tokens and sessions within a second."""
    count = _done(lambda: revoke_tokens(data, name, which))
    print(f"{count} refresh token{'' if count == 1 else 's'} of {name} revoked")


@user.command("rotate-keys")
def rotate(
    data: Data,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="End what the old key has signed: it has become known.")
    ] = False,
) -> None:
    """Let a new key sign access tokens. What the old one has signed is good until it ends, in half an hour."""
    key = _done(lambda: rotate_keys(data, at_once=at_once))
    print(f"access tokens are signed by key {key} from now on")


def _amounts(cash: Sequence[str] | None, portfolios: int) -> list[Decimal]:
    """Return the cash of each portfolio; of one if none is named."""
    wanted = max(portfolios, 1)
    if not cash:
        return [DEMO_CASH] * wanted
    if len(cash) not in (1, wanted):
        fail(
            f"{len(cash)} times --cash for {portfolios} portfolios: give it once, or once for each", MISUSE_STATUS
        )
    try:
        amounts = [Decimal(text) for text in cash]
    except InvalidOperation:
        fail(f"--cash {' '.join(cash)[:80]}: not a number of roubles", MISUSE_STATUS)
    return amounts * wanted if len(cash) == 1 else amounts


def _entries(names: Sequence[str], amounts: Sequence[Decimal]) -> list[PortfolioEntry]:
    return [PortfolioEntry(name, cash) for name, cash in zip(names, amounts, strict=True)]


def _described(token: TokenEntry) -> str:
    made_at = datetime.fromtimestamp(token.created_at_s, UTC).strftime("%Y-%m-%d %H:%M")
    rights = "" if Scope.ORDERS_CREATE in token.scopes else ", reads only"
    limits = "" if token.portfolios is None else f", for {', '.join(token.portfolios)}"
    return f"{token.name}, made {made_at} UTC{rights}{limits}"


def _record(entry: UserEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "login": entry.login,
        "client_id": entry.client_id,
        "agreement": entry.agreement,
        "portfolios": [{"name": each.name, "cash": str(each.cash)} for each in entry.portfolios],
        "tokens": [
            {
                "id": each.id,
                "name": each.name,
                "read_only": Scope.ORDERS_CREATE not in each.scopes,
                "portfolios": None if each.portfolios is None else list(each.portfolios),
                "created_at_s": each.created_at_s,
            }
            for each in entry.tokens
        ],
    }


def _done(work: Callable[[], T]) -> T:
    try:
        return work()
    except UserBookError as error:
        fail(str(error), MISUSE_STATUS)
    except UserFolderError as error:
        fail(str(error))
