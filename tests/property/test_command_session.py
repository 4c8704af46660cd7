"""Whatever comes, in whatever order: a command ends once, as its first answer says, and none is repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tapewire.client.command_end import CommandEnd, Taken, Untold, end_of
from tapewire.client.command_session import COMMANDS_IN_FLIGHT_MAX, CommandSession
from tapewire.client.command_states import Authority
from tapewire.client.errors import LimitError, NotSentError
from tapewire.client.order_terms import OrderTerms, create_command
from tapewire.model import GroupedType, Side
from tapewire.protocol.messages import SystemMessage

TERMS = OrderTerms(type=GroupedType.LIMIT, portfolio="D1", symbol="TEST", side=Side.BUY, lots=1, price=Decimal(10))
CODES = st.sampled_from((200, 200, 200, 400, 401, 403, 429, 500, 503, 504))
TEXTS = st.sampled_from(("", "done", "NotEnoughCash (401): no", "CommandResponseTimeout (900): silence"))
NUMBERS = st.sampled_from(("", "1", "2030000000000000001"))
#: Answers name one of the commands so far, sent or not, or somebody else's.
WHOSE = st.integers(0, 40)

SEND = st.tuples(st.just("send"))
ANSWER = st.tuples(st.just("answer"), WHOSE, CODES, TEXTS, NUMBERS)
GIVE_UP = st.tuples(st.just("give up"), WHOSE)
SHOW = st.tuples(st.just("show token"))
SHOWN = st.tuples(st.just("token answer"), CODES)
GARBAGE = st.tuples(st.just("garbage"), st.binary(max_size=40))
CUT = st.tuples(st.just("cut"))
STEPS = st.lists(st.one_of(SEND, SEND, SEND, ANSWER, ANSWER, GIVE_UP, SHOW, SHOWN, GARBAGE, CUT), max_size=80)


class World:
    """A session beside the simplest account of what it should say."""

    def __init__(self) -> None:
        self.session = CommandSession(lambda: None, self._late)
        self.written: list[bytes] = []
        self.sent: list[str] = []
        self.ends: dict[str, CommandEnd] = {}
        self.expected: dict[str, CommandEnd] = {}
        self.late: list[str] = []
        self.tokens = 0
        self.is_showing = False

    def _late(self, guid: str, end: CommandEnd) -> None:
        assert isinstance(self.ends[guid], Untold)
        assert guid not in self.late, "told twice"
        self.late.append(guid)

    def settle(self, guid: str) -> Callable[[CommandEnd], None]:
        def settle(end: CommandEnd) -> None:
            assert guid not in self.ends, "ended twice"
            self.ends[guid] = end

        return settle

    def send(self) -> None:
        guid = f"g{len(self.sent)}"
        may = self.session.authority is Authority.AUTHORIZED
        has_room = self.session.in_flight < COMMANDS_IN_FLIGHT_MAX
        try:
            self.written.append(self.session.send(create_command(TERMS, guid), self.settle(guid)))
        except (LimitError, NotSentError):
            assert not (may and has_room)
            return
        assert may
        self.sent.append(guid)

    def answer(self, whose: int, code: int, text: str, number: str) -> None:
        guid = f"g{whose}"
        if guid in self.sent and self.session.authority is not Authority.ENDED:
            self.expected.setdefault(guid, end_of(guid, code, text, number, needs_number=True))
        self.session.receive(SystemMessage(guid, code, text, number).encode())

    def give_up(self, whose: int) -> None:
        guid = f"g{whose}"
        if guid in self.sent:
            self.expected.setdefault(guid, Untold("no answer"))
        self.session.give_up(guid, "no answer")

    def show_token(self) -> None:
        if self.is_showing or self.session.authority is Authority.ENDED:
            return
        self.is_showing = True
        self.tokens += 1
        self.session.authorize(f"auth{self.tokens}", "t", self._shown)

    def _shown(self, answer: SystemMessage | None) -> None:
        assert self.is_showing
        self.is_showing = False

    def token_answer(self, code: int) -> None:
        was_showing = self.is_showing
        self.session.receive(SystemMessage(f"auth{self.tokens}", code, "").encode())
        if was_showing:
            assert (self.session.authority is Authority.AUTHORIZED) == (code == 200)

    def cut(self) -> None:
        for guid in self.sent:
            self.expected.setdefault(guid, Untold("cut"))
        self.session.end("cut")
        assert self.session.in_flight == 0


@given(STEPS)
def test_every_command_ends_once_as_its_first_answer_says_and_none_is_repeated(
    steps: list[tuple[object, ...]],
) -> None:
    world = World()
    world.show_token()
    world.token_answer(200)
    moves: dict[object, Callable[..., None]] = {
        "send": world.send,
        "answer": world.answer,
        "give up": world.give_up,
        "show token": world.show_token,
        "token answer": world.token_answer,
        "garbage": world.session.receive,
        "cut": world.cut,
    }
    for kind, *arguments in steps:
        moves[kind](*arguments)
        assert set(world.ends) == set(world.expected)
        assert world.session.in_flight == len(world.sent) - len(world.ends)
    world.cut()
    assert world.ends == world.expected
    assert set(world.ends) == set(world.sent)
    guids = [json.loads(message)["guid"] for message in world.written]
    assert guids == world.sent
    assert len(set(guids)) == len(guids)
    taken = [end for end in world.ends.values() if isinstance(end, Taken)]
    assert all(end.number for end in taken)
