"""When the exchange trades: a small table of its sessions, Moscow time, by market.

A simplification of the real timetable: holidays are not known, every weekend is alike, and auctions are periods
without trading, unless shares are to have real ones: then orders gather in the whole period before the main
session and in the whole one after it. Around the clock is the default of a market that must live at any hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from tapewire.model import DAY_S, MOSCOW_OFFSET_S, Instrument, InstrumentKind, TradingStatus, trading_day

__all__ = ["AROUND_THE_CLOCK", "SessionName", "TradingHours"]


class SessionName(StrEnum):
    MAIN = "main"
    EVENING = "evening"
    WEEKEND = "weekend"


class _Period(NamedTuple):
    """A part of a day with one status; minutes of the day, Moscow, end exclusive."""

    session: SessionName
    begins: int
    ends: int
    status: TradingStatus


def _period(session: SessionName, begins: str, ends: str, status: TradingStatus) -> _Period:
    return _Period(session, _minute(begins), _minute(ends), status)


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


_OPENING, _NORMAL, _CLOSING = TradingStatus.OPENING_PERIOD, TradingStatus.NORMAL, TradingStatus.CLOSING_PERIOD
_MAIN, _EVENING, _WEEKEND = SessionName.MAIN, SessionName.EVENING, SessionName.WEEKEND

_EVENING_PERIODS = (
    _period(_EVENING, "19:00", "19:05", _OPENING),
    _period(_EVENING, "19:05", "23:50", _NORMAL),
)
_WEEKEND_PERIODS = (
    _period(_WEEKEND, "09:50", "10:00", _OPENING),
    _period(_WEEKEND, "10:00", "19:00", _NORMAL),
)

_TIMETABLE: Mapping[str, tuple[_Period, ...]] = MappingProxyType(
    {
        "FOND": (
            _period(_MAIN, "09:50", "10:00", _OPENING),
            _period(_MAIN, "10:00", "18:40", _NORMAL),
            _period(_MAIN, "18:40", "18:50", _CLOSING),
            *_EVENING_PERIODS,
            *_WEEKEND_PERIODS,
        ),
        "FORTS": (
            _period(_MAIN, "08:50", "09:00", _OPENING),
            _period(_MAIN, "09:00", "14:00", _NORMAL),
            # The intraday clearing.
            _period(_MAIN, "14:00", "14:05", TradingStatus.BREAK),
            _period(_MAIN, "14:05", "18:50", _NORMAL),
            *_EVENING_PERIODS,
            *_WEEKEND_PERIODS,
        ),
        "CURR": (_period(_MAIN, "10:00", "19:00", _NORMAL),),
    }
)

#: Auctions of the main session, by the period in whose place they are held.
_AUCTIONS: Mapping[TradingStatus, TradingStatus] = MappingProxyType(
    {_OPENING: TradingStatus.OPENING_AUCTION, _CLOSING: TradingStatus.CLOSING_AUCTION}
)

_FIRST_DAY_WEEKDAY = 3  # 1970-01-01 was a Thursday


class TradingHours:
    """Says at any moment whether a market trades."""

    def __init__(self, sessions: Iterable[SessionName], *, has_auctions: bool = False) -> None:
        """Trade in these sessions of the table and at no other time; none at all: around the clock.

        Args:
            sessions: Of the table.
            has_auctions: Open and close the main session of shares with auctions.

        Raises:
            ValueError: Auctions without the session that they open and close.
        """
        self.sessions = frozenset(sessions)
        self.has_auctions = has_auctions
        if has_auctions and _MAIN not in self.sessions:
            raise ValueError("auctions open and close the main session, and it is not held")

    @property
    def is_around_the_clock(self) -> bool:
        """Whether trading never stops."""
        return not self.sessions

    def status(self, market: str, at_s: int) -> TradingStatus:
        """Return the phase of trading of a market at a moment (Unix s): ``NORMAL`` while it trades."""
        if not self.sessions:
            return TradingStatus.NORMAL
        period = self._period(market, at_s)
        return TradingStatus.CLOSED if period is None else period.status

    def phase(self, instrument: Instrument, at_s: int) -> TradingStatus:
        """Return the phase of trading of an instrument: that of its market, or an auction of its own."""
        status = self.status(instrument.market, at_s)
        if self.has_auctions and instrument.kind is InstrumentKind.SHARE and status in _AUCTIONS:
            period = self._period(instrument.market, at_s)
            if period is not None and period.session is _MAIN:
                return _AUCTIONS[status]
        return status

    def is_open(self, market: str, at_s: int) -> bool:
        """Return whether a market trades at a moment (Unix s)."""
        return self.status(market, at_s) is TradingStatus.NORMAL

    def minutes_open(self, market: str, day: int, since: int, until: int) -> int:
        """Return how many minutes of a day, from ``since`` to before ``until``, a market trades."""
        if not self.sessions:
            return max(until - since, 0)
        return sum(
            max(min(period.ends, until) - max(period.begins, since), 0)
            for period in self._periods(market, day)
            if period.status is TradingStatus.NORMAL
        )

    def open_minutes(self, market: str, day: int, since: int, until: int) -> range | list[int]:
        """Return the minutes of a day, from ``since`` to before ``until``, in which a market trades."""
        if not self.sessions:
            return range(since, until)
        return [
            minute
            for period in self._periods(market, day)
            if period.status is TradingStatus.NORMAL
            for minute in range(max(period.begins, since), min(period.ends, until))
        ]

    def _period(self, market: str, at_s: int) -> _Period | None:
        minute = (at_s + MOSCOW_OFFSET_S) % DAY_S // 60
        for period in self._periods(market, trading_day(at_s)):
            if period.begins <= minute < period.ends:
                return period
        return None

    def _periods(self, market: str, day: int) -> tuple[_Period, ...]:
        return _chosen(market, (day + _FIRST_DAY_WEEKDAY) % 7 >= 5, self.sessions)


@lru_cache(maxsize=64)
def _chosen(market: str, is_weekend: bool, sessions: frozenset[SessionName]) -> tuple[_Period, ...]:
    return tuple(
        period
        for period in _TIMETABLE.get(market, ())
        if period.session in sessions and (period.session is _WEEKEND) == is_weekend
    )


AROUND_THE_CLOCK = TradingHours(())
