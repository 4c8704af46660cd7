"""The table of the assembler, row by row, and what hides between its rows."""

from __future__ import annotations

import pytest
from rich.pretty import pretty_repr

from tapewire.protocol.assembler import Assembler, Assembly, Closed, Failed, Message, Ping, Pong
from tapewire.protocol.codes import CloseCode
from tapewire.protocol.frames import FrameOpcode, close_payload

TEXT, BINARY, CONTINUATION = FrameOpcode.TEXT, FrameOpcode.BINARY, FrameOpcode.CONTINUATION
CLOSE, PING, PONG = FrameOpcode.CLOSE, FrameOpcode.PING, FrameOpcode.PONG
#: Two, three and four bytes a character.
MANY_BYTES = "ы€𝄞"


def idle() -> Assembler:
    return Assembler()


def partial(payload: bytes = b"one ", opcode: int = TEXT) -> Assembler:
    assembler = Assembler()
    assert assembler.feed(opcode, payload, False) is None
    assert not assembler.is_idle
    return assembler


def failed_with(assembly: Assembly | None, code: CloseCode) -> bool:
    return isinstance(assembly, Failed) and assembly.code == code


# --- the table ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("opcode", "is_text"), [(TEXT, True), (BINARY, False)])
def test_a_final_data_frame_while_idle_is_a_message(opcode: int, is_text: bool) -> None:
    assembler = idle()
    assert assembler.is_idle
    assert assembler.feed(opcode, b"all", True) == Message(b"all", is_text)
    assert assembler.is_idle


def test_a_text_that_is_not_final_is_partial_and_goes_on_to_a_message() -> None:
    assembler = partial()
    assert assembler.feed(CONTINUATION, b"two ", False) is None
    assert assembler.feed(CONTINUATION, b"three", True) == Message(b"one two three", True)
    assert assembler.is_idle
    assert assembler.feed(TEXT, b"next", True) == Message(b"next", True)


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_while_idle_fails(fin: bool) -> None:
    assembler = idle()
    assert failed_with(assembler.feed(CONTINUATION, b"x", fin), CloseCode.PROTOCOL_ERROR)
    assert not assembler.is_idle


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_a_new_message_while_partial_fails(opcode: int, fin: bool) -> None:
    assert failed_with(partial().feed(opcode, b"x", fin), CloseCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("start", [idle, partial])
@pytest.mark.parametrize(("opcode", "event"), [(PING, Ping(b"p")), (PONG, Pong(b"p"))])
def test_pings_and_pongs_are_events_in_any_state(start: type[Assembler], opcode: int, event: Assembly) -> None:
    assembler = start()
    was_idle = assembler.is_idle
    assert assembler.feed(opcode, b"p", True) == event
    assert assembler.is_idle == was_idle


@pytest.mark.parametrize("start", [idle, partial])
def test_a_close_ends_in_any_state(start: type[Assembler]) -> None:
    assembler = start()
    assert assembler.feed(CLOSE, close_payload(1001, "bye"), True) == Closed(1001, "bye")
    assert not assembler.is_idle
    assert assembler.feed(TEXT, b"late", True) is None
    assert assembler.feed(PING, b"late", True) is None


@pytest.mark.parametrize("start", [idle, partial])
@pytest.mark.parametrize("rsv", [1, 2, 4, 0x40, 0x70])
@pytest.mark.parametrize("opcode", [TEXT, CONTINUATION, PING, CLOSE])
def test_a_reserved_bit_fails_in_any_state(start: type[Assembler], opcode: int, rsv: int) -> None:
    assert failed_with(start().feed(opcode, b"", True, rsv), CloseCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("start", [idle, partial])
@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_a_reserved_opcode_fails_in_any_state(start: type[Assembler], opcode: int) -> None:
    assert failed_with(start().feed(opcode, b"", True), CloseCode.PROTOCOL_ERROR)


def test_after_a_failure_nothing_is_taken() -> None:
    assembler = idle()
    assembler.feed(CONTINUATION, b"", True)
    assert assembler.feed(TEXT, b"x", True) is None
    assert assembler.feed(CLOSE, b"", True) is None


# --- control frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_fragmented_control_frame_fails(opcode: int) -> None:
    assert failed_with(idle().feed(opcode, b"", False), CloseCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_a_control_frame_holds_125_bytes_and_not_126(opcode: int) -> None:
    assert idle().feed(opcode, b"x" * 125, True) in (Ping(b"x" * 125), Pong(b"x" * 125))
    assert failed_with(idle().feed(opcode, b"x" * 126, True), CloseCode.PROTOCOL_ERROR)


def test_control_frames_between_fragments_leave_the_message_whole() -> None:
    assembler = partial("ы".encode()[:1])
    assert assembler.feed(PING, b"\xff\xfe", True) == Ping(b"\xff\xfe")
    assert assembler.feed(PONG, b"", True) == Pong(b"")
    assert assembler.feed(CONTINUATION, "ы".encode()[1:], True) == Message("ы".encode(), True)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", Closed(CloseCode.NO_STATUS, "")),
        ((1000).to_bytes(2, "big"), Closed(1000, "")),
        ((4999).to_bytes(2, "big") + "конец".encode(), Closed(4999, "конец")),
    ],
)
def test_a_close_gives_code_and_reason(payload: bytes, expected: Closed) -> None:
    assert idle().feed(CLOSE, payload, True) == expected


@pytest.mark.parametrize("payload", [b"\x03", b"\x00\x00", b"\x03\xe7", b"\x03\xed", b"\x03\xee", b"\x0b\xb7"])
def test_a_close_with_a_code_that_may_not_be_sent_fails(payload: bytes) -> None:
    assert failed_with(idle().feed(CLOSE, payload, True), CloseCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("reason", [b"\xff", b"\xd1", b"\xed\xa0\x80"])
def test_a_close_whose_reason_is_no_utf8_fails(reason: bytes) -> None:
    assert failed_with(idle().feed(CLOSE, b"\x03\xe8" + reason, True), CloseCode.INVALID_TEXT)


# --- text -----------------------------------------------------------------------------------------------


def test_characters_may_be_split_at_every_byte() -> None:
    whole = MANY_BYTES.encode()
    for cut in range(len(whole) + 1):
        assembler = partial(whole[:cut])
        assert assembler.feed(CONTINUATION, whole[cut:], True) == Message(whole, True)
    assembler = partial(b"")
    for byte in whole:
        assert assembler.feed(CONTINUATION, bytes([byte]), False) is None
    assert assembler.feed(CONTINUATION, b"", True) == Message(whole, True)


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"\xc0\xaf", b"\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"ok \xd1"],
)
def test_a_text_that_is_no_utf8_fails(payload: bytes) -> None:
    assert failed_with(idle().feed(TEXT, payload, True), CloseCode.INVALID_TEXT)


@pytest.mark.parametrize("payload", [b"a\xff", b"\xc0", b"\xf4\x90", b"\xe0\x80"])
def test_invalid_text_fails_at_the_fragment_that_holds_it(payload: bytes) -> None:
    assert failed_with(idle().feed(TEXT, payload, False), CloseCode.INVALID_TEXT)
    assert failed_with(partial().feed(CONTINUATION, payload, False), CloseCode.INVALID_TEXT)


def test_a_character_that_is_never_finished_fails() -> None:
    assert failed_with(partial(b"\xd1").feed(CONTINUATION, b"", True), CloseCode.INVALID_TEXT)
    assert failed_with(partial(b"\xd1").feed(CONTINUATION, b"ascii", True), CloseCode.INVALID_TEXT)


def test_binary_fragments_are_not_checked_and_do_not_disturb_the_next_text() -> None:
    assembler = partial(b"\xd1", BINARY)
    assert assembler.feed(CONTINUATION, b"\xff", True) == Message(b"\xd1\xff", False)
    assert assembler.feed(TEXT, "ы".encode(), True) == Message("ы".encode(), True)


# --- sizes ----------------------------------------------------------------------------------------------


def test_a_message_of_the_largest_size_passes_and_one_more_byte_fails() -> None:
    assert Assembler(message_bytes_max=8).feed(TEXT, b"12345678", True) == Message(b"12345678", True)
    assert failed_with(Assembler(message_bytes_max=8).feed(TEXT, b"123456789", True), CloseCode.TOO_BIG)


def test_fragments_are_counted_together_and_anew_for_every_message() -> None:
    assembler = Assembler(message_bytes_max=8)
    for _ in range(3):
        assert assembler.feed(TEXT, b"1234", False) is None
        assert assembler.feed(CONTINUATION, b"5678", True) == Message(b"12345678", True)
    assembler.feed(TEXT, b"12345678", False)
    assert failed_with(assembler.feed(CONTINUATION, b"9", False), CloseCode.TOO_BIG)


def test_empty_fragments_without_end_take_no_memory() -> None:
    assembler = partial(b"")
    for _ in range(10_000):
        assert assembler.feed(CONTINUATION, b"", False) is None
    held = assembler._parts
    assert isinstance(held, bytearray)
    assert not held
    assert assembler.feed(CONTINUATION, b"x", True) == Message(b"x", True)


def test_a_message_is_bytes_even_when_it_came_in_parts() -> None:
    message = partial().feed(CONTINUATION, b"two", True)
    assert isinstance(message, Message)
    assert type(message.payload) is bytes


@pytest.mark.parametrize(
    ("is_text", "shown"), [(True, "Message(text, 6 bytes)"), (False, "Message(binary, 6 bytes)")]
)
def test_a_message_shows_its_kind_and_size_and_not_its_payload(is_text: bool, shown: str) -> None:
    message = Message(b"s3cr3t", is_text)
    assert repr(message) == shown
    assert "s3cr3t" not in pretty_repr(message)
