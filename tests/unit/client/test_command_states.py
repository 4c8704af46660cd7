"""The tables of a command's life: what is stated is what holds."""

from __future__ import annotations

import itertools

import pytest

from tapewire.client import command_states
from tapewire.client.command_states import (
    Authority,
    CommandState,
    authority_may_follow,
    command_may_follow,
)

AUTHORITY = {
    (Authority.NONE, Authority.AUTHORIZING),
    (Authority.NONE, Authority.ENDED),
    (Authority.AUTHORIZING, Authority.NONE),
    (Authority.AUTHORIZING, Authority.AUTHORIZED),
    (Authority.AUTHORIZING, Authority.ENDED),
    (Authority.AUTHORIZED, Authority.NONE),
    (Authority.AUTHORIZED, Authority.ENDED),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(Authority, repeat=2)))
def test_authority_goes_where_the_table_says(old: Authority, new: Authority) -> None:
    assert authority_may_follow(old, new) == ((old, new) in AUTHORITY)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(CommandState, repeat=2)))
def test_a_command_ends_once_and_for_good(old: CommandState, new: CommandState) -> None:
    assert command_may_follow(old, new) == (old is CommandState.SENT and new is not CommandState.SENT)


def test_the_document_names_every_state() -> None:
    assert command_states.__doc__ is not None
    rows = {line.split()[0] for line in command_states.__doc__.splitlines() if line and line[0].isalpha()}
    assert {state.value for kind in (Authority, CommandState) for state in kind} <= rows
