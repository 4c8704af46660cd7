"""What a venue gives and takes: streams of records, and commands."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tapewire.model import Command, CommandKey, Outcome, Record, StreamPosition, Topic

__all__ = [
    "CommandSink",
    "FeedSink",
    "FeedSource",
    "NoDerivativesError",
    "OutcomeUnknownError",
    "Snapshot",
    "TooManyStreamsError",
    "UnknownPortfolioError",
    "UnknownTopicError",
    "VenueUnavailableError",
]


class TooManyStreamsError(Exception):
    """A source makes no more streams of this kind now; the text says how many there are."""


class OutcomeUnknownError(Exception):
    """Nobody can tell yet whether a command will be carried out; the text says why."""


class VenueUnavailableError(Exception):
    """The venue cannot say this now, and will again; the text says why."""


class UnknownTopicError(LookupError):
    """The venue has no such stream: the instrument, board or portfolio does not exist."""


class UnknownPortfolioError(UnknownTopicError):
    """The venue serves portfolios, but has none of this name on this exchange."""


class NoDerivativesError(UnknownPortfolioError):
    """The portfolio is there, but is none of derivatives; the text names it."""


class Snapshot(NamedTuple):
    """The newest state of a stream and where the stream stood."""

    position: StreamPosition
    record: Record


class FeedSink(Protocol):
    """What a source tells the subscriber of its topics, in the order of the stream."""

    def changed(self, topic: Topic) -> None:
        """The state of a topic of a state kind is new; ``FeedSource.current`` has it."""

    def happened(self, topic: Topic, position: StreamPosition, record: Record) -> None:
        """One more record of a topic of an event kind, or the final form of a bar: no state may replace it."""

    def told(self) -> None:
        """All that has ``happened`` until now has been told; the source is at rest and may be asked anything."""


class FeedSource(Protocol):
    """The streams of a venue. State is pulled when somebody's window ends, events are pushed.

    A bar topic does both: each bar that has become final ``happened``, and for the one that still runs the
    topic has ``changed``. Positions of bars grow with the bar's content: equal positions, equal bars. An
    instrument topic is one of events: partial ``InstrumentUpdate`` records, to be merged over
    ``Query.instrument_state``.

    Topics of portfolios are ``Topic(kind, exchange, portfolio)``. Fills, orders, stop orders and positions are
    events (each the whole row, ``existing`` false) whose past is ``Query.portfolio_records``; summary and both
    risks are states.
    """

    def open(self, topic: Topic, sink: FeedSink) -> None:
        """Begin to tell ``sink`` about ``topic``.

        Raises:
            UnknownPortfolioError: There is no such portfolio on that exchange.
            UnknownTopicError: There is no such stream.
        """

    def close(self, topic: Topic, sink: FeedSink) -> None:
        """Stop telling ``sink`` about ``topic``."""

    def current(self, topic: Topic) -> Snapshot | None:
        """Return the state of an open topic of a state kind; None while it is not known."""


class CommandSink(Protocol):
    """Takes commands in order."""

    async def submit(self, command: Command, key: CommandKey | None = None) -> Outcome:
        """Apply one command; what it caused is visible in the feeds only after it is durable.

        Its place among all commands is that of the call: it is taken before this waits for anything, so several
        may be submitted without waiting for their outcomes.

        A command whose key was handled before, or is being handled, is not carried out: it is ``Repeated``, once
        the first one's outcome is known. Without a key nothing is remembered. Whoever is cancelled while
        waiting knows nothing: the command may be carried out all the same.
        """
