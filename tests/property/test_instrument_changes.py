"""Merging partial updates: whatever the broker splits, and wherever it is cut, the state is the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tapewire.client.buffer import Fail
from tapewire.client.instrument_changes import InstrumentChanges
from tapewire.client.subscription import Subscription
from tapewire.model import UNSET, Exchange, InstrumentUpdate
from tapewire.protocol.formats import codec
from tapewire.protocol.messages import data_tail
from tapewire.protocol.requests import SubscribeInstrument
from tapewire.protocol.words import Format
from tapewire.simulation import run_virtual

NAMES = [
    name for name in InstrumentUpdate.__struct_fields__ if name not in ("symbol", "exchange", "trading_status")
]
TEXTS = ("board", "trading_status_info")
prices = st.floats(0, 1e6, allow_nan=False)


def _values(name: str) -> st.SearchStrategy[Any]:
    if name == "board":
        return st.text(max_size=5)
    return st.none() | st.text(max_size=5) if name in TEXTS else prices


parts = st.fixed_dictionaries({}, optional={name: _values(name) for name in NAMES})
#: Requests in a row: the first part of each is the whole state.
runs = st.lists(st.lists(parts, min_size=1, max_size=6), min_size=1, max_size=4)


class Owner:
    async def open(self, subscription: Subscription[Any]) -> None:
        raise NotImplementedError

    def release(self, subscription: Subscription[Any]) -> None:
        raise NotImplementedError

    def now(self) -> datetime:
        return datetime(2026, 1, 12, tzinfo=UTC)


@given(runs=runs, form=st.sampled_from(list(Format)), batches=st.booleans())
def test_each_record_is_what_was_said_since_the_last_whole_state(
    runs: list[list[dict[str, Any]]], form: Format, batches: bool
) -> None:
    reading = codec(InstrumentUpdate, form)
    request = SubscribeInstrument(guid="", code="TEST", exchange=Exchange.MOEX, format=form)

    async def main() -> list[InstrumentUpdate]:
        stream = InstrumentChanges(request, reading, Fail(), "instrument_changes:TEST", Owner())
        for number, said in enumerate(runs):
            tail = data_tail(f"{number:032x}")
            for part in said:
                record = InstrumentUpdate(symbol="TEST", **part)
                stream.buffer.put(b'{"data":' + reading.encode(record) + tail)
        stream.buffer.end()
        taken: list[InstrumentUpdate] = []
        while stream.waiting:
            if batches:
                taken += await stream.next_batch()
            else:
                record_or_gap = await stream.next_item()
                assert isinstance(record_or_gap, InstrumentUpdate)
                taken.append(record_or_gap)
        assert stream.malformed == 0
        return taken

    expected = []
    for said in runs:
        state: dict[str, Any] = {}
        for part in said:
            state |= part
            expected.append(dict(state))
    shown = [
        {name: value for name in NAMES if (value := getattr(record, name)) is not UNSET}
        for record in run_virtual(main())
    ]
    assert shown == expected
