"""Bars of a range: paging, ``countBack``, and what is seen without a token."""

from __future__ import annotations

from typing import Any

import pytest

from tapewire.gateway.http import bars as bars_module
from tapewire.model import BarsHistory
from tapewire.protocol.formats import codec
from tapewire.protocol.words import Format
from unit.gateway.http.hall import DAY_S, HOUR_S, MIDNIGHT_S, SBER, START_S, Hall, bar, run

BARS = "/md/v2/history"
FIRST_S = START_S - 20 * HOUR_S
HOURS = [FIRST_S + number * HOUR_S for number in range(10)]


async def history(hall: Hall, since: int, until: int, *, token: str | None = "", **query: Any) -> Any:
    asked = {"symbol": "SBER", "exchange": "moex", "tf": "3600", "from": since, "to": until} | query
    return await hall.get(BARS, token=token, **asked)


def times(answer: Any) -> list[int]:
    return [row["time"] for row in answer["history"]]


def fill(hall: Hall) -> None:
    hall.venue.set_past_bars(hall.bars_of(SBER, HOUR_S), [bar(at, 10 + n, n + 1) for n, at in enumerate(HOURS)])


@pytest.mark.parametrize("token", ["", None])
@pytest.mark.parametrize(
    ("since", "until", "query", "found", "beside"),
    [
        (HOURS[2], HOURS[4], {}, HOURS[2:5], (HOURS[1], HOURS[5])),
        (HOURS[2] + 1, HOURS[4] - 1, {}, HOURS[3:4], (HOURS[2], HOURS[4])),
        (HOURS[0], HOURS[9], {}, HOURS, (None, None)),
        (0, 99_999_999_999_999, {}, HOURS, (None, None)),
        (HOURS[4], HOURS[4], {}, HOURS[4:5], (HOURS[3], HOURS[5])),
        (HOURS[4] + 1, HOURS[4] + 2, {}, [], (HOURS[4], HOURS[5])),
        (0, 5, {}, [], (None, HOURS[0])),
        (START_S + DAY_S, START_S + 2 * DAY_S, {}, [], (HOURS[9], None)),
        (HOURS[8], HOURS[9], {"countBack": 4}, HOURS[6:], (HOURS[5], None)),
        (HOURS[2], HOURS[6], {"countBack": 3}, HOURS[2:7], (HOURS[1], HOURS[7])),
        (HOURS[2], HOURS[3], {"countBack": 9_999_999}, HOURS[:4], (None, HOURS[4])),
        (HOURS[2], HOURS[3], {"countBack": 0}, HOURS[2:4], (HOURS[1], HOURS[4])),
        (HOURS[4] + 1, HOURS[4] + 2, {"countBack": 1}, HOURS[4:5], (HOURS[3], HOURS[5])),
    ],
)
def test_ranges(
    token: str | None, since: int, until: int, query: Any, found: list[int], beside: tuple[int | None, int | None]
) -> None:
    async def scenario(hall: Hall) -> None:
        fill(hall)
        answer = await history(hall, since, until, token=token, **query)
        assert times(answer) == found
        assert (answer["prev"], answer["next"]) == beside
        assert list(answer) == ["history", "next", "prev"]

    run(scenario)


def test_a_range_that_is_too_long_is_answered_with_its_newest_bars_and_prev_leads_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bars_module, "HTTP_BARS_MAX", 4)

    async def scenario(hall: Hall) -> None:
        fill(hall)
        seen: list[int] = []
        until: int | None = 2**40
        while until is not None:
            answer = await history(hall, 0, until)
            assert len(answer["history"]) <= 4
            seen = times(answer) + seen
            until = answer["prev"]
        assert seen == HOURS

    run(scenario)


@pytest.mark.parametrize("message_format", list(Format))
@pytest.mark.parametrize("token", ["", None])
def test_the_formats_are_read_back(message_format: Format, token: str | None) -> None:
    async def scenario(hall: Hall) -> None:
        fill(hall)
        reply = await hall.raw(
            f"{BARS}?symbol=SBER&exchange=MOEX&tf=3600&from=0&to={HOURS[1]}&format={message_format.upper()}",
            token=token,
        )
        read = codec(BarsHistory, message_format).decode(reply.body)
        assert [(row.time_s, row.close, row.volume) for row in read.bars] == [(HOURS[0], 10, 1), (HOURS[1], 11, 2)]
        assert (read.previous_s, read.next_s) == (None, HOURS[2])

    run(scenario)


def test_letters_name_the_long_timeframes_and_the_short_name_an_instrument() -> None:
    async def scenario(hall: Hall) -> None:
        days = hall.bars_of(SBER, DAY_S)
        opening = (MIDNIGHT_S + 3 * HOUR_S) - DAY_S
        hall.venue.set_past_bars(days, [bar(opening)])
        for tf in ("D", "d", "86400"):
            assert times(await history(hall, 0, START_S, tf=tf)) == [opening]
        assert times(await history(hall, 0, START_S, tf="D", symbol="Сбербанк")) == [opening]
        status, _ = await hall.ask(
            BARS, symbol="Сбербанк", exchange="MOEX", tf="D", **{"from": 0, "to": 1, "untraded": "true"}
        )
        assert status == 404

    run(scenario)


def test_without_a_token_the_running_bar_holds_what_had_been_traded_by_then() -> None:
    async def scenario(hall: Hall) -> None:
        # It is 10:00:00; what is seen is 9:45:00.
        horizon = START_S - 900
        hour = START_S - HOUR_S
        live = bar(hour, 12.0, 50, high=13.0, low=9.0)
        hall.venue.set_past_bars(hall.bars_of(SBER, HOUR_S), [bar(hour - HOUR_S), live, bar(START_S, 12.0)])
        minutes = [
            bar(hour, 10.0, 1, high=11.5),
            bar(horizon - 60, 11.0, 2),
            bar(horizon, 12.0, 40, high=13.0),
            bar(START_S - 60, 12.0, 7, low=9.0),
        ]
        hall.venue.set_past_bars(hall.minutes(SBER), minutes)
        assert (await history(hall, 0, 2**40))["history"][1]["volume"] == 50
        seen = await history(hall, 0, 2**40, token=None)
        assert times(seen) == [hour - HOUR_S, hour]
        running = {"time": hour, "close": 11.0, "open": 10.0, "high": 11.5, "low": 10.0, "volume": 3}
        assert seen["history"][1] == running
        # That there are later bars is no more to be seen than what they hold.
        assert seen["next"] is None
        assert (await history(hall, 0, hour - HOUR_S, token=None))["next"] == hour
        assert times(await history(hall, START_S, 2**40, token=None)) == []
        # Minutes: whole ones only.
        assert times(await history(hall, 0, 2**40, token=None, tf="60")) == [hour, horizon - 60]
        assert times(await history(hall, 0, 2**40, token=None, countBack=2)) == [hour - HOUR_S, hour]

    run(scenario)


def test_without_a_token_the_running_month_is_made_of_days_and_minutes() -> None:
    async def scenario(hall: Hall) -> None:
        first = MIDNIGHT_S + 3 * HOUR_S - 11 * DAY_S  # 2026-01-01
        month = hall.bars_of(SBER, 2_592_000)
        hall.venue.set_past_bars(month, [bar(first, 99.0, 999)])
        days = [bar(first + n * DAY_S, 10.0 + n, 10) for n in range(12)]
        hall.venue.set_past_bars(hall.bars_of(SBER, DAY_S), days)
        hall.venue.set_past_bars(hall.minutes(SBER), [bar(MIDNIGHT_S + 60, 30.0, 3), bar(START_S - 60, 99.0, 9)])
        (seen,) = (await history(hall, 0, 2**40, token=None, tf="M"))["history"]
        assert seen == {"time": first, "close": 30.0, "open": 10.0, "high": 30.0, "low": 10.0, "volume": 113}
        # An odd interval cannot be put together from minutes.
        hall.venue.set_past_bars(hall.bars_of(SBER, 45), [bar(START_S - 900), bar(START_S - 945)])
        assert times(await history(hall, 0, 2**40, token=None, tf="45")) == [START_S - 945]

    run(scenario)


GOOD = {"symbol": "SBER", "exchange": "MOEX", "tf": "60", "from": "1", "to": "2"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"symbol": ""}, 400),
        ({"exchange": "NYSE"}, 400),
        ({"exchange": ""}, 400),
        ({"tf": ""}, 400),
        ({"tf": "0"}, 400),
        ({"tf": "-60"}, 400),
        ({"tf": "H"}, 400),
        ({"tf": "90000"}, 400),
        ({"tf": "99999999999999"}, 400),
        ({"from": ""}, 400),
        ({"to": ""}, 400),
        ({"from": "yesterday"}, 400),
        ({"from": "-1"}, 400),
        ({"from": "3"}, 400),
        ({"to": "9" * 30}, 400),
        ({"countBack": "-1"}, 400),
        ({"countBack": "x"}, 400),
        ({"splitAdjust": "x"}, 400),
        ({"symbol": "NONE"}, 404),
        ({"exchange": "SPBX"}, 404),
        ({"instrumentGroup": "NONE"}, 404),
    ],
)
def test_bad_input_has_its_answer(change: dict[str, str], status: int) -> None:
    async def scenario(hall: Hall) -> None:
        got, error = await hall.ask(BARS, token=None, **(GOOD | change))
        assert (got, set(error)) == (status, {"code", "message"})
        (name,) = change
        if status == 400:
            assert name in error["message"]

    run(scenario)
