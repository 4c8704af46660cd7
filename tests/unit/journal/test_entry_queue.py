"""The queue before the disk: groups, bounds, halting."""

from __future__ import annotations

import pytest

from tapewire.journal import entry_queue
from tapewire.journal.entry_queue import (
    GROUP_BYTES_MAX,
    GROUP_ENTRIES_MAX,
    IN_FLIGHT_BYTES_MAX,
    IN_FLIGHT_MAX,
    Draft,
    EntryQueue,
)
from tapewire.journal.record import BODY_BYTES_MAX, HEADER_BYTES, EntryKind


def draft(body: bytes = b"x") -> Draft:
    return Draft(EntryKind.COMMAND, body, 0, lambda _: None, lambda _: None)


def fill(queue: EntryQueue, count: int, body: bytes = b"x") -> list[Draft]:
    drafts = [draft(body) for _ in range(count)]
    for one in drafts:
        assert queue.admit(one) == ""
    return drafts


def test_a_group_is_what_waits_up_to_its_bound_in_order() -> None:
    queue = EntryQueue()
    drafts = fill(queue, GROUP_ENTRIES_MAX + 3)
    assert queue.take() + queue.take() == drafts
    assert queue.take() == []


def test_a_group_ends_with_the_entry_that_goes_beyond_its_bytes() -> None:
    queue = EntryQueue()
    fill(queue, 20, bytes(BODY_BYTES_MAX))
    group = queue.take()
    size_bytes = sum(one.size_bytes for one in group)
    assert GROUP_BYTES_MAX <= size_bytes < GROUP_BYTES_MAX + HEADER_BYTES + BODY_BYTES_MAX


def test_above_the_bound_of_entries_the_submitter_is_refused_until_some_are_settled() -> None:
    queue = EntryQueue()
    fill(queue, IN_FLIGHT_MAX)
    assert "4096 entries wait" in queue.admit(draft())
    group = queue.take()
    assert "4096 entries wait" in queue.admit(draft()), "taken by the disk is not settled"
    queue.settle(group[0])
    assert queue.admit(draft()) == ""
    assert queue.in_flight == IN_FLIGHT_MAX


def test_above_the_bound_of_bytes_the_submitter_is_refused() -> None:
    queue = EntryQueue()
    count = IN_FLIGHT_BYTES_MAX // (HEADER_BYTES + BODY_BYTES_MAX)
    fill(queue, count, bytes(BODY_BYTES_MAX))
    assert "bytes wait for the disk" in queue.admit(draft(bytes(BODY_BYTES_MAX)))
    assert queue.admit(draft()) == "", "a small one still fits"


def test_a_body_that_no_entry_may_have_is_misuse() -> None:
    with pytest.raises(ValueError, match="65536 bytes"):
        EntryQueue().admit(draft(bytes(BODY_BYTES_MAX + 1)))


def test_a_halted_queue_gives_no_groups_until_it_resumes() -> None:
    queue = EntryQueue()
    drafts = fill(queue, 3)
    queue.halt()
    assert queue.take() == []
    assert queue.drain() == drafts
    for one in drafts:
        queue.settle(one)
    assert queue.in_flight == 0
    queue.resume()
    after = fill(queue, 1)
    assert queue.take() == after


def test_a_closed_queue_stays_closed() -> None:
    queue = EntryQueue()
    queue.close()
    queue.halt()
    assert queue.state is entry_queue.QueueState.CLOSED
    fill(queue, 1)
    assert queue.take() == []
