"""``connect()`` used otherwise than as a block: one sentence that says what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import tapewire

SENTENCE = "`async with tapewire.connect\\(\\) as broker:`"


@pytest.fixture(autouse=True)
def no_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("TAPEWIRE_URL", "TAPEWIRE_REFRESH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_a_broker_that_was_never_entered_says_how() -> None:
    broker: Any = tapewire.connect()
    with pytest.raises(AttributeError, match=SENTENCE):
        broker.trades("SBER")
    assert not hasattr(broker, "book")


def test_a_connection_that_is_awaited_says_how() -> None:
    async def main() -> None:
        connecting: Any = tapewire.connect()
        with pytest.raises(TypeError, match=SENTENCE):
            await connecting

    asyncio.run(main())


def test_what_is_missing_is_told_when_the_block_is_entered_and_it_may_be_entered_again() -> None:
    async def main() -> None:
        connecting = tapewire.connect()
        for _ in range(2):
            with pytest.raises(tapewire.ConfigurationError, match="no broker"):
                async with connecting:
                    pytest.fail("there is no broker")

    asyncio.run(main())
