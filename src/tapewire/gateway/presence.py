"""Who is here and who was: the open sessions with their figures, and the last ones that have ended.

Nothing is counted for it while messages are delivered: once a second the numbers that outboxes keep anyway are
compared with those of a second before. The same look ends connections that have never shown a good token.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tapewire.gateway.connection import Connection, ConnectionState
from tapewire.gateway.limits import Limit
from tapewire.gateway.standing import Reception, Standing
from tapewire.ports.clock import Clock
from tapewire.protocol.codes import CloseCode

__all__ = ["ENDED_MAX", "EndedSession", "OpenSession", "Presence"]

#: Sessions that have ended and are remembered; the one that ended longest ago goes first.
ENDED_MAX = 100
INTERVAL_S = 1.0
#: From here on close codes mean what peers want them to mean.
_PRIVATE_CODES = 3_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Session(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of every session. Messages and bytes are those that were handed to its socket."""

    id: str
    path: str
    peer: str
    #: None until it has shown a good token.
    login: str | None
    opened_at: datetime
    messages: int
    bytes: int
    requests: int


class OpenSession(_Session, frozen=True, kw_only=True):
    """A session as it is now. Rates are those of the last second, to a tenth."""

    subscriptions: int
    #: Messages that wait for the socket.
    queued: int
    #: How long the oldest of them has waited, in seconds; None if none waits.
    oldest_s: float | None
    messages_per_second: float
    bytes_per_second: float
    requests_per_second: float


class EndedSession(_Session, frozen=True, kw_only=True):
    """A session that is over, and why."""

    ended_at: datetime
    code: int
    reason: str
    #: The limit it was ended for, if there was one.
    limit: Limit | None


class _Visit:
    """An open connection and its numbers at the last look."""

    def __init__(self, connection: Connection, standing: Standing, opened_at: datetime) -> None:
        self.connection = connection
        self.standing = standing
        self.opened_at = opened_at
        self._at_s = standing.opened_s
        self._counts = (0, 0, 0)
        self.rates = (0.0, 0.0, 0.0)

    def look(self, now: float) -> None:
        outbox = self.connection.outbox
        counts = outbox.taken, outbox.taken_bytes, self.standing.requests
        # What came in the part of a second since the opening came in that second.
        passed_s = max(now - self._at_s, INTERVAL_S)
        before = self._counts
        self.rates = (
            (counts[0] - before[0]) / passed_s,
            (counts[1] - before[1]) / passed_s,
            (counts[2] - before[2]) / passed_s,
        )
        self._counts, self._at_s = counts, now


class Presence:
    """The sessions of one gateway."""

    def __init__(self, reception: Reception, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._reception = reception
        self._clock = clock
        self._loop = loop
        self._visits: dict[Connection, _Visit] = {}
        self._ended: deque[EndedSession] = deque(maxlen=ENDED_MAX)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All connections that are not gone, in the order of opening."""
        return tuple(self._visits)

    @property
    def standings(self) -> Iterator[Standing]:
        """Of all connections that are not gone."""
        return (visit.standing for visit in self._visits.values())

    def enter(self, connection: Connection, standing: Standing) -> None:
        """Remember a new connection."""
        self._visits[connection] = _Visit(connection, standing, self._now())
        self._reception.counters.opened[standing.path] += 1
        self._reception.log.write(
            logging.DEBUG, "session opened", session=standing.number, path=standing.path, peer=standing.peer
        )
        if self._timer is None:
            self._timer = self._loop.call_later(INTERVAL_S, self._look)

    def leave(self, connection: Connection) -> None:
        """Remember how a connection ended."""
        visit = self._visits.pop(connection)
        if not self._visits:
            self.close()
        standing, end = visit.standing, connection.end
        assert end is not None
        standing.leave()
        counters = self._reception.counters
        counters.ended[_class_of(end.code)] += 1
        counters.messages += connection.outbox.taken
        counters.bytes += connection.outbox.taken_bytes
        counters.requests += standing.requests
        if end.limit is not None:
            counters.cuts[end.limit] += 1
        ended = EndedSession(
            **_common(visit), ended_at=self._now(), code=end.code, reason=end.reason, limit=end.limit
        )
        self._ended.append(ended)
        self._log_end(ended, standing)

    def sessions(self) -> list[OpenSession]:
        """Return the open sessions, in the order of opening."""
        return [self._open_session(visit) for visit in self._visits.values()]

    def ended(self) -> list[EndedSession]:
        """Return the sessions that ended last, newest first."""
        return list(reversed(self._ended))

    def find(self, session: str) -> Connection | None:
        """Return the open connection of a session's id."""
        wanted = (c for c, visit in self._visits.items() if str(visit.standing.number) == session)
        return next(wanted, None)

    def expel_revoked(self) -> None:
        """End the sessions for which a refresh token stands that was revoked."""
        for connection, visit in tuple(self._visits.items()):
            if visit.standing.is_revoked:
                connection.expel("the refresh token was revoked")

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now = self._loop.time()
        within_s = self._reception.limits.authorise_within_s
        for connection, visit in tuple(self._visits.items()):
            visit.look(now)
            standing = visit.standing
            if standing.login is not None or within_s is None or connection.state is not ConnectionState.OPEN:
                continue
            if now - standing.opened_s >= within_s:
                connection.close(CloseCode.POLICY, f"no good token within {within_s:g} s", Limit.UNAUTHORISED)
        self._timer = self._loop.call_later(INTERVAL_S, self._look)

    def _open_session(self, visit: _Visit) -> OpenSession:
        outbox = visit.connection.outbox
        oldest_s = outbox.oldest_s
        messages, octets, requests = visit.rates
        return OpenSession(
            **_common(visit),
            subscriptions=visit.connection.subscriptions,
            queued=outbox.count,
            oldest_s=None if oldest_s is None else self._loop.time() - oldest_s,
            messages_per_second=round(messages, 1),
            bytes_per_second=round(octets, 1),
            requests_per_second=round(requests, 1),
        )

    def _log_end(self, ended: EndedSession, standing: Standing) -> None:
        level = logging.INFO if standing.login is not None else logging.DEBUG
        event = "session ended"
        if ended.limit is not None:
            level, event = logging.WARNING, "session cut"
        self._reception.log.write(
            level,
            event,
            session=standing.number,
            path=ended.path,
            peer=ended.peer,
            login=ended.login,
            code=ended.code,
            reason=ended.reason,
            seconds=round(self._loop.time() - standing.opened_s, 3),
            messages=ended.messages,
            bytes=ended.bytes,
            requests=ended.requests,
        )

    def _now(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self._clock.wall_ns() // 1_000)


def _class_of(code: int) -> str:
    """Return a close code as it is counted: peers may choose among thousands."""
    return str(code) if code < _PRIVATE_CODES else f"{code // 1_000}xxx"


def _common(visit: _Visit) -> dict[str, Any]:
    standing, outbox = visit.standing, visit.connection.outbox
    return {
        "id": str(standing.number),
        "path": standing.path,
        "peer": standing.peer,
        "login": standing.login,
        "opened_at": visit.opened_at,
        "messages": outbox.taken,
        "bytes": outbox.taken_bytes,
        "requests": standing.requests,
    }
