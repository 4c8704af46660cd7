"""Commands in flight on one connection: answers, bounds, moments, the right to send."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tapewire.client import command_session
from tapewire.client.command_end import CommandEnd, Taken, Untold
from tapewire.client.command_result import Rejected
from tapewire.client.command_session import COMMANDS_IN_FLIGHT_MAX, CommandSession
from tapewire.client.command_states import Authority
from tapewire.client.errors import LimitError, NotSentError
from tapewire.client.order_terms import OrderTerms, create_command, delete_command
from tapewire.model import Exchange, GroupedType, Side
from tapewire.protocol.commands import OrderCommand
from tapewire.protocol.messages import SystemMessage
from unit.client.stage import answer, data, numbered

TERMS = OrderTerms(
    type=GroupedType.LIMIT, portfolio="D1", symbol="TEST", side=Side.BUY, lots=2, price=Decimal("10.50")
)


def create(guid: str) -> OrderCommand:
    return create_command(TERMS, guid)


class Desk:
    """A session and all that it tells."""

    def __init__(self, *, is_authorized: bool = True) -> None:
        self.lost_authority = 0
        self.late: dict[str, CommandEnd] = {}
        self.ends: dict[str, CommandEnd] = {}
        self.answers: list[SystemMessage | None] = []
        self.session = CommandSession(self._lost_authority, self.late.__setitem__)
        if is_authorized:
            self.authorize("auth")
            self.session.receive(answer("auth"))

    def _lost_authority(self) -> None:
        self.lost_authority += 1

    def authorize(self, guid: str) -> bytes:
        return self.session.authorize(guid, "t0ken", self.answers.append)

    def send(self, guid: str, command: OrderCommand | None = None) -> bytes:
        def settle(end: CommandEnd) -> None:
            assert guid not in self.ends, "settled twice"
            self.ends[guid] = end

        return self.session.send(command or create(guid), settle)


def test_the_message_is_the_command_with_exact_numbers() -> None:
    message = Desk().send("g1")
    assert json.loads(message, parse_float=Decimal) == {
        "opcode": "create:limit",
        "guid": "g1",
        "user": {"portfolio": "D1"},
        "checkDuplicates": True,
        "side": "buy",
        "quantity": 2,
        "price": Decimal("10.50"),
        "instrument": {"symbol": "TEST", "exchange": "MOEX"},
    }
    assert b"10.50" in message


def test_answers_find_their_commands_in_any_order() -> None:
    desk = Desk()
    for guid in ("g1", "g2", "g3"):
        desk.send(guid)
    desk.session.receive(numbered("g3", "33"))
    desk.session.receive(answer("g1", 400, "NotEnoughCash (401): no"))
    desk.session.receive(numbered("g2", "22"))
    assert desk.ends == {
        "g3": Taken("33"),
        "g1": Rejected(400, "NotEnoughCash (401): no", "g1", 401),
        "g2": Taken("22"),
    }
    assert desk.session.in_flight == 0


def test_a_second_answer_and_a_foreign_one_are_counted_and_change_nothing() -> None:
    desk = Desk()
    desk.send("g1")
    desk.session.receive(numbered("g1", "1"))
    desk.session.receive(answer("g1", 400, "no"))
    desk.session.receive(numbered("other", "2"))
    desk.session.receive(data("g1", {"id": 1}))
    assert (desk.ends, desk.session.unclaimed) == ({"g1": Taken("1")}, 3)


GARBAGE = [b"", b"{", b"\xff", b'{"requestGuid":7}', b'{"requestGuid":"g1"}', b"[" * 5_000]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_ends_no_command(garbage: bytes) -> None:
    desk = Desk()
    desk.send("g1")
    desk.session.receive(garbage)
    assert (desk.ends, desk.session.malformed) == ({}, 1)
    desk.session.receive(numbered("g1", "1"))
    assert desk.ends == {"g1": Taken("1")}


def test_a_command_too_many_is_refused_with_the_numbers_and_is_not_in_flight() -> None:
    desk = Desk()
    for number in range(COMMANDS_IN_FLIGHT_MAX):
        desk.send(f"g{number}")
    with pytest.raises(LimitError, match="commands in flight: 101 asked for, the limit is 100"):
        desk.send("more")
    desk.session.receive(numbered("g0", "1"))
    desk.send("more")
    assert desk.session.in_flight == COMMANDS_IN_FLIGHT_MAX


def test_nothing_is_sent_before_the_token_is_taken() -> None:
    desk = Desk(is_authorized=False)
    with pytest.raises(NotSentError, match=r"nothing|not authorized \(none\)"):
        desk.send("g1")
    assert json.loads(desk.authorize("a")) == {"opcode": "authorize", "guid": "a", "token": "t0ken"}
    with pytest.raises(NotSentError, match=r"not authorized \(authorizing\)"):
        desk.send("g1")
    desk.session.receive(answer("a"))
    desk.send("g1")
    assert desk.session.in_flight == 1


def test_a_token_that_is_not_taken_gives_no_right() -> None:
    desk = Desk(is_authorized=False)
    desk.authorize("a")
    desk.session.receive(answer("a", 401, "Invalid JWT token!"))
    assert desk.session.authority is Authority.NONE
    assert [told.http_code if told else None for told in desk.answers] == [401]


def test_commands_go_on_while_a_new_token_is_shown() -> None:
    desk = Desk()
    desk.authorize("renewal")
    desk.send("g1")
    desk.session.receive(answer("renewal"))
    assert desk.session.authority is Authority.AUTHORIZED
    assert desk.session.in_flight == 1


def test_a_refused_renewal_takes_the_right() -> None:
    desk = Desk()
    desk.authorize("renewal")
    desk.session.receive(answer("renewal", 401, "no"))
    with pytest.raises(NotSentError):
        desk.send("g1")


def test_a_command_that_is_answered_401_is_rejected_and_takes_the_right() -> None:
    desk = Desk()
    desk.send("g1")
    desk.send("g2")
    desk.session.receive(answer("g1", 401, "Invalid JWT token!"))
    assert desk.ends == {"g1": Rejected(401, "Invalid JWT token!", "g1")}
    assert (desk.session.authority, desk.lost_authority) == (Authority.NONE, 1)
    # What was sent before is still answered, and the right is lost once.
    desk.session.receive(answer("g2", 401, "Invalid JWT token!"))
    assert desk.lost_authority == 1


def test_a_renewal_that_is_good_after_the_old_token_was_not_gives_the_right_again() -> None:
    desk = Desk()
    desk.send("g1")
    desk.authorize("renewal")
    desk.session.receive(answer("g1", 401, "no"))
    desk.session.receive(answer("renewal"))
    assert desk.session.authority is Authority.AUTHORIZED


def test_an_authorization_that_is_given_up_is_nobodys_when_it_comes() -> None:
    desk = Desk(is_authorized=False)
    desk.authorize("a")
    desk.session.give_up_authorizing()
    desk.session.receive(answer("a"))
    assert (desk.session.authority, desk.session.unclaimed, desk.answers) == (Authority.NONE, 1, [])


def test_a_command_that_is_given_up_is_untold_and_its_late_answer_is_told_once() -> None:
    desk = Desk()
    desk.send("g1")
    desk.session.give_up("g1", "no answer")
    desk.session.give_up("g1", "no answer")
    assert desk.ends == {"g1": Untold("no answer")}
    desk.session.receive(numbered("g1", "5"))
    desk.session.receive(numbered("g1", "5"))
    assert (desk.late, desk.session.unclaimed) == ({"g1": Taken("5")}, 1)


def test_late_answers_are_waited_for_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_session, "LATE_GUIDS_MAX", 2)
    desk = Desk()
    for guid in ("g1", "g2", "g3"):
        desk.send(guid)
        desk.session.give_up(guid, "no answer")
    for guid in ("g1", "g2", "g3"):
        desk.session.receive(numbered(guid, "5"))
    assert set(desk.late) == {"g2", "g3"}


def test_the_end_of_the_connection_ends_everything_once() -> None:
    desk = Desk()
    desk.send("g1")
    desk.authorize("renewal")
    desk.session.end("cut")
    desk.session.end("cut again")
    assert desk.ends == {"g1": Untold("cut")}
    assert desk.answers[-1] is None
    desk.session.receive(numbered("g1", "5"))
    assert desk.ends == {"g1": Untold("cut")}
    with pytest.raises(NotSentError, match=r"\(ended\)"):
        desk.send("g2")


def test_a_withdrawn_command_is_not_settled() -> None:
    desk = Desk()
    desk.send("g1")
    desk.session.withdraw("g1")
    desk.session.end("cut")
    assert desk.ends == {}


def test_a_cancellation_is_taken_without_a_number() -> None:
    desk = Desk()
    desk.send("g1", delete_command(GroupedType.LIMIT, "7", "D1", Exchange.MOEX, "g1"))
    desk.session.receive(answer("g1"))
    assert desk.ends == {"g1": Taken("")}


def test_a_new_order_without_a_number_is_untold() -> None:
    desk = Desk()
    desk.send("g1")
    desk.session.receive(answer("g1"))
    assert isinstance(desk.ends["g1"], Untold)
