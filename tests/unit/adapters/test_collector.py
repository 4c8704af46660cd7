"""The collector of a server's process."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tapewire.adapters.collector import relax_collector


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_exists_is_left_out_and_collections_are_seldom() -> None:
    before = gc.get_threshold()
    relax_collector()
    assert gc.get_freeze_count() > 0
    assert all(now > then for now, then in zip(gc.get_threshold(), before, strict=True))
    assert gc.isenabled()
