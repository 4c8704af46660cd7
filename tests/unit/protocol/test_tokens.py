"""Tokens: what can be wrong with them, and that nobody sees them."""

from __future__ import annotations

import base64
import json
import traceback
from typing import Any

import pytest
from rich.pretty import pretty_repr

from tapewire.protocol.errors import MalformedMessageError
from tapewire.protocol.tokens import (
    AccessToken,
    Claims,
    RefreshRequest,
    Scope,
    claims_of,
    read_access_token,
    read_refresh_body,
)

CLAIMS = {
    "sub": "P070001",
    "ent": "client",
    "ein": "70001",
    "clientid": "123456",
    "azp": "53e09b1d2c3a4f5e6d7c",
    "agreements": "70001 70002",
    "portfolios": "D70001 G70001  7500ABC",
    "scope": "OrdersRead OrdersCreate",
    "exp": 1767227400,
    "iat": 1767225600,
    "iss": "Alor.Identity",
    "aud": "Client WARP",
}


def segment(payload: bytes) -> str:
    return base64.urlsafe_b64encode(payload).decode().rstrip("=")


def token_of(claims: Any) -> str:
    return f"{segment(b'{}')}.{segment(json.dumps(claims).encode())}.c2ln"


def changed(**changes: Any) -> Claims:
    return claims_of(token_of({**CLAIMS, **changes}))


def test_the_claims_of_a_token_as_the_broker_issues_it() -> None:
    claims = claims_of(token_of(CLAIMS))
    assert claims == Claims(**CLAIMS)  # type: ignore[arg-type]
    assert claims.portfolio_list == ("D70001", "G70001", "7500ABC")
    assert claims.may(Scope.ORDERS_CREATE)
    assert not claims.may(Scope.STATS)
    assert not claims.may("Orders")


def test_claims_that_are_not_there_are_empty() -> None:
    claims = claims_of(token_of({"sub": "P1", "exp": 2, "iat": 1}))
    assert (claims.portfolio_list, claims.scope, claims.ent) == ((), "", "client")


@pytest.mark.parametrize("padding", range(4))
def test_every_length_of_a_payload_is_read(padding: int) -> None:
    assert changed(sub="P" + "x" * padding).sub == "P" + "x" * padding


def test_bytes_that_differ_between_the_two_alphabets_are_read() -> None:
    assert changed(sub="ÿ?>~ы").sub == "ÿ?>~ы"


def test_lists_and_numbers_in_the_place_of_texts_are_read() -> None:
    claims = changed(aud=["Client", "WARP"], ein=70001, clientid=123456, agreements=None, azp={"a": 1}, scope=[])
    assert claims.aud == "Client WARP"
    assert (claims.ein, claims.clientid, claims.agreements, claims.azp, claims.scope) == (
        "70001",
        "123456",
        "",
        "",
        "",
    )


def test_times_may_be_texts_and_unknown_claims_are_ignored() -> None:
    claims = changed(exp="1767227400", iat=1767225600.0, nbf=1, nested={"deep": [1]})
    assert (claims.exp, claims.iat) == (1767227400, 1767225600)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a",
        "a.b",
        "a.b.c.d",
        "..",
        "a..c",
        "a.!!!!.c",
        "a.A.c",
        "a.ы.c",
        "a.\ud800.c",
        f"a.{segment(b'not json')}.c",
        f"a.{segment(b'[]')}.c",
        f"a.{segment(b'null')}.c",
        "a." + segment(b'{"sub":"\xff","exp":1,"iat":1}') + ".c",
        "a." + segment(b'{"sub":"x","exp":1,"iat":1' + b"}" * 0) + ".c",
        "a." + segment(b'{"sub":"x","exp":1e999,"iat":1}') + ".c",
        "a." + segment(b'{"sub":"x","exp":' + b"1" * 5_000 + b',"iat":1}') + ".c",
        "a." + segment(b'{"a":' * 5_000) + ".c",
        token_of({"sub": "P1", "exp": 1}),
        token_of({"exp": 1, "iat": 1}),
        token_of({**CLAIMS, "sub": None}),
        token_of({**CLAIMS, "exp": "soon"}),
        token_of({**CLAIMS, "exp": None}),
    ],
)
def test_what_is_no_token_is_malformed_and_not_shown(token: str) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        claims_of(token)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + error.reason
    assert len(token) < 12 or token not in shown
    assert error.__suppress_context__ or error.__cause__ is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b'{"AccessToken":null}',
        b'{"AccessToken":5}',
        b'{"AccessToken":"\xff"}',
        b"[" * 5000,
    ],
)
def test_an_answer_without_a_token_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        read_access_token(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"token":"\xff"}',
        b'{"\xff":"x"}',
        b'{"token":["x"]}',
        b'{"token":"x","allowedPortfolios":[5]}',
        b'{"token":"x","allowedPortfolios":{}}',
        b'{"token":"x","y":' + b"1" * 5_000 + b"}",
        b'{"token":' + b"[" * 5_000,
        b'{"token":"\\ud800"}',
        b"\xff",
    ],
)
def test_a_body_that_cannot_be_read_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        read_refresh_body(body)


@pytest.mark.parametrize("carrier", [AccessToken("top-secret"), RefreshRequest("top-secret", ("D1",))])
def test_no_token_is_shown(carrier: object) -> None:
    assert "top-secret" not in repr(carrier) + str(carrier) + f"{[carrier]}" + pretty_repr(carrier)


@pytest.mark.parametrize(
    "body",
    [b'{"token":"top-secret","allowedPortfolios":5}', b'{"token":["top-secret"]}', b'{"token":"top-secret'],
)
def test_no_token_is_in_an_error(body: bytes) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        read_refresh_body(body)
    assert "top-secret" not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)


@pytest.mark.parametrize("character", ["\n", "\r\n", "\0", " ", "\x7f", "é", "\ud83d\ude00", "\u2028"])
def test_a_token_that_no_header_takes_is_none(character: str) -> None:
    token = token_of(CLAIMS)
    for text in (token + character, character + token, token[:9] + character + token[9:]):
        with pytest.raises(MalformedMessageError, match="characters") as caught:
            read_access_token(json.dumps({"AccessToken": text}).encode())
        assert token[:9] not in "".join(traceback.format_exception(caught.value))
    assert read_access_token(json.dumps({"AccessToken": token}).encode()) == token
