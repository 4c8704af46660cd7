"""Past bars as a list and as tables."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module

import pytest

from tapewire.client import bars as bars_module
from tapewire.client.bars import Bars
from tapewire.client.timeframe import timeframe_of
from tapewire.model import Bar

MINUTE = timeframe_of("1m")


def bar(number: int) -> Bar:
    return Bar(
        time_s=1_767_600_000 + 60 * number, close=10.5 + number, open=10.0, high=12, low=9.5, volume=3 + number
    )


BARS = Bars("TEST", MINUTE, [bar(number) for number in range(3)])


def test_bars_are_a_list_whose_slices_are_bars() -> None:
    assert len(BARS) == 3
    assert BARS[0] == bar(0)
    assert BARS[-1] == bar(2)
    assert isinstance(BARS[1:], Bars)
    assert list(BARS[1:]) == [bar(1), bar(2)]
    assert bar(1) in BARS
    assert (BARS[1:].symbol, BARS[1:].timeframe) == ("TEST", MINUTE)
    with pytest.raises(IndexError):
        BARS[3]
    assert repr(BARS) == "<Bars TEST 1m: 3, 2026-01-05 08:00:00 to 2026-01-05 08:02:00 UTC>"
    assert repr(BARS[:0]) == "<Bars TEST 1m: none>"


COLUMNS = {
    "open": [10.0, 10.0, 10.0],
    "high": [12.0, 12.0, 12.0],
    "low": [9.5, 9.5, 9.5],
    "close": [10.5, 11.5, 12.5],
    "volume": [3, 4, 5],
}
TIMES = [datetime(2026, 1, 5, 8, minute, tzinfo=UTC) for minute in range(3)]


def test_a_table_of_pandas_is_indexed_by_time() -> None:
    pytest.importorskip("pandas")
    frame = BARS.to_pandas()
    assert frame.index.name == "time"
    assert [moment.to_pydatetime() for moment in frame.index] == TIMES
    assert frame.to_dict("list") == COLUMNS
    assert [str(kind) for kind in frame.dtypes] == ["float64"] * 4 + ["int64"]
    empty = BARS[:0].to_pandas()
    assert list(empty.columns) == list(COLUMNS)
    assert [str(kind) for kind in empty.dtypes] == ["float64"] * 4 + ["int64"]
    assert str(empty.index.tz) == "UTC"


def test_a_table_of_polars_has_time_as_a_column() -> None:
    pytest.importorskip("polars")
    frame = BARS.to_polars()
    assert frame.to_dict(as_series=False) == {"time": TIMES} | COLUMNS
    assert BARS[:0].to_polars().schema == frame.schema


def test_a_table_of_arrow_has_time_as_a_column() -> None:
    pytest.importorskip("pyarrow")
    table = BARS.to_arrow()
    assert table.to_pydict() == {"time": TIMES} | COLUMNS
    assert BARS[:0].to_arrow().schema == table.schema


@pytest.mark.parametrize(
    ("call", "extra"), [("to_pandas", "pandas"), ("to_polars", "polars"), ("to_arrow", "arrow")]
)
def test_a_library_that_is_missing_is_named(call: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        return import_module(f"no_such_{name}")

    monkeypatch.setattr(bars_module, "import_module", missing)
    with pytest.raises(ImportError, match=rf"pip install 'tapewire\[{extra}\]'"):
        getattr(BARS, call)()


def test_no_library_of_tables_is_imported_before_it_is_used() -> None:
    code = "import sys, tapewire, tapewire.client.bars; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    assert {"pandas", "polars", "pyarrow", "numpy"}.isdisjoint(names)
