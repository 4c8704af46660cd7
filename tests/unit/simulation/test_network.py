"""The simulated network: order, backpressure, the close handshake, and every fault it can play."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapewire.ports.network import ConnectError, HandshakeRefusedError, Transport
from tapewire.simulation import (
    CLOSE_WAIT_S,
    DeadlockError,
    LinkConditions,
    Network,
    SimulatedConnection,
    run_virtual,
)

TEXT, CLOSE, PING = 1, 8, 9


class Owner:
    """A listener that writes down what it hears, checks the order of its calls and answers a close."""

    def __init__(self, *, answers_close: bool = True) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.texts: list[bytes] = []
        self.times: list[float] = []
        self.drained = 0
        self.end: tuple[int, str] | None = None
        self.answers_close = answers_close
        self._transport: Transport | None = None
        self._changed = asyncio.Event()

    @property
    def transport(self) -> Transport:
        assert self._transport is not None, "not connected"
        return self._transport

    def connected(self, transport: Transport) -> None:
        assert self._transport is None, "connected comes once"
        self._transport = transport
        self._note("connected")

    def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
        self._note(opcode, payload, fin, rsv)
        if opcode == TEXT:
            self.texts.append(payload)
        if opcode == CLOSE and self.answers_close:
            self.transport.close(int.from_bytes(payload[:2], "big") or 1000)

    def writable(self) -> None:
        assert self.transport.unsent_bytes == 0
        self.drained += 1
        self._note("writable")

    def disconnected(self, code: int, reason: str) -> None:
        self._note("disconnected", code, reason)
        self.end = (code, reason)

    def _note(self, *what: object) -> None:
        assert self._transport is not None, f"{what} before connected"
        assert self.end is None, f"{what} after disconnected"
        self.heard.append(what)
        self.times.append(asyncio.get_running_loop().time())
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def ended(self) -> tuple[int, str]:
        await self.until(lambda: self.end)
        assert self.end is not None
        return self.end


class Pair(NamedTuple):
    network: Network
    connection: SimulatedConnection
    client: Owner
    server: Owner


async def connect(conditions: LinkConditions | None = None, *, seed: int = 0) -> Pair:
    network = Network(seed=seed, conditions=conditions)
    server, client = Owner(), Owner()
    network.listen("gateway:80", lambda path, peer: server)
    await network.connector().connect("ws://gateway/ws", client, timeout_s=5)
    return Pair(network, network.connections[0], client, server)


def run(scenario: Callable[[Pair], Coroutine[object, object, None]], **conditions: float) -> None:
    async def main() -> None:
        await scenario(await connect(LinkConditions(**conditions)))

    run_virtual(main)


def now() -> float:
    return asyncio.get_running_loop().time()


# --- handshake ------------------------------------------------------------------------------------------


def test_connecting_takes_a_round_trip_and_tells_both_ends() -> None:
    async def main() -> None:
        network = Network(conditions=LinkConditions(latency_s=0.25))
        asked, server, client = [], Owner(), Owner()

        def accept(path: str, peer: str) -> Owner:
            asked.append((path, peer))
            return server

        network.listen("gateway:8080", accept)
        connector = network.connector("10.0.0.7")
        transport = await connector.connect("ws://gateway:8080/ws?token=x", client, timeout_s=5)
        assert now() == 0.5
        assert asked == [("/ws?token=x", server.transport.peer)]
        assert server.transport.peer.startswith("10.0.0.7:")
        assert transport is client.transport
        assert transport.peer == "gateway:8080"
        assert (server.times, client.times) == ([0.25], [0.5])
        assert "token" not in repr(network.connections)

    run_virtual(main)


def test_what_the_server_sends_at_once_comes_after_connected() -> None:
    class Greeter(Owner):
        def connected(self, transport: Transport) -> None:
            super().connected(transport)
            transport.send([b"welcome"])

    async def main() -> None:
        network = Network(conditions=LinkConditions(latency_s=0.0))
        client = Owner()
        network.listen("gateway:80", lambda path, peer: Greeter())
        await network.connector().connect("ws://gateway", client, timeout_s=1)
        await client.until(lambda: client.texts)
        assert client.heard == [("connected",), (TEXT, b"welcome", True, 0)]

    run_virtual(main)


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (lambda address: address.refuse(), None, "refused"),
        (lambda address: address.refuse(503), 503, "refused"),
        (lambda address: address.close(), None, "refused"),
        (lambda address: address.swallow(), None, "no answer within 5 s"),
        (lambda address: setattr(address, "handshake_delay_s", 6.0), None, "no answer within 5 s"),
    ],
)
def test_a_handshake_that_fails_is_a_connect_error(fault, status, reason) -> None:
    async def main() -> None:
        network = Network()
        client = Owner()
        address = network.listen("gateway:80", lambda path, peer: Owner())
        fault(address)
        with pytest.raises(ConnectError, match=reason) as caught:
            await network.connector().connect("ws://gateway/ws", client, timeout_s=5)
        assert caught.value.status == status
        assert client.heard == []
        await asyncio.sleep(1)
        assert network.connections == ()

    run_virtual(main)


def test_an_acceptor_that_returns_none_answers_404() -> None:
    async def main() -> None:
        network = Network()
        network.listen("gateway:80", lambda path, peer: None)
        with pytest.raises(ConnectError, match="nothing under /nowhere") as caught:
            await network.connector().connect("ws://gateway/nowhere?token=x", Owner(), timeout_s=5)
        assert caught.value.status == 404
        assert "token" not in str(caught.value)

    run_virtual(main)


def test_an_acceptor_that_refuses_answers_with_its_status() -> None:
    def accept(path: str, peer: str) -> Owner:
        raise HandshakeRefusedError(503, "Unavailable", "not now")

    async def main() -> None:
        network = Network()
        network.listen("gateway:80", accept)
        with pytest.raises(ConnectError, match="not now") as caught:
            await network.connector().connect("ws://gateway/ws?token=x", Owner(), timeout_s=5)
        assert caught.value.status == 503
        assert network.connections == ()

    run_virtual(main)


@pytest.mark.parametrize("url", ["ws://elsewhere/ws", "ftp://gateway/ws", "ws:///ws", "ws://gateway:port/"])
def test_an_address_without_a_listener_is_refused(url: str) -> None:
    async def main() -> None:
        network = Network()
        network.listen("gateway:80", lambda path, peer: Owner())
        with pytest.raises(ConnectError):
            await network.connector().connect(url, Owner(), timeout_s=5)

    run_virtual(main)


def test_an_address_is_taken_once_and_free_again_after_close() -> None:
    network = Network()
    address = network.listen("gateway:80", lambda path, peer: None)
    with pytest.raises(ValueError, match="taken"):
        network.listen("gateway:80", lambda path, peer: None)
    address.close()
    network.listen("gateway:80", lambda path, peer: None)


def test_restored_address_accepts_again() -> None:
    async def main() -> None:
        network = Network()
        address = network.listen("gateway:80", lambda path, peer: Owner())
        address.refuse(429)
        address.swallow()
        address.restore()
        await network.connector().connect("ws://gateway/ws", Owner(), timeout_s=5)

    run_virtual(main)


def test_cancelling_a_handshake_leaves_nothing_open() -> None:
    async def main() -> None:
        network = Network()
        server, client = Owner(), Owner()
        network.listen("gateway:80", lambda path, peer: server).handshake_delay_s = 60
        async with asyncio.TaskGroup() as group:
            task = group.create_task(network.connector().connect("ws://gateway/", client, timeout_s=90))
            await asyncio.sleep(1)
            assert len(network.connections) == 1
            task.cancel()
        assert await server.ended() == (1006, "")
        assert client.heard == []
        assert network.connections == ()

    run_virtual(main)


def test_a_cut_during_the_handshake_is_a_connect_error() -> None:
    async def main() -> None:
        network = Network()
        server, client = Owner(), Owner()
        network.listen("gateway:80", lambda path, peer: server).handshake_delay_s = 1
        asyncio.get_running_loop().call_later(0.5, network.cut)
        with pytest.raises(ConnectError, match="lost during the handshake"):
            await network.connector().connect("ws://gateway/", client, timeout_s=90)
        assert (server.end, client.heard) == ((1006, ""), [])

    run_virtual(main)


# --- delivery and backpressure --------------------------------------------------------------------------


def test_frames_arrive_as_sent_after_the_latency() -> None:
    async def scenario(pair: Pair) -> None:
        sent_at = now()
        pair.client.transport.send([b"one", b"two"])
        pair.client.transport.send_frame(TEXT, b"thr", fin=False)
        pair.client.transport.send_frame(0, b"ee")
        pair.client.transport.send_frame(PING, b"")
        assert len(pair.server.heard) == 1, "nothing is delivered from inside send"
        await pair.server.until(lambda: len(pair.server.heard) == 6)
        assert pair.server.heard[1:] == [
            (TEXT, b"one", True, 0),
            (TEXT, b"two", True, 0),
            (TEXT, b"thr", False, 0),
            (0, b"ee", True, 0),
            (PING, b"", True, 0),
        ]
        assert now() == sent_at + 0.125

    run(scenario, latency_s=0.125)


def test_a_fast_network_takes_all_and_never_reports_writable() -> None:
    async def scenario(pair: Pair) -> None:
        pair.server.transport.send([b"x" * 1000] * 10)
        assert pair.server.transport.unsent_bytes == 0
        await pair.client.until(lambda: len(pair.client.texts) == 10)
        assert pair.server.drained == 0

    run(scenario)


def test_a_paused_reader_fills_the_window_and_then_the_sender() -> None:
    async def scenario(pair: Pair) -> None:
        pair.client.transport.pause_reading()
        for _ in range(10):
            pair.server.transport.send([b"x" * 96])  # 98 on the wire
            await asyncio.sleep(1)
        # The fifth frame begins inside the window of 400 bytes and is taken whole.
        assert pair.connection.to_client.underway_bytes == 5 * 98
        assert pair.server.transport.unsent_bytes == 5 * 98
        assert pair.client.texts == []
        pair.client.transport.resume_reading()
        await pair.client.until(lambda: len(pair.client.texts) == 10)
        await pair.server.until(lambda: pair.server.drained)
        assert pair.server.drained == 1, "writable comes once, when everything is taken"
        assert pair.connection.to_client.underway_bytes == 0

    run(scenario, window_bytes=400)


def test_pausing_inside_frame_received_stops_at_that_frame() -> None:
    class OneByOne(Owner):
        def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
            super().frame_received(opcode, payload, fin, rsv)
            self.transport.pause_reading()

    async def main() -> None:
        network = Network()
        server, client = Owner(), OneByOne()
        network.listen("gateway:80", lambda path, peer: server)
        await network.connector().connect("ws://gateway/", client, timeout_s=5)
        server.transport.send([b"1", b"2", b"3"])
        for count in (1, 2, 3):
            await asyncio.sleep(1)
            assert len(client.texts) == count
            client.transport.resume_reading()

    run_virtual(main)


def test_bandwidth_paces_frames_and_the_window_holds_the_rest_back() -> None:
    async def scenario(pair: Pair) -> None:
        began = now()
        pair.server.transport.send([b"x" * 98] * 10)  # 100 on the wire
        assert pair.server.transport.unsent_bytes == 800
        await pair.client.until(lambda: len(pair.client.texts) == 10)
        assert [time - began for time in pair.client.times[1:]] == pytest.approx([0.1 * n for n in range(1, 11)])
        assert pair.server.drained == 1

    run(scenario, latency_s=0.0, bandwidth_bytes_s=1000, window_bytes=200)


def test_a_frame_larger_than_the_window_passes() -> None:
    async def scenario(pair: Pair) -> None:
        pair.client.transport.send([b"x" * 100_000])
        await pair.server.until(lambda: pair.server.texts)
        assert pair.connection.to_server.underway_bytes == 0

    run(scenario, window_bytes=10)


@pytest.mark.parametrize(("length", "header"), [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_sizes_count_the_headers_of_the_wire(length: int, header: int) -> None:
    async def scenario(pair: Pair) -> None:
        pair.connection.stall()
        pair.server.transport.send([b"x" * length])
        pair.client.transport.send([b"x" * length])
        assert pair.connection.to_client.underway_bytes == header + length
        assert pair.connection.to_server.underway_bytes == header + 4 + length, "clients mask"

    run(scenario)


def test_writable_waits_for_what_was_written_meanwhile() -> None:
    async def scenario(pair: Pair) -> None:
        pair.connection.stall()
        pair.server.transport.send([b"x" * 200, b"y" * 200])
        pair.connection.resume()

        async def refill() -> None:
            await pair.client.until(lambda: pair.client.texts)
            # The second frame has just been taken, the report of it is on its way.
            pair.server.transport.send([b"z" * 200] * 2)

        await refill()
        await pair.client.until(lambda: len(pair.client.texts) == 4)
        await asyncio.sleep(1)
        assert pair.server.drained >= 1
        assert pair.server.transport.unsent_bytes == 0

    run(scenario, window_bytes=100)


# --- closing --------------------------------------------------------------------------------------------


def test_close_ends_both_with_the_code_of_the_peer() -> None:
    async def scenario(pair: Pair) -> None:
        pair.server.transport.send([b"last"])
        pair.server.transport.close(4001, "slow reader")
        pair.server.transport.send([b"ignored"])
        pair.server.transport.close(1000)
        assert await pair.client.ended() == (4001, "slow reader")
        assert await pair.server.ended() == (4001, "")
        assert pair.client.heard == [
            ("connected",),
            (TEXT, b"last", True, 0),
            (CLOSE, (4001).to_bytes(2, "big") + b"slow reader", True, 0),
            ("disconnected", 4001, "slow reader"),
        ]
        assert pair.server.heard[1:] == [
            (CLOSE, (4001).to_bytes(2, "big"), True, 0),
            ("disconnected", 4001, ""),
        ]
        assert pair.network.connections == ()

    run(scenario)


def test_a_close_without_a_code_is_1005() -> None:
    async def scenario(pair: Pair) -> None:
        pair.client.transport.close(1005)
        assert await pair.server.ended() == (1005, "")
        assert (CLOSE, b"", True, 0) in pair.server.heard

    run(scenario)


def test_crossing_closes_end_both() -> None:
    async def scenario(pair: Pair) -> None:
        pair.client.transport.close(1000)
        pair.server.transport.close(1001, "going away")
        assert await pair.client.ended() == (1001, "going away")
        assert await pair.server.ended() == (1000, "")
        assert pair.network.connections == ()

    run(scenario)


def test_data_still_arrives_at_an_end_that_is_closing() -> None:
    async def scenario(pair: Pair) -> None:
        pair.server.transport.send([b"in flight"])
        pair.client.transport.close(1000)
        await pair.client.ended()
        assert pair.client.texts == [b"in flight"]

    run(scenario)


def test_a_close_that_nobody_answers_is_given_up() -> None:
    async def scenario(pair: Pair) -> None:
        pair.client.answers_close = False
        began = now()
        pair.server.transport.close(1008, "no token")
        assert await pair.server.ended() == (1006, "")
        assert now() == began + CLOSE_WAIT_S
        assert await pair.client.ended() == (1008, "no token"), "the close frame had come"

    run(scenario)


def test_a_close_waits_behind_what_was_written() -> None:
    async def scenario(pair: Pair) -> None:
        pair.client.transport.pause_reading()
        pair.server.transport.send([b"x" * 100] * 5)
        pair.server.transport.close(1000)
        await asyncio.sleep(1)
        pair.client.transport.resume_reading()
        await pair.client.ended()
        assert len(pair.client.texts) == 5

    run(scenario, window_bytes=100)


def test_an_answer_to_close_that_is_still_unsent_is_waited_for() -> None:
    async def scenario(pair: Pair) -> None:
        pair.server.transport.pause_reading()
        pair.client.transport.send([b"x" * 100] * 3)
        pair.server.transport.close(1001)
        await pair.client.until(lambda: len(pair.client.heard) == 2)
        await asyncio.sleep(CLOSE_WAIT_S / 2)
        assert pair.client.end is None, "its own close frame has not left yet"
        pair.server.transport.resume_reading()
        assert await pair.server.ended() == (1001, "")
        assert await pair.client.ended() == (1001, "")
        assert len(pair.server.texts) == 3

    run(scenario, window_bytes=100)


def test_abort_tells_the_aborting_end_at_once_and_the_other_behind_the_data() -> None:
    async def scenario(pair: Pair) -> None:
        pair.server.transport.send([b"taken"])
        pair.server.transport.abort()
        assert pair.server.end is None, "never from inside a call"
        await asyncio.sleep(0)
        assert pair.server.end == (1006, "")
        assert await pair.client.ended() == (1006, "")
        assert pair.client.texts == [b"taken"]
        pair.client.transport.abort()
        pair.client.transport.send([b"x"])
        pair.client.transport.close(1000)
        pair.client.transport.resume_reading()
        assert pair.client.transport.unsent_bytes == 0

    run(scenario)


def test_abort_loses_what_was_not_taken() -> None:
    async def scenario(pair: Pair) -> None:
        pair.server.transport.send([b"x" * 100] * 5)
        pair.server.transport.abort()
        assert pair.server.transport.unsent_bytes == 0
        await pair.client.ended()
        assert len(pair.client.texts) == 1

    run(scenario, window_bytes=100)


def test_a_paused_reader_learns_of_the_end_when_it_reads_or_writes() -> None:
    async def scenario(pair: Pair) -> None:
        pair.client.transport.pause_reading()
        pair.server.transport.abort()
        await asyncio.sleep(60)
        assert pair.client.end is None
        pair.client.transport.send([b"anybody there?"])
        assert await pair.client.ended() == (1006, "")

    run(scenario)


# --- faults ---------------------------------------------------------------------------------------------


def test_a_cut_ends_both_in_the_next_turn_and_loses_what_was_underway() -> None:
    async def scenario(pair: Pair) -> None:
        pair.client.transport.pause_reading()
        pair.server.transport.send([b"lost"] * 100)
        pair.connection.cut()
        assert (pair.client.end, pair.server.end) == (None, None)
        await asyncio.sleep(0)
        assert (pair.client.end, pair.server.end) == ((1006, ""), (1006, ""))
        await asyncio.sleep(1)
        assert pair.client.texts == []
        assert pair.network.connections == ()
        pair.connection.cut()

    run(scenario, window_bytes=10)


def test_a_cut_inside_frame_received_delivers_nothing_more() -> None:
    async def main() -> None:
        network = Network()

        class Cutter(Owner):
            def frame_received(self, opcode: int, payload: bytes, fin: bool, rsv: int) -> None:
                super().frame_received(opcode, payload, fin, rsv)
                network.cut()

        server, client = Owner(), Cutter()
        network.listen("gateway:80", lambda path, peer: server)
        await network.connector().connect("ws://gateway/", client, timeout_s=5)
        server.transport.send([b"1", b"2"])
        await client.ended()
        assert client.texts == [b"1"]

    run_virtual(main)


def test_half_open_loses_one_direction_in_silence() -> None:
    async def scenario(pair: Pair) -> None:
        pair.connection.to_server.drop()
        for _ in range(10):
            pair.client.transport.send([b"x" * 94])  # 100 on the wire
            pair.server.transport.send([b"y"])
            await asyncio.sleep(1)
        assert pair.server.texts == []
        assert len(pair.client.texts) == 10
        assert pair.client.transport.unsent_bytes == 800, "lost bytes are never acknowledged"
        pair.client.transport.abort()
        await pair.client.ended()
        await asyncio.sleep(3600 - now() - 1)
        assert pair.server.end is None
        (left,) = pair.network.connections
        assert left is pair.connection
        assert "ended" in repr(left)

    run(scenario, window_bytes=200)


def test_losing_both_directions_tells_nobody() -> None:
    async def scenario(pair: Pair) -> None:
        pair.connection.drop()
        pair.server.transport.send([b"x"])
        pair.server.transport.close(1000)
        assert await pair.server.ended() == (1006, "")
        assert pair.client.heard == [("connected",)]

    run(scenario)


def test_a_stall_holds_back_and_resume_delivers_in_order() -> None:
    async def scenario(pair: Pair) -> None:
        pair.server.transport.send([b"underway"])
        pair.connection.stall()
        for number in range(5):
            pair.server.transport.send([b"%d" % number])
            await asyncio.sleep(10)
        assert pair.client.texts == []
        assert pair.server.transport.unsent_bytes > 0
        pair.connection.resume()
        await pair.client.until(lambda: len(pair.client.texts) == 6)
        assert pair.client.texts == [b"underway", b"0", b"1", b"2", b"3", b"4"]

    run(scenario, window_bytes=10)


def test_one_direction_may_stall_alone() -> None:
    async def scenario(pair: Pair) -> None:
        pair.connection.to_client.stall()
        pair.client.transport.send([b"up"])
        pair.server.transport.send([b"down"])
        await pair.server.until(lambda: pair.server.texts)
        await asyncio.sleep(5)
        assert pair.client.texts == []

    run(scenario)


def test_a_stalled_network_without_timers_is_a_deadlock_not_a_hang() -> None:
    async def scenario(pair: Pair) -> None:
        pair.connection.stall()
        pair.client.transport.send([b"x"])
        await pair.server.until(lambda: pair.server.texts)

    with pytest.raises(DeadlockError, match=r"Owner\.until|Event\.wait"):
        run(scenario)


def test_conditions_may_change_and_order_is_kept() -> None:
    async def scenario(pair: Pair) -> None:
        pair.server.transport.send([b"slow"])
        pair.connection.to_client.conditions = LinkConditions(latency_s=0.001)
        pair.server.transport.send([b"fast"])
        await pair.client.until(lambda: len(pair.client.texts) == 2)
        assert pair.client.texts == [b"slow", b"fast"]

    run(scenario, latency_s=1.0)


@pytest.mark.parametrize(
    "bad", [{"latency_s": -1}, {"jitter_s": -1}, {"window_bytes": 0}, {"bandwidth_bytes_s": 0}]
)
def test_impossible_conditions_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"negative|positive"):
        LinkConditions(**bad)


# --- properties -----------------------------------------------------------------------------------------


def journey(seed: int) -> list[float]:
    async def main() -> list[float]:
        pair = await connect(LinkConditions(jitter_s=0.5), seed=seed)
        for _ in range(20):
            pair.server.transport.send([b"x"])
        await pair.client.until(lambda: len(pair.client.texts) == 20)
        return pair.client.times

    return run_virtual(main)


def test_a_seed_repeats_the_jitter() -> None:
    assert journey(7) == journey(7) != journey(8)


CONDITIONS = st.builds(
    LinkConditions,
    latency_s=st.sampled_from([0.0, 0.001, 0.5]),
    jitter_s=st.sampled_from([0.0, 0.01, 2.0]),
    bandwidth_bytes_s=st.sampled_from([None, 50.0, 1e6]),
    window_bytes=st.sampled_from([1, 30, 100_000]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(["client", "server"]), st.integers(1, 5)),
        st.tuples(st.sampled_from(["pause", "resume"]), st.sampled_from(["client", "server"])),
        st.tuples(st.sampled_from(["stall", "unstall"]), st.sampled_from(["to_client", "to_server"])),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.3, 5.0])),
        st.tuples(st.just("change"), CONDITIONS),
    ),
    max_size=30,
)


@settings(max_examples=400, deadline=None)
@example(
    # Consuming the first frame makes room for the second, which arrives at the same moment.
    seed=0,
    conditions=LinkConditions(latency_s=0.0, window_bytes=1),
    steps=[("send", "client", 2), ("wait", 0.001)],
    ending="close",
)
@given(seed=st.integers(0, 1000), conditions=CONDITIONS, steps=STEPS, ending=st.sampled_from(["close", "cut"]))
def test_each_direction_keeps_its_order_and_loses_nothing_until_the_end(seed, conditions, steps, ending) -> None:
    async def main() -> None:
        pair = await connect(conditions, seed=seed)
        owners = {"client": pair.client, "server": pair.server}
        sent: dict[str, list[bytes]] = {"client": [], "server": []}
        for name, *details in steps:
            match name, *details:
                case "send", who, count:
                    messages = [b"%d" % (len(sent[who]) + n) for n in range(count)]
                    sent[who] += messages
                    owners[who].transport.send(messages)
                case "pause", who:
                    owners[who].transport.pause_reading()
                case "resume", who:
                    owners[who].transport.resume_reading()
                case "stall", direction:
                    getattr(pair.connection, direction).stall()
                case "unstall", direction:
                    getattr(pair.connection, direction).resume()
                case "wait", seconds:
                    await asyncio.sleep(seconds)
                case "change", other:
                    pair.connection.to_client.conditions = other
                    pair.connection.to_server.conditions = other
            for reader, writer in (("client", "server"), ("server", "client")):
                got = owners[reader].texts
                assert got == sent[writer][: len(got)]
        if ending == "cut":
            pair.connection.cut()
        else:
            pair.connection.resume()
            for owner in owners.values():
                owner.transport.resume_reading()
            # Close only what has arrived: a close frame may be given up while old data crawls.
            await pair.client.until(lambda: pair.client.texts == sent["server"])
            await pair.server.until(lambda: pair.server.texts == sent["client"])
            pair.client.transport.close(1000)
        await pair.client.ended()
        await pair.server.ended()
        assert pair.network.connections == ()
        for owner in owners.values():
            assert owner.transport.unsent_bytes == 0

    run_virtual(main)
