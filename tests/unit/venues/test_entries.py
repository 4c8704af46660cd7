"""Bodies of the venue's entries: every command comes back as it was, and people can read them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.exchange import AccountTerms
from tapewire.journal import Entry, EntryKind, StepRun
from tapewire.journal.record import BODY_BYTES_MAX
from tapewire.model import Command, CommandKey, OrderType, StopType
from tapewire.ports.journal import JournalError
from tapewire.venues.entries import (
    AccountsOpened,
    CommandTaken,
    EpochStarted,
    StepsMade,
    command_of,
    command_taken,
    decode_body,
    encode,
    read,
)
from tapewire.venues.hall_state import HallSettings

st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(Decimal, st.decimals(allow_nan=False, allow_infinity=False))
# Clients may send words that nobody knows.
st.register_type_strategy(OrderType, st.sampled_from([*OrderType, OrderType("iceberg")]))
st.register_type_strategy(StopType, st.sampled_from([*StopType, StopType("trailing")]))
COMMANDS: Any = st.one_of(*(st.from_type(kind) for kind in get_args(Command)))
KEYS = st.none() | st.builds(CommandKey, st.text(max_size=20), st.text(max_size=256))


def entry(kind: EntryKind, body: bytes) -> Entry:
    return Entry(kind, 5, 1_000, body)


@given(COMMANDS, KEYS, st.integers(0, 2**62))
def test_every_command_comes_back(command: Command, key: CommandKey | None, after: int) -> None:
    taken = read(entry(EntryKind.COMMAND, command_taken(command, key, after)), CommandTaken)
    assert taken.after == after
    again, same_key = command_of(taken)
    assert type(again) is type(command)
    assert again == command
    assert same_key == key


@given(COMMANDS, KEYS)
def test_every_command_can_be_read_by_people(command: Command, key: CommandKey | None) -> None:
    plain = decode_body(entry(EntryKind.COMMAND, command_taken(command, key, 3)))
    assert plain["after"] == 3
    assert msgspec.json.encode(plain)


def test_other_entries_can_be_read_by_people() -> None:
    settings = HallSettings(seed=1, events_per_second=2)
    bodies = {
        EntryKind.EPOCH_STARTED: EpochStarted(after=1, settings=settings, state=b"12345"),
        EntryKind.STEPS_MADE: StepsMade(after=9, is_last=True),
        EntryKind.ACCOUNTS_OPENED: AccountsOpened(after=1, terms=(AccountTerms(name="D1", cash=Decimal(5)),)),
    }
    texts = {kind: str(decode_body(entry(kind, encode(body)))) for kind, body in bodies.items()}
    assert "'seed': 1" in texts[EntryKind.EPOCH_STARTED]
    assert texts[EntryKind.STEPS_MADE] == "{'after': 9, 'is_last': True}"
    assert "'cash': '5'" in texts[EntryKind.ACCOUNTS_OPENED]
    run = decode_body(entry(EntryKind.MARKET_STEPS, StepRun(3, 4, 1_000, 10).encode()))
    assert run == {"first_step": 3, "length": 4, "interval_ns": 10}
    assert decode_body(entry(EntryKind.PROBE, b"")) is None


@pytest.mark.parametrize("kind", [kind for kind in EntryKind if kind not in (EntryKind.MARK, EntryKind.PROBE)])
def test_garbage_is_said_to_be_garbage(kind: EntryKind) -> None:
    with pytest.raises(ValueError, match="body"):
        decode_body(entry(kind, b"\xc1garbage"))


def test_a_command_of_the_future_is_not_guessed_at() -> None:
    body = msgspec.msgpack.encode([1, None, None, "teleport", {}])
    with pytest.raises(JournalError, match="teleport"):
        command_of(read(entry(EntryKind.COMMAND, body), CommandTaken))


def test_the_first_entry_of_a_full_catalogue_has_room() -> None:
    """The state that all begins with is the body of one entry."""
    from tapewire.market import Market, catalogue
    from tapewire.simulation import VirtualClock, run_virtual
    from tapewire.venues import EmbeddedVenue
    from tapewire.venues.demo_accounts import DEMO_ACCOUNTS

    async def scenario() -> int:
        market = Market(catalogue(None), seed=1)
        return len(EmbeddedVenue(market, clock=VirtualClock(), accounts=DEMO_ACCOUNTS)._hall.state().encode())

    assert run_virtual(scenario()) < BODY_BYTES_MAX / 2
