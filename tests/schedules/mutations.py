"""Faults put into the client on purpose: the schedules must find each of them.

Each is a function that breaks one thing and is undone by ``pytest.MonkeyPatch``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tapewire.client import heartbeat
from tapewire.client.asking import Asking
from tapewire.client.backfill import Backfill
from tapewire.client.backoff import Backoff
from tapewire.client.bar_history import BarHistory
from tapewire.client.bar_subscription import BarSubscription
from tapewire.client.buffer import Buffer
from tapewire.client.callback import Callback
from tapewire.client.errors import RefusedError
from tapewire.client.feed import Feed
from tapewire.client.fleet import Fleet
from tapewire.client.gap import Gap, GapState
from tapewire.client.instrument_changes import InstrumentChanges
from tapewire.client.link import Link
from tapewire.client.session import Session
from tapewire.client.sieve import Sieve
from tapewire.client.spill_file import SpillFile
from tapewire.client.states import SubscriptionState
from tapewire.client.subscriber import Subscriber

__all__ = ["MUTATIONS"]

Mutation = Callable[[pytest.MonkeyPatch], None]


def restore_forgets_the_last_feed(patch: pytest.MonkeyPatch) -> None:
    begin = Asking.begin

    def begin_with_all_but_one(self: Asking[Any], feeds: Any, now_s: float) -> None:
        begin(self, list(feeds)[:-1], now_s)

    patch.setattr(Asking, "begin", begin_with_all_but_one)


def data_of_the_old_guid_are_delivered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "close_stream", lambda self, guid: None)


def no_gap_is_opened(patch: pytest.MonkeyPatch) -> None:
    granted = Fleet.feed_granted

    def grant(self: Fleet, feed: Feed) -> None:
        if feed.gap is not None:
            gap, feed.gap = feed.gap, None
            gap.state = GapState.FILLED
            self._gaps._close(gap)
            feed.release_held()
        granted(self, feed)

    patch.setattr(Fleet, "feed_granted", grant)


def what_was_missed_is_fetched_one_trade_late(patch: pytest.MonkeyPatch) -> None:
    fetch = Backfill._fetch

    async def fetch_late(self: Backfill, feed: Feed) -> Any:
        trades, is_whole = await fetch(self, feed)
        return trades[1:], is_whole

    patch.setattr(Backfill, "_fetch", fetch_late)


def what_was_missed_is_fetched_one_trade_early(patch: pytest.MonkeyPatch) -> None:
    fetch = Backfill._fetch

    async def fetch_early(self: Backfill, feed: Feed) -> Any:
        if feed.last_id is not None:
            feed.last_id -= 1
        return await fetch(self, feed)

    patch.setattr(Backfill, "_fetch", fetch_early)


def the_sieve_lets_all_pass(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sieve, "passes", lambda self, message: True)


def unsubscribe_is_not_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Subscriber, "_withdraw", Subscriber._forget_guid)


def the_route_stays_when_a_joiner_leaves(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Subscriber, "reroute", lambda self, feed: None)


def a_busy_broker_is_taken_for_a_final_refusal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RefusedError, "retriable", property(lambda self: False))


def pings_are_never_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(heartbeat, "PING_EVERY_S", 1e9)


def an_answer_that_never_comes_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Asking, "overdue", lambda self, now_s: [])
    patch.setattr(Asking, "due_at_s", None)


def live_trades_are_not_held_back(patch: pytest.MonkeyPatch) -> None:
    def prepare(self: Feed) -> None:
        self.has_lost_held = False

    patch.setattr(Feed, "hold", prepare)


def a_lost_connection_ends_its_streams(patch: pytest.MonkeyPatch) -> None:
    def lost(self: Fleet, link: Link, error: Any) -> None:
        for feed in tuple(link.subscriber.feeds):
            link.subscriber.feeds.pop(feed)
            self.feed_unanswered(feed, error)

    patch.setattr(Fleet, "link_lost", lost)


def a_lost_connection_is_left_for_an_hour(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Backoff, "pause_s", lambda self, at_least_s=0.0: 3_600.0)


def a_buffer_drops_in_silence(patch: pytest.MonkeyPatch) -> None:
    def make_room(self: Buffer, size: int) -> bool:
        if self._fails:
            return False
        while len(self._items) >= self._size:
            self._drop_oldest()
        return True

    patch.setattr(Buffer, "_make_room", make_room)


def a_buffer_has_no_bound(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Buffer, "_make_room", lambda self, size: True)


def what_was_lost_is_not_told(patch: pytest.MonkeyPatch) -> None:
    put_record = Feed.put_record

    def put(self: Feed, record: Any) -> None:
        if not isinstance(record, Gap):
            put_record(self, record)

    patch.setattr(Feed, "put_record", put)


def a_closed_stream_stays_in_the_registry(patch: pytest.MonkeyPatch) -> None:
    def release(self: Fleet, subscription: Any) -> None:
        feed = self._feed_of.pop(subscription, None)
        if feed is not None:
            feed.subscriptions = tuple(each for each in feed.subscriptions if each is not subscription)

    patch.setattr(Fleet, "release", release)


def a_connection_task_is_left_behind(patch: pytest.MonkeyPatch) -> None:
    async def close(self: Link) -> None:
        self._is_closing = True

    patch.setattr(Link, "close", close)


def nobody_knows_what_came_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "newest", None)


def the_second_of_two_racing_is_not_answered(patch: pytest.MonkeyPatch) -> None:
    def granted(self: Feed) -> None:
        self.tries = 0
        if not self.opened.done():
            self.opened.set_result(None)
        if self.state is not SubscriptionState.ACTIVE:
            self.state = SubscriptionState.ACTIVE
            for subscription in self.subscriptions[:1]:
                subscription.granted()

    patch.setattr(Feed, "granted", granted)


def pauses_never_begin_anew(patch: pytest.MonkeyPatch) -> None:
    def lost(self: Backoff, lived_s: float) -> None:
        self.tries += 1

    patch.setattr(Backoff, "lost", lost)


def pauses_do_not_grow(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Backoff, "pause_s", lambda self, at_least_s=0.0: 0.05)


def what_was_held_back_is_dropped(patch: pytest.MonkeyPatch) -> None:
    release = Feed.release_held

    def drop(self: Feed) -> list[bytes]:
        release(self)
        return []

    patch.setattr(Feed, "release_held", drop)


def an_error_of_a_function_ends_its_stream(patch: pytest.MonkeyPatch) -> None:
    note = Callback._note_failure

    def note_and_stop(self: Callback[Any], error: BaseException) -> None:
        note(self, error)
        self.stop()

    patch.setattr(Callback, "_note_failure", note_and_stop)


def an_error_of_a_function_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Callback, "_note_failure", lambda self, error: None)


def a_function_is_tried_once(patch: pytest.MonkeyPatch) -> None:
    async def open_once(self: Callback[Any]) -> bool:
        await self.subscription.open()
        return True

    patch.setattr(Callback, "_open", open_once)


def what_is_spilled_loses_its_tail(patch: pytest.MonkeyPatch) -> None:
    take = SpillFile.take

    def take_all_but_one(self: SpillFile) -> list[Any]:
        taken = take(self)
        return taken[:-1] if len(taken) > 1 and not self else taken

    patch.setattr(SpillFile, "take", take_all_but_one)


def what_is_spilled_is_overtaken(patch: pytest.MonkeyPatch) -> None:
    put_aside = Buffer._put_aside

    def put(self: Buffer, item: Any) -> None:
        put_aside(self, item)
        self._room = self._size + 2

    patch.setattr(Buffer, "_put_aside", put)


def what_is_spilled_outlives_its_stream(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SpillFile, "close", lambda self: None)


def a_late_joiner_gets_no_state(patch: pytest.MonkeyPatch) -> None:
    join = Fleet._join

    def join_without(self: Fleet, subscription: Any, feed: Feed) -> None:
        join(self, subscription, feed)
        subscription.buffer.take_nowait()

    patch.setattr(Fleet, "_join", join_without)


def a_gap_is_called_filled_before_the_state_comes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "await_first", lambda self: None)


def a_conflating_buffer_keeps_the_oldest(patch: pytest.MonkeyPatch) -> None:
    make_room = Buffer._make_room

    def keep(self: Buffer, size: int) -> bool:
        return not self._conflates and make_room(self, size)

    patch.setattr(Buffer, "_make_room", keep)


def parts_of_an_instrument_are_not_merged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(InstrumentChanges, "_merged", lambda self, message: self._read_part(message))


def a_bar_comes_again_as_it_was(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BarSubscription, "_is_news", lambda self, bar: True)


def a_long_past_lacks_its_first_bar(patch: pytest.MonkeyPatch) -> None:
    fetch = BarHistory.fetch

    async def fetch_fewer(self: BarHistory, asked: Any, until_s: int) -> Any:
        return (await fetch(self, asked, until_s))[1:]

    patch.setattr(BarHistory, "fetch", fetch_fewer)


#: All of them, by name.
MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        restore_forgets_the_last_feed,
        data_of_the_old_guid_are_delivered,
        no_gap_is_opened,
        what_was_missed_is_fetched_one_trade_late,
        what_was_missed_is_fetched_one_trade_early,
        the_sieve_lets_all_pass,
        unsubscribe_is_not_sent,
        the_route_stays_when_a_joiner_leaves,
        a_busy_broker_is_taken_for_a_final_refusal,
        pings_are_never_sent,
        an_answer_that_never_comes_is_waited_for,
        live_trades_are_not_held_back,
        a_lost_connection_ends_its_streams,
        a_lost_connection_is_left_for_an_hour,
        a_buffer_drops_in_silence,
        a_buffer_has_no_bound,
        what_was_lost_is_not_told,
        a_closed_stream_stays_in_the_registry,
        a_connection_task_is_left_behind,
        nobody_knows_what_came_last,
        the_second_of_two_racing_is_not_answered,
        pauses_never_begin_anew,
        pauses_do_not_grow,
        what_was_held_back_is_dropped,
        an_error_of_a_function_ends_its_stream,
        an_error_of_a_function_is_not_counted,
        a_function_is_tried_once,
        what_is_spilled_loses_its_tail,
        what_is_spilled_is_overtaken,
        what_is_spilled_outlives_its_stream,
        a_late_joiner_gets_no_state,
        a_gap_is_called_filled_before_the_state_comes,
        a_conflating_buffer_keeps_the_oldest,
        parts_of_an_instrument_are_not_merged,
        a_bar_comes_again_as_it_was,
        a_long_past_lacks_its_first_bar,
    )
}
