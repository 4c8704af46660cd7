"""Connections of a login over the programs of a machine: as many as may be, and none is lost with its process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapewire.adapters.slot_files import FileSlots
from tapewire.ports.slots import NoSlot

_HOLDER = """
import sys
from pathlib import Path
from tapewire.adapters.slot_files import FileSlots
slots = FileSlots("wss://broker.test/ws", slots_max=3, base=Path(sys.argv[1]))
held = [slots.take("P1") for _ in range(2)]
print("held", flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")


def make(base: Path, endpoint: str = "wss://broker.test/ws") -> FileSlots:
    return FileSlots(endpoint, slots_max=3, base=base)


def test_as_many_as_may_be_and_one_more_when_one_is_given_back(tmp_path: Path) -> None:
    first, second = make(tmp_path), make(tmp_path)
    held = [first.take("P1"), second.take("P1"), first.take("P1")]
    assert second.take("P1") == NoSlot(3, (os.getpid(),) * 3)
    slot = held[1]
    assert not isinstance(slot, NoSlot)
    slot.release()
    slot.release()
    again = first.take("P1")
    assert not isinstance(again, NoSlot)
    assert isinstance(second.take("P1"), NoSlot)
    for each in (held[0], held[2], again):
        assert not isinstance(each, NoSlot)
        each.release()


def test_logins_and_addresses_do_not_share_and_no_name_tells_them(tmp_path: Path) -> None:
    held = [make(tmp_path).take("P1") for _ in range(3)]
    held += [make(tmp_path).take("P2"), make(tmp_path, "wss://other.test/ws").take("P1")]
    for slot in held:
        assert not isinstance(slot, NoSlot)
        slot.release()
    names = " ".join(str(path) for path in tmp_path.rglob("*"))
    assert "P1" not in names.removeprefix(str(tmp_path))
    assert "broker" not in names
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*"))


def test_a_killed_process_gives_its_slots_back(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        slots = make(tmp_path)
        mine = slots.take("P1")
        assert not isinstance(mine, NoSlot)
        assert slots.take("P1") == NoSlot(3, (holder.pid, holder.pid, os.getpid()))
    finally:
        holder.kill()
        holder.communicate()
    freed = [slots.take("P1"), slots.take("P1")]
    assert isinstance(slots.take("P1"), NoSlot)
    for slot in (mine, *freed):
        assert not isinstance(slot, NoSlot)
        slot.release()


def test_a_number_that_cannot_be_read_is_left_out_and_a_shorter_one_leaves_nothing_of_a_longer(
    tmp_path: Path,
) -> None:
    slots = make(tmp_path)
    held = [slots.take("P1") for _ in range(3)]
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    files[0].write_bytes(b"99999999999999999999")
    files[1].write_bytes(b"")
    assert slots.take("P1") == NoSlot(3, (99999999999999999999, os.getpid()))
    assert not isinstance(held[0], NoSlot)
    held[0].release()
    again = slots.take("P1")
    assert slots.take("P1") == NoSlot(3, (os.getpid(), os.getpid()))
    for slot in (*held, again):
        assert not isinstance(slot, NoSlot)
        slot.release()


def test_a_folder_of_somebody_else_is_not_used_and_connections_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"tapewire-slots-{os.getuid()}").mkdir(mode=0o777)
    (tmp_path / f"tapewire-slots-{os.getuid()}").chmod(0o777)
    slots = make(tmp_path)
    for _ in range(5):
        assert not isinstance(slots.take("P1"), NoSlot)
    assert caplog.text.count("not private") == 1


@pytest.mark.parametrize("ends_by", ["release", "collection"])
def test_a_forked_process_holds_nothing_and_what_its_parent_gives_back_is_free(
    tmp_path: Path, ends_by: str
) -> None:
    slots = make(tmp_path)
    held = [slots.take("P1") for _ in range(3)]
    heard_by_child, told_by_parent = os.pipe()
    heard_by_parent, told_by_child = os.pipe()
    child = os.fork()
    if child == 0:
        # What it does with what it inherited does not reach the parent.
        for slot in held:
            assert not isinstance(slot, NoSlot)
            slot.release()
        del held, slot
        gc.collect()
        os.write(told_by_child, b"." if isinstance(slots.take("P1"), NoSlot) else b"!")
        os.read(heard_by_child, 1)
        os._exit(0)
    try:
        assert os.read(heard_by_parent, 1) == b"."
        assert isinstance(slots.take("P1"), NoSlot)
        if ends_by == "release":
            for slot in held:
                assert not isinstance(slot, NoSlot)
                slot.release()
        held.clear()
        gc.collect()
        again = [slots.take("P1") for _ in range(3)]
        assert not any(isinstance(slot, NoSlot) for slot in again)
    finally:
        os.write(told_by_parent, b".")
        os.waitpid(child, 0)
        for end in (heard_by_child, told_by_parent, heard_by_parent, told_by_child):
            os.close(end)
    for slot in again:
        assert not isinstance(slot, NoSlot)
        slot.release()


def test_what_a_process_inherited_without_a_word_does_not_keep_a_slot(tmp_path: Path) -> None:
    slots = make(tmp_path)
    held = [slots.take("P1") for _ in range(3)]
    descriptors = [slot._lock for slot in held if not isinstance(slot, NoSlot) and slot._lock is not None]
    # As a fork in foreign code would have it: another descriptor of the same open file.
    inherited = [os.dup(descriptor) for descriptor in descriptors]
    for slot in held:
        assert not isinstance(slot, NoSlot)
        slot.release()
    again = slots.take("P1")
    assert not isinstance(again, NoSlot)
    again.release()
    for descriptor in inherited:
        os.close(descriptor)
