"""Connections of each user, counted."""

from __future__ import annotations

from tapewire.gateway.quotas import ConnectionQuota
from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX


def test_the_eleventh_is_refused_until_one_has_gone() -> None:
    quota = ConnectionQuota()
    assert all(quota.claim("P1") for _ in range(CONNECTIONS_PER_USER_MAX))
    assert not quota.claim("P1")
    assert quota.claim("P2")
    quota.release("P1")
    assert quota.claim("P1")
    assert not quota.claim("P1")


def test_nothing_is_kept_of_users_who_have_gone_or_were_refused() -> None:
    quota = ConnectionQuota(connections_max=0)
    assert not quota.claim("P1")
    assert not quota._by_login
    quota = ConnectionQuota()
    for number in range(100):
        quota.claim(f"P{number}")
        quota.release(f"P{number}")
    assert not quota._by_login
