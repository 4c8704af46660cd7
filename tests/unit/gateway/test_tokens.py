"""Access tokens: issued, checked, remembered within bounds, and never shown."""

from __future__ import annotations

import logging
import traceback

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tapewire.gateway import tokens as module
from tapewire.gateway.tokens import TokenAuthority, User, hash_refresh_token, new_signing_key
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
