"""What changes on the loop is read there: whoever reads it elsewhere meets it half changed."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import tapewire
from tapewire.client.gap import Gap, GapLedger
from tapewire.sync import Broker
from tapewire.sync.loop_thread import LoopThread


class Fleet:
    """Stands for the connections; writes down from which thread it is looked at."""

    def __init__(self) -> None:
        self.ledger = GapLedger()
        self.threads: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.threads.append(threading.current_thread().name)
        values = {"streams": (), "links": (), "received": 7, "unclaimed": 3, "gaps": self.ledger}
        return values[name]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def broker(fleet: Fleet) -> Iterator[Broker]:
    inner: Any = object.__new__(tapewire.Broker)
    inner._fleet, inner._is_open = fleet, True
    inner.endpoints, inner.orders, inner.events = tapewire.TEST, None, None
    loop = LoopThread("the loop")
    broker = Broker(inner, loop, connecting=None)  # type: ignore[arg-type]
    yield broker
    atexit.unregister(broker.close)
    inner._is_open = False
    loop.stop()


@pytest.mark.parametrize(
    ("name", "value"), [("streams", ()), ("pressure", ()), ("received", 7), ("unclaimed", 3), ("gaps", None)]
)
def test_what_changes_on_the_loop_is_read_on_it(broker: Broker, fleet: Fleet, name: str, value: object) -> None:
    found = getattr(broker, name)
    assert value is None or found == value
    assert fleet.threads == ["the loop"]
    assert vars(Broker)[name].__doc__ == getattr(tapewire.Broker, name).__doc__


def test_its_text_is_made_on_the_loop_too(broker: Broker, fleet: Fleet) -> None:
    assert "open gaps 0" in repr(broker)
    assert set(fleet.threads) == {"the loop"}


def test_a_ledger_of_gaps_does_not_change_while_it_is_read(broker: Broker, fleet: Fleet) -> None:
    fleet.ledger.begin(Gap(stream="trades:A", since=datetime.now(UTC), cause="cut"))
    fleet.ledger.left = 2
    found = broker.gaps
    fleet.ledger.begin(Gap(stream="trades:B", since=datetime.now(UTC), cause="cut"))
    fleet.ledger.left = 3
    assert [gap.stream for gap in found] == ["trades:A"]
    assert (len(found), found.left, len(broker.gaps)) == (1, 2, 2)


def test_figures_can_be_read_when_all_is_over(broker: Broker, fleet: Fleet) -> None:
    broker._loop.stop()
    assert broker.received == 7
    assert fleet.threads == [threading.current_thread().name]


def test_an_error_of_what_is_read_is_the_callers_and_the_loop_goes_on() -> None:
    loop = LoopThread("the loop")

    def read() -> None:
        raise tapewire.ClosedError("a stream was closed")

    with pytest.raises(tapewire.ClosedError, match="a stream"):
        loop.look(read)
    assert loop.look(lambda: threading.current_thread().name) == "the loop"
    loop.stop()
