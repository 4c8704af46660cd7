"""How a command ends."""

from __future__ import annotations

import msgspec

__all__ = ["Done", "Outcome", "Refused", "Repeated", "Unavailable"]


class Done(msgspec.Struct, frozen=True):
    """The venue took the command.

    ``order_number`` is the order that it made or cancelled: of a replacement the new one, of a group the group's
    id, empty where all orders of a portfolio were cancelled.
    """

    order_number: str


class Refused(msgspec.Struct, frozen=True):
    """The venue did not take the command and nothing has changed."""

    #: Trading-system code: reference of commands, section 7.
    code: int
    reason: str


class Repeated(msgspec.Struct, frozen=True):
    """A command with this key was handled before; nothing was done now."""

    first: Done | Refused


class Unavailable(msgspec.Struct, frozen=True):
    """The venue takes no commands now; nothing was done and nothing will be, and the key is not remembered."""

    reason: str


Outcome = Done | Refused | Repeated | Unavailable
