"""Access tokens: issued, checked, remembered within bounds, and never shown."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from decimal import Decimal

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tapewire.gateway import tokens as module
from tapewire.gateway.tokens import (
    TokenAuthority,
    User,
    hash_refresh_token,
    key_of,
    new_signing_key,
    public_part,
    users_of,
)
from tapewire.model.user_book import PortfolioEntry, SigningKey, TokenEntry, UserBook, grant_id
from tapewire.protocol.limits import TOKEN_LIFE_SECONDS
from tapewire.protocol.tokens import Scope, claims_of
from tapewire.simulation import START_NS, run_virtual
from unit.gateway.world import BOOK, FOREIGN_KEY, KEY, OTHER_REFRESH, REFRESH, TRADES, USERS, World, forged

START_S = START_NS // 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.ns = START_NS

    def wall_ns(self) -> int:
        return self.ns

    def stopwatch_s(self) -> float:
        return self.ns / 1e9

    def processor_s(self) -> float:
        return self.ns / 1e9

    def advance(self, seconds: float) -> None:
        self.ns += int(seconds * 1_000_000_000)


class CountingAuthority(TokenAuthority):
    """Counts how often a signature was checked."""

    checked = 0

    def _check_signature(self, token: str):  # type: ignore[no-untyped-def]
        self.checked += 1
        return super()._check_signature(token)


def authority(clock: Clock | None = None) -> CountingAuthority:
    return CountingAuthority(KEY, USERS, clock or Clock())


def test_a_token_says_who_what_and_until_when() -> None:
    issued = authority().refresh(REFRESH)
    assert issued is not None
    claims = claims_of(issued)
    assert (claims.sub, claims.portfolio_list, claims.clientid) == ("P1", ("D1", "G1"), "1")
    assert claims.scope.split() == list(Scope.ALL)
    assert (claims.iat, claims.exp) == (START_S, START_S + TOKEN_LIFE_SECONDS)
    assert issued.count(".") == 2


@pytest.mark.parametrize(
    "offered", ["", "nonsense", REFRESH[:-1], REFRESH + " ", REFRESH.upper(), "токен", "\x00"]
)
def test_a_wrong_refresh_token_gets_nothing(offered: str) -> None:
    assert authority().refresh(offered) is None


@pytest.mark.parametrize(
    ("allowed", "granted"),
    [
        (None, ("D1", "G1")),
        ([], ()),
        (["G1"], ("G1",)),
        (["G1", "D1"], ("D1", "G1")),
        (["D2"], ()),
        (["D1", "D2", "D1"], ("D1",)),
        (["D1 G1"], ()),
        ([""], ()),
    ],
)
def test_allowed_portfolios_narrow_and_never_widen(allowed: list[str] | None, granted: tuple[str, ...]) -> None:
    token = authority().refresh(REFRESH, allowed)
    assert token is not None
    assert claims_of(token).portfolio_list == granted


def test_a_signature_is_checked_once() -> None:
    checker = authority()
    token = checker.refresh(REFRESH)
    assert token is not None
    assert {checker.verify(token) for _ in range(100)} == {claims_of(token)}
    assert checker.checked == 1


def test_a_remembered_token_ends_with_its_second() -> None:
    clock = Clock()
    checker = authority(clock)
    token = checker.refresh(REFRESH)
    assert token is not None
    assert checker.verify(token) is not None
    clock.advance(TOKEN_LIFE_SECONDS - 0.001)
    assert checker.verify(token) is not None
    clock.advance(0.001)
    assert checker.verify(token) is None
    assert checker.verify(token) is None
    assert not checker._remembered


def test_several_tokens_are_good_at_once() -> None:
    clock = Clock()
    checker = authority(clock)
    old = checker.refresh(REFRESH)
    clock.advance(900)
    new = checker.refresh(REFRESH)
    assert old is not None
    assert new is not None
    assert old != new
    assert checker.verify(old) is not None
    assert checker.verify(new) is not None
    clock.advance(900)
    assert checker.verify(old) is None
    assert checker.verify(new) is not None


def test_what_is_remembered_is_bounded_and_the_least_used_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_TOKENS_MAX", 3)
    checker = authority()
    issued = [checker.refresh(REFRESH) for _ in range(4)]
    texts = [token for token in issued if token is not None]
    assert len(set(texts)) == 4  # signatures differ
    for token in texts[:3]:
        checker.verify(token)
    checker.verify(texts[0])
    checker.verify(texts[3])
    assert list(checker._remembered) == [texts[2], texts[0], texts[3]]
    checked = checker.checked
    checker.verify(texts[0])
    assert checker.checked == checked
    checker.verify(texts[1])
    assert checker.checked == checked + 1
    assert len(checker._remembered) == 3


def test_bad_tokens_are_not_remembered() -> None:
    checker = authority()
    good = {"sub": "P1", "exp": START_S + 9, "iat": START_S}
    for number in range(50):
        assert checker.verify(forged(good | {"iat": number}, FOREIGN_KEY)) is None
        assert checker.verify("x" * number) is None
        assert checker.verify(forged(good | {"exp": START_S - number})) is None
    assert not checker._remembered


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": "P1"},
        {"sub": "P1", "exp": "soon", "iat": START_S},
        {"sub": "P1", "exp": START_S + 9.5, "iat": START_S},
        {"sub": "P1", "exp": START_S + 9, "iat": START_S, "portfolios": ["D1"]},
        {"sub": "P1", "exp": START_S + 9, "iat": START_S, "scope": None},
    ],
)
def test_a_signed_token_without_what_is_needed_is_not_good(claims: dict[str, object]) -> None:
    assert authority().verify(forged(claims)) is None


def test_a_token_of_this_key_is_good_whatever_its_audience() -> None:
    claims = {"sub": "P1", "exp": START_S + 9, "iat": START_S + 100, "nbf": START_S + 100, "aud": "A B C"}
    assert authority().verify(forged(claims)) is not None


def test_another_algorithm_is_not_taken() -> None:
    claims = {"sub": "P1", "exp": START_S + 9, "iat": START_S}
    for token in (jwt.encode(claims, "", algorithm="none"), jwt.encode(claims, "secret" * 8, algorithm="HS256")):
        assert authority().verify(token) is None


def test_a_key_that_is_no_elliptic_curve_is_refused() -> None:
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="elliptic"):
        TokenAuthority(pem, (), Clock())
    TokenAuthority(new_signing_key(), (), Clock())


def test_an_access_token_names_the_key_and_the_refresh_token_that_made_it() -> None:
    issued = authority().refresh(REFRESH)
    assert issued is not None
    assert jwt.get_unverified_header(issued) == {"alg": "ES256", "typ": "JWT", "kid": key_of(KEY).id}
    assert claims_of(issued).azp == grant_id(hash_refresh_token(REFRESH))
    assert REFRESH not in issued


def test_a_token_of_no_refresh_token_that_is_known_is_not_good() -> None:
    claims = {"sub": "P1", "exp": START_S + 9, "iat": START_S}
    assert authority().verify(forged(claims)) is not None
    for grant in ("", "P1", "f" * 20):
        assert authority().verify(forged(claims | {"azp": grant})) is None


@pytest.mark.parametrize("kid", ["other", "", ["x"], 5, None])
def test_a_token_of_a_key_that_is_not_known_is_not_good(kid: object) -> None:
    claims = {"sub": "P1", "exp": START_S + 9, "iat": START_S, "azp": grant_id(hash_refresh_token(REFRESH))}
    assert authority().verify(with_key_id(claims, key_of(KEY).id)) is not None
    assert authority().verify(with_key_id(claims, kid)) is None


def with_key_id(claims: dict[str, object], kid: object) -> str:
    """Return a token of the good key, under any name: libraries do not write what is no text."""
    parts = [json.dumps(part).encode() for part in ({"alg": "ES256", "kid": kid}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = jwt.get_algorithm_by_name("ES256").sign(
        signed, jwt.get_algorithm_by_name("ES256").prepare_key(KEY)
    )
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_keys_rotate_and_what_the_old_one_has_signed_is_good_until_it_ends() -> None:
    clock = Clock()
    checker = authority(clock)
    old = checker.refresh(REFRESH)
    clock.advance(900)
    old_key, new_key = key_of(KEY), key_of(new_signing_key())
    retired = SigningKey(old_key.id, public_part(old_key), START_S + 900)
    last = checker.refresh(REFRESH)
    checker.update(USERS, (retired, new_key))
    new = checker.refresh(REFRESH)
    assert old is not None
    assert last is not None
    assert new is not None
    assert [jwt.get_unverified_header(each)["kid"] for each in (old, new)] == [old_key.id, new_key.id]
    assert all(checker.verify(each) for each in (old, last, new))
    clock.advance(900)
    assert [checker.verify(each) is not None for each in (old, last, new)] == [False, True, True]
    checker.update(USERS, (new_key,))
    assert [checker.verify(each) is not None for each in (old, last, new)] == [False, False, True]


def test_an_old_key_makes_no_tokens_that_last() -> None:
    clock = Clock()
    checker = authority(clock)
    old_key = key_of(KEY)
    checker.update(USERS, (SigningKey(old_key.id, public_part(old_key), START_S), key_of(new_signing_key())))
    good = {"sub": "P1", "iat": START_S, "exp": START_S + TOKEN_LIFE_SECONDS}
    good["azp"] = grant_id(hash_refresh_token(REFRESH))  # type: ignore[assignment]
    assert checker.verify(with_key_id(dict(good), old_key.id)) is not None
    assert checker.verify(with_key_id(good | {"exp": START_S + TOKEN_LIFE_SECONDS + 1}, old_key.id)) is None
    assert checker.verify(with_key_id(good | {"iat": START_S + 1}, old_key.id)) is None
    # Without a name it is taken for one of the new key.
    assert checker.verify(forged(good)) is None


def test_the_public_part_of_a_key_signs_nothing() -> None:
    key = key_of(KEY)
    assert "PRIVATE" in key.pem
    assert "PRIVATE" not in public_part(key)
    with pytest.raises(ValueError):
        key_of(public_part(key).encode())


def test_what_a_refresh_token_gives_is_what_its_user_has_and_it_allows() -> None:
    book = (
        UserBook()
        .added("anna", [PortfolioEntry("D1", Decimal(1)), PortfolioEntry("G1", Decimal(1))])
        .granted("anna", TokenEntry(name="a", sha256="1", scopes=Scope.ALL, created_at_s=0))
        .granted(
            "anna",
            TokenEntry(name="b", sha256="2", scopes=Scope.READ_ONLY, portfolios=("G1",), created_at_s=0),
        )
        .opened("anna", [PortfolioEntry("G2", Decimal(1))])
    )
    everything, little = users_of(book)
    assert (everything.portfolios, everything.scopes) == (("D1", "G1", "G2"), Scope.ALL)
    assert (little.portfolios, little.scopes) == (("G1",), Scope.READ_ONLY)
    assert set(Scope.ALL) - set(Scope.READ_ONLY) == {Scope.ORDERS_CREATE}
    checker = TokenAuthority(KEY, (), Clock())
    checker.update([little], (key_of(KEY),))
    assert little.login == everything.login == "P070001"


def test_refresh_tokens_are_kept_as_hashes() -> None:
    user = User(
        login="P1",
        client_id="1",
        agreement="1",
        portfolios=(),
        refresh_token_hashes=(hash_refresh_token(REFRESH),),
    )
    assert REFRESH not in repr(user)
    assert REFRESH not in repr(vars(TokenAuthority(KEY, [user], Clock())))


def test_no_token_is_in_any_log_record_repr_or_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    secrets: list[str] = [REFRESH, OTHER_REFRESH]
    shown: list[str] = []

    async def main() -> None:
        async with World() as world:
            peer = await world.connect()
            secrets.append(peer.token)
            bad = forged({"sub": "P1", "exp": 1, "iat": 1})
            secrets.append(bad)
            for token in (peer.token, bad, "nonsense." + peer.token, None):
                for opcode in (BOOK, TRADES, "unsubscribe", "ping", "Unknown", "PositionsGetAndSubscribeV2"):
                    peer.subscribe(opcode, "g", token=token, depth=1)
                    peer.subscribe(opcode, "h", code="NONE", token=token, depth="x", portfolio="D1")
            orders = await world.connect("/cws")
            for token in (bad, peer.token):
                orders.send("authorize", "a", token=token)
                orders.send("create:limit", "c", token=token)
            peer.send_raw('{"token":"' + peer.token + '", broken')
            peer.transport.send_frame(1, b'{"token":"' + peer.token.encode(), fin=False)
            peer.transport.send_frame(1, b"no continuation")
            await peer.closed()
            await orders.until(lambda: len(orders.messages) == 4)
            everything = [world.gateway, *world.gateway.connections, world.tokens, world.gateway._services]
            shown.extend(repr(each) for each in everything)
            shown.extend(repr(message) for message in (*peer.messages, *orders.messages))
            try:
                raise ValueError(world.tokens, everything)
            except ValueError:
                shown.append(traceback.format_exc())

    run_virtual(main)
    shown += [caplog.handler.format(record) + repr(vars(record)) for record in caplog.records]
    text = "\n".join(shown)
    # A signature alone would be a secret too.
    parts = {part for secret in secrets for part in (secret, secret.rpartition(".")[2])}
    assert not [part for part in parts if part in text]
    assert logging.getLogger("tapewire").level == logging.NOTSET


def test_a_refused_token_is_checked_once() -> None:
    clock = Clock()
    tokens = authority(clock)
    good = tokens.refresh(REFRESH)
    assert good is not None
    for _ in range(100):
        assert tokens.verify("nonsense") is None
    assert tokens.checked == 1
    assert tokens.verify(good) is not None
    clock.advance(TOKEN_LIFE_SECONDS)
    for _ in range(100):
        assert tokens.verify(good) is None
    assert tokens.checked == 3
    for number in range(module.REFUSED_TOKENS_MAX + 10):
        assert tokens.verify(f"other {number}") is None
    assert len(tokens._refused) == module.REFUSED_TOKENS_MAX
