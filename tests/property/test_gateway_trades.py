"""Trades with a past: whatever happens meanwhile, each stream is one piece of the tape, past first, then live."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from tapewire.simulation import LinkConditions, run_virtual
from unit.gateway.world import SBER, TRADES, Peer, World

GUIDS = ("a", "b", "c")
DEPTHS = (0, 1, 3, 5000)


@dataclass(frozen=True)
class Step:
    """One thing that happens, after a pause."""

    pause_s: float
    what: str
    guid: str = ""
    number: int = 0


pauses = st.sampled_from([0.0, 0.0, 0.0005, 0.001, 0.004, 0.05])
publishing = st.builds(Step, pauses, st.just("publish"), number=st.integers(1, 4))
subscribing = st.builds(
    Step, pauses, st.just("subscribe"), guid=st.sampled_from(GUIDS), number=st.sampled_from(DEPTHS)
)
cancelling = st.builds(Step, pauses, st.just("unsubscribe"), guid=st.sampled_from(GUIDS))
restarting = st.builds(Step, pauses, st.just("restart"))
delays = st.sampled_from([0.0, 0.0005, 0.002, 0.01, 0.1])
steps = st.lists(st.one_of(publishing, publishing, subscribing, cancelling, restarting), min_size=2, max_size=30)


@dataclass
class Asked:
    """One request for the tape, and how much of it there was when it was sent."""

    depth: int | None
    published: int
    is_last: bool = True


def split(peer: Peer) -> dict[str, list[list[dict[str, object]]]]:
    """Return, for each guid, what came after each of its answers."""
    parts: dict[str, list[list[dict[str, object]]]] = {guid: [] for guid in GUIDS}
    for message in peer.messages:
        fields = json.loads(message)
        if "requestGuid" in fields:
            assert fields["httpCode"] == 200
            parts[fields["requestGuid"]].append([])
        else:
            parts[fields["guid"]][-1].append(fields["data"])
    return parts


def check(asked: Asked, part: list[dict[str, object]], tape: list[int]) -> None:
    if asked.depth is None:
        assert part == []
        return
    ids = [trade["id"] for trade in part]
    past = [trade["id"] for trade in part if trade["existing"]]
    assert ids[: len(past)] == past, "the past comes first"
    if ids:
        start = tape.index(ids[0])
        assert ids == tape[start : start + len(ids)], "one piece of the tape, in order"
    if asked.depth == 0:
        assert past == []
        if asked.is_last:
            assert ids[-1:] == tape[-1:]
        return
    assert len(past) <= asked.depth
    if asked.is_last:
        assert len(past) >= min(asked.depth, asked.published)
        assert ids[-1:] == tape[-1:]
        if len(past) < asked.depth and past:
            assert past[0] == tape[0]
    if part and not past:
        assert asked.published == 0
        event("nothing past")
    event("past and live" if 0 < len(past) < len(ids) else "one of them")


async def play(script: list[Step], page_delays_s: tuple[float, float], jitter_s: float) -> None:
    async with World(conditions=LinkConditions(latency_s=0.001, jitter_s=jitter_s)) as world:
        world.venue.page_delays_s = page_delays_s
        peer = await world.connect()
        asked: dict[str, list[Asked]] = {guid: [] for guid in GUIDS}
        tape: list[int] = []
        for step in script:
            if step.pause_s:
                await asyncio.sleep(step.pause_s)
            if step.what == "publish":
                tape += [world.venue.publish_trade(SBER, 300).id for _ in range(step.number)]
                continue
            if step.what == "restart":
                world.venue.restart()
                continue
            requests = asked[step.guid]
            if requests:
                requests[-1].is_last = False
            if step.what == "subscribe":
                peer.subscribe(TRADES, step.guid, depth=step.number)
                requests.append(Asked(step.number, len(tape)))
            else:
                peer.send("unsubscribe", step.guid)
                requests.append(Asked(None, len(tape)))
        await asyncio.sleep(1)
        # One more at the very end, which everybody gets who is still there.
        tape.append(world.venue.publish_trade(SBER, 300).id)
        await asyncio.sleep(1)
        parts = split(peer)
        for guid in GUIDS:
            assert len(parts[guid]) == len(asked[guid])
            for request, part in zip(asked[guid], parts[guid], strict=True):
                check(request, part, tape)


RESTART_DURING_THE_PAGE = [
    Step(0.0, "publish", number=3),
    Step(0.0, "subscribe", guid="a", number=5000),
    Step(0.004, "publish", number=2),
    Step(0.0, "restart"),
]


@settings(max_examples=150, deadline=None)
@given(script=steps, page_delays_s=st.tuples(delays, delays), jitter_s=st.sampled_from([0.0, 0.003]))
# The page is of the new epoch and holds live trades of the old one …
@example(script=RESTART_DURING_THE_PAGE, page_delays_s=(0.01, 0.01), jitter_s=0.0)
# … the page is of the old epoch, the live trades of the new one …
@example(
    script=[*RESTART_DURING_THE_PAGE[:2], Step(0.004, "restart"), Step(0.0, "publish", number=2)],
    page_delays_s=(0.0, 0.1),
    jitter_s=0.0,
)
# … and both.
@example(
    script=[*RESTART_DURING_THE_PAGE, Step(0.0, "publish", number=2)], page_delays_s=(0.002, 0.1), jitter_s=0.0
)
def test_each_stream_is_one_piece_of_the_tape(
    script: list[Step], page_delays_s: tuple[float, float], jitter_s: float
) -> None:
    run_virtual(lambda: play(script, page_delays_s, jitter_s))
