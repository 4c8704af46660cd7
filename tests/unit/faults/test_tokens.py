"""Tokens that end before their time."""

from __future__ import annotations

from tapewire.faults.tokens import EndedTokens


def test_nothing_has_ended_before_the_first_end() -> None:
    tokens = EndedTokens()
    tokens.see("a")
    assert not tokens.is_dead("a", 0)


def test_what_was_seen_or_is_older_has_ended_what_is_newer_has_not() -> None:
    tokens = EndedTokens()
    tokens.see("seen")
    tokens.end(100.7)
    assert tokens.is_dead("seen", 200)
    assert tokens.is_dead("never seen", 99)
    assert not tokens.is_dead("of the same second", 100)
    tokens.see("of the same second")
    assert not tokens.is_dead("of the same second", 100)
    tokens.end(101.0)
    assert tokens.is_dead("of the same second", 100)


def test_a_token_shows_nowhere() -> None:
    tokens = EndedTokens()
    tokens.see("secret")
    tokens.end(1)
    assert "secret" not in repr(tokens)
