"""What the venue writes into its journal: bodies of entries, as MessagePack.

``after`` is in all of them: how many market steps were made before the entry was applied. A replay makes as many
first, so steps and commands come in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from tapewire.exchange import AccountTerms
from tapewire.journal import Entry, EntryKind, StepRun
from tapewire.model import (
    CancelAllOrders,
    CancelOrder,
    CancelStopOrder,
    ChangeGroup,
    Command,
    CommandKey,
    DeleteGroup,
    MakeGroup,
    PlaceOrder,
    PlaceStopOrder,
    ReplaceOrder,
    ReplaceStopOrder,
)
from tapewire.ports.journal import JournalError
from tapewire.venues.hall_state import HallSettings

__all__ = [
    "AccountsOpened",
    "CommandTaken",
    "EpochStarted",
    "StepsMade",
    "command_of",
    "command_taken",
    "decode_body",
    "encode",
    "read",
]

#: The words that stand for commands in a journal. They are never given another meaning.
_COMMANDS: Mapping[str, type[Command]] = MappingProxyType(
    {
        "place": PlaceOrder,
        "replace": ReplaceOrder,
        "cancel": CancelOrder,
        "placeStop": PlaceStopOrder,
        "replaceStop": ReplaceStopOrder,
        "cancelStop": CancelStopOrder,
        "cancelAll": CancelAllOrders,
        "makeGroup": MakeGroup,
        "changeGroup": ChangeGroup,
        "deleteGroup": DeleteGroup,
    }
)
_WORDS = {kind: word for word, kind in _COMMANDS.items()}


class CommandTaken(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A user's command. Without a key it is not remembered."""

    after: int
    login: str | None
    guid: str | None
    word: str
    command: msgspec.Raw


class EpochStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The program was started. Steps that were granted before and not made never will be."""

    after: int
    settings: HallSettings
    #: The first one of a journal says where all begins: a ``HallState``.
    state: bytes | None = None


class StepsMade(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """So many steps were made; if the program ends here, those granted beyond never will be."""

    after: int
    is_last: bool = False


class AccountsOpened(msgspec.Struct, frozen=True, kw_only=True):
    """Portfolios were opened."""

    after: int
    terms: tuple[AccountTerms, ...]


T = TypeVar("T")
Body = EpochStarted | StepsMade | AccountsOpened

_KINDS: Mapping[EntryKind, type] = MappingProxyType(
    {
        EntryKind.COMMAND: CommandTaken,
        EntryKind.EPOCH_STARTED: EpochStarted,
        EntryKind.STEPS_MADE: StepsMade,
        EntryKind.ACCOUNTS_OPENED: AccountsOpened,
    }
)


def encode(body: Body) -> bytes:
    """Return the bytes of a body."""
    return msgspec.msgpack.encode(body)


def command_taken(command: Command, key: CommandKey | None, after: int) -> bytes:
    """Return the body of a user's command.

    Raises:
        ValueError: It has a number that no field of the journal holds.
    """
    login, guid = (None, None) if key is None else key
    try:
        plain = msgspec.msgpack.encode(command)
    except OverflowError as error:
        raise ValueError("a number of the command has more than 64 bits") from error
    body = CommandTaken(
        after=after, login=login, guid=guid, word=_WORDS[type(command)], command=msgspec.Raw(plain)
    )
    return msgspec.msgpack.encode(body)


def command_of(taken: CommandTaken) -> tuple[Command, CommandKey | None]:
    """Return the command of a body, and under what it is remembered.

    Raises:
        JournalError: This tapewire does not know it.
    """
    kind = _COMMANDS.get(taken.word)
    if kind is None:
        raise JournalError(f"this tapewire does not know the command {taken.word}")
    key = None if taken.login is None or taken.guid is None else CommandKey(taken.login, taken.guid)
    return _decoded(bytes(taken.command), kind), key


def read(entry: Entry, kind: type[T]) -> T:
    """Return the body of an entry.

    Raises:
        JournalError: It is none of this kind.
    """
    return _decoded(entry.body, kind)


def decode_body(entry: Entry) -> Any:
    """Return the body of any entry as plain values, for people.

    Raises:
        ValueError: It cannot be read.
    """
    if entry.kind is EntryKind.MARKET_STEPS:
        try:
            run = StepRun.decode(entry)
        except JournalError as error:
            raise ValueError(str(error)) from error
        return {"first_step": run.first_step, "length": run.length, "interval_ns": run.interval_ns}
    kind = _KINDS.get(entry.kind)
    if kind is None:
        return None
    try:
        body: Any = read(entry, kind)
        if isinstance(body, CommandTaken):
            command, _ = command_of(body)
            return {
                "after": body.after,
                "login": body.login,
                "guid": body.guid,
                "command": body.word,
                **msgspec.to_builtins(command),
            }
    except JournalError as error:
        raise ValueError(str(error)) from error
    if isinstance(body, EpochStarted):
        # A state is a snapshot, and nothing for people.
        size = None if body.state is None else len(body.state)
        return {"after": body.after, "settings": msgspec.to_builtins(body.settings), "state_bytes": size}
    plain = msgspec.to_builtins(body)
    return plain if isinstance(plain, dict) else dict(zip(body.__struct_fields__, plain, strict=True))


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise JournalError(f"the body is no {kind.__name__}: {error}") from error
