"""One fault as it is ordered: what goes wrong, when, to whom. A value that cannot be is never made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from http import HTTPStatus

import msgspec

from tapewire.faults.kinds import KINDS, FaultKind, Since, Trigger, Whose
from tapewire.protocol.codes import CloseCode, ResultCode
from tapewire.protocol.commands import COMMANDS
from tapewire.protocol.frames import is_close_code_allowed
from tapewire.protocol.limits import CLOSE_REASON_BYTES_MAX
from tapewire.protocol.requests import STREAMS

__all__ = [
    "DURATION_KEYS",
    "PATTERN_KEYS",
    "REFUSAL_TEXT",
    "SOCKET_PATHS",
    "SUBSCRIPTION_KEYS",
    "FaultRule",
]

#: What refuses where no text was ordered.
REFUSAL_TEXT = "Refused on command"
MAINTENANCE_TEXT = "maintenance"
#: Half of a data message: no JSON.
GARBAGE_TEXT = '{"data":{"symbol":'

SOCKET_PATHS = ("/ws", "/cws")
#: Patterns that look at what was asked for.
SUBSCRIPTION_KEYS = ("opcode", "exchange", "symbol", "board", "portfolio", "guid")
PATTERN_KEYS = ("path", "login", *SUBSCRIPTION_KEYS)
DURATION_KEYS = ("after", "every", "for", "by", "jitter", "life", "retry_after")
#: A year: longer is a mistake.
DURATION_MAX_S = 366 * 86_400.0
#: Less than this apart, moments would keep the loop busy with nothing else.
EVERY_MIN_S = 0.01
TEXT_CHARACTERS_MAX = 4_096
NAME_CHARACTERS_MAX = 64

_OPCODES = (
    *(name for stream in STREAMS.values() for name in (stream.opcode, *stream.aliases)),
    *COMMANDS,
    "unsubscribe",
)
_STATUSES = frozenset(int(status) for status in HTTPStatus)
_AT = re.compile(r"((Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([01]\d|2[0-3]):[0-5]\d")


class FaultRule(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename=lambda name: name.removesuffix("_s"),
):
    """One fault. Keys of a file are the names of the fields without ``_s``; what is None was not ordered.

    Patterns are those of a shell (``*``, ``?``, ``[…]``), in any letter case. Durations are seconds.

    Raises:
        ValueError: On construction, if the settings make no sense together; the text names the key.
    """

    kind: FaultKind
    #: In logs and counters; None: made of the kind and the place in the file.
    name: str | None = None
    #: None: the default of the kind.
    on: Trigger | None = None

    after_s: float | None = None
    every_s: float | None = None
    for_s: float | None = None
    #: ``19:00`` or ``Fri 19:00``, Moscow time.
    at: str | None = None
    since: Since | None = None

    nth: int | None = None
    each: int | None = None
    probability: float | None = None
    times: int | None = None
    #: Only the n-th connection to the path, from 1.
    connection: int | None = None

    path: str | None = None
    login: str | None = None
    opcode: str | None = None
    exchange: str | None = None
    #: ``code`` of a subscription, ``instrument.symbol`` of a command.
    symbol: str | None = None
    board: str | None = None
    portfolio: str | None = None
    guid: str | None = None

    by_s: float | None = None
    #: Up to so much more, drawn by the seed.
    jitter_s: float | None = None
    #: Data messages of the subscription that overtake its answer.
    behind: int | None = None
    lost: bool | None = None
    whose: Whose | None = None
    life_s: float | None = None
    code: int | None = None
    text: str | None = None
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        problem = next(_problems(self), None)
        if problem is not None:
            raise ValueError(problem)

    @property
    def trigger(self) -> Trigger:
        """What sets it off."""
        return self.on or KINDS[self.kind].triggers[0]

    @property
    def counts_from_start(self) -> bool:
        """Whether times are counted from the start of the system."""
        if self.since is not None:
            return self.since is Since.START
        is_of_system = self.trigger in (Trigger.CONNECT, Trigger.HTTP) or self.kind is FaultKind.MAINTENANCE
        return is_of_system or self.at is not None

    @property
    def answer_code(self) -> int:
        """The code that refuses or closes."""
        if self.code is not None:
            return self.code
        return CloseCode.GOING_AWAY if self.kind is FaultKind.MAINTENANCE else ResultCode.UNAVAILABLE

    @property
    def answer_text(self) -> str:
        """The text that goes with it."""
        defaults = {FaultKind.MAINTENANCE: MAINTENANCE_TEXT, FaultKind.GARBAGE: GARBAGE_TEXT}
        return defaults.get(self.kind, REFUSAL_TEXT) if self.text is None else self.text

    @property
    def mutes_some(self) -> bool:
        """Whether it silences some subscriptions and not the server; on an event they say which events count."""
        return self.trigger is Trigger.TIME and any(getattr(self, key) is not None for key in SUBSCRIPTION_KEYS)

    @property
    def is_refused_handshake(self) -> bool:
        """Whether handshakes or HTTP requests are answered with ``code``."""
        return self.kind is FaultKind.REFUSED and self.trigger is not Trigger.REQUEST


def _problems(rule: FaultRule) -> Iterator[str]:
    """Say what is wrong, in the words of the file, the most telling first."""
    yield from _trigger_problems(rule)
    yield from _key_problems(rule)
    yield from _number_problems(rule)
    yield from _time_problems(rule)
    yield from _pattern_problems(rule)
    yield from _answer_problems(rule)


def _given(rule: FaultRule, *keys: str) -> list[str]:
    return [key for key in keys if getattr(rule, f"{key}_s" if key in DURATION_KEYS else key) is not None]


def _trigger_problems(rule: FaultRule) -> Iterator[str]:
    kind = KINDS[rule.kind]
    if rule.trigger not in kind.triggers:
        yield f"{rule.kind} strikes on {_listed(kind.triggers)}, not on {rule.on}"
    if rule.trigger is Trigger.TIME:
        counted = _given(rule, "nth", "each")
        if rule.kind is not FaultKind.MUTE:
            counted += _given(rule, *SUBSCRIPTION_KEYS)
        others = kind.triggers[1:]
        if counted and others:
            yield f"{counted[0]} needs on: what is counted, {_listed(others)}"
        if counted:
            yield f"{rule.kind} takes no {counted[0]}"
    if rule.life_s is not None:
        for key in _given(rule, "on", "nth", "each", "probability", "connection", "whose", "at"):
            yield f"life ends every token early: it takes no {key}"


def _key_problems(rule: FaultRule) -> Iterator[str]:
    own = frozenset().union(*(kind.keys for kind in KINDS.values()))
    for key in _given(rule, *sorted(own - KINDS[rule.kind].keys)):
        yield f"{rule.kind} takes no {key}"
    if rule.trigger in (Trigger.CONNECT, Trigger.HTTP) or rule.kind is FaultKind.MAINTENANCE:
        without = ["since", "connection", *SUBSCRIPTION_KEYS]
        without += [] if rule.trigger is Trigger.HTTP else ["login"]
        where = rule.kind if rule.trigger is Trigger.TIME else f"{rule.kind} on {rule.trigger}"
        for key in _given(rule, *without):
            yield f"{where} takes no {key}"
    if rule.kind is FaultKind.MAINTENANCE and rule.probability is not None:
        yield "maintenance takes no probability"
    if rule.retry_after_s is not None and rule.kind is FaultKind.REFUSED and not rule.is_refused_handshake:
        yield "retry_after needs on: connect or http"
    if rule.kind is FaultKind.DELAY and not _given(rule, "by", "jitter"):
        yield "delay needs by or jitter"
    if rule.kind is FaultKind.LATE_ANSWER and not _given(rule, "by", "jitter", "behind"):
        yield "late-answer needs by, jitter or behind"


def _number_problems(rule: FaultRule) -> Iterator[str]:
    for key in _given(rule, "nth", "each", "times", "connection", "behind"):
        if getattr(rule, key) < 1:
            yield f"{key} is 1 or more"
    if rule.nth is not None and rule.each is not None:
        yield "nth and each exclude each other"
    if rule.probability is not None and not 0 < rule.probability <= 1:
        yield "probability is above 0 and at most 1"
    for key in _given(rule, *DURATION_KEYS):
        seconds = getattr(rule, f"{key}_s")
        if not 0 <= seconds <= DURATION_MAX_S:
            yield f"{key} is at most 366 days"
        if not seconds and key != "after":
            yield f"{key} is longer than nothing"
    if rule.every_s is not None and rule.every_s < EVERY_MIN_S:
        yield "every is 10ms or more"


def _time_problems(rule: FaultRule) -> Iterator[str]:
    if rule.at is not None:
        if not _AT.fullmatch(rule.at):
            yield 'at is a time of the day in Moscow, such as "19:00" or "Fri 19:00"'
        for key in _given(rule, "after", "every", "since"):
            yield f"at and {key} exclude each other"
    lasts = rule.kind in (FaultKind.MUTE, FaultKind.MAINTENANCE)
    is_momentary = rule.trigger is Trigger.TIME and not lasts and rule.life_s is None
    if rule.for_s is not None and (is_momentary or rule.kind is FaultKind.HALF_OPEN):
        yield f"{rule.kind} takes no for: it strikes at a moment"
    if rule.every_s is not None and not is_momentary:
        if lasts and rule.trigger is not Trigger.TIME:
            yield f"{rule.kind} on {rule.trigger} takes no every"
        elif rule.for_s is None:
            yield "every needs for: how long it lasts each time"
        elif rule.for_s >= rule.every_s:
            yield "for is shorter than every"
    if (
        is_momentary
        and rule.counts_from_start
        and not (rule.after_s or rule.every_s or rule.at)  # nobody is connected at the start
    ):
        yield "since start needs after or every: nobody is connected yet"


def _pattern_problems(rule: FaultRule) -> Iterator[str]:
    for key in _given(rule, *PATTERN_KEYS):
        if not getattr(rule, key):
            yield f"{key} is empty"
    path = rule.path
    if path is not None and rule.trigger is not Trigger.HTTP and rule.life_s is None:
        if not any(fnmatchcase(known, path.lower()) for known in SOCKET_PATHS):
            yield f"path {path!r} matches neither /ws nor /cws"
    elif path is not None and not path.startswith(("/", "*", "?", "[")):
        yield f"path {path!r} does not begin with /"
    if rule.opcode is not None:
        pattern = rule.opcode.casefold()
        if not any(fnmatchcase(opcode.casefold(), pattern) for opcode in _OPCODES):
            yield f"opcode {rule.opcode!r} matches no opcode"


def _answer_problems(rule: FaultRule) -> Iterator[str]:
    if rule.name is not None and not (0 < len(rule.name) <= NAME_CHARACTERS_MAX and rule.name.isprintable()):
        yield f"name is one printable line of at most {NAME_CHARACTERS_MAX} characters"
    if rule.text is not None and len(rule.text) > TEXT_CHARACTERS_MAX:
        yield f"text is at most {TEXT_CHARACTERS_MAX} characters"
    if rule.kind is FaultKind.MAINTENANCE:
        if not is_close_code_allowed(rule.answer_code):
            yield f"code {rule.answer_code} may not be in a close frame"
        if len(rule.answer_text.encode()) > CLOSE_REASON_BYTES_MAX:
            yield f"text is at most {CLOSE_REASON_BYTES_MAX} bytes in a close frame"
    elif rule.code is not None and not 400 <= rule.code <= 599:
        yield "code is 400 to 599"
    elif rule.code is not None and rule.is_refused_handshake and rule.code not in _STATUSES:
        yield f"code {rule.code} is no status of HTTP"


def _listed(triggers: tuple[Trigger, ...]) -> str:
    *most, last = triggers
    return f"{', '.join(most)} or {last}" if most else str(last)
