"""Which single streams have been silent for longer than they should, and what to do about each. Pure.

A stream is measured against itself: how often it spoke, and how long it has been quiet before it spoke again.
There is no time after which every stream is silent. One that has hardly spoken is not judged, nor one of a
portfolio, which speaks when something happens; outside trading hours nothing is.

::

    fine ──► ping ──► subscribe again ──► connect again, if most streams of the connection are silent
      ▲        │              │                                 │
      └────────┴──────────────┴── a message; an alarm gives the stream twice the time ────┘

What thin markets, halts and holidays can cost is bounded: subscriptions anew by the minute, connections anew by
the half-hour, and both by the patience that grows with each alarm that came to nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from tapewire.model import TopicKind

__all__ = [
    "ANEW_PER_MINUTE_MAX",
    "JUDGED_KINDS",
    "LEARNT_MESSAGES",
    "MISSED_MESSAGES",
    "PATIENCE_MAX",
    "RECONNECT_EVERY_S",
    "SILENT_MIN_S",
    "STEP_S",
    "Alarm",
    "Liveness",
    "Sample",
    "Step",
]

#: Streams that speak as long as there is trading.
JUDGED_KINDS = frozenset({TopicKind.BOOK, TopicKind.QUOTE, TopicKind.TRADES})
#: Nothing shorter is silence.
SILENT_MIN_S = 20.0
#: So many messages in a row must be missing, as often as they came before.
MISSED_MESSAGES = 50.0
#: So many times the longest quiet that was followed by a message.
QUIET_TIMES = 3.0
#: A stream is judged after so many messages.
LEARNT_MESSAGES = 100
#: From one step of the ladder to the next.
STEP_S = 10.0
#: Each alarm doubles the time that a stream is given, up to this; ``LEARNT_MESSAGES`` without one make it 1 again.
PATIENCE_MAX = 256.0
#: Over all streams of all connections together.
ANEW_PER_MINUTE_MAX = 10
#: Of one connection.
RECONNECT_EVERY_S = 1_800.0
#: More than this part of the judged streams of a connection must be silent before it is given up for them.
RECONNECT_PART = 0.5

F = TypeVar("F", bound=Hashable)


class Step(Enum):
    """What is to be done about a silent stream."""

    PING = "asking for a sign of life"
    RESUBSCRIBE = "subscribing anew"
    RECONNECT = "connecting anew"


class Sample(NamedTuple, Generic[F]):
    """What is known of one stream at a look: messages so far, and whether data are expected at all."""

    stream: F
    kind: TopicKind
    received: int
    is_active: bool


class Alarm(NamedTuple, Generic[F]):
    """A stream is silent."""

    stream: F
    step: Step
    silent_s: float


class _Track:
    """What is known of one stream."""

    __slots__ = (
        "acted_at_s",
        "began_s",
        "count",
        "heard_at_s",
        "patience",
        "quiet_max_s",
        "received",
        "since",
        "step",
    )

    def __init__(self, received: int, now_s: float) -> None:
        self.received = received
        self.heard_at_s = now_s
        #: Messages that were heard, and in how many seconds of trading; both halve now and then.
        self.count = 0.0
        self.began_s = 0.0
        self.quiet_max_s = 0.0
        self.patience = 1.0
        #: Messages since the last alarm.
        self.since = 0
        self.step: Step | None = None
        self.acted_at_s = 0.0

    @property
    def silent_after_s(self) -> float | None:
        """After which quiet this stream is silent; None: it has not spoken enough to say."""
        if self.count < LEARNT_MESSAGES / 2:
            return None
        usual_s = MISSED_MESSAGES * self.began_s / self.count
        return max(SILENT_MIN_S, usual_s, QUIET_TIMES * self.quiet_max_s) * self.patience

    def heard(self, messages: int, now_s: float) -> None:
        quiet_s = now_s - self.heard_at_s
        self.count += messages
        self.began_s += quiet_s
        # A quiet after which only our own asking has brought a message says nothing of the market.
        if self.step is None:
            self.quiet_max_s = max(quiet_s, self.quiet_max_s * 0.99)
        if self.count >= 10 * LEARNT_MESSAGES:
            self.count, self.began_s = self.count / 2, self.began_s / 2
        self.since += messages
        if self.since >= LEARNT_MESSAGES:
            self.patience = 1.0
        self.heard_at_s = now_s
        self.step = None


class Liveness(Generic[F]):
    """Looks after the streams of one connection. Times are those of any one clock, in seconds."""

    def __init__(self, anew: deque[float] | None = None) -> None:
        self._tracks: dict[F, _Track] = {}
        #: When streams were subscribed to anew, of all connections that share it.
        self._anew: deque[float] = anew if anew is not None else deque(maxlen=ANEW_PER_MINUTE_MAX)
        self._reconnected_at_s: float | None = None

    def __len__(self) -> int:
        return len(self._tracks)

    def look(self, samples: Iterable[Sample[F]], now_s: float, *, is_trading: bool) -> list[Alarm[F]]:
        """Return what is to be done now; whoever asks does it. Streams that are not there are forgotten."""
        before, self._tracks = self._tracks, {}
        silent: list[tuple[F, _Track, float]] = []
        judged = 0
        for stream, kind, received, is_active in samples:
            if kind not in JUDGED_KINDS:
                continue
            track = before.get(stream) or _Track(received, now_s)
            self._tracks[stream] = track
            if received != track.received:
                track.heard(max(received - track.received, 1), now_s)
                track.received = received
            elif not is_active or not is_trading:
                track.heard_at_s = now_s
            if not is_trading:
                track.step = None
            after_s = track.silent_after_s
            if after_s is None or not is_active or not is_trading:
                continue
            judged += 1
            quiet_s = now_s - track.heard_at_s
            if quiet_s >= after_s or track.step is not None:
                silent.append((stream, track, quiet_s))
        alarms = [self._alarm(*each, len(silent) > RECONNECT_PART * judged, now_s) for each in silent]
        return [alarm for alarm in alarms if alarm is not None]

    def _alarm(self, stream: F, track: _Track, quiet_s: float, are_most: bool, now_s: float) -> Alarm[F] | None:
        if track.step is not None and now_s - track.acted_at_s < STEP_S:
            return None
        if track.step is None:
            step = Step.PING
        elif track.step is Step.PING:
            if len(self._anew) == ANEW_PER_MINUTE_MAX and now_s - self._anew[0] < 60:
                return None  # its turn comes
            self._anew.append(now_s)
            step = Step.RESUBSCRIBE
            track.patience, track.since = min(2 * track.patience, PATIENCE_MAX), 0
        else:
            track.step = None
            track.heard_at_s = now_s
            may = self._reconnected_at_s is None or now_s - self._reconnected_at_s >= RECONNECT_EVERY_S
            if not are_most or not may:
                return None
            self._reconnected_at_s = now_s
            return Alarm(stream, Step.RECONNECT, quiet_s)
        track.step, track.acted_at_s = step, now_s
        return Alarm(stream, step, quiet_s)
