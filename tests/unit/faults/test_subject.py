"""What requests are about."""

from __future__ import annotations

import pytest

from tapewire.faults.subject import Subject, read_claims, read_subject


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        (
            b'{"opcode":"QuotesSubscribe","guid":"q","code":"X","exchange":"MOEX","instrumentGroup":"TQBR","token":"t"}',
            Subject("QuotesSubscribe", "q", "MOEX", "X", "TQBR", "", "t"),
        ),
        (
            b'{"opcode":"OrdersGetAndSubscribeV2","guid":"o","exchange":"MOEX","portfolio":"D1","token":null}',
            Subject("OrdersGetAndSubscribeV2", "o", "MOEX", portfolio="D1"),
        ),
        (
            b'{"opcode":"create:limit","guid":"c","user":{"portfolio":"D1"},"board":"SMAL","instrument":{"symbol":"X"}}',
            Subject("create:limit", "c", "", "X", "SMAL", "D1"),
        ),
        (b'{"opcode":"create:limit","guid":"c","user":1,"instrument":[]}', Subject("create:limit", "c")),
        (b'{"opcode":"ping"}', None),
        (b'{"opcode":1,"guid":"x"}', None),
        (b"[1]", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_request_of_either_socket_is_read_or_left_alone(message: bytes, subject: Subject | None) -> None:
    assert read_subject(message) == subject


def test_a_token_is_not_shown_and_one_that_says_nothing_has_no_claims() -> None:
    assert "secret" not in repr(Subject("ping", "p", token="secret"))
    assert read_claims("no.token.at all") is None
