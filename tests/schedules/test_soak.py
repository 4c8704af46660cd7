"""Some hours of a day with a fault a minute; ``make soak`` plays all of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from schedules.soak import GROWTH_MAX, soak
from tapewire.client.feed import Feed
from tapewire.client.fleet import Fleet

HOURS = 3


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """pytest keeps what is logged, and with it what it tells of."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_what_the_client_keeps_does_not_grow() -> None:
    counts = soak(HOURS)
    assert counts[-1] <= counts[0] + GROWTH_MAX, counts


def test_a_client_that_keeps_feeds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Feed] = []
    forget = Fleet._forget

    def keep(self: Fleet, feed: Any) -> None:
        kept.append(feed)
        forget(self, feed)

    monkeypatch.setattr(Fleet, "_forget", keep)
    counts = soak(HOURS)
    assert counts[-1] > counts[0] + GROWTH_MAX, counts
