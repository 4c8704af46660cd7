"""Which request an answer belongs to."""

from __future__ import annotations

from tapewire.faults.pending import PENDING_MAX, TEXT_CHARACTERS_MAX, PendingRequests
from tapewire.faults.subject import Subject
from tapewire.protocol.limits import GUID_CHARACTERS_MAX


def test_answers_of_one_guid_come_in_the_order_of_asking() -> None:
    pending = PendingRequests()
    for opcode, guid in (("a", "g"), ("b", "h"), ("c", "g")):
        pending.add(Subject(opcode, guid))
    assert [found and found.opcode for found in map(pending.take, "gggh")] == ["a", "c", None, "b"]
    assert len(pending) == 0


def test_requests_of_any_length_cost_little_and_show_no_token() -> None:
    pending = PendingRequests()
    pending.add(Subject("ping", "g" * (GUID_CHARACTERS_MAX + 1)))
    assert len(pending) == 0
    pending.add(Subject("ping", "g" * GUID_CHARACTERS_MAX, symbol="s" * 1_000_000, token="secret"))
    kept = pending.take("g" * GUID_CHARACTERS_MAX)
    assert kept is not None
    assert (len(kept.symbol), kept.token) == (TEXT_CHARACTERS_MAX, "")


def test_so_many_are_remembered_whatever_their_guids() -> None:
    pending = PendingRequests()
    for number in range(PENDING_MAX + 10):
        pending.add(Subject("ping", str(number)))
    assert len(pending) == PENDING_MAX
    assert (pending.take("9"), pending.take("10")) == (None, Subject("ping", "10"))
    same = PendingRequests()
    for number in range(PENDING_MAX + 10):
        same.add(Subject(str(number), "g"))
    assert len(same) == PENDING_MAX
    assert same.take("g") == Subject("10", "g")
