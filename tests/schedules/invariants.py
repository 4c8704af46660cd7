"""What holds whatever goes wrong: after every step, when all is quiet, and when the broker is closed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from schedules.holder import Holder
from schedules.kind import Kind, Nature, number_of
from schedules.world import World
from tapewire.client.broker import Broker
from tapewire.client.buffer import Conflate, DropOldest, Spill
from tapewire.client.errors import BufferOverflowError, RefusedError, TokenRefusedError
from tapewire.client.fleet import Fleet
from tapewire.client.gap import GAPS_KEPT_MAX, GapState
from tapewire.client.link import LinkState
from tapewire.client.states import SubscriptionState
from tapewire.gateway.session import DataSession
from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX

__all__ = ["always", "at_rest", "in_what_came", "when_closed"]

#: Ends that a stream that was granted may come to without the program's doing.
_ENDS = (RefusedError, BufferOverflowError, TokenRefusedError)


# --- after every step -----------------------------------------------------------------------------------


def always(world: World, broker: Broker, holders: Sequence[Holder]) -> Iterator[str]:
    """Yield what is wrong at any moment."""
    fleet = broker._fleet
    connections = [one for one in world.network.connections if not one.client.ended]
    if len(connections) > CONNECTIONS_PER_USER_MAX:
        yield f"{len(connections)} connections"
    yield from _registry(fleet)
    for holder in holders:
        stream = holder.stream
        buffer = stream.buffer
        records = sum(1 for item in buffer._items if type(item).__name__ != "Gap")
        # What comes back from a file comes a block at a time.
        if records > buffer._size and not isinstance(holder.policy, Spill):
            yield f"{records} records in a buffer of {buffer._size}: {holder}"
        gaps = len(buffer) - len(buffer._past) - records
        if gaps > GAPS_KEPT_MAX:
            yield f"{gaps} gaps in a buffer: {holder}"
        if holder.is_live and stream not in fleet._feed_of and not (buffer._has_ended or buffer.has_overflowed):
            yield f"forgotten without a word: {holder}"
        yield from _end(holder)
        if holder.callback is not None and holder.callback.failed != holder.raised:
            yield f"{holder.raised} errors of a function were told as {holder.callback.failed}: {holder}"


def _end(holder: Holder) -> Iterator[str]:
    """A stream that the program wants ends with a reason, and no lost connection is one."""
    if not holder.ended or not holder.is_wanted:
        return
    error = holder.error
    if error is None:
        yield f"ended in silence: {holder}"
    elif holder.callback is not None and holder.known is None and error.retriable:
        yield f"a function was given up though its stream may be had later: {holder}"
    elif holder.known is not None and not isinstance(error, _ENDS):
        yield f"a granted stream was given up: {holder}"
    elif holder.known is not None and isinstance(error, RefusedError) and (error.code == 429 or error.code >= 500):
        yield f"given up though the broker was only busy: {holder}"


def _registry(fleet: Fleet) -> Iterator[str]:
    for stream, feed in fleet._feed_of.items():
        if stream not in feed.subscriptions:
            yield f"{stream} does not know its feed"
        link = fleet._link_of.get(feed)
        if link is None:
            if feed.state is not SubscriptionState.PENDING:
                yield f"{feed} has no connection to come back on"
        elif feed not in link.subscriber.feeds:
            yield f"{link} does not carry {feed}"
        elif link not in fleet.links or link.state is LinkState.CLOSED:
            yield f"{feed} is on a closed connection"
        is_restoring = feed.state is SubscriptionState.RESTORING
        if (
            link is not None
            and link.state is LinkState.OPEN
            and is_restoring
            and feed not in link.subscriber._asking
        ):
            yield f"{feed} is not asked for"
        if feed.state is SubscriptionState.RESTORING and feed.gap is None:
            yield f"{feed} is restored without a gap"
    for feed in fleet._link_of:
        if feed.state in (SubscriptionState.CLOSED, SubscriptionState.REFUSED):
            yield f"{feed} is kept"


# --- what came ------------------------------------------------------------------------------------------


def in_what_came(world: World, broker: Broker, holder: Holder, *, is_quiet: bool) -> Iterator[str]:
    """Yield what a consumer has missed, got twice or got wrong. While not quiet the newest may still come."""
    told = world.teller.told[world.teller.topic(holder.kind, holder.symbol)]
    must_be_whole = is_quiet and holder.is_live
    match holder.kind.nature:
        case Nature.TAPE:
            found = _tape(world, holder, told, must_be_whole=must_be_whole)
        case Nature.STATE:
            # A stream of clusters begins with the interval in which it was made.
            is_due = holder.kind is not Kind.CLUSTERS or not told or told[-1].time_s >= _since_s(holder)
            found = _state(holder.records, told, must_be_whole=must_be_whole and is_due)
        case Nature.BARS:
            # Which bar is the first that may be missing is reckoned by our own clock.
            found = _bars(holder, told, must_be_whole=must_be_whole and not world.has_jumped)
        case Nature.FILLS:
            found = _fills(holder, told, must_be_whole=must_be_whole)
        case Nature.ROWS:
            found = _rows(holder, told, must_be_whole=must_be_whole)
    for problem in found:
        yield f"{problem}: {holder}"
    known_gaps = {id(gap) for gap in broker.gaps}
    for gap in holder.gaps:
        if id(gap) not in known_gaps or gap.state is not GapState.LEFT or not gap.reason:
            yield f"{gap} is not in the ledger: {holder}"


def _tape(world: World, holder: Holder, told: Sequence[Any], *, must_be_whole: bool) -> Iterator[str]:
    ids = [trade.id for trade in holder.records]
    happened = [trade.id for trade in told]
    yield from _ascending(ids, "trade")
    if strange := set(ids) - set(happened):
        yield f"trades that have never been: {sorted(strange)}"
        return
    assert holder.known is not None or not ids
    if holder.known is None:
        return
    first = min(holder.known, happened.index(ids[0]) if ids else holder.known)
    last = len(happened) if must_be_whole else happened.index(ids[-1]) + 1 if ids else first
    got = set(ids)
    missing = [trade for trade in told[first:last] if trade.id not in got]
    untold = [trade for trade in missing if not _is_told(world, holder, trade.time_ms / 1000)]
    if isinstance(holder.policy, DropOldest) and len(untold) <= holder.stream.dropped:
        return
    if untold:
        yield f"missed in silence: {[trade.id for trade in untold]} of {len(happened)}"


def _is_told(world: World, holder: Holder, at_s: float) -> bool:
    """Whether a moment lies in a gap of which the consumer was told."""
    for gap in holder.gaps:
        # Times of a clock that was set cannot be compared.
        if world.has_jumped:
            return True
        if gap.until is not None and gap.since.timestamp() - 0.001 <= at_s <= gap.until.timestamp():
            return True
    return False


def _since_s(holder: Holder) -> int:
    since_s: int = holder.stream.request.since_s  # type: ignore[attr-defined]
    return since_s


def _state(records: Sequence[Any], told: Sequence[Any], *, must_be_whole: bool) -> Iterator[str]:
    """A state never goes back, and the newest comes; each has another number."""
    numbers = [number_of(record) for record in records]
    for before, after in pairwise(numbers):
        if after < before:
            yield f"went back from {before} to {after}"
    if must_be_whole and told and (not numbers or numbers[-1] != number_of(told[-1])):
        yield f"the newest state {number_of(told[-1])} did not come, but {numbers[-1:]}"


def _bars(holder: Holder, told: Sequence[Any], *, must_be_whole: bool) -> Iterator[str]:
    times = [bar.time_s for bar in holder.records]
    for before, after in pairwise(times):
        if after < before:
            yield f"went back to the bar of {after}"
    has_past = holder.kind is not Kind.BARS
    for before, after in pairwise(holder.records if has_past else ()):
        if (before.time_s, before.volume) == (after.time_s, after.volume):
            yield f"the bar of {after.time_s} came twice as it was"
    newest = {bar.time_s: bar for bar in told}
    if strange := set(times) - set(newest):
        yield f"bars that have never been: {sorted(strange)}"
    if not must_be_whole or holder.known is None or isinstance(holder.policy, DropOldest | Conflate):
        return
    got = {bar.time_s: bar for bar in holder.records}
    wanted = {bar.time_s for bar in told[0 if has_past else holder.known :]}
    for time_s in sorted(wanted):
        bar = got.get(time_s)
        if bar is None or bar.volume != newest[time_s].volume:
            yield f"bar of {time_s} should be {newest[time_s].volume}, is {bar}"


def _fills(holder: Holder, told: Sequence[Any], *, must_be_whole: bool) -> Iterator[str]:
    keys = [fill.id for fill in holder.records]
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        yield f"fills came twice: {twice}"
    if strange := set(keys) - {fill.id for fill in told}:
        yield f"fills that have never been: {sorted(strange)}"
    if must_be_whole and not isinstance(holder.policy, DropOldest):
        missing = [fill.id for fill in told if fill.id not in set(keys)]
        if missing:
            yield f"fills were missed: {missing}"


def _rows(holder: Holder, told: Sequence[Any], *, must_be_whole: bool) -> Iterator[str]:
    """Rows of orders or positions: no row twice as it was, and the newest of each comes."""
    by_key: dict[str, list[Any]] = {}
    for record in holder.records:
        by_key.setdefault(_key(record), []).append(_plain(record))
    for key, versions in by_key.items():
        for before, after in pairwise(versions):
            if before == after:
                yield f"row {key} came twice"
            elif number_of(after) < number_of(before):
                yield f"row {key} went back"
    if must_be_whole and not isinstance(holder.policy, DropOldest):
        for key, row in {_key(row): row for row in told}.items():
            if key not in by_key or number_of(by_key[key][-1]) != number_of(row):
                yield f"row {key} is not the newest"


def _key(row: Any) -> str:
    return row.id if hasattr(row, "id") else row.symbol


def _plain(row: Any) -> Any:
    return msgspec.structs.replace(row, existing=False)


def _ascending(ids: Sequence[int], what: str) -> Iterator[str]:
    for before, after in pairwise(ids):
        if after == before:
            yield f"{what} {after} came twice"
        elif after < before:
            yield f"{what} {after} came after {before}"


# --- when all is quiet ----------------------------------------------------------------------------------


def at_rest(world: World, broker: Broker, holders: Sequence[Holder]) -> Iterator[str]:
    """Yield what is left undone when no fault has happened for long."""
    fleet = broker._fleet
    live = [holder for holder in holders if holder.is_live]
    for holder in holders:
        if holder.known is None and not holder.ended:
            yield f"still being opened: {holder}"
        elif holder.is_live and holder.stream.state is not SubscriptionState.ACTIVE:
            yield f"not restored: {holder}"
    wanted = {holder.stream for holder in live}
    if set(fleet._feed_of) != wanted:
        yield f"the client holds {list(fleet._feed_of)}, the program {list(wanted)}"
    if broker.gaps.open:
        yield f"gaps are open: {[str(gap) for gap in broker.gaps.open]}"
    for link in fleet.links:
        session = link.session
        if session is None:
            yield f"{link} has no connection"
            continue
        # A ping may be on its way.
        if (
            not link.subscriber._asking.is_idle
            or link.subscriber._retries
            or set(session._answers) - {link._pings.guid}
        ):
            yield f"{link} still waits for answers"
        if not len(session.streams) == len(session._ends) == len(link.subscriber.feeds):
            yield f"{link} routes {len(session.streams)} streams"
    if fleet._links.is_opening or fleet._gaps.is_filling:
        yield "connections are being opened, or gaps filled"
    if any(feed not in fleet._link_of for feed in fleet._shared.values()):
        yield "a feed that is gone can be joined"
    yield from _server(world, fleet)


def _server(world: World, fleet: Fleet) -> Iterator[str]:
    """The server's subscriptions are those of the client."""
    theirs: Counter[str] = Counter()
    for connection in world.gateway.connections:
        if isinstance(connection._handler, DataSession):
            theirs.update(connection._handler._subscriptions.keys())
    ours = Counter(feed.guid for feed in fleet._link_of)
    if theirs != ours:
        extra, lacking = theirs - ours, ours - theirs
        yield f"the server has {len(extra)} subscriptions too many and {len(lacking)} too few"


# --- when the broker is closed --------------------------------------------------------------------------


def when_closed(world: World, broker: Broker, holders: Sequence[Holder]) -> Iterator[str]:
    """Yield what is left of a closed broker; tasks are looked after by the loop of the run."""
    fleet = broker._fleet
    if left := [one for one in world.network.connections if not one.client.ended]:
        yield f"connections are left: {left}"
    if fleet._gaps.is_filling:
        yield "gaps are still being filled"
    if fleet._links.is_opening:
        yield "connections are still being opened"
    for name in ("_links", "_feed_of", "_link_of", "_shared"):
        if getattr(fleet, name):
            yield f"{name} is left: {getattr(fleet, name)}"
    if broker.gaps.open:
        yield f"gaps are open: {[str(gap) for gap in broker.gaps.open]}"
    for holder in holders:
        if not holder.ended:
            yield f"was not told the end: {holder}"
        if holder.stream.buffer.spilled:
            yield f"{holder.stream.buffer.spilled} messages are left in a file: {holder}"
    for handle in asyncio.get_running_loop()._scheduled:  # type: ignore[attr-defined]
        if not handle.cancelled() and _owner(handle).startswith("tapewire.client"):
            yield f"a timer is left: {handle}"


def _owner(handle: asyncio.TimerHandle) -> str:
    callback = handle._callback  # type: ignore[attr-defined]
    owner = getattr(callback, "__self__", callback)
    return getattr(type(owner), "__module__", "") if owner is not callback else callback.__module__ or ""
