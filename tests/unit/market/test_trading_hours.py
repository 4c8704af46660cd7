from datetime import UTC, datetime

import pytest

from tapewire.market import AROUND_THE_CLOCK, SessionName, TradingHours, catalogue
from tapewire.model import TradingStatus, trading_day

ALL = TradingHours(SessionName)
MAIN = TradingHours([SessionName.MAIN])


def at(text):
    """A moment from Moscow time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) - 3 * 3_600


@pytest.mark.parametrize(
    ("hours", "market", "moscow", "status"),
    [
        # 2026-11-02 is a Monday.
        (MAIN, "FOND", "2026-11-02T09:49", TradingStatus.CLOSED),
        (MAIN, "FOND", "2026-11-02T09:50", TradingStatus.OPENING_PERIOD),
        (MAIN, "FOND", "2026-11-02T10:00", TradingStatus.NORMAL),
        (MAIN, "FOND", "2026-11-02T18:45", TradingStatus.CLOSING_PERIOD),
        (MAIN, "FOND", "2026-11-02T20:00", TradingStatus.CLOSED),
        (ALL, "FOND", "2026-11-02T20:00", TradingStatus.NORMAL),
        (ALL, "FOND", "2026-11-02T23:50", TradingStatus.CLOSED),
        (ALL, "FORTS", "2026-11-02T14:02", TradingStatus.BREAK),
        (ALL, "CURR", "2026-11-02T19:30", TradingStatus.CLOSED),
        (MAIN, "FOND", "2026-11-07T12:00", TradingStatus.CLOSED),
        (ALL, "FOND", "2026-11-07T12:00", TradingStatus.NORMAL),
        (ALL, "CURR", "2026-11-08T12:00", TradingStatus.CLOSED),
        (AROUND_THE_CLOCK, "FOND", "2026-11-08T03:00", TradingStatus.NORMAL),
    ],
)
def test_the_table_says_the_phase(hours, market, moscow, status):
    assert hours.status(market, at(moscow)) is status
    assert hours.is_open(market, at(moscow)) == (status is TradingStatus.NORMAL)


SHARE, BOND = (listed for listed in catalogue() if listed.symbol in ("SBER", "SU26238RMFS4"))
WITH_AUCTIONS = TradingHours(SessionName, has_auctions=True)


@pytest.mark.parametrize(
    ("hours", "instrument", "moscow", "status"),
    [
        (WITH_AUCTIONS, SHARE, "2026-11-02T09:49", TradingStatus.CLOSED),
        (WITH_AUCTIONS, SHARE, "2026-11-02T09:50", TradingStatus.OPENING_AUCTION),
        (WITH_AUCTIONS, SHARE, "2026-11-02T10:00", TradingStatus.NORMAL),
        (WITH_AUCTIONS, SHARE, "2026-11-02T18:40", TradingStatus.CLOSING_AUCTION),
        (WITH_AUCTIONS, SHARE, "2026-11-02T18:50", TradingStatus.CLOSED),
        # The evening and the weekend open without one, and so do bonds.
        (WITH_AUCTIONS, SHARE, "2026-11-02T19:02", TradingStatus.OPENING_PERIOD),
        (WITH_AUCTIONS, SHARE, "2026-11-07T09:55", TradingStatus.OPENING_PERIOD),
        (WITH_AUCTIONS, BOND, "2026-11-02T09:55", TradingStatus.OPENING_PERIOD),
        (ALL, SHARE, "2026-11-02T09:55", TradingStatus.OPENING_PERIOD),
        (AROUND_THE_CLOCK, SHARE, "2026-11-02T09:55", TradingStatus.NORMAL),
    ],
)
def test_shares_open_and_close_with_auctions_where_there_are_any(hours, instrument, moscow, status):
    assert hours.phase(instrument, at(moscow)) is status


@pytest.mark.parametrize("sessions", [[], [SessionName.EVENING, SessionName.WEEKEND]])
def test_auctions_need_the_session_that_they_open_and_close(sessions):
    with pytest.raises(ValueError, match="main session"):
        TradingHours(sessions, has_auctions=True)


@pytest.mark.parametrize("hours", [ALL, MAIN, AROUND_THE_CLOCK])
@pytest.mark.parametrize("market", ["FOND", "FORTS", "CURR"])
@pytest.mark.parametrize("date", ["2026-11-02", "2026-11-08"])
def test_the_open_minutes_are_those_in_which_it_is_open(hours, market, date):
    day = trading_day(at(f"{date}T12:00"))
    minutes = [minute for minute in range(1_440) if hours.is_open(market, at(f"{date}T00:00") + minute * 60)]

    assert sorted(hours.open_minutes(market, day, 0, 1_440)) == minutes
    assert hours.minutes_open(market, day, 0, 1_440) == len(minutes)
    assert hours.minutes_open(market, day, 600, 660) == sum(600 <= minute < 660 for minute in minutes)
