"""Granting answers that wait until data of their subscription have overtaken them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["OvertakenAnswers"]


class _Overtaken(NamedTuple):
    message: bytes
    #: Data messages that are still to come before it.
    behind: int
    timer: asyncio.TimerHandle | None


class OvertakenAnswers:
    """The answers of one connection that wait, one a subscription.

    Args:
        give_up: Called with an answer that data have not overtaken in time.
    """

    def __init__(self, give_up: Callable[[bytes], None]) -> None:
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._by_guid: dict[str, _Overtaken] = {}

    def hold(self, guid: str, message: bytes, behind: int, until_s: float | None) -> None:
        """Keep an answer behind so many data messages, but no longer than to a time; the one before is taken."""
        assert guid not in self._by_guid
        timer = self._loop.call_at(until_s, self._come, guid) if until_s is not None else None
        self._by_guid[guid] = _Overtaken(message, behind, timer)

    def data_passed(self, guid: str) -> bytes | None:
        """Count a data message and return the answer that follows it, if one does."""
        overtaken = self._by_guid.get(guid)
        if overtaken is None:
            return None
        if overtaken.behind > 1:
            self._by_guid[guid] = overtaken._replace(behind=overtaken.behind - 1)
            return None
        return self.take(guid)

    def take(self, guid: str) -> bytes | None:
        """Return the answer that waits for data of a subscription and forget it; None: there is none."""
        overtaken = self._by_guid.pop(guid, None)
        if overtaken is None:
            return None
        if overtaken.timer is not None:
            overtaken.timer.cancel()
        return overtaken.message

    def clear(self) -> None:
        """Forget all: the connection has ended."""
        for guid in tuple(self._by_guid):
            self.take(guid)

    def _come(self, guid: str) -> None:
        message = self.take(guid)
        assert message is not None, "the timer goes with the answer"
        self._give_up(message)
