"""One connection between a server and its faults: sees requests and messages, and lets the plan strike them.

Thin: the plan says what is due, the transport holds and loses; here it is found out what a message is about.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import NamedTuple

from tapewire.faults.kinds import FaultKind, Trigger
from tapewire.faults.overtaken import OvertakenAnswers
from tapewire.faults.pending import PendingRequests
from tapewire.faults.plan import SessionPlan
from tapewire.faults.session_tokens import SessionTokens
from tapewire.faults.strike_log import StrikeLog
from tapewire.faults.subject import Subject, read_subject
from tapewire.faults.tally import Strike
from tapewire.faults.transport import FaultyTransport, Outgoing
from tapewire.ports.network import FrameListener, Transport
from tapewire.protocol.assembler import Assembler, Closed, Failed, Message
from tapewire.protocol.codes import INVALID_TOKEN, TOO_MANY_UNPROCESSED, CloseCode, ResultCode
from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.frames import FrameOpcode
from tapewire.protocol.messages import DATA_PREFIX, SystemMessage, guid_of_data, read_system

__all__ = ["FaultyConnection"]

#: A request in more pieces is passed on without having been read.
PIECES_MAX = 1_000
#: After these nothing passes.
_ENDINGS = frozenset({FaultKind.CUT, FaultKind.HALF_OPEN, FaultKind.OVERFLOW, FaultKind.MAINTENANCE})
#: These strike a connection, the others the message at hand.
_OF_CONNECTION = _ENDINGS | {FaultKind.MUTE, FaultKind.TOKEN_EXPIRY, FaultKind.GARBAGE}


class _Mute(NamedTuple):
    """Some subscriptions that are silent for a while."""

    until_s: float
    strike: Strike


class FaultyConnection:
    """A ``ports.FrameListener`` in front of the server's own, with the faults of one session.

    Args:
        listener: The server's.
        session: What strikes this connection, and when.
        path: Where it was opened, for the log.
        wall_s: The time of day, Unix s UTC.
        log: Is told of each strike.
    """

    def __init__(
        self,
        listener: FrameListener,
        session: SessionPlan,
        path: str,
        wall_s: Callable[[], float],
        log: StrikeLog,
    ) -> None:
        self._listener = listener
        self._session = session
        self._path = path
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._transport: FaultyTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: Ended by a fault, or half-open: nothing passes any more.
        self._is_dead = False
        # Requests, put together; frames of a message wait here until it is whole.
        self._assembler = Assembler()
        self._frames: list[tuple[int, bytes, bool, int]] = []
        #: Against the rules of WebSocket: nothing more is read.
        self._is_unreadable = False
        #: In too many pieces: passed on until its last one.
        self._is_long = False
        self._tokens = SessionTokens(session, self._loop.time(), wall_s, self._report)
        self._pending = PendingRequests()
        self._subscriptions: dict[str, Subject] = {}
        self._mutes: list[_Mute] = []
        self._overtaken = OvertakenAnswers(self._give_up)

    @property
    def _open(self) -> FaultyTransport:
        assert self._transport is not None
        return self._transport

    # --- FrameListener ------------------------------------------------------------------------------------

    def connected(self, transport: Transport) -> None:
        """Put the faults between the server and its peer."""
        self._transport = FaultyTransport(transport, self._judge, self._listener.writable)
        self._listener.connected(self._transport)
        self._arm()

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        """Pass a frame on, or the request that it completes, unless a fault has it.

        Frames of a fragmented message are passed on together, when it is whole; control frames between them come
        first.
        """
        if self._is_dead:
            return
        frame = opcode, payload, fin, rsv
        if self._is_unreadable or opcode > FrameOpcode.BINARY or self._open.is_over:
            self._listener.frame_received(*frame)
            return
        if self._is_long:
            self._is_long = not fin
            self._listener.frame_received(*frame)
            return
        assembled = self._assembler.feed(*frame)
        self._frames.append(frame)
        if assembled is None:
            if len(self._frames) < PIECES_MAX:
                return
            self._is_long = True
            self._assembler = Assembler()
        frames, self._frames = self._frames, []
        # What breaks the rules of WebSocket is the server's to answer.
        self._is_unreadable = isinstance(assembled, Failed | Closed)
        if isinstance(assembled, Message) and assembled.is_text and not self._is_passed(assembled.payload):
            return
        for frame in frames:
            self._listener.frame_received(*frame)

    def writable(self) -> None:
        """Let the server go on, unless too much is held back."""
        if self._transport is None or not self._transport.unsent_bytes:
            self._listener.writable()

    def disconnected(self, code: int, reason: str) -> None:
        """Let everything go."""
        if self._timer is not None:
            self._timer.cancel()
        self._overtaken.clear()
        if self._transport is not None:
            self._transport.forget()
        self._listener.disconnected(code, reason)

    # --- moments ------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        moment_s = self._session.next_moment_s()
        if moment_s is not None and not (self._is_dead or self._open.is_over):
            self._timer = self._loop.call_at(moment_s, self._come, moment_s)

    def _come(self, moment_s: float) -> None:
        # A timer may come a little early.
        now = max(self._loop.time(), moment_s)
        for strike in self._session.due(now):
            self._strike(strike, now)
        self._arm()

    def _strike(self, strike: Strike, now: float) -> None:
        """Do what strikes the connection as a whole."""
        self._report(strike)
        rule = strike.rule
        self._is_dead = self._is_dead or rule.kind in _ENDINGS
        if rule.kind is FaultKind.CUT:
            self._open.cut()
        elif rule.kind is FaultKind.OVERFLOW:
            self._open.end(CloseCode.TRY_AGAIN_LATER, TOO_MANY_UNPROCESSED)
        elif rule.kind is FaultKind.MAINTENANCE:
            self._open.end(rule.answer_code, rule.answer_text)
        elif rule.kind is FaultKind.HALF_OPEN:
            self._open.lose_all()
        elif rule.kind is FaultKind.MUTE:
            self._mute(strike, now)
        elif rule.kind is FaultKind.GARBAGE and not self._open.is_choked:
            self._open.insert(rule.answer_text.encode())
        elif rule.kind is FaultKind.TOKEN_EXPIRY:
            self._tokens.end(rule.whose)

    def _mute(self, strike: Strike, now: float) -> None:
        rule = strike.rule
        until_s = now + (math.inf if rule.for_s is None else rule.for_s)
        if rule.mutes_some:
            self._mutes = [mute for mute in self._mutes if mute.until_s > now]
            self._mutes.append(_Mute(until_s, strike))
        else:
            # What would be kept for ever is lost.
            self._open.mute(until_s, is_lost=bool(rule.lost) or until_s == math.inf)

    # --- requests -----------------------------------------------------------------------------------------

    def _is_passed(self, message: bytes) -> bool:
        """Whether the server gets a request."""
        subject = read_subject(message)
        if subject is None:
            return True
        now = self._loop.time()
        self._pending.add(subject)
        self._tokens.see(subject.token)
        refusal: tuple[int, str] | None = None
        for strike in self._session.event(Trigger.REQUEST, subject, now):
            if strike.rule.kind is FaultKind.REFUSED:
                self._report(strike)
                refusal = refusal or (strike.rule.answer_code, strike.rule.answer_text)
            else:
                self._strike(strike, now)
        if self._is_dead:
            return False
        if refusal is None and not subject.is_ping and self._tokens.is_expired(subject.token, now):
            refusal = ResultCode.UNAUTHORIZED, INVALID_TOKEN
        if refusal is None:
            return True
        self._answer(subject.guid, *refusal)
        return False

    def _answer(self, guid: str, code: int, text: str) -> None:
        if self._open.is_choked:
            # The server reads no requests of a peer that takes no answers; these it does not see.
            self._log.cut(self._path, self._open.peer, self._session.number)
            self._open.abort()
        else:
            self._open.send((SystemMessage(guid, int(code), text).encode(),))

    # --- messages -----------------------------------------------------------------------------------------

    def _judge(self, message: bytes, now: float) -> list[Outgoing]:
        """Say what becomes of a message of the server."""
        if self._is_dead:
            return []
        try:
            if message.startswith(DATA_PREFIX):
                guid = guid_of_data(message)
                return [Outgoing(message, "", now)] if guid is None else self._judge_data(message, guid, now)
            answer = read_system(message)
        except MalformedMessageError:
            answer = None
        return [Outgoing(message, "", now)] if answer is None else self._judge_answer(message, answer, now)

    def _judge_data(self, message: bytes, guid: str, now: float) -> list[Outgoing]:
        subject = self._subscriptions.get(guid) or Subject(guid=guid)
        strikes = self._session.event(Trigger.DATA, subject, now)
        due_s, copies = self._judge_message(strikes, subject, now)
        lane = "data " + guid
        sent = [Outgoing(message, lane, due_s)] * copies
        overtaken = self._overtaken.data_passed(guid) if copies else None
        if overtaken is not None:
            # In the lane of the data, or it would overtake those that are late.
            sent.append(Outgoing(overtaken, lane, due_s))
        return sent

    def _judge_answer(self, message: bytes, answer: SystemMessage, now: float) -> list[Outgoing]:
        guid = answer.request_guid
        lane = "answer " + guid
        first: list[Outgoing] = []
        # A second answer is how the server ends what it has granted.
        asked = self._pending.take(guid)
        subject = asked or self._subscriptions.get(guid) or Subject(guid=guid)
        if answer.ok and subject.subscribes:
            self._subscriptions[guid] = subject
        elif asked is None or (answer.ok and subject.unsubscribes):
            self._subscriptions.pop(guid, None)
            first += self._no_longer_overtaken(guid, lane, now)
        is_granted = answer.ok and subject.subscribes
        strikes = self._session.event(Trigger.ANSWER, subject, now, is_granted=is_granted)
        due_s, copies = self._judge_message(strikes, subject, now)
        late = next((strike for strike in strikes if strike.rule.kind is FaultKind.LATE_ANSWER), None)
        if late is not None and copies:
            behind = late.rule.behind if is_granted else None
            if behind is not None:
                first += self._no_longer_overtaken(guid, lane, now)
                until_s = max(due_s, now + late.by_s) if late.by_s else None
                self._overtaken.hold(guid, message, behind, until_s)
                return first
            due_s = max(due_s, now + late.by_s)
        return first + [Outgoing(message, lane, due_s)] * copies

    def _judge_message(self, strikes: list[Strike], subject: Subject, now: float) -> tuple[float, int]:
        """Return when a message is due, and how often it is sent."""
        due_s, copies = now, 1
        for strike in strikes:
            kind = strike.rule.kind
            if kind in _OF_CONNECTION:
                self._strike(strike, now)
                continue
            self._report(strike)
            if kind is FaultKind.DELAY:
                due_s = max(due_s, now + strike.by_s)
                if strike.rule.trigger is Trigger.MESSAGE:
                    self._open.put_barrier(due_s)
            elif kind is FaultKind.DUPLICATE:
                copies *= 2
            elif kind is FaultKind.NO_ANSWER:
                copies = 0
        for mute in self._mutes:
            if mute.until_s > now and mute.strike.is_about(subject):
                if mute.strike.rule.lost or mute.until_s == math.inf:
                    copies = 0
                else:
                    due_s = max(due_s, mute.until_s)
        return due_s, copies

    def _no_longer_overtaken(self, guid: str, lane: str, now: float) -> list[Outgoing]:
        overtaken = self._overtaken.take(guid)
        return [] if overtaken is None else [Outgoing(overtaken, lane, now)]

    def _give_up(self, message: bytes) -> None:
        """Send an answer that no data have overtaken in time."""
        self._open.insert(message)

    def _report(self, strike: Strike) -> None:
        self._log.struck(strike, self._path, self._open.peer, self._session.number)
