"""What one connection of the data socket carries: requests that wait for answers and streams by guid. Pure.

The session knows no socket. It is given messages and says to whom they belong; whoever owns the connection sends
what it is asked to. A new connection gets a new session, into which the wanted streams are entered again.
"""

from __future__ import annotations

from collections.abc import Callable

from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.limits import SUBSCRIPTIONS_PER_CONNECTION_MAX
from tapewire.protocol.messages import SystemMessage, data_tail, guid_of_data, read_system

__all__ = ["GUID_CHARACTERS", "IGNORED_ANSWERS_MAX", "TAIL_BYTES", "Session"]

#: All guids of this client have this length, so that the reader finds them at a fixed place.
GUID_CHARACTERS = 32
#: Length of what stands behind the record in a data message of this client: ``,"guid":"…"}``.
TAIL_BYTES = len(data_tail("0" * GUID_CHARACTERS))
#: Answers to be ignored that are remembered; the oldest goes first. A broker that answers never comes near.
IGNORED_ANSWERS_MAX = 2 * SUBSCRIPTIONS_PER_CONNECTION_MAX


class Session:
    """Routes the messages of one connection."""

    def __init__(self) -> None:
        #: Where data go, by the tail of their messages. The reader looks in here itself for each message.
        self.streams: dict[bytes, Callable[[bytes], None]] = {}
        self._ends: dict[str, Callable[[SystemMessage], None]] = {}
        self._answers: dict[str, Callable[[SystemMessage], None]] = {}
        self._ignored: dict[str, Callable[[SystemMessage], None] | None] = {}
        #: Guids of answers that nobody waits for any more.
        self._late: dict[str, None] = {}
        #: Messages that belong to nobody: data of cancelled guids, answers that came too late.
        self.unclaimed = 0
        #: Messages that could not be read at all.
        self.malformed = 0

    def expect_answer(self, guid: str, deliver: Callable[[SystemMessage], None]) -> None:
        """Have the answer to a request delivered."""
        self._answers[guid] = deliver

    def forget_answer(self, guid: str) -> None:
        """Wait for an answer no longer; the next one of this guid is that one, if it comes."""
        if self._answers.pop(guid, None) is not None:
            self._late[guid] = None
            if len(self._late) > IGNORED_ANSWERS_MAX:
                del self._late[next(iter(self._late))]

    def ignore_answer(self, guid: str, refused: Callable[[SystemMessage], None] | None = None) -> None:
        """Expect the answer to a request without any interest in it, unless it is a refusal."""
        self._ignored[guid] = refused
        if len(self._ignored) > IGNORED_ANSWERS_MAX:
            del self._ignored[next(iter(self._ignored))]

    def open_stream(
        self, guid: str, deliver: Callable[[bytes], None], end: Callable[[SystemMessage], None]
    ) -> None:
        """Have the data messages of a guid delivered, also those that come before the answer.

        ``end`` gets what the broker says of the stream once it has been answered, unless that is good: a broker
        that grants a stream and then cannot read its past, for instance, says so in a second answer.
        """
        self.streams[data_tail(guid)] = deliver
        self._ends[guid] = end

    def close_stream(self, guid: str) -> None:
        """Drop the data messages of a guid from now on."""
        self.streams.pop(data_tail(guid), None)
        self._ends.pop(guid, None)

    def receive(self, message: bytes) -> None:
        """Take one message of any kind; never raises for what the other end sends."""
        try:
            answer = read_system(message)
            guid = guid_of_data(message) if answer is None else None
        except MalformedMessageError:
            self.malformed += 1
            return
        if answer is not None:
            if self._take_answer(answer):
                return
        elif guid is not None:
            deliver = self.streams.get(data_tail(guid))
            if deliver is not None:
                deliver(message)
                return
        self.unclaimed += 1

    def _take_answer(self, answer: SystemMessage) -> bool:
        """Deliver an answer; False if nobody cares for it."""
        guid = answer.request_guid
        deliver = self._answers.pop(guid, None)
        if deliver is None and answer.ok and guid in self._late and guid in self._ignored:
            # Of two that are under way the first is not that of the second, whose refusal matters.
            del self._late[guid]
            return True
        if deliver is None and guid in self._ignored:
            refused = self._ignored.pop(guid)
            if refused is not None and not answer.ok:
                refused(answer)
            return True
        if deliver is None and not answer.ok:
            deliver = self._ends.get(guid)
        if deliver is None:
            return False
        deliver(answer)
        return True
