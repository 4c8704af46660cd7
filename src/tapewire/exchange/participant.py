"""Who is one of the market's own participants."""

from __future__ import annotations

__all__ = ["PARTICIPANT_MARK", "is_participant"]

#: Accounts whose name begins with it are the market's own participants: not cleared, not registered, not
#: held to the rule against trading with oneself, and their orders do not lapse with the day.
PARTICIPANT_MARK = "~"


def is_participant(account: str) -> bool:
    """Return whether an account is one of the market's own participants."""
    return account[:1] == PARTICIPANT_MARK
