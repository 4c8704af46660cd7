"""Commands in flight: answered once each and in order, whatever the venue's delays and outcomes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewire.gateway.order_entry import COMMAND_DEADLINE_S
from tapewire.model import Done, Outcome, Refused, Unavailable
from tapewire.simulation import LinkConditions, run_virtual
from unit.gateway.commands import ORDERS
from unit.gateway.world import World

CODES = {"done": 200, "refused": 400, "unavailable": 503, "failed": 504, "late": 504}
delays = st.sampled_from([0.0, 0.0, 0.001, 0.02, 1.0])
commands = st.tuples(st.sampled_from(sorted(ORDERS)), delays, st.sampled_from(sorted(CODES)))


def outcome_of(what: str, number: int) -> Outcome | Exception:
    return {
        "done": Done(str(number)),
        "late": Done(str(number)),
        "refused": Refused(304, f"refused {number}"),
        "unavailable": Unavailable(f"closed {number}"),
        "failed": RuntimeError(f"failed {number}"),
    }[what]


async def play(script: list[tuple[str, float, str]], jitter_s: float) -> None:
    async with World(conditions=LinkConditions(latency_s=0.001, jitter_s=jitter_s)) as world:
        peer = await world.connect("/cws")
        assert await peer.ask("authorize", "hello") == 200
        for number, (opcode, delay_s, what) in enumerate(script):
            world.venue.answer_next(outcome_of(what, number))
            world.venue.desk.delay_next(COMMAND_DEADLINE_S + 1 if what == "late" else delay_s)
            peer.send(opcode, f"g{number}", token=None, **ORDERS[opcode])
        await peer.until(lambda: len(peer.messages) == len(script))
        answers = peer.answers()
        assert [answer["requestGuid"] for answer in answers] == [f"g{number}" for number in range(len(script))]
        assert [answer["httpCode"] for answer in answers] == [CODES[what] for _, _, what in script]
        for number, (answer, (_, _, what)) in enumerate(zip(answers, script, strict=True)):
            assert answer.get("orderNumber") == (str(number) if what == "done" else None)
        assert len(world.venue.commands) == len(script)


@settings(max_examples=100, deadline=None)
@given(st.lists(commands, min_size=1, max_size=20), st.sampled_from([0.0, 0.003]))
def test_commands_are_answered_in_order(script: list[tuple[str, float, str]], jitter_s: float) -> None:
    run_virtual(lambda: play(script, jitter_s))
