"""The plan alone: given times and draws in, strikes out."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from tapewire.faults import FaultKind, FaultPlan, FaultRule, Faults, Since, Trigger, Whose
from tapewire.faults.plan import SessionPlan
from tapewire.faults.subject import Subject
from tapewire.protocol.tokens import Claims

#: A Monday, 10:00 in Moscow.
MONDAY_S = 1_768_201_200.0
SBER = Subject(opcode="AllTradesGetAndSubscribe", guid="s", exchange="MOEX", symbol="SBER")
GAZP = SBER._replace(guid="g", symbol="GAZP")


def plan_of(*rules: FaultRule, seed: int = 0, wall_s: float = MONDAY_S, now_s: float = 1_000.0) -> FaultPlan:
    return FaultPlan(
        Faults(rules, seed), now_s=now_s, wall_s=wall_s, draws=lambda name: random.Random(f"{seed}/{name}").random
    )


def rule(kind: FaultKind, **settings: Any) -> FaultRule:
    return FaultRule(kind=kind, **settings)


def opened(plan: FaultPlan, now_s: float = 1_000.0, path: str = "/ws") -> SessionPlan:
    session = plan.session(path, now_s)
    assert session is not None
    return session


def data(session: SessionPlan, subjects: Iterable[Subject], now_s: float = 1_000.0) -> list[int]:
    """Return the numbers of the messages that are struck, from 1."""
    return [n for n, subject in enumerate(subjects, 1) if session.event(Trigger.DATA, subject, now_s)]


def moments(session: SessionPlan, until_s: float) -> list[float]:
    """Return when something strikes."""
    struck = []
    while (moment_s := session.next_moment_s()) is not None and moment_s <= until_s:
        struck += [moment_s - 1_000 for _ in session.due(moment_s)]
    return struck


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0]),
        ({"after_s": 5.0}, [5]),
        ({"every_s": 20.0}, [20, 40, 60]),
        ({"after_s": 5.0, "every_s": 20.0}, [5, 25, 45, 65]),
        ({"every_s": 20.0, "times": 2}, [20, 40]),
        ({"after_s": 5.0, "every_s": 20.0, "since": Since.START, "times": 2}, [5, 25]),
        ({"at": "10:01"}, [60]),
        ({"at": "Mon 10:01"}, [60]),
        ({"at": "09:59"}, []),
        ({"at": "Tue 10:01"}, []),
    ],
)
def test_moments(settings: dict[str, Any], expected: list[float]) -> None:
    assert moments(opened(plan_of(rule(FaultKind.CUT, **settings))), 1_070) == expected


@pytest.mark.parametrize(
    ("at", "next_s"),
    [("10:00", 86_400), ("09:00", 82_800), ("Sun 10:00", 6 * 86_400), ("Fri 18:50", 4 * 86_400 + 31_800)],
)
def test_a_time_of_day_is_that_of_moscow(at: str, next_s: float) -> None:
    assert opened(plan_of(rule(FaultKind.CUT, at=at))).next_moment_s() == 1_000 + next_s


def test_what_lasts_over_the_start_is_in_force_at_once() -> None:
    plan = plan_of(rule(FaultKind.MAINTENANCE, at="09:55", for_s=600.0))
    assert plan.handshake("/ws", 1_000) is not None
    assert plan.handshake("/ws", 1_299) is not None
    assert plan.handshake("/ws", 1_300) is None
    assert plan.handshake("/ws", 1_000 + 86_400 - 1) is not None


def test_a_session_that_comes_between_two_moments_of_the_system_waits_for_the_next() -> None:
    plan = plan_of(rule(FaultKind.CUT, every_s=20.0, since=Since.START, times=3))
    assert moments(opened(plan, 1_030), 1_100) == [40, 60]
    assert moments(opened(plan, 1_061), 1_100) == []
    # Over all, three moments; both sessions together were struck at two of them.
    assert plan.struck == {"cut-1": 2}


def test_missed_moments_are_not_made_up_for() -> None:
    session = opened(plan_of(rule(FaultKind.CUT, every_s=20.0)))
    assert len(session.due(1_050)) == 1
    assert session.next_moment_s() == 1_060


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"nth": 2}, [2]),
        ({"each": 2}, [2, 4, 6]),
        ({"times": 2}, [1, 2]),
        ({"symbol": "sb?r"}, [1, 3, 5]),
        ({"symbol": "SBER", "nth": 2}, [3]),
        ({"guid": "[gx]"}, [2, 4, 6]),
        ({"opcode": "Bars*"}, []),
        ({"opcode": "alltrades*", "exchange": "moex", "board": "*"}, [1, 2, 3, 4, 5, 6]),
        ({"login": "P1"}, []),
        ({"after_s": 1.0}, []),
    ],
)
def test_which_messages_are_struck(settings: dict[str, Any], expected: list[int]) -> None:
    session = opened(plan_of(rule(FaultKind.DUPLICATE, **settings)))
    assert data(session, [SBER, GAZP] * 3) == expected


def test_counts_are_of_each_session_and_times_of_all() -> None:
    plan = plan_of(rule(FaultKind.DUPLICATE, nth=2, times=2))
    assert [data(opened(plan), [SBER] * 3) for _ in range(3)] == [[2], [2], []]
    assert plan.struck == {"duplicate-1": 2}


def test_events_are_struck_within_their_time() -> None:
    session = opened(plan_of(rule(FaultKind.DUPLICATE, after_s=10.0, for_s=5.0, every_s=20.0)))
    struck = [second for second in range(60) if session.event(Trigger.DATA, SBER, 1_000 + second)]
    assert struck == [*range(10, 15), *range(30, 35), *range(50, 55)]


def test_a_message_is_data_or_an_answer_and_both_count() -> None:
    session = opened(plan_of(rule(FaultKind.CUT, on=Trigger.MESSAGE, nth=3)))
    events = [Trigger.ANSWER, Trigger.REQUEST, Trigger.DATA, Trigger.REQUEST, Trigger.DATA]
    assert [len(session.event(event, SBER, 1_000)) for event in events] == [0, 0, 0, 0, 1]


def test_what_waits_for_data_strikes_granted_subscriptions_only() -> None:
    session = opened(plan_of(rule(FaultKind.LATE_ANSWER, behind=1, nth=1)))
    assert session.event(Trigger.ANSWER, SBER, 1_000) == []
    assert len(session.event(Trigger.ANSWER, SBER, 1_000, is_granted=True)) == 1


def test_a_login_is_struck_once_it_is_known() -> None:
    plan = plan_of(rule(FaultKind.CUT, every_s=10.0, login="P07*"))
    session = opened(plan)
    assert session.due(1_010) == []
    session.login = "P070001"
    assert len(session.due(1_020)) == 1


def test_connections_are_counted_by_path() -> None:
    plan = plan_of(rule(FaultKind.CUT, path="/ws", connection=2))
    paths = ["/cws", "/ws", "/cws", "/ws", "/ws"]
    assert [plan.session(path, 1_000) is not None for path in paths] == [False, False, False, True, False]


def test_handshakes_and_http_requests_are_counted_for_the_system() -> None:
    plan = plan_of(
        rule(FaultKind.REFUSED, on=Trigger.CONNECT, each=2),
        rule(FaultKind.NO_ANSWER, on=Trigger.HTTP, path="/md/*", nth=2, login="P1"),
    )
    assert [plan.handshake("/ws", 1_000) is not None for _ in range(4)] == [False, True, False, True]
    asked = [("/md/v2/time", "P1"), ("/refresh", ""), ("/md/v2/time", ""), ("/md/v2/x", "P1"), ("/md/v2/x", "P1")]
    assert [len(plan.http(path, login, 1_000)) for path, login in asked] == [0, 0, 0, 1, 0]
    assert plan.session("/ws", 1_000) is None
    assert plan.struck == {"refused-1": 2, "no-answer-2": 1}


def test_maintenance_that_comes_a_number_of_times_lets_in_after_that() -> None:
    plan = plan_of(rule(FaultKind.MAINTENANCE, after_s=10.0, every_s=100.0, for_s=20.0, times=2))
    closed = [second for second in range(0, 300, 5) if plan.handshake("/ws", 1_000 + second)]
    assert closed == [10, 15, 20, 25, 110, 115, 120, 125]
    session = opened(plan)
    assert moments(session, 1_400) == [10, 110]


def test_jitter_lies_within_its_bounds_and_is_drawn_by_the_seed() -> None:
    def late(seed: int) -> list[float]:
        session = opened(plan_of(rule(FaultKind.DELAY, by_s=1.0, jitter_s=2.0), seed=seed))
        return [session.event(Trigger.DATA, SBER, 1_000)[0].by_s for _ in range(100)]

    assert late(1) == late(1) != late(2)
    assert 1 <= min(late(1)) < 1.2
    assert 2.8 < max(late(1)) < 3


def test_the_draws_of_a_session_are_its_own() -> None:
    def struck(seen_by_first: int) -> list[int]:
        plan = plan_of(rule(FaultKind.DUPLICATE, probability=0.5))
        first, second = opened(plan), opened(plan)
        data(first, [SBER] * seen_by_first)
        return data(second, [SBER] * 50)

    assert struck(0) == struck(17)
    assert 10 < len(struck(0)) < 40


def test_only_the_first_strike_of_a_session_is_first() -> None:
    session = opened(plan_of(rule(FaultKind.DUPLICATE)))
    assert [session.event(Trigger.DATA, SBER, 1_000)[0].is_first for _ in range(3)] == [True, False, False]


def test_tokens_have_a_life_within_the_time_of_the_rule() -> None:
    plan = plan_of(rule(FaultKind.TOKEN_EXPIRY, life_s=60.0, after_s=10.0, path="/ws", times=2))
    claims = Claims(sub="P1", exp=int(MONDAY_S) + 1_800, iat=int(MONDAY_S))

    def refused(age_s: float, elapsed_s: float = 20.0, path: str = "/ws") -> bool:
        return bool(plan.refused_token("t", claims, path, elapsed_s, 1_000 + elapsed_s, MONDAY_S + age_s))

    assert [refused(59), refused(61, 5.0), refused(61, path="/cws"), refused(60), refused(70), refused(80)] == [
        False,
        False,
        False,
        True,
        True,
        False,
    ]


def test_the_tokens_of_a_login_end_for_all_who_show_them() -> None:
    plan = plan_of(rule(FaultKind.TOKEN_EXPIRY, whose=Whose.LOGIN, path="/ws"))
    # The other socket has to look at tokens, too.
    assert plan.session("/cws", 1_000) is not None
    ivan = Claims(sub="P1", exp=0, iat=int(MONDAY_S))
    anna = Claims(sub="P2", exp=0, iat=int(MONDAY_S))
    plan.see_token("old", ivan)
    plan.tokens_of("P1").end(MONDAY_S)
    shown = [("old", ivan), ("new", ivan), ("old", anna)]
    assert [plan.refused_token(token, claims, "/cws", 0, 1_000, MONDAY_S) for token, claims in shown] == [
        True,
        False,
        False,
    ]
