"""The life of a command, and of the right to send any, as tables: what may follow what.

=============  =================================================  ==================================
authority      entered by                                         may become
=============  =================================================  ==================================
none           the handshake; 401 to a command or ``authorize``;  authorizing, ended
               no answer to the first ``authorize``
authorizing    the first ``authorize`` is sent                    none, authorized, ended
authorized     200 to ``authorize``; a renewal keeps it           none, ended
ended          the end of the connection                          nothing: final
=============  =================================================  ==================================

=============  =================================================  ==================================
command        entered by                                         may become
=============  =================================================  ==================================
sent           it was given to the connection                     accepted, rejected, unknown
accepted       an answer that says so, with the order's number    nothing: final
rejected       an answer that says that nothing was done          nothing: final
unknown        no answer in time, the end of the connection, an   nothing: final; a late answer is
               answer that leaves it open                         kept for whoever resolves it
=============  =================================================  ==================================

A command that was not given to a connection has no state: its caller gets an error that says so.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Authority", "CommandState", "authority_may_follow", "command_may_follow"]


class Authority(Enum):
    """Whether commands may be sent on a connection."""

    NONE = "none"
    AUTHORIZING = "authorizing"
    AUTHORIZED = "authorized"
    ENDED = "ended"


class CommandState(Enum):
    """Where a command is in its life."""

    SENT = "sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


_AUTHORITY_FOLLOWS = {
    Authority.NONE: {Authority.AUTHORIZING, Authority.ENDED},
    Authority.AUTHORIZING: {Authority.NONE, Authority.AUTHORIZED, Authority.ENDED},
    Authority.AUTHORIZED: {Authority.NONE, Authority.ENDED},
    Authority.ENDED: set(),
}
_COMMAND_FOLLOWS = {
    CommandState.SENT: {CommandState.ACCEPTED, CommandState.REJECTED, CommandState.UNKNOWN},
    CommandState.ACCEPTED: set(),
    CommandState.REJECTED: set(),
    CommandState.UNKNOWN: set(),
}


def authority_may_follow(old: Authority, new: Authority) -> bool:
    """Whether the right to send commands may go from one state to another."""
    return new in _AUTHORITY_FOLLOWS[old]


def command_may_follow(old: CommandState, new: CommandState) -> bool:
    """Whether a command may go from one state to another."""
    return new in _COMMAND_FOLLOWS[old]
