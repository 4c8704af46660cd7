from tapewire.model import CommandKey, Done, Refused
from tapewire.venues import guid_memory
from tapewire.venues.guid_memory import GuidMemory


def test_a_guid_is_remembered_for_its_login_alone():
    memory = GuidMemory()
    memory.keep(CommandKey("P1", "a"), Done("1"))
    memory.keep(CommandKey("P2", "a"), Refused(404, "none"))

    assert memory.first(CommandKey("P1", "a")) == Done("1")
    assert memory.first(CommandKey("P2", "a")) == Refused(404, "none")
    assert memory.first(CommandKey("P1", "b")) is None
    assert memory.first(CommandKey("P3", "a")) is None


def test_the_oldest_guids_of_a_login_go_first_and_harm_nobody_else(monkeypatch):
    monkeypatch.setattr(guid_memory, "GUIDS_REMEMBERED_MAX", 3)
    memory = GuidMemory()
    memory.keep(CommandKey("P2", "a"), Done("0"))
    for number in range(5):
        memory.keep(CommandKey("P1", str(number)), Done(str(number)))

    assert [memory.first(CommandKey("P1", str(number))) is not None for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert memory.first(CommandKey("P2", "a")) == Done("0")
