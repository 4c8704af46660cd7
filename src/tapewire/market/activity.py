"""How busy instruments are: measured on the real exchange, and by analogy for the rest.

The measured figures are those of all five-minute windows of the main session of November 2023 in which the
share traded (some 2,070 windows a share). They do not change with the project's
data: a test recomputes them where the data is at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["MEASURED", "WINDOW_S", "Pace", "Percentiles", "WindowFigures", "pace_of"]

#: The windows of the measured figures.
WINDOW_S = 300


class Percentiles(NamedTuple):
    """The 10th, 50th and 90th percentile over the windows, linear between ranks."""

    low: float
    median: float
    high: float


class WindowFigures(NamedTuple):
    """What five minutes of trading in one share look like."""

    trades: Percentiles
    lots_per_trade: Percentiles
    #: Mean distance of best bid and ask, basis points.
    spread_bp: Percentiles


class Pace(NamedTuple):
    """What the participants of an instrument aim at."""

    trades_per_window: float
    lots_per_trade: float


def _figures(
    trades: tuple[float, float, float],
    lots_per_trade: tuple[float, float, float],
    spread_bp: tuple[float, float, float],
) -> WindowFigures:
    return WindowFigures(Percentiles(*trades), Percentiles(*lots_per_trade), Percentiles(*spread_bp))


MEASURED: Mapping[str, WindowFigures] = MappingProxyType(
    {
        "SBER": _figures((270.7, 601.5, 1690.9), (15.77, 29.64, 52.52), (0.4, 0.6, 0.9)),
        "GAZP": _figures((140.0, 255.5, 659.6), (16.92, 30.74, 52.17), (0.7, 0.9, 1.4)),
        "MTLR": _figures((382.0, 1094.5, 3173.3), (106.58, 173.48, 244.95), (1.2, 1.7, 2.4)),
        "YNDX": _figures((86.0, 191.0, 513.3), (7.07, 16.01, 32.43), (1.4, 2.2, 3.2)),
        "AFLT": _figures((39.0, 90.0, 234.3), (10.69, 31.75, 86.20), (2.6, 4.2, 6.5)),
        "POSI": _figures((26.0, 70.0, 187.0), (4.54, 11.11, 22.81), (1.8, 2.9, 4.6)),
        "FEES": _figures((26.0, 67.0, 192.3), (9.08, 20.84, 39.60), (2.8, 4.7, 6.8)),
        "BANE": _figures((8.0, 46.0, 194.0), (4.00, 12.25, 22.78), (4.49, 7.8, 11.4)),
        "PHOR": _figures((16.0, 45.0, 110.0), (2.42, 4.26, 8.86), (1.8, 3.3, 5.0)),
        "DSKY": _figures((2.0, 6.0, 25.0), (1.50, 5.00, 18.35), (2.9, 7.7, 18.0)),
    }
)

#: Shares that have got another symbol since.
_RENAMED = {"YDEX": "YNDX"}

#: Placed between the measured ones by their usual share of the board's turnover. Nobody has measured these.
_BY_ANALOGY: Mapping[str, Pace] = MappingProxyType(
    {
        "LKOH": Pace(320, 9),
        "SiH7": Pace(900, 14),
        "CNYRUB_TOM": Pace(420, 60),
        "SU26238RMFS4": Pace(60, 90),
        "ROSN": Pace(210, 60),
        "GMKN": Pace(260, 35),
        "VTBR": Pace(340, 250),
        "NVTK": Pace(160, 25),
        "RIH7": Pace(240, 5),
        "TATN": Pace(180, 45),
        "BRH7": Pace(380, 12),
        "SBERP": Pace(140, 22),
        "MOEX": Pace(170, 28),
        "OZON": Pace(150, 15),
        "PLZL": Pace(160, 18),
        "VKCO": Pace(150, 45),
        "CHMF": Pace(110, 22),
        "ALRS": Pace(110, 40),
        "MGNT": Pace(120, 6),
        "GDH7": Pace(160, 6),
        "SRH7": Pace(90, 8),
        "NLMK": Pace(110, 30),
        "SNGS": Pace(100, 45),
        "TATNP": Pace(50, 25),
        "USD000UTSTOM": Pace(200, 40),
        "SU26243RMFS4": Pace(30, 70),
        "Si92500BC7": Pace(8, 5),
    }
)

#: An instrument of which nothing is known trades like a quiet share.
_UNKNOWN = Pace(60, 15)


def pace_of(symbol: str) -> Pace:
    """Return the usual pace of an instrument: the measured medians, an analogy, or that of a quiet share."""
    measured = MEASURED.get(_RENAMED.get(symbol, symbol))
    if measured is not None:
        return Pace(measured.trades.median, measured.lots_per_trade.median)
    return _BY_ANALOGY.get(symbol, _UNKNOWN)
