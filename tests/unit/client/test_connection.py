"""Session and connection: routing by guid, the fast path and the slow one, broken frames, the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapewire.client.connection import Connection, ConnectionState
from tapewire.client.session import IGNORED_ANSWERS_MAX, Session
from tapewire.protocol.assembler import Message
from tapewire.protocol.frames import close_payload
from tapewire.protocol.limits import MESSAGE_BYTES_MAX
from tapewire.protocol.messages import SystemMessage

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2


class FakeTransport:
    """Writes down what is sent."""

    def __init__(self) -> None:
        self.peer = "broker:1"
        self.unsent_bytes = 0
        self.sent: list[bytes] = []
        self.frames: list[tuple[int, bytes]] = []
        self.closed: tuple[int, str] | None = None
        self.aborted = False

    def send(self, messages: Sequence[bytes]) -> None:
        self.sent.extend(messages)

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        self.frames.append((opcode, payload))

    def close(self, code: int, reason: str = "") -> None:
        self.closed = (code, reason)

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        raise AssertionError("the reader never stops")

    def resume_reading(self) -> None:
        raise AssertionError("the reader never stops")


class Line:
    """A connection with one stream and one request, and what came out of it."""

    def __init__(self) -> None:
        self.lost: list[tuple[int, str]] = []
        self.data: list[bytes] = []
        self.answers: list[SystemMessage] = []
        self.ends: list[SystemMessage] = []
        self.session = Session()
        self.connection = Connection(self.session, lambda code, reason: self.lost.append((code, reason)))
        self.transport = FakeTransport()
        self.connection.connected(self.transport)
        self.session.open_stream(GUID, self.data.append, self.ends.append)
        self.session.expect_answer(GUID, self.answers.append)

    def text(self, message: bytes) -> None:
        self.connection.frame_received(TEXT, message, True, 0)

    def outcome(self) -> tuple[object, ...]:
        return (
            self.data,
            self.answers,
            self.ends,
            self.session.unclaimed,
            self.session.malformed,
            self.connection.received,
            self.connection.state,
            self.transport.closed,
        )


def data(fields: bytes = b'{"a":1}', guid: str = GUID) -> bytes:
    return b'{"data":' + fields + b',"guid":"' + guid.encode() + b'"}'


def reply(guid: str = GUID, code: int = 200, message: str = "Handled successfully") -> bytes:
    return f'{{"requestGuid":"{guid}","httpCode":{code},"message":"{message}"}}'.encode()


# --- routing --------------------------------------------------------------------------------------------


def test_data_go_to_their_stream_as_they_came() -> None:
    line = Line()
    line.text(data())
    line.text(data(b'{"a":"\xd1\x8f"}'))
    assert line.data == [data(), data(b'{"a":"\xd1\x8f"}')]
    assert line.connection.received == 2


def test_data_may_come_before_the_answer() -> None:
    line = Line()
    line.text(data())
    line.text(reply())
    assert (len(line.data), len(line.answers)) == (1, 1)


def test_an_answer_is_delivered_once() -> None:
    line = Line()
    line.text(reply())
    line.text(reply())
    assert [answer.ok for answer in line.answers] == [True]
    assert line.session.unclaimed == 1


@pytest.mark.parametrize(
    "message",
    [
        f'{{"message":"Handled successfully","httpCode":200,"requestGuid":"{GUID}"}}',
        f'{{"httpCode":200,"requestGuid":"{GUID}","message":"see {GUID}"}}',
        f'{{"requestGuid":"{GUID}","httpCode":200,"guid":"{GUID}"}}',
        f'  {{"message" : "Handled successfully", "requestGuid" : "{GUID}", "httpCode" : 200}}',
        f'{{"requestGuid":"{GUID}","httpCode":"200","message":null}}',
    ],
)
def test_an_answer_is_no_data_whatever_the_order_of_its_keys(message: str) -> None:
    line = Line()
    line.text(message.encode())
    assert [answer.http_code for answer in line.answers] == [200]
    assert line.data == []


@pytest.mark.parametrize(
    "message",
    [
        f'{{"guid":"{GUID}","data":{{"a":1}}}}',
        f'{{ "data": {{"a":1}}, "guid": "{GUID}" }}',
        f'{{"data":{{"a":1}},"guid":"{GUID}","more":1}}',
        f'{{"data":{{"a":1}},"guid":"\\u0030{GUID[1:]}"}}',
    ],
)
def test_data_are_found_however_they_are_spelt(message: str) -> None:
    line = Line()
    line.text(message.encode())
    assert line.data == [message.encode()]


@pytest.mark.parametrize(
    "message",
    [data(guid=OTHER), data(guid="short"), reply(OTHER), reply(""), b"{}", b'{"guid":"x"}', b'{"data":1}'],
)
def test_what_belongs_to_nobody_is_counted(message: bytes) -> None:
    line = Line()
    line.text(message)
    assert (line.data, line.answers, line.session.unclaimed, line.session.malformed) == ([], [], 1, 0)


@pytest.mark.parametrize("message", [b"", b"pong", b"[]", b"{", b'{"requestGuid":5}', b'{"data":', b"[" * 5_000])
def test_what_cannot_be_read_is_counted_and_harms_nothing(message: bytes) -> None:
    line = Line()
    line.text(message)
    assert (line.data, line.answers, line.session.unclaimed, line.session.malformed) == ([], [], 0, 1)
    line.text(data())
    assert len(line.data) == 1


def test_late_data_of_a_closed_stream_are_counted_as_unclaimed() -> None:
    line = Line()
    line.session.close_stream(GUID)
    line.text(data())
    line.text(data(b'{"a":"\xd1\x8f"}'))
    assert (line.data, line.session.unclaimed) == ([], 2)


def test_an_answer_nobody_waits_for_any_more_is_unclaimed() -> None:
    line = Line()
    line.session.forget_answer(GUID)
    line.text(reply())
    assert (line.answers, line.session.unclaimed) == ([], 1)


def test_answers_to_be_ignored_are_neither_delivered_nor_counted() -> None:
    line = Line()
    line.session.forget_answer(GUID)
    line.session.ignore_answer(GUID)
    # The late one of the request, and that of its taking back.
    for _ in range(2):
        line.text(reply())
        assert (line.answers, line.session.unclaimed) == ([], 0)
    line.text(reply())
    assert line.session.unclaimed == 1


def test_the_refusal_of_a_taking_back_is_told_behind_the_late_answer_of_the_request() -> None:
    line = Line()
    refused: list[SystemMessage] = []
    line.session.forget_answer(GUID)
    line.session.ignore_answer(GUID, refused.append)
    line.text(reply())
    assert not refused
    line.text(reply(code=401, message="expired"))
    assert [answer.http_code for answer in refused] == [401]
    assert line.session.unclaimed == 0


def test_a_later_answer_that_is_not_good_ends_the_stream_it_names_and_no_other() -> None:
    line = Line()
    others: list[SystemMessage] = []
    line.session.open_stream(OTHER, line.data.append, others.append)
    line.text(reply())
    line.text(reply(code=503, message="The history cannot be read"))
    assert [(end.http_code, end.message) for end in line.ends] == [(503, "The history cannot be read")]
    assert (len(line.answers), others, line.session.unclaimed) == (1, [], 0)


def test_a_later_answer_that_is_good_is_nobodys() -> None:
    line = Line()
    line.text(reply())
    line.text(reply())
    assert (len(line.answers), line.ends, line.session.unclaimed) == (1, [], 1)


def test_the_first_answer_is_an_answer_whatever_it_says() -> None:
    line = Line()
    line.text(reply(code=503))
    assert ([answer.http_code for answer in line.answers], line.ends) == ([503], [])


def test_a_later_answer_for_a_closed_stream_is_nobodys() -> None:
    line = Line()
    line.text(reply())
    line.session.close_stream(GUID)
    line.text(reply(code=503))
    assert (line.ends, line.session.unclaimed) == ([], 1)


def test_answers_to_be_ignored_are_bounded() -> None:
    session = Session()
    for number in range(IGNORED_ANSWERS_MAX + 10):
        session.ignore_answer(f"{number:032x}")
    assert len(session._ignored) == IGNORED_ANSWERS_MAX
    session.receive(reply(f"{0:032x}"))
    assert session.unclaimed == 1


# --- one result, whatever the path ----------------------------------------------------------------------

Guids = st.sampled_from([GUID, OTHER, "short", "", 'with "quote', "ключ"])
Texts = st.sampled_from(["", "x", "я", "\\", '"', f',"guid":"{GUID}"}}', GUID, "\x7f"])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Messages of all kinds, the ones that look like others above all."""
    import msgspec

    guid, text = draw(Guids), draw(Texts)
    fields: dict[str, object] = draw(
        st.sampled_from(
            [
                {"data": {"a": text}, "guid": guid},
                {"data": {"guid": guid, "a": text}, "guid": guid},
                {"data": text, "guid": guid},
                {"guid": guid, "data": {"a": text}},
                {"requestGuid": guid, "httpCode": 200, "message": text},
                {"message": text, "httpCode": 200, "requestGuid": guid},
                {"httpCode": 404, "requestGuid": guid, "guid": guid},
                {"data": {}, "requestGuid": guid, "httpCode": 200, "guid": guid},
                {"data": {}, "more": guid},
                {"other": text, "guid": guid},
            ]
        )
    )
    message = msgspec.json.encode(fields)
    cut = draw(st.sampled_from([0, 0, 0, 1, 2]))
    return message[: len(message) - cut]


def as_one_frame(line: Line, message: bytes, cuts: list[int]) -> None:
    line.text(message)


def as_fragments(line: Line, message: bytes, cuts: list[int]) -> None:
    """The long way: in pieces, with pings and pongs between them."""
    edges = sorted(min(cut, len(message)) for cut in cuts)
    pieces = [message[start:end] for start, end in zip([0, *edges], [*edges, len(message)], strict=True)]
    for index, piece in enumerate(pieces):
        opcode = TEXT if index == 0 else CONTINUATION
        line.connection.frame_received(opcode, piece, index == len(pieces) - 1, 0)
        if index < len(pieces) - 1:
            line.connection.frame_received(PING, b"between", True, 0)
            line.connection.frame_received(PONG, b"", True, 0)


@settings(max_examples=300)
@given(st.lists(st.tuples(messages(), st.lists(st.integers(0, 120), min_size=1, max_size=4)), max_size=6))
@example([(f'{{"message":"x","httpCode":200,"requestGuid":"{GUID}"}}'.encode(), [5])])
@example([(data(b'{"a":"\xd1\x8f"}'), [13])])
def test_fast_and_slow_path_come_to_the_same(sent: list[tuple[bytes, list[int]]]) -> None:
    fast, slow, direct = Line(), Line(), Line()
    for message, cuts in sent:
        as_one_frame(fast, message, cuts)
        as_fragments(slow, message, cuts)
        direct.session.receive(message)
    assert fast.outcome() == slow.outcome()
    assert fast.outcome()[:4] == direct.outcome()[:4]
    assert fast.connection.received == len(sent)


def test_a_ping_between_fragments_is_answered_at_once() -> None:
    line = Line()
    as_fragments(line, data(), [3])
    assert line.transport.frames == [(PONG, b"between")]
    assert line.data == [data()]


def test_pings_of_a_peer_that_does_not_read_do_not_fill_the_memory() -> None:
    line = Line()
    line.transport.unsent_bytes = 1 << 20
    line.connection.frame_received(PING, b"x", True, 0)
    assert line.transport.frames == []


# --- broken frames and the end --------------------------------------------------------------------------


def feed(*frames: tuple[int, bytes, bool, int]) -> Callable[[Line], None]:
    def run(line: Line) -> None:
        for frame in frames:
            line.connection.frame_received(*frame)

    return run


@pytest.mark.parametrize(
    ("break_it", "code", "reason"),
    [
        (feed((TEXT, data(), True, 4)), 1002, "reserved bit without an extension"),
        (feed((CONTINUATION, b"x", True, 0)), 1002, "nothing to continue"),
        (feed((TEXT, b"x", False, 0), (TEXT, data(), True, 0)), 1002, "the message before has not ended"),
        (feed((TEXT, b"\xff", True, 0)), 1007, "invalid UTF-8"),
        (feed((TEXT, data(b'{"a":"\xd1"}'), True, 0)), 1007, "invalid UTF-8"),
        (feed((TEXT, b"\xd1", False, 0), (CONTINUATION, b"x", True, 0)), 1007, "invalid UTF-8"),
        (feed((3, b"", True, 0)), 1002, "reserved opcode 0x3"),
        (feed((11, b"", True, 0)), 1002, "reserved opcode 0xb"),
        (feed((PING, b"", False, 0)), 1002, "fragmented control frame"),
        (feed((PING, b"x" * 126, True, 0)), 1002, "control frame above 125 bytes"),
        (feed((CLOSE, b"x", True, 0)), 1002, ""),
        (
            feed((TEXT, b"x" * MESSAGE_BYTES_MAX, False, 0), (CONTINUATION, b"x", True, 0)),
            1009,
            f"message above {MESSAGE_BYTES_MAX} bytes",
        ),
    ],
)
def test_broken_frames_close_with_their_code_and_tell_why(
    break_it: Callable[[Line], None], code: int, reason: str
) -> None:
    line = Line()
    break_it(line)
    assert line.transport.closed is not None
    assert line.transport.closed[0] == code
    assert line.transport.closed[1] == reason or not reason
    assert line.connection.state is ConnectionState.CLOSING
    assert line.connection.end is not None
    assert line.connection.end[0] == code, "it is known before the connection has ended"
    line.text(data())  # nothing is taken any more
    assert line.data == []
    assert not line.connection.send(b"x")
    line.connection.disconnected(1006, "")
    ((told_code, told),) = line.lost
    assert told_code == code
    assert told.startswith("the broker broke the protocol: ")
    assert told.endswith(reason)


def test_whole_messages_off_the_fast_path_pass_one_method() -> None:
    delivered: list[Message] = []

    class Echo(Connection):
        def _deliver(self, message: Message) -> None:
            delivered.append(message)

    echo = Echo(Session(), lambda code, reason: None)
    echo.frame_received(TEXT, b"a", False, 0)
    echo.frame_received(CONTINUATION, b"b", True, 0)
    echo.frame_received(BINARY, b"c", True, 0)
    assert delivered == [Message(b"ab", True), Message(b"c", False)]


def test_a_binary_message_is_counted_as_malformed() -> None:
    line = Line()
    line.connection.frame_received(BINARY, data(), True, 0)
    assert (line.data, line.session.malformed, line.connection.received) == ([], 1, 1)


@pytest.mark.parametrize(
    ("payload", "answered", "told"),
    [
        (b"", 1000, (1005, "")),
        (close_payload(1001, "bye"), 1001, (1001, "bye")),
        (close_payload(4000, ""), 4000, (4000, "")),
    ],
)
def test_a_close_frame_is_answered_in_kind_and_is_what_is_told(
    payload: bytes, answered: int, told: tuple[int, str]
) -> None:
    line = Line()
    line.connection.frame_received(CLOSE, payload, True, 0)
    assert line.transport.closed == (answered, "")
    assert line.connection.end == told
    line.connection.disconnected(*told)
    assert line.lost == [told]
    assert line.connection.state is ConnectionState.CLOSED


def test_the_loss_is_told_once() -> None:
    line = Line()
    line.connection.disconnected(1006, "")
    line.connection.disconnected(1006, "")
    assert line.lost == [(1006, "")]
    assert not line.connection.send(b"x")
    line.connection.close()
    line.connection.abort()
    assert (line.transport.sent, line.transport.closed, line.transport.aborted) == ([], None, False)


def test_nothing_is_sent_before_the_handshake_is_done() -> None:
    connection = Connection(Session(), lambda code, reason: None)
    assert not connection.is_open
    assert not connection.send(b"x")
    connection.close()
    assert connection.state is ConnectionState.OPENING


def test_a_connection_that_is_dropped_says_why_unless_its_end_was_told_before() -> None:
    dropped, closed = Line(), Line()
    dropped.connection.abort("nobody answers")
    assert dropped.transport.aborted
    closed.connection.frame_received(CLOSE, close_payload(1013, "try later"), True, 0)
    closed.connection.abort("nobody answers")
    for line in (dropped, closed):
        line.connection.disconnected(1006, "")
    assert (dropped.lost, closed.lost) == ([(1006, "nobody answers")], [(1013, "try later")])
