"""docs/users.md says what the code does: commands, bounds, times, versions, answers."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import typer

from tapewire.adapters.data_folder import VERSION
from tapewire.cli import main as cli
from tapewire.gateway import presence
from tapewire.gateway.user_watch import WATCH_S
from tapewire.model.user_book import (
    CASH_MAX,
    DEMO_CASH,
    KEYS_MAX,
    LOCAL_TOKENS_MAX,
    PORTFOLIOS_PER_USER_MAX,
    TOKENS_PER_USER_MAX,
    USERS_MAX,
    UserBook,
)
from tapewire.protocol.codes import INVALID_TOKEN
from tapewire.protocol.limits import TOKEN_LIFE_SECONDS
from tapewire.protocol.tokens import REFRESH_TOKEN_PREFIX

DOCUMENT = (Path(__file__).parents[2] / "docs" / "users.md").read_text()


def test_every_command_and_option_is_described_and_exists() -> None:
    group = typer.main.get_command(cli.app).commands["user"]  # type: ignore[attr-defined]
    described: dict[str, set[str]] = {}
    command = ""
    for cell in re.findall(r"^\| `([^`]+)`", DOCUMENT[DOCUMENT.index("## Commands") :], re.MULTILINE):
        named = re.match(r"tapewire user ([\w-]+)", cell)
        if named is None and not cell.startswith("… "):
            break
        command = named[1] if named else command
        described.setdefault(command, set()).update(re.findall(r"--[\w-]+", cell))
    options = {
        name: {option for each in found.params for option in each.opts if option.startswith("--")} - {"--data"}
        for name, found in group.commands.items()
    }
    assert described == options


def test_bounds_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| ([^|`]+) \| ([\d,]+) \|", DOCUMENT, re.MULTILINE))
    assert {what: int(bound.replace(",", "")) for what, bound in rows.items()} == {
        "users": USERS_MAX,
        "refresh tokens of a user": TOKENS_PER_USER_MAX,
        "portfolios of a user": PORTFOLIOS_PER_USER_MAX,
        f"rotations within {TOKEN_LIFE_SECONDS:,} s": KEYS_MAX - 1,
    }
    assert f"0 to {CASH_MAX:,} roubles" in DOCUMENT
    assert DEMO_CASH == 1_000_000
    assert LOCAL_TOKENS_MAX == 4
    assert "the last four starts" in DOCUMENT


def test_times_versions_and_texts_are_those_of_the_code() -> None:
    assert f"every {WATCH_S:g} s" in DOCUMENT
    assert f"the version of the folder, now {VERSION};" in DOCUMENT
    assert f"`{INVALID_TOKEN}`" in DOCUMENT
    assert f"behind `{REFRESH_TOKEN_PREFIX}`" in DOCUMENT
    assert "`the refresh token was revoked`" in DOCUMENT
    assert '"the refresh token was revoked"' in inspect.getsource(presence)
    first, second = UserBook().added("demo").added("anna").users
    assert f"numbered on from {first.login}, {first.client_id}, {first.agreement}" in DOCUMENT
    assert ", ".join(second.portfolio_names) in DOCUMENT
