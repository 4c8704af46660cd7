"""Which fault is due: counts, moments, chances. Pure: times and draws are given, nothing is done.

==================  ==========================================  =============================================
asked               by                                          answered with
==================  ==========================================  =============================================
``handshake``       the acceptor, before a connection is taken  the fault that refuses it
``session``         the acceptor, for each connection           its ``SessionPlan``, None if no fault can
``http``            the application, for each request           the faults that strike it
``SessionPlan``     the connection, at moments and messages     the faults that strike now
==================  ==========================================  =============================================

Each rule draws from a source of its own for each session, so what one session does leaves the others as they are.
Times are seconds of one monotonic clock, the loop's; ``wall_s`` is the time of day, Unix s UTC.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from tapewire.faults.file import Faults
from tapewire.faults.kinds import FaultKind, Trigger, Whose
from tapewire.faults.planned import PlannedRule
from tapewire.faults.rule import FaultRule
from tapewire.faults.subject import Subject
from tapewire.faults.tally import Draw, Strike, Tally
from tapewire.faults.tokens import EndedTokens
from tapewire.protocol.tokens import Claims

__all__ = ["FaultPlan", "SessionPlan"]

#: Logins whose tokens are remembered; the one that was seen first goes first.
LOGINS_MAX = 1_000


class FaultPlan:
    """All faults of one run.

    Args:
        now_s: When it starts.
        draws: Returns the source of numbers that belongs to a name; equal names, equal numbers.

    Attributes:
        struck: How often each fault has struck, by its name.
    """

    def __init__(self, faults: Faults, *, now_s: float, wall_s: float, draws: Callable[[str], Draw]) -> None:
        self.struck: dict[str, int] = dict.fromkeys(faults.names, 0)
        self._started_s = now_s
        self._draws = draws
        self._planned = [
            PlannedRule(rule, name, wall_s) for rule, name in zip(faults.rules, faults.names, strict=True)
        ]
        self._shared = {
            planned.name: Tally(planned, now_s, draws(planned.name))
            for planned in self._planned
            if planned.rule.trigger in (Trigger.CONNECT, Trigger.HTTP)
        }
        self._sessions = 0
        self._logins: dict[str, EndedTokens] = {}
        self._follows_logins = any(rule.whose is Whose.LOGIN for rule in faults.rules)
        self._lives = [planned for planned in self._planned if planned.rule.life_s is not None]

    # --- the system ---------------------------------------------------------------------------------------

    def handshake(self, path: str, now_s: float) -> Strike | None:
        """Count a handshake and return the fault that refuses it."""
        refusal = None
        for planned in self._planned:
            rule = planned.rule
            if not planned.takes(path, ""):
                continue
            if rule.kind is FaultKind.MAINTENANCE:
                number = planned.window(now_s - self._started_s)
                is_struck = number is not None and (rule.times is None or number < rule.times)
                strike = Strike(rule, planned.name, planned.is_about) if is_struck else None
            elif rule.trigger is Trigger.CONNECT:
                tally = self._shared[planned.name]
                strike = tally.strike() if tally.strikes(now_s) and self.has_left(planned) else None
            else:
                continue
            # Each handshake is counted by every rule, the first one that is due answers.
            if strike is not None and refusal is None:
                self.count(strike)
                refusal = strike
        return refusal

    def session(self, path: str, now_s: float) -> SessionPlan | None:
        """Return what a new connection has to expect, None if no fault can strike it."""
        self._sessions += 1
        tallies = []
        for planned in self._planned:
            if planned.rule.trigger in (Trigger.CONNECT, Trigger.HTTP) or not (
                planned.path is None or planned.path(path)
            ):
                continue
            planned.connections += 1
            if planned.rule.connection not in (None, planned.connections):
                continue
            base_s = self._started_s if planned.rule.counts_from_start else now_s
            tally = Tally(planned, base_s, self._draws(f"{planned.name}/{self._sessions}"))
            tally.moment = planned.first_moment(now_s - base_s)
            tallies.append(tally)
        return SessionPlan(self, self._sessions, path, tallies) if tallies or self._follows_logins else None

    def http(self, path: str, login: str, now_s: float) -> list[Strike]:
        """Count an HTTP request and return the faults that strike it."""
        strikes = []
        for tally in self._shared.values():
            planned = tally.planned
            if planned.rule.trigger is not Trigger.HTTP or not planned.takes(path, login):
                continue
            if tally.strikes(now_s) and self.has_left(planned):
                strikes.append(tally.strike())
                self.count(strikes[-1])
        return strikes

    # --- tokens -------------------------------------------------------------------------------------------

    @property
    def looks_at_tokens(self) -> bool:
        """Whether HTTP requests have to be asked for their tokens."""
        return (
            self._follows_logins
            or bool(self._lives)
            or any(tally.planned.login is not None for tally in self._shared.values())
        )

    def refused_token(
        self, token: str, claims: Claims, path: str, elapsed_s: float | None, now_s: float, wall_s: float
    ) -> Strike | bool:
        """Say whether a token has ended before its time; a strike if a rule ends it now.

        ``elapsed_s``: since the connection began; None over HTTP.
        """
        login = self._logins.get(claims.sub)
        if login is not None and login.is_dead(token, claims.iat):
            return True
        for planned in self._lives:
            rule = planned.rule
            assert rule.life_s is not None
            from_start = rule.counts_from_start or elapsed_s is None
            window = planned.window(now_s - self._started_s if from_start else elapsed_s or 0.0)
            is_old = wall_s - claims.iat >= rule.life_s
            if is_old and window is not None and planned.takes(path, claims.sub) and self.has_left(planned):
                strike = Strike(rule, planned.name, planned.is_about, is_first=self.struck[planned.name] == 0)
                self.count(strike)
                return strike
        return False

    def see_token(self, token: str, claims: Claims) -> None:
        """Remember that a token is in use."""
        if self._follows_logins:
            self.tokens_of(claims.sub).see(token)

    def tokens_of(self, login: str) -> EndedTokens:
        """Return the tokens of a login, the ended ones among them."""
        tokens = self._logins.setdefault(login, EndedTokens())
        if len(self._logins) > LOGINS_MAX:
            del self._logins[next(iter(self._logins))]
        return tokens

    # --- counts -------------------------------------------------------------------------------------------

    def has_left(self, planned: PlannedRule) -> bool:
        """Whether a rule may strike once more."""
        times = planned.rule.times
        return times is None or self.struck[planned.name] < times

    def count(self, strike: Strike) -> None:
        """Note that a fault has struck."""
        self.struck[strike.name] += 1


class SessionPlan:
    """What one connection has to expect.

    Attributes:
        number: Of the connection since the start, as the gateway counts them.
        login: Whose it is, once a request has said so.
        tokens: What the connection's own expiry has ended.
    """

    def __init__(self, plan: FaultPlan, number: int, path: str, tallies: Iterable[Tally]) -> None:
        self.plan = plan
        self.number = number
        self.path = path
        self.login = ""
        self.tokens = EndedTokens()
        tallies = [tally for tally in tallies if tally.planned.rule.life_s is None]
        self._timed = [tally for tally in tallies if tally.planned.rule.trigger is Trigger.TIME]
        self._by_event = {
            event: [tally for tally in tallies if tally.planned.rule.trigger in triggers]
            for event, triggers in {
                Trigger.REQUEST: (Trigger.REQUEST,),
                Trigger.ANSWER: (Trigger.ANSWER, Trigger.MESSAGE),
                Trigger.DATA: (Trigger.DATA, Trigger.MESSAGE),
            }.items()
        }

    def next_moment_s(self) -> float | None:
        """Return when the next fault strikes by time alone; None: none does."""
        moments = [tally.base_s + tally.planned.moment_s(tally.moment) for tally in self._timed]
        soonest = min(moments, default=math.inf)
        return soonest if soonest < math.inf else None

    def due(self, now_s: float) -> list[Strike]:
        """Return the faults whose moment has come, in file order; moments missed are not made up for."""
        strikes = []
        for tally in self._timed:
            planned = tally.planned
            moment = tally.moment
            if tally.base_s + planned.moment_s(moment) > now_s:
                continue
            while tally.base_s + planned.moment_s(tally.moment) <= now_s:
                tally.moment += 1
            rule = planned.rule
            # A moment that strikes many connections at once is one time.
            shared = rule.counts_from_start
            is_left = (rule.times is None or moment < rule.times) if shared else self.plan.has_left(planned)
            if is_left and self._is_his(planned) and tally.is_drawn():
                strikes.append(tally.strike())
                self.plan.count(strikes[-1])
        return strikes

    def event(self, event: Trigger, subject: Subject, now_s: float, *, is_granted: bool = False) -> list[Strike]:
        """Count a request, an answer or a data message and return the faults that strike it.

        ``is_granted``: an answer that grants a subscription; data may overtake no other.
        """
        strikes = []
        for tally in self._by_event[event]:
            planned = tally.planned
            if not (planned.is_about(subject) and self._is_his(planned)):
                continue
            if _waits_for_data(planned.rule) and not is_granted:
                continue
            if tally.strikes(now_s) and self.plan.has_left(planned):
                strikes.append(tally.strike())
                self.plan.count(strikes[-1])
        return strikes

    def _is_his(self, planned: PlannedRule) -> bool:
        return planned.login is None or bool(planned.login(self.login))


def _waits_for_data(rule: FaultRule) -> bool:
    """Whether nothing but data releases what the rule holds."""
    return rule.behind is not None and rule.by_s is None and rule.jitter_s is None
