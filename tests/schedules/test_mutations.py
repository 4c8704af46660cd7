"""The schedules find faults: each that is put into the client on purpose breaks an early seed."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from schedules.mutations import MUTATIONS
from schedules.play import failure_of

#: Seeds within which a fault must be found.
SEEDS_MAX = 100


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A broken client may have much to say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_of_the_client_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS[name](monkeypatch)
    assert any(failure_of(seed) is not None for seed in range(SEEDS_MAX)), f"{name} was not found"
