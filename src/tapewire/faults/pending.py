"""Requests whose answer has not been seen: what an answer is about is found here. Pure."""

from __future__ import annotations

from collections import deque

from tapewire.faults.subject import Subject
from tapewire.protocol.limits import GUID_CHARACTERS_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX

__all__ = ["PENDING_MAX", "PendingRequests"]

#: Requests that are remembered; of a guid that was first asked with longest ago, the oldest goes first.
PENDING_MAX = 2 * SUBSCRIPTIONS_PER_CONNECTION_MAX
#: Of other texts so much is remembered: no server knows longer ones.
TEXT_CHARACTERS_MAX = GUID_CHARACTERS_MAX


class PendingRequests:
    """Remembers requests by guid, in the order of asking: the answers of one guid come in it.

    A guid longer than ``GUID_CHARACTERS_MAX`` is not remembered: no answer names it.
    """

    def __init__(self) -> None:
        self._by_guid: dict[str, deque[Subject]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, subject: Subject) -> None:
        """Remember a request, without its token."""
        if len(subject.guid) > GUID_CHARACTERS_MAX:
            return
        kept = Subject(*(text[:TEXT_CHARACTERS_MAX] for text in subject._replace(token="")))
        self._by_guid.setdefault(kept.guid, deque()).append(kept)
        self._count += 1
        if self._count > PENDING_MAX:
            self.take(next(iter(self._by_guid)))

    def take(self, guid: str) -> Subject | None:
        """Return the oldest request of a guid and forget it; None: there is none."""
        subjects = self._by_guid.get(guid)
        if subjects is None:
            return None
        self._count -= 1
        subject = subjects.popleft()
        if not subjects:
            del self._by_guid[guid]
        return subject
