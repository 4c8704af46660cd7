"""What is fuzzed: a function a target, from bytes to nothing; whatever it raises is a fault.

The functions need no fuzzer: ``test_targets.py`` runs them on the seeds and on everything that was ever found.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from tapewire.gateway.bounded_log import BoundedLog
from tapewire.gateway.command_session import CommandSession
from tapewire.gateway.counters import Counters
from tapewire.gateway.http.routes import ENDPOINTS
from tapewire.gateway.hub import Hub
from tapewire.gateway.limits import Limits
from tapewire.gateway.misuse import Misuse
from tapewire.gateway.order_entry import OrderEntry
from tapewire.gateway.outbox import Outbox
from tapewire.gateway.pulse import Pulse
from tapewire.gateway.quotas import ConnectionQuota
from tapewire.gateway.safeguards import Safeguards
from tapewire.gateway.session import DataSession, SessionServices
from tapewire.gateway.standing import Reception, Standing
from tapewire.gateway.tokens import TokenAuthority, new_signing_key
from tapewire.market.catalogue import catalogue
from tapewire.model import Bar, InstrumentUpdate, TopicKind
from tapewire.protocol.assembler import Assembler, Closed, Failed, Message, Ping, Pong
from tapewire.protocol.commands import (
    COMMANDS,
    CreateStopLimit,
    OrderCommand,
    command_bytes,
    read_command,
)
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.frames import split_frames
from tapewire.protocol.http_orders import read_estimate, read_estimates, read_group, read_old_stop, read_order
from tapewire.protocol.http_requests import read_http_request
from tapewire.protocol.limits import GUID_CHARACTERS_MAX
from tapewire.protocol.reading import Envelope, WireRequest, camel, read_envelope
from tapewire.protocol.requests import read_request, request_bytes
from tapewire.protocol.safety import SafetyAnswer
from tapewire.protocol.tokens import Claims, Scope
from tapewire.simulation import ScriptedVenue, VirtualClock, run_virtual
from trading import FakeClock

__all__ = ["BETWEEN_MESSAGES", "BINARY_MARK", "GOOD_TOKEN", "TARGETS"]

#: Stands between the messages of a session's input; JSON cannot hold it.
BETWEEN_MESSAGES = b"\x00"
#: Begins a message that is binary.
BINARY_MARK = b"\x01"
#: The token that the sessions take. A signature is not found by chance.
GOOD_TOKEN = "good"
#: Small, so that the bound is reached.
ASSEMBLED_BYTES_MAX = 300
_ANSWER_KEYS = {"requestGuid", "httpCode", "message", "orderNumber"}
_SAFETY_KEYS = {camel(name) for name in SafetyAnswer.__struct_fields__}
_CODES = {200, 400, 401, 403, 404, 429, 501}


# --- readers --------------------------------------------------------------------------------------------


def _refused(read: Callable[[], object]) -> object:
    """Return what was read; None if it was refused as it should be."""
    try:
        return read()
    except BadRequestError as error:
        refusal = error
    assert refusal.code in _CODES
    assert len(refusal.guid) <= GUID_CHARACTERS_MAX
    assert 0 < len(refusal.text) < 200
    return None


def _read(message: bytes, read: Callable[[Envelope, bytes], Any], write: Callable[[Any], bytes]) -> None:
    request = _refused(lambda: read(read_envelope(message), message))
    if request is None:
        return
    # What was taken can be said again, and means the same.
    written = write(request)
    again = read(read_envelope(written), written)
    assert type(again) is type(request)
    assert write(again) == written


def read_requests(data: bytes) -> None:
    """A message of the data socket."""
    _read(data, read_request, request_bytes)


def read_commands(data: bytes) -> None:
    """A message of the order socket."""
    _read(data, read_command, command_bytes)


def read_http(data: bytes) -> None:
    """A request of HTTP: which one, then ``path?query`` with the parts of the path by name."""
    if not data:
        return
    endpoint = ENDPOINTS[data[0] % len(ENDPOINTS)]
    path, _, query = data[1:].decode("latin-1").partition("?")
    try:
        parts, pairs = (parse_qsl(text, keep_blank_values=True) for text in (path, query))
    except ValueError:  # the server's own reader splits a query before ours sees it
        return
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    # The router lets nothing else pass.
    values = dict.fromkeys(names, "x") | {name: value for name, value in parts if name in names and value}
    request = _refused(lambda: read_http_request(endpoint.request, values, pairs))
    if request is not None:
        assert isinstance(request, endpoint.request)


def read_bodies(data: bytes) -> None:
    """The body of a request over HTTP: which kind, then the body."""
    if not data:
        return
    number, body = data[0] % len(_BODIES), data[1:]
    request = _refused(lambda: _BODIES[number](body))
    assert request is None or isinstance(request, WireRequest | tuple)


_BODIES: tuple[Callable[[bytes], Any], ...] = (
    *(partial(read_order, each) for each in COMMANDS.values() if issubclass(each, OrderCommand)),
    partial(read_old_stop, CreateStopLimit, is_loss=True),
    read_estimate,
    read_estimates,
    read_group,
)


def verify_tokens(data: bytes) -> None:
    """An access token that nobody has issued."""
    assert _AUTHORITY.verify(data.decode("utf-8", "replace")) is None


_AUTHORITY = TokenAuthority(new_signing_key(), (), FakeClock())


# --- frames ---------------------------------------------------------------------------------------------


def assemble(data: bytes) -> None:
    """Frames: a byte of opcode, reserved bits and end, a byte of length, the payload."""
    assembler = Assembler(message_bytes_max=ASSEMBLED_BYTES_MAX)
    parts: list[bytes] = []
    has_ended = False
    at = 0
    while at + 2 <= len(data):
        head, length = data[at], data[at + 1]
        payload = data[at + 2 : at + 2 + length]
        at += 2 + length
        opcode, rsv, fin = head & 0xF, head >> 4 & 7, bool(head & 0x80)
        assembled = assembler.feed(opcode, payload, fin, rsv)
        if has_ended:
            assert assembled is None
            continue
        if opcode < 8:
            parts.append(payload)
        match assembled:
            case None:
                assert not fin
                assert opcode < 8
                assert sum(map(len, parts)) <= ASSEMBLED_BYTES_MAX
            case Message(whole, is_text):
                assert fin
                assert whole == b"".join(parts)
                assert len(whole) <= ASSEMBLED_BYTES_MAX
                if is_text:
                    whole.decode()
                parts.clear()
            case Ping(echo) | Pong(echo):
                assert echo == payload
                assert len(echo) <= 125
            case Closed(code, _):
                assert code == 1005 or 1000 <= code <= 4999
                has_ended = True
            case Failed(code, reason):
                assert code in (1002, 1007, 1009)
                assert reason
                has_ended = True
        assert assembler.is_idle == (not has_ended and not parts)


# --- sessions -------------------------------------------------------------------------------------------


class _Tokens:
    """Takes one token; all others are bad."""

    def verify(self, token: str) -> Claims | None:
        if token != GOOD_TOKEN:
            return None
        return Claims(sub="P1", exp=1 << 40, iat=0, portfolios="D1 G1", scope=" ".join(Scope.ALL))


class _Stand(NamedTuple):
    """What a session stands on."""

    venue: ScriptedVenue
    hub: Hub
    services: SessionServices
    standing: Standing
    tasks: set[asyncio.Task[None]]
    outbox: Outbox

    def sent(self) -> list[dict[str, Any]]:
        """Take everything that waits to be sent, as the socket would."""
        return [json.loads(frame.payload) for frame in split_frames(self.outbox.take(1 << 30))]


def _stand() -> _Stand:
    clock = VirtualClock()
    venue = ScriptedVenue(_INSTRUMENTS, portfolios=("D1",), clock=clock)
    loop = asyncio.get_running_loop()
    hub = Hub(venue, loop, Pulse(loop, clock.processor_s))
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    tokens: Any = _Tokens()
    limits = Limits()
    misuse = Misuse(limits.misuse_points, limits.misuse_block_s, loop.time)
    bounded_log = BoundedLog(logging.getLogger("tapewire.fuzz"), loop.time)
    reception = Reception(tokens, ConnectionQuota(), misuse, Counters(), limits, bounded_log, loop.time)
    services = SessionServices(hub, venue, OrderEntry(venue), spawn, asyncio.Semaphore(1), limits)
    standing = Standing(reception, 1, "/ws", "127.0.0.1:1")
    return _Stand(venue, hub, services, standing, tasks, Outbox(_nothing, _overflowed, _broken))


def _nothing() -> None:
    """Stands for what would make the session write: here the test takes everything itself."""


def _broken(outlet: object, error: Exception) -> None:
    raise AssertionError("every past can be written") from error


def _overflowed() -> None:
    raise AssertionError("nobody sends 5,000 requests here")


_INSTRUMENTS = catalogue(3)


def _messages(data: bytes) -> list[Message]:
    messages = []
    for part in data.split(BETWEEN_MESSAGES):
        is_text = not part.startswith(BINARY_MARK)
        try:
            part.decode()
        except UnicodeDecodeError:  # the assembler lets no such text pass
            is_text = False
        messages.append(Message(part, is_text))
    return messages


def _happen(venue: ScriptedVenue, number: int) -> None:
    """Let something happen in every stream that somebody wants."""
    for topic in venue.open_topics:
        instrument = venue.instrument(topic.exchange, topic.subject, topic.board)
        if instrument is None:
            continue
        match topic.kind:
            case TopicKind.TRADES:
                venue.publish_trade(instrument, 300 + number)
            case TopicKind.BOOK:
                venue.set_book(instrument, [(300 + number, 1)], [(301 + number, 2)])
            case TopicKind.QUOTE:
                venue.set_quote(instrument, 300 + number)
            case TopicKind.INSTRUMENT:
                update = InstrumentUpdate(symbol=instrument.symbol, price_max=400.0 + number)
                venue.change_instrument(instrument, update)
            case TopicKind.BAR:
                bar = Bar(time_s=number * 60, open=1.0, high=1.0, low=1.0, close=1.0, volume=number)
                venue.finish_bar(topic, bar)
                venue.run_bar(topic, msgspec.structs.replace(bar, time_s=number * 60 + 60))


def serve_data(data: bytes) -> None:
    """Messages of one connection of the data socket, with a market that moves between them."""
    run_virtual(lambda: _serve_data(_messages(data)))


async def _serve_data(messages: list[Message]) -> None:
    stand = _stand()
    for instrument in _INSTRUMENTS:
        stand.venue.publish_trade(instrument, 300)
        stand.venue.set_book(instrument, [(300, 1)], [(301, 2)])
        stand.venue.set_quote(instrument, 300)
    session = DataSession(stand.services, stand.standing, stand.outbox, _nothing, asyncio.get_running_loop().time)
    live: set[str] = set()
    for number, message in enumerate(messages, start=1):
        before = [each for each in stand.sent() if "requestGuid" in each]
        assert before == [], "an answer that nobody waits for"
        session.receive(message)
        answers = [each for each in stand.sent() if "requestGuid" in each]
        assert len(answers) == 1, "exactly one answer"
        _check_answer(answers[0])
        if answers[0]["httpCode"] == 200:
            live.add(answers[0]["requestGuid"])
        await asyncio.sleep(0.002)
        _happen(stand.venue, number)
        await asyncio.sleep(0)
    await asyncio.sleep(1)
    for each in stand.sent():
        assert each["guid"] in live, "data of a guid that asked for nothing"
    session.close(is_clean=True)
    await asyncio.sleep(0)
    assert session.subscriptions == 0
    assert stand.hub.topics == 0
    assert stand.venue.open_topics == ()
    assert not stand.tasks


def serve_commands(data: bytes) -> None:
    """Messages of one connection of the order socket."""
    run_virtual(lambda: _serve_commands(_messages(data)))


async def _serve_commands(messages: list[Message]) -> None:
    stand = _stand()
    clock = asyncio.get_running_loop().time
    log = BoundedLog(logging.getLogger("tapewire.fuzz"), clock)
    guards = Safeguards(stand.venue, stand.venue, Counters(), log, stand.services.spawn)
    services = stand.services._replace(safeguards=guards)
    session = CommandSession(services, stand.standing, stand.outbox, _nothing, clock)
    for message in messages:
        session.receive(message)
        # Time goes on when nothing is left to be done: then the venue has answered.
        await asyncio.sleep(0.001)
        [answer] = stand.sent()
        _check_answer(answer)
    session.close(is_clean=False)
    # Orders of a guarded session are cancelled now, or when its timer runs out.
    await asyncio.sleep(1)
    assert not stand.tasks
    assert stand.sent() == []
    assert guards.guarded == guards.timers


def _check_answer(answer: dict[str, Any]) -> None:
    assert {"requestGuid", "httpCode", "message"} <= set(answer) <= _ANSWER_KEYS | _SAFETY_KEYS
    assert answer["httpCode"] in _CODES
    assert len(answer["requestGuid"]) <= GUID_CHARACTERS_MAX
    assert answer["message"]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "requests": read_requests,
    "commands": read_commands,
    "http": read_http,
    "bodies": read_bodies,
    "tokens": verify_tokens,
    "frames": assemble,
    "data_session": serve_data,
    "command_session": serve_commands,
}
