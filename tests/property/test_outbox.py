"""The outbox against a slow obvious one: nothing lost, nothing doubled, nothing out of order, every bound kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tapewire.gateway.outbox import Outbox, OutboxMode, Outlet
from unit.gateway.mail import burst, no_past_breaks, outlet_of, taken

#: One that runs reach soon, and one that they never reach.
BOUNDS = (10, 10_000)
SUBSCRIPTIONS = 4
#: Those that have no states.
OF_EVENTS = (2, 3)


@dataclass
class Expected:
    """What one subscription still has to get, as lists that are searched from the front."""

    outlet: Outlet
    #: None: nothing is held, no past is under way. A list: the past that is still to come.
    past: list[bytes] | None = None
    is_held: bool = False
    #: Events behind the past, and events and states in the queue.
    behind: list[bytes] = field(default_factory=list)
    #: The state that comes behind all of that.
    newest: bytes | None = None


class Model:
    """One list of (who, text, is a state) for the queue; a past per subscription."""

    def __init__(self, is_strict: bool, messages_max: int) -> None:
        self.is_strict = is_strict
        self.messages_max = messages_max
        self.queue: list[tuple[int | None, tuple[bytes, ...], bool]] = []
        self.expected = [Expected(self.new_outlet(who)) for who in range(SUBSCRIPTIONS)]
        self.order_of_pasts: list[int] = []
        self.overflows = 0

    @staticmethod
    def new_outlet(who: int) -> Outlet:
        return outlet_of(b"/%d" % who, is_of_states=who not in OF_EVENTS)

    @property
    def is_closed(self) -> bool:
        return self.overflows > 0

    @property
    def waiting(self) -> int:
        return sum(len(texts) for _, texts, _ in self.queue) + sum(len(each.behind) for each in self.expected)

    @property
    def replaceable(self) -> int:
        return 0 if self.is_strict else sum(is_state for _, _, is_state in self.queue)

    def check_bound(self) -> None:
        if self.waiting - self.replaceable > self.messages_max:
            self.overflows = 1
            self.clear()

    def clear(self) -> None:
        self.queue.clear()
        self.order_of_pasts.clear()
        for each in self.expected:
            each.past, each.is_held, each.behind, each.newest = None, False, [], None

    def event(self, who: int, text: bytes) -> None:
        each = self.expected[who]
        if each.is_held or each.past is not None:
            each.behind.append(text)
        else:
            self.queue.append((who, (text,), False))
        self.check_bound()

    def events(self, who: int, texts: list[bytes]) -> None:
        """A burst goes in, counts and is taken as one."""
        self.queue.append((who, tuple(texts), False))
        self.check_bound()

    def state(self, who: int, text: bytes) -> None:
        each = self.expected[who]
        if each.is_held or each.past is not None:
            if self.is_strict:
                self.event(who, text)
            else:
                each.newest = text
            return
        for place, (owner, _, is_state) in enumerate(self.queue):
            if owner == who and is_state and not self.is_strict:
                self.queue[place] = (who, (text,), True)
                return
        self.queue.append((who, (text,), True))
        self.check_bound()

    def final(self, who: int, text: bytes) -> None:
        self.expected[who].newest = None
        is_behind = self.expected[who].is_held or self.expected[who].past is not None
        for place, (owner, _, is_state) in enumerate(self.queue):
            if owner == who and is_state and not self.is_strict and not is_behind:
                self.queue[place] = (who, (text,), False)
                self.check_bound()
                return
        self.event(who, text)

    def drop(self, who: int) -> None:
        self.queue = [entry for entry in self.queue if entry[0] != who]
        if who in self.order_of_pasts:
            self.order_of_pasts.remove(who)
        self.expected[who] = Expected(self.new_outlet(who))

    def take_some(self) -> list[bytes] | None:
        """Take a burst, an answer or one message of a past."""
        while True:
            if self.queue:
                who, texts, _ = self.queue.pop(0)
                tail = b"" if who is None else self.expected[who].outlet.tail
                return [text + tail for text in texts]
            if not self.order_of_pasts:
                return None
            who = self.order_of_pasts[0]
            each = self.expected[who]
            if each.past:
                return [each.past.pop(0) + each.outlet.tail]
            self.order_of_pasts.pop(0)
            self.queue = [(who, (text,), False) for text in each.behind]
            newest = each.newest
            each.past, each.behind, each.newest = None, [], None
            if newest is not None:
                self.state(who, newest)


subscriptions = st.integers(0, SUBSCRIPTIONS - 1)
subscriptions_of_states = subscriptions.filter(lambda who: who not in OF_EVENTS)


class OutboxMachine(RuleBasedStateMachine):
    """Does the same to both and compares after every step."""

    @initialize(mode=st.sampled_from(OutboxMode), messages_max=st.sampled_from(BOUNDS))
    def open(self, mode: OutboxMode, messages_max: int) -> None:
        self.overflows = 0
        self.model = Model(mode is OutboxMode.STRICT, messages_max)
        self.outbox = Outbox(lambda: None, self.overflowed, no_past_breaks, messages_max=messages_max, mode=mode)
        self.made = 0
        self.sent = 0

    def overflowed(self) -> None:
        self.overflows += 1
        event("overflow")

    def text(self) -> bytes:
        self.made += 1
        return b"%d" % self.made

    def outlet(self, who: int) -> Outlet:
        return self.model.expected[who].outlet

    @rule()
    def answer(self) -> None:
        text = self.text()
        self.outbox.put_answer(text, 0.0)
        if not self.model.is_closed:
            self.model.queue.append((None, (text,), False))
            self.model.check_bound()

    @rule(who=subscriptions, count=st.integers(1, 4))
    def events(self, who: int, count: int) -> None:
        texts = [self.text() for _ in range(count)]
        self.outbox.put_events(self.outlet(who), burst(*texts))
        is_behind = self.model.expected[who].is_held or self.model.expected[who].past is not None
        if is_behind:
            for text in texts:
                if not self.model.is_closed:
                    self.model.event(who, text)
        elif not self.model.is_closed:
            self.model.events(who, texts)

    @rule(who=subscriptions_of_states)
    def state(self, who: int) -> None:
        text = self.text()
        self.outbox.put_state(self.outlet(who), burst(text))
        if not self.model.is_closed:
            self.model.state(who, text)

    @rule(who=subscriptions_of_states)
    def final(self, who: int) -> None:
        text = self.text()
        self.outbox.put_final(self.outlet(who), burst(text))
        if not self.model.is_closed:
            self.model.final(who, text)

    @rule(who=subscriptions)
    def hold(self, who: int) -> None:
        each = self.model.expected[who]
        if each.is_held or each.past is not None:
            return
        self.outbox.hold(each.outlet)
        each.is_held = not self.model.is_closed

    @precondition(lambda self: any(each.is_held for each in self.model.expected))
    @rule(data=st.data(), length=st.integers(0, 6))
    def past(self, data: st.DataObject, length: int) -> None:
        held = [who for who, each in enumerate(self.model.expected) if each.is_held]
        who = data.draw(st.sampled_from(held))
        each = self.model.expected[who]
        places = st.integers(0, len(each.behind) - 1) if each.behind else st.nothing()
        known = data.draw(st.sets(places))
        texts = [self.text() for _ in range(length)]
        self.outbox.put_past(each.outlet, iter(texts), known)
        each.behind = [text for place, text in enumerate(each.behind) if place not in known]
        each.is_held, each.past = False, list(texts)
        self.model.order_of_pasts.append(who)
        event("past")

    @rule(who=subscriptions)
    def cancel(self, who: int) -> None:
        outlet = self.outlet(who)
        self.outbox.drop(outlet)
        assert outlet.is_cancelled
        assert outlet.paced is None
        assert outlet.burst is None
        self.model.drop(who)

    @rule(bytes_max=st.integers(1, 40))
    def take(self, bytes_max: int) -> None:
        got = taken(self.outbox, bytes_max)
        expected: list[bytes] = []
        size = 0
        while size < bytes_max and (messages := self.model.take_some()) is not None:
            expected += messages
            size += sum(2 + len(message) for message in messages)  # frames of less than 126 bytes
        assert got == expected
        self.sent += len(got)
        assert self.outbox.taken == self.sent

    @rule()
    def give_up(self) -> None:
        if 5 < self.model.waiting < self.model.messages_max == BOUNDS[0]:  # seldom: then there is no more to see
            self.outbox.overflow()
            self.model.overflows = 1
            self.model.clear()

    @invariant()
    def count_is_what_waits(self) -> None:
        assert self.outbox.count == self.model.waiting
        assert self.outbox.irreplaceable == self.model.waiting - self.model.replaceable
        assert 0 <= self.outbox.irreplaceable <= self.model.messages_max

    @invariant()
    def pasts_are_those_under_way(self) -> None:
        held = sum(each.is_held for each in self.model.expected)
        assert self.outbox.pasts == held + len(self.model.order_of_pasts)

    @invariant()
    def truth_says_whether_there_is_something_to_send(self) -> None:
        assert bool(self.outbox) == bool(self.model.queue or self.model.order_of_pasts)

    @invariant()
    def overflow_is_told_once(self) -> None:
        assert self.overflows == self.model.overflows


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
