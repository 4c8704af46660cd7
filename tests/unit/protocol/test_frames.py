"""Headers and close payloads."""

from __future__ import annotations

import pytest

from tapewire.protocol.codes import CloseCode
from tapewire.protocol.frames import (
    FrameOpcode,
    UnmaskedFrame,
    close_payload,
    frame_header,
    is_close_code_allowed,
    read_close_payload,
    split_frames,
)
from tapewire.protocol.limits import CLOSE_REASON_BYTES_MAX


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        (1 << 40, b"\x81\x7f\x00\x00\x01\x00\x00\x00\x00\x00"),
    ],
)
def test_a_header_has_the_shortest_form_of_its_length(length: int, header: bytes) -> None:
    assert frame_header(FrameOpcode.TEXT, length) == header


def test_a_header_that_is_not_final_lacks_the_first_bit() -> None:
    assert frame_header(FrameOpcode.TEXT, 1, fin=False) == b"\x01\x01"
    assert frame_header(FrameOpcode.CONTINUATION, 300, fin=False) == b"\x00\x7e\x01\x2c"
    assert frame_header(FrameOpcode.PONG, 2) == b"\x8a\x02"


def test_a_close_payload_comes_back() -> None:
    assert read_close_payload(close_payload(1000)) == (1000, "")
    assert read_close_payload(close_payload(4321, "до встречи")) == (4321, "до встречи")
    assert read_close_payload(b"") == (CloseCode.NO_STATUS, "")


@pytest.mark.parametrize("reason", ["x" * 500, "ы" * 500, "€" * 500, "𝄞" * 500, "x" + "𝄞" * 40])
def test_a_long_reason_is_cut_at_a_character(reason: str) -> None:
    payload = close_payload(1008, reason)
    assert len(payload) <= CLOSE_REASON_BYTES_MAX + 2
    assert len(payload) > CLOSE_REASON_BYTES_MAX - 2
    assert reason.startswith(read_close_payload(payload)[1])


def test_only_codes_of_the_standard_and_of_applications_may_be_sent() -> None:
    allowed = {code for code in range(65_536) if is_close_code_allowed(code)}
    standard = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
    assert allowed == standard | set(range(3000, 5000))


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xed", b"\x00\x00", b"\xff\xff"])
def test_half_a_code_and_a_code_that_may_not_be_sent_are_refused(payload: bytes) -> None:
    with pytest.raises(ValueError) as caught:
        read_close_payload(payload)
    assert not isinstance(caught.value, UnicodeDecodeError)


def test_a_reason_that_is_no_utf8_is_told_apart() -> None:
    with pytest.raises(UnicodeDecodeError):
        read_close_payload(b"\x03\xe8\xff")


def test_frames_in_one_buffer_are_split_as_they_were_joined() -> None:
    frames = [
        UnmaskedFrame(FrameOpcode.TEXT, b"x" * size, fin)
        for size in (0, 1, 125, 126, 65_535, 65_536)
        for fin in (True, False)
    ]
    buffer = b"".join(
        frame_header(frame.opcode, len(frame.payload), fin=frame.fin) + frame.payload for frame in frames
    )
    assert list(split_frames(buffer)) == frames
    assert list(split_frames(b"")) == []


def test_a_buffer_that_ends_inside_a_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match="not whole"):
        list(split_frames(frame_header(FrameOpcode.TEXT, 3) + b"ab"))
