"""What happens in one run, drawn from its seed: what the program does, what the venue tells, what goes wrong.

Each step carries a number of its own from which it draws, so a schedule from which steps were taken out does the
rest as before: that is how a failing one is made short.
"""

from __future__ import annotations

import random
from enum import IntEnum
from typing import NamedTuple

from tapewire.faults import FaultKind, FaultRule, Faults
from tapewire.faults.kinds import Trigger, Whose
from tapewire.faults.rule import Since

__all__ = ["FAULT_ACTIONS", "PROGRAM_ACTIONS", "Edition", "Schedule", "Step", "draw"]

STEPS = (12, 45)
#: Pauses between steps, s: within one turn, one exchange of messages, one pause of the backoff, beyond a ping.
PAUSES_S = (0.0, 0.0, 0.0004, 0.0011, 0.003, 0.02, 0.3, 0.3, 1.5, 4.0, 11.0, 17.0, 45.0)
#: All opcodes that ask for a stream, without ``unsubscribe``.
SUBSCRIBE = "*[ds]Subscribe*"

PROGRAM_ACTIONS = (
    "open",
    "open",
    "open",
    "open_twice",
    "open_and_cancel",
    "close",
    "cancel",
    "stall",
    "order",
)
#: Those of the second edition beside them.
MORE_PROGRAM_ACTIONS = ("pour", "pour", "open_late", "open_late")
FAULT_ACTIONS = (
    "cut",
    "cut",
    "cut_one",
    "cut_handshake",
    "half_open",
    "deaf",
    "mute",
    "overflow",
    "restart",
    "maintenance",
    "block",
    "swallow",
    "late_data",
    "http_fails",
    "http_silent",
    "clock_jump",
    "slow_past",
)


class Edition(IntEnum):
    """What a seed means: one that has failed is drawn again as it was, whatever schedules have learnt since."""

    FIRST = 1
    #: All kinds of streams, spilling buffers, functions that are called, late joiners.
    SECOND = 2


class Step(NamedTuple):
    """After a pause the venue tells something, then ``action`` is done; ``number`` decides the rest."""

    pause_s: float
    action: str
    number: int


class Schedule(NamedTuple):
    seed: int
    steps: tuple[Step, ...]
    faults: Faults
    #: Of the links, one way.
    latency_s: float
    jitter_s: float
    #: Whether the broker is closed in the middle of it all, without waiting for quiet.
    ends_abruptly: bool
    edition: Edition = Edition.SECOND

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, latency {self.latency_s} s, jitter {self.jitter_s} s"]
        lines += [f"  rule {rule.kind} {_said(rule)}" for rule in self.faults.rules]
        at_s = 0.0
        for step in self.steps:
            at_s += step.pause_s
            lines.append(f"  {at_s:9.4f} s  {step.action} {step.number}")
        return "\n".join(lines)


def draw(seed: int, edition: Edition = Edition.SECOND) -> Schedule:
    """Return the schedule of a seed. Of the actions each leaves some out, so that some pile up."""
    rng = random.Random(seed)
    actions = PROGRAM_ACTIONS if edition is Edition.FIRST else PROGRAM_ACTIONS + MORE_PROGRAM_ACTIONS
    program = rng.sample(actions, rng.randint(4, len(actions)))
    if not any(action.startswith("open") for action in program):
        program.append("open")
    wrong = rng.sample(FAULT_ACTIONS, rng.randint(1, 6))
    share = rng.uniform(0.1, 0.5)
    opening = [Step(0.0, "open", rng.getrandbits(32)) for _ in range(rng.randint(1, 4))]
    steps = [
        Step(rng.choice(PAUSES_S), rng.choice(wrong if rng.random() < share else program), rng.getrandbits(32))
        for _ in range(rng.randint(*STEPS))
    ]
    return Schedule(
        seed,
        (*opening, *steps),
        Faults(tuple(_rules(rng, sum(step.pause_s for step in steps))), seed=seed),
        rng.choice((0.0005, 0.003, 0.04)),
        rng.choice((0.0, 0.002)),
        rng.random() < 0.2,
        edition,
    )


def _rules(rng: random.Random, length_s: float) -> list[FaultRule]:
    """Draw faults of single requests and answers; they end with the steps."""
    rules = []
    for kind in rng.sample(_KINDS, rng.choice((0, 0, 1, 1, 2, 3))):
        after_s = rng.uniform(0, length_s)
        window = {"after_s": after_s, "for_s": max(length_s - after_s, 1.0), "since": Since.START}
        chance = {"probability": rng.choice((0.2, 0.6, 1.0)), "times": rng.choice((1, 3, 20))}
        match kind:
            case "no answer":
                rules.append(FaultRule(kind=FaultKind.NO_ANSWER, opcode=SUBSCRIBE, **window, **chance))
            case "late answer":
                late = {"behind": rng.choice((1, 3)), "by_s": rng.choice((0.5, 9.9, 10.1, 14.0))}
                rules.append(FaultRule(kind=FaultKind.LATE_ANSWER, opcode=SUBSCRIBE, **late, **window, **chance))
            case "refused":
                code = rng.choice((429, 503, 500, 404, 400))
                chance["times"] = rng.choice((1, 2, 5))
                rules.append(
                    FaultRule(
                        kind=FaultKind.REFUSED,
                        on=Trigger.REQUEST,
                        opcode=SUBSCRIBE,
                        code=code,
                        **window,
                        **chance,
                    )
                )
            case "token":
                rules.append(
                    FaultRule(
                        kind=FaultKind.TOKEN_EXPIRY,
                        on=Trigger.REQUEST,
                        whose=rng.choice(tuple(Whose)),
                        **window,
                        probability=0.5,
                        times=rng.choice((1, 2)),
                    )
                )
            case "refresh":
                rules.append(
                    FaultRule(
                        kind=FaultKind.REFUSED,
                        on=Trigger.HTTP,
                        path="/refresh",
                        code=rng.choice((503, 503, 429)),
                        after_s=after_s,
                        for_s=window["for_s"],
                        **chance,
                    )
                )
            case "garbage":
                rules.append(FaultRule(kind=FaultKind.GARBAGE, on=Trigger.DATA, **window, **chance))
            case "cut request":
                rules.append(
                    FaultRule(kind=FaultKind.CUT, on=Trigger.REQUEST, opcode=SUBSCRIBE, **window, **chance)
                )
            case "cut answer":
                rules.append(
                    FaultRule(kind=FaultKind.CUT, on=Trigger.ANSWER, opcode=SUBSCRIBE, **window, **chance)
                )
    return rules


_KINDS = ("no answer", "late answer", "refused", "token", "refresh", "garbage", "cut request", "cut answer")


def _said(rule: FaultRule) -> str:
    names = (name for name in rule.__struct_fields__ if name != "kind")
    return ", ".join(f"{name}={value}" for name in names if (value := getattr(rule, name)) is not None)
