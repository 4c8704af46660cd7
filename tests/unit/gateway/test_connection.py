"""Connections: frames to messages, the close handshake, pauses of reading, and an orderly end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from tapewire.gateway.connection import (
    FRAMES_PER_SECOND_MAX,
    FRAMES_PER_TURN_MAX,
    PASTS_AT_ONCE_MAX,
    READING_PAUSED_AT,
    REQUESTS_PER_TURN_MAX,
    WRITE_BYTES,
    Connection,
    ConnectionState,
)
from tapewire.gateway.limits import Limit
from tapewire.gateway.outbox import Outlet
from tapewire.gateway.pulse import Pulse
from tapewire.protocol.assembler import Message
from tapewire.protocol.limits import MESSAGE_BYTES_MAX, REQUEST_BACKLOG_BYTES_MAX
from tapewire.simulation import CLOSE_WAIT_S, LinkConditions, run_virtual
from unit.gateway.mail import burst, messages_of, outlet_of
from unit.gateway.world import BINARY, CLOSE, PING, PONG, SBER, TEXT, TRADES, World, run

CONTINUATION = 0


class Wire:
    """A ``Transport`` that takes everything, or nothing while ``is_full``."""

    def __init__(self) -> None:
        self.peer = "peer:1"
        self.calls: list[tuple[object, ...]] = []
        self.sent: list[bytes] = []
        self.is_full = False
        self.unsent_bytes = 0
        self.is_reading = True

    def send(self, messages: Sequence[bytes]) -> None:
        raise AssertionError("the gateway sends frames")

    def send_frames(self, frames: bytes) -> None:
        assert frames
        self.sent += messages_of(frames)
        if self.is_full:
            self.unsent_bytes += len(frames)

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        self.calls.append((opcode, payload))

    def close(self, code: int, reason: str = "") -> None:
        self.calls.append(("close", code, reason))

    def abort(self) -> None:
        self.calls.append(("abort",))

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False

    def resume_reading(self) -> None:
        assert not self.is_reading
        self.is_reading = True


class Echo:
    """Answers each message with itself."""

    is_busy = False

    def __init__(self, owner: Connection) -> None:
        self.owner = owner
        self.received: list[Message] = []
        self.closed = 0

    def receive(self, message: Message) -> None:
        self.received.append(message)
        self.owner.outbox.put_answer(message.payload, self.owner.now())
        self.owner.hurry()

    def broke(self, outlet: Outlet, error: Exception) -> None:
        raise AssertionError from error

    def close(self, *, is_clean: bool) -> None:
        self.closed += 1


class Bench:
    """One connection on a fake wire. ``make`` needs a running loop."""

    def __init__(self, **arguments: int) -> None:
        self.gone: list[Connection] = []
        loop = asyncio.get_running_loop()
        self.pulse = Pulse(loop, loop.time)
        self.connection = Connection(self._handler, self.pulse, self.gone.append, **arguments)  # type: ignore[arg-type]
        self.wire = Wire()

    def _handler(self, owner: Connection) -> Echo:
        self.echo = Echo(owner)
        return self.echo

    def text(self, payload: bytes, *, fin: bool = True, opcode: int = TEXT, rsv: int = 0) -> None:
        self.connection.frame_received(opcode, payload, fin, rsv)

    async def requests(self, count: int) -> None:
        """Send as many in a turn as are handled in one, until these have been handled."""
        for number in range(count):
            self.text(b"x")
            if number % REQUESTS_PER_TURN_MAX == REQUESTS_PER_TURN_MAX - 1:
                await asyncio.sleep(0)
        await asyncio.sleep(0.001)

    def drain(self) -> None:
        self.wire.unsent_bytes = 0
        self.connection.writable()


# --- frames ---------------------------------------------------------------------------------------------


def test_fragments_become_one_message_and_pings_between_them_are_answered() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        whole = "половина".encode()
        bench.text(whole[:3], fin=False)
        bench.text(b"are you there", opcode=PING)
        bench.text(whole[3:7], fin=False, opcode=CONTINUATION)
        bench.text(b"unsolicited", opcode=PONG)
        bench.text(whole[7:], opcode=CONTINUATION)
        assert bench.echo.received == [Message(whole, True)]
        assert bench.wire.calls == [(PONG, b"are you there")]
        await asyncio.sleep(0.01)
        assert bench.wire.sent == [whole]

    run_virtual(main)


def test_pongs_do_not_pile_up_for_a_peer_that_does_not_read() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        bench.wire.unsent_bytes = WRITE_BYTES
        for _ in range(100):
            bench.text(b"ping", opcode=PING)
        assert bench.wire.calls == []
        assert bench.connection.state is ConnectionState.OPEN

    run_virtual(main)


@pytest.mark.parametrize(
    ("opcode", "payload", "fin", "rsv", "code"),
    [
        (TEXT, b"\xff", True, 0, 1007),
        (TEXT, "ж".encode()[:1], True, 0, 1007),
        (CONTINUATION, b"x", True, 0, 1002),
        (3, b"x", True, 0, 1002),
        (11, b"x", True, 0, 1002),
        (TEXT, b"x", True, 4, 1002),
        (PING, b"x", False, 0, 1002),
        (PING, b"x" * 126, True, 0, 1002),
        (CLOSE, b"\x03", True, 0, 1002),
        (CLOSE, (1005).to_bytes(2, "big"), True, 0, 1002),
        (CLOSE, (999).to_bytes(2, "big"), True, 0, 1002),
        (CLOSE, b"\x03\xe8\xff", True, 0, 1007),
        (TEXT, b"x" * (MESSAGE_BYTES_MAX + 1), True, 0, 1009),
    ],
)
def test_a_broken_rule_ends_the_connection_with_its_code(
    opcode: int, payload: bytes, fin: bool, rsv: int, code: int
) -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        [connection] = world.gateway.connections
        connection.frame_received(opcode, payload, fin, rsv)
        assert connection.state is ConnectionState.CLOSING
        assert (await peer.closed())[0] == code
        assert peer.end == (code, (await peer.closed())[1])

    run(scenario)


def test_a_message_of_the_largest_size_is_taken_whole_and_in_fragments() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        request = b'{"opcode":"ping","guid":"big","x":"' + b"x" * (MESSAGE_BYTES_MAX - 37) + b'"}'
        assert len(request) == MESSAGE_BYTES_MAX
        peer.send_raw(request)
        assert (await peer.answer("big"))["httpCode"] == 200
        middle = MESSAGE_BYTES_MAX // 2
        peer.transport.send_frame(TEXT, request[:middle], fin=False)
        peer.transport.send_frame(CONTINUATION, request[middle:])
        assert (await peer.answer("big"))["httpCode"] == 200
        peer.transport.send_frame(TEXT, request, fin=False)
        peer.transport.send_frame(CONTINUATION, b" ")
        assert (await peer.closed())[0] == 1009

    run(scenario)


# --- the end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"", 1000), (b"\x03\xe8bye", 1000), (b"\x03\xe9", 1001), ((4321).to_bytes(2, "big"), 4321)],
)
def test_the_close_of_the_peer_is_answered_with_its_code(payload: bytes, code: int) -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        bench.text(b"one")
        bench.text(payload, opcode=CLOSE)
        bench.text(b"two")
        assert bench.wire.calls == [("close", code, "")]
        assert bench.connection.state is ConnectionState.CLOSING
        assert [message.payload for message in bench.echo.received] == [b"one"]
        assert bench.echo.closed == 0
        bench.connection.disconnected(code, "")
        bench.connection.disconnected(code, "")
        assert (bench.echo.closed, bench.gone) == (1, [bench.connection])
        assert bench.connection.state is ConnectionState.CLOSED
        await asyncio.sleep(1)
        assert bench.wire.sent == []

    run_virtual(main)


def test_after_the_end_every_call_does_nothing() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        bench.connection.disconnected(1006, "")
        bench.text(b"late")
        bench.connection.writable()
        bench.connection.flush()
        bench.connection.hurry()
        bench.connection.close(1000)
        bench.connection.abort()
        await asyncio.sleep(1)
        assert (bench.wire.calls, bench.wire.sent, bench.echo.received) == ([], [], [])
        assert bench.echo.closed == 1

    run_virtual(main)


def test_a_handshake_that_ends_after_its_connection_was_given_up_is_aborted() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.abort()
        assert bench.echo.closed == 1
        bench.connection.connected(bench.wire)
        assert bench.wire.calls == [("abort",)]
        assert bench.connection.state is ConnectionState.CLOSED

    run_virtual(main)


def test_the_server_says_goodbye_and_waits_for_the_answer() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        closing = asyncio.create_task(world.gateway.close())
        assert await peer.closed() == (1001, "the server is going away")
        await closing
        assert world.gateway.connections == set()

    run(scenario)


def test_a_closing_connection_still_hears_the_peer_although_reading_was_paused() -> None:
    async def scenario(world: World) -> None:
        loop = asyncio.get_running_loop()
        peer = await world.connect()
        peer.transport.pause_reading()
        for number in range(READING_PAUSED_AT * 20):
            peer.send("ping", f"{number:0200}")
        await asyncio.sleep(1)
        [connection] = world.gateway.connections
        assert connection._is_reading_paused
        connection.close(1013, "enough")
        began = loop.time()
        await asyncio.sleep(0.1)
        peer.transport.resume_reading()
        assert await peer.closed() == (1013, "enough")
        assert peer.end == (1013, "enough")
        assert loop.time() - began < CLOSE_WAIT_S
        await asyncio.sleep(0.01)
        assert world.gateway.connections == set()

    run(scenario, conditions=LinkConditions(window_bytes=4096))


def test_a_peer_that_never_answers_the_close_is_let_go_in_time() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        peer.transport.pause_reading()
        [connection] = world.gateway.connections
        connection.close(1000)
        await asyncio.sleep(CLOSE_WAIT_S + 0.1)
        assert world.gateway.connections == set()

    run(scenario)


# --- pauses ---------------------------------------------------------------------------------------------


def test_reading_pauses_at_the_mark_and_resumes_below_it() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        bench.wire.is_full = True
        bench.text(b"first")
        await asyncio.sleep(0.01)
        assert bench.wire.sent == [b"first"]
        await bench.requests(READING_PAUSED_AT)
        assert bench.wire.is_reading
        # Frames that are here already still come.
        for number in range(100):
            bench.text(b"more %d" % number)
        assert not bench.wire.is_reading
        assert len(bench.echo.received) == READING_PAUSED_AT + 1
        await asyncio.sleep(1)
        assert not bench.wire.is_reading
        while bench.connection.outbox:
            bench.drain()
            await asyncio.sleep(0.001)
        assert bench.wire.is_reading
        assert [message.payload for message in bench.echo.received[-100:]] == [b"more %d" % n for n in range(100)]
        assert bench.wire.sent[-1] == b"more 99"

    run_virtual(main)


def test_no_request_is_handled_within_a_write() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        bench.wire.is_full = True
        bench.text(b"first")
        await asyncio.sleep(0.01)
        await bench.requests(READING_PAUSED_AT)
        heard = len(bench.echo.received)
        bench.text(b"waits")
        assert not bench.wire.is_reading
        bench.wire.is_full = False
        # A venue that is telling may cause writes, and must not be asked anything before it has ended.
        while bench.connection.outbox:
            bench.drain()
        assert len(bench.echo.received) == heard
        await asyncio.sleep(0.001)
        assert bench.echo.received[-1] == Message(b"waits", True)
        assert bench.wire.is_reading

    run_virtual(main)


def test_reading_pauses_while_many_pasts_are_under_way() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        outlets = [outlet_of(b"") for _ in range(PASTS_AT_ONCE_MAX)]
        for outlet in outlets:
            bench.connection.outbox.hold(outlet)
        bench.text(b"waits")
        assert not bench.wire.is_reading
        bench.connection.outbox.put_past(outlets[0], [b"past"])
        await asyncio.sleep(0.01)
        assert bench.wire.is_reading
        assert bench.wire.sent == [b"past", b"waits"]

    run_virtual(main)


def test_more_requests_than_may_wait_end_the_connection() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        bench.wire.unsent_bytes = 1
        await bench.requests(READING_PAUSED_AT)
        megabyte = b"x" * (1 << 20)
        for _ in range(REQUEST_BACKLOG_BYTES_MAX // len(megabyte)):
            bench.text(megabyte)
        assert bench.wire.calls == []
        bench.text(b"x")
        assert bench.wire.calls == [("close", 1008, "more than 8388608 bytes of requests are waiting")]
        assert bench.wire.is_reading  # for the peer's close frame
        assert len(bench.connection._backlog) == 0

    run_virtual(main)


def test_a_peer_of_many_tiny_frames_lets_others_have_their_turn_and_goes_on() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        for number in range(3):
            for _ in range(FRAMES_PER_TURN_MAX + 5):
                bench.connection.frame_received(PONG, b"", True, 0)
            assert not bench.wire.is_reading, number
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert bench.wire.is_reading, number
        assert bench.wire.calls == []

    run_virtual(main)


def test_a_flood_of_frames_ends_the_connection_at_once() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        for _ in range(FRAMES_PER_SECOND_MAX + 1):
            bench.connection.frame_received(PONG, b"", True, 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert bench.wire.calls == [("close", 1008, "more than 20000 frames a second"), ("abort",)]

    run_virtual(main)


def test_writes_wait_until_the_socket_has_taken_the_last_one_and_are_bounded() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        bench.wire.is_full = True
        for _ in range(100):
            bench.connection.outbox.put_answer(b"x" * 10_000, 0.0)
        bench.connection.hurry()
        await asyncio.sleep(1)
        assert WRITE_BYTES <= sum(map(len, bench.wire.sent)) < WRITE_BYTES + 10_000
        assert bench.connection.outbox.count == 100 - len(bench.wire.sent)
        while bench.connection.outbox:
            bench.drain()
        assert len(bench.wire.sent) == 100

    run_virtual(main)


def test_a_past_of_nothing_writes_nothing() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        outlet = outlet_of(b"")
        bench.connection.outbox.hold(outlet)
        bench.connection.outbox.put_past(outlet, ())
        bench.connection.flush()  # the wire refuses to send nothing
        assert not bench.connection.outbox

    run_virtual(main)


def test_live_trades_follow_a_past_of_nothing() -> None:
    async def scenario(world: World) -> None:
        peer = await world.connect()
        assert await peer.asked(TRADES, "t", depth=10) == 200
        await asyncio.sleep(1)
        [connection] = world.gateway.connections
        assert (connection.outbox.pasts, bool(connection.outbox)) == (0, False)
        world.venue.publish_trade(SBER, 1)
        await asyncio.sleep(1)
        assert len(peer.data("t")) == 1

    run(scenario)


def test_an_overflow_ends_the_connection_when_the_delivery_is_over() -> None:
    async def main() -> None:
        bench = Bench(messages_max=10)
        bench.connection.connected(bench.wire)
        bench.wire.unsent_bytes = 1
        outlet = outlet_of(b"")
        for _ in range(100):
            bench.connection.outbox.put_events(outlet, burst(b"x"))
        assert bench.connection.state is ConnectionState.OPEN
        await asyncio.sleep(0)
        assert bench.wire.calls == [("close", 1013, "too many unprocessed messages")]
        assert bench.connection.end == (1013, "too many unprocessed messages", Limit.UNPROCESSED_MESSAGES)
        assert bench.connection.outbox.count == 0

    run_virtual(main)


def test_a_binary_frame_is_a_message_of_its_own_kind() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        bench.text(b"\xff", opcode=BINARY)
        assert bench.echo.received == [Message(b"\xff", False)]

    run_virtual(main)


def test_requests_that_come_at_once_are_handled_in_turns_and_in_order() -> None:
    async def main() -> None:
        bench = Bench()
        bench.connection.connected(bench.wire)
        handled: list[int] = []

        async def others() -> None:
            while len(bench.echo.received) < 1_000:
                handled.append(len(bench.echo.received))
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        for number in range(1_000):
            bench.text(b"%d" % number)
        assert len(bench.echo.received) == REQUESTS_PER_TURN_MAX
        assert not bench.wire.is_reading
        await task
        assert bench.wire.is_reading
        steps = {later - sooner for sooner, later in itertools.pairwise(handled)}
        assert max(steps) <= REQUESTS_PER_TURN_MAX
        await asyncio.sleep(0.01)
        assert bench.wire.sent == [b"%d" % number for number in range(1_000)]

    run_virtual(main)
