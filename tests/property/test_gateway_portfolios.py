"""Orders of a portfolio with a past: whatever happens meanwhile, nobody misses a change or sees one twice."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from portfolio import order, position, stop_order
from tapewire.model import Record, Topic, TopicKind
from tapewire.protocol.requests import STREAMS
from tapewire.simulation import LinkConditions, run_virtual
from unit.gateway.world import Peer, World

GUIDS = ("a", "b")
KINDS = (TopicKind.ORDERS, TopicKind.STOP_ORDERS, TopicKind.LEGACY_STOP_ORDERS, TopicKind.POSITIONS)


@dataclass(frozen=True)
class Step:
    """One thing that happens, after a pause. ``row`` is the order that changes."""

    pause_s: float
    what: str
    guid: str = ""
    row: int = 0


pauses = st.sampled_from([0.0, 0.0, 0.0005, 0.001, 0.004, 0.05])
changing = st.builds(Step, pauses, st.just("change"), row=st.integers(1, 3))
subscribing = st.builds(Step, pauses, st.sampled_from(["subscribe", "subscribe", "skip"]), st.sampled_from(GUIDS))
cancelling = st.builds(Step, pauses, st.just("unsubscribe"), st.sampled_from(GUIDS))
restarting = st.builds(Step, pauses, st.just("restart"))
delays = st.sampled_from([0.0, 0.0005, 0.002, 0.01, 0.1])
steps = st.lists(st.one_of(changing, changing, subscribing, cancelling, restarting), min_size=2, max_size=25)


@dataclass
class Asked:
    """One request, and how many changes there had been when it was sent."""

    what: str
    changes: int
    is_last: bool = True


def record_of(kind: TopicKind, row: int, number: int) -> Record:
    """Return the row as its change of this number left it; the number can be read from every format."""
    if kind is TopicKind.POSITIONS:
        return position(f"SYM{row}", volume=number)
    make = order if kind is TopicKind.ORDERS else stop_order
    return make(str(row), price=number)


def split(peer: Peer) -> dict[str, list[list[tuple[str, int, bool]]]]:
    """Return, for each guid, what came after each of its answers: row, number of the change, whether past."""
    parts: dict[str, list[list[tuple[str, int, bool]]]] = {guid: [] for guid in GUIDS}
    for message in peer.messages:
        fields = json.loads(message)
        if "requestGuid" in fields:
            assert fields["httpCode"] == 200
            parts[fields["requestGuid"]].append([])
            continue
        data = fields["data"]
        row, number = (data["symbol"], data["volume"]) if "isCurrency" in data else (data["id"], data["price"])
        parts[fields["guid"]][-1].append((row, int(number), data["existing"]))
    return parts


def check(asked: Asked, part: list[tuple[str, int, bool]], changes: list[int]) -> None:
    """``changes`` has the row of each change; the change number ``n`` is at ``n - 1``."""
    if asked.what == "unsubscribe":
        assert part == []
        return
    past = [entry for entry in part if entry[2]]
    live = [number for _, number, existing in part if not existing]
    assert part[: len(past)] == past, "the past comes first"
    assert live == list(range(live[0], live[0] + len(live))) if live else True, "no hole, nothing twice, in order"
    if asked.what == "skip":
        assert past == []
        if asked.is_last:
            assert live[-1:] == [len(changes)]
        return
    if not part:
        assert not asked.is_last
        return
    # Whoever has cancelled before anything happened live has what there was then, or a part of it.
    reached = live[0] - 1 if live else len(changes) if asked.is_last else max(number for _, number, _ in past)
    newest = {row: number for number, row in enumerate(changes[:reached], start=1)}
    if live or asked.is_last:
        assert [number for _, number, _ in past] == list(newest.values()), "the newest row of each"
    if asked.is_last:
        assert reached >= asked.changes
        assert max(number for _, number, _ in part) == len(changes)
    event("past and live" if past and live else "one of them")


async def play(kind: TopicKind, script: list[Step], page_delays_s: tuple[float, float], jitter_s: float) -> None:
    async with World(conditions=LinkConditions(latency_s=0.001, jitter_s=jitter_s)) as world:
        world.venue.page_delays_s = page_delays_s
        told = TopicKind.STOP_ORDERS if kind is TopicKind.LEGACY_STOP_ORDERS else kind
        topic = Topic(told, "MOEX", "D1")
        peer = await world.connect()
        asked: dict[str, list[Asked]] = {guid: [] for guid in GUIDS}
        changes: list[int] = []

        def change(row: int) -> None:
            changes.append(row)
            world.venue.publish(topic, record_of(kind, row, len(changes)))

        for step in script:
            if step.pause_s:
                await asyncio.sleep(step.pause_s)
            if step.what == "change":
                change(step.row)
                continue
            if step.what == "restart":
                world.venue.restart()
                continue
            requests = asked[step.guid]
            if requests:
                requests[-1].is_last = False
            requests.append(Asked(step.what, len(changes)))
            if step.what == "unsubscribe":
                peer.send("unsubscribe", step.guid)
            else:
                skips = step.what == "skip" and kind is not TopicKind.LEGACY_STOP_ORDERS
                requests[-1].what = "skip" if skips else "subscribe"
                peer.send(
                    STREAMS[kind].opcode, step.guid, exchange="MOEX", portfolio="D1", skipHistory=skips or None
                )
        await asyncio.sleep(1)
        # One more at the very end, which everybody gets who is still there.
        change(1)
        await asyncio.sleep(1)
        parts = split(peer)
        for guid in GUIDS:
            assert len(parts[guid]) == len(asked[guid])
            for request, part in zip(asked[guid], parts[guid], strict=True):
                check(request, part, changes)


RESTART_DURING_THE_PAGE = [
    Step(0.0, "change", row=1),
    Step(0.0, "change", row=2),
    Step(0.0, "subscribe", "a"),
    Step(0.004, "change", row=1),
    Step(0.0, "restart"),
]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    script=steps,
    page_delays_s=st.tuples(delays, delays),
    jitter_s=st.sampled_from([0.0, 0.003]),
)
# The page is of the new epoch and holds live changes of the old one …
@example(kind=TopicKind.ORDERS, script=RESTART_DURING_THE_PAGE, page_delays_s=(0.01, 0.01), jitter_s=0.0)
# … the page is of the old epoch, the live changes of the new one …
@example(
    kind=TopicKind.ORDERS,
    script=[*RESTART_DURING_THE_PAGE[:3], Step(0.004, "restart"), Step(0.0, "change", row=1)],
    page_delays_s=(0.0, 0.1),
    jitter_s=0.0,
)
# … and both.
@example(
    kind=TopicKind.POSITIONS,
    script=[*RESTART_DURING_THE_PAGE, Step(0.0, "change", row=1)],
    page_delays_s=(0.002, 0.1),
    jitter_s=0.0,
)
def test_each_stream_is_the_rows_and_then_every_change(
    kind: TopicKind, script: list[Step], page_delays_s: tuple[float, float], jitter_s: float
) -> None:
    run_virtual(lambda: play(kind, script, page_delays_s, jitter_s))
