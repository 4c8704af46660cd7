"""Past bars of an instrument, as a list and as a table of pandas, Polars or Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, overload

from tapewire.client.timeframe import Timeframe
from tapewire.model import Bar

__all__ = ["Bars"]

_PRICES = ("open", "high", "low", "close")


class Bars(Sequence[Bar]):
    """Bars of one instrument and timeframe, oldest first, each opening once. A slice is again ``Bars``.

    The last one may be unfinished: it holds what was traded until it was asked for.
    """

    __slots__ = ("_bars", "symbol", "timeframe")

    def __init__(self, symbol: str, timeframe: Timeframe, bars: Sequence[Bar]) -> None:
        self.symbol = symbol
        self.timeframe = timeframe
        self._bars = bars

    @overload
    def __getitem__(self, index: int) -> Bar: ...

    @overload
    def __getitem__(self, index: slice) -> Bars: ...

    def __getitem__(self, index: int | slice) -> Bar | Bars:
        if isinstance(index, slice):
            return Bars(self.symbol, self.timeframe, self._bars[index])
        return self._bars[index]

    def __len__(self) -> int:
        return len(self._bars)

    def __repr__(self) -> str:
        if not self._bars:
            return f"<Bars {self.symbol} {self.timeframe}: none>"
        first, last = (datetime.fromtimestamp(bar.time_s, UTC) for bar in (self._bars[0], self._bars[-1]))
        return (
            f"<Bars {self.symbol} {self.timeframe}: {len(self)}, {first:%Y-%m-%d %H:%M:%S} to"
            f" {last:%Y-%m-%d %H:%M:%S} UTC>"
        )

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame``: open, high, low, close (float) and volume (lots) by ``time`` (UTC).

        Raises:
            ImportError: pandas is not installed.
        """
        pandas = _library("pandas", "pandas")
        index = pandas.DatetimeIndex(pandas.to_datetime(self._column("time_s"), unit="s", utc=True), name="time")
        frame = pandas.DataFrame({name: self._column(name) for name in (*_PRICES, "volume")}, index=index)
        return frame.astype({**dict.fromkeys(_PRICES, "float64"), "volume": "int64"})

    def to_polars(self) -> Any:
        """Return a ``polars.DataFrame`` with the columns time (UTC, ms), open, high, low, close and volume.

        Raises:
            ImportError: Polars is not installed.
        """
        polars = _library("polars", "polars")
        kinds = {
            "time": polars.Int64,
            **dict.fromkeys(_PRICES, polars.Float64),
            "volume": polars.Int64,
        }
        frame = polars.DataFrame(self._columns(), schema=kinds)
        times = polars.from_epoch("time", time_unit="s").cast(polars.Datetime("ms")).dt.replace_time_zone("UTC")
        return frame.with_columns(times)

    def to_arrow(self) -> Any:
        """Return a ``pyarrow.Table`` with the columns time (timestamp[s, UTC]), open, high, low, close and volume.

        Raises:
            ImportError: pyarrow is not installed.
        """
        arrow = _library("pyarrow", "arrow")
        kinds = [
            ("time", arrow.timestamp("s", tz="UTC")),
            *((name, arrow.float64()) for name in _PRICES),
            ("volume", arrow.int64()),
        ]
        return arrow.table(self._columns(), schema=arrow.schema(kinds))

    def _columns(self) -> dict[str, list[Any]]:
        return {"time": self._column("time_s")} | {name: self._column(name) for name in (*_PRICES, "volume")}

    def _column(self, name: str) -> list[Any]:
        return [getattr(bar, name) for bar in self._bars]


def _library(name: str, extra: str) -> Any:
    # Imported on use: none of them is needed to trade, and each costs tens of megabytes.
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"this needs {name}: pip install 'tapewire[{extra}]'", name=name) from error
