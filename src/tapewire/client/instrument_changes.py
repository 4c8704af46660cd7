"""Changes of an instrument's rules, each told as the whole state."""

from __future__ import annotations

from tapewire.client.arguments import refuse
from tapewire.client.buffer import BufferPolicy, Conflate, DropOldest
from tapewire.client.session import TAIL_BYTES
from tapewire.client.subscription import Subscription, SubscriptionOwner
from tapewire.model import InstrumentUpdate
from tapewire.protocol.formats import Codec
from tapewire.protocol.requests import SubscribeInstrument

__all__ = ["InstrumentChanges"]


class InstrumentChanges(Subscription[InstrumentUpdate]):
    """Merges what the broker says in parts: first the whole state, then what has changed.

    A key that is missing means "as before", which is not null.

    It is done when records are taken. Each request has a guid of its own, at the end of every message: so the
    first message after a restore is known, and takes the place of the whole state.
    """

    def __init__(
        self,
        request: SubscribeInstrument,
        codec: Codec[InstrumentUpdate],
        policy: BufferPolicy,
        name: str,
        owner: SubscriptionOwner,
    ) -> None:
        """Make the stream, not opened yet.

        Raises:
            ArgumentError: The policy drops messages: what they said would be missing from all states after them.
        """
        if isinstance(policy, Conflate | DropOldest):
            raise refuse(f"buffer of {name}", policy, "a policy that drops nothing, like Fail()")
        super().__init__(request, codec, policy, name, owner)
        self._read_part = codec.decode_message
        self._decode = self._merged
        self._is_simple = False
        self._guid_tail = b""
        self._known: InstrumentUpdate | None = None

    def _merged(self, message: bytes) -> InstrumentUpdate:
        tail = message[-TAIL_BYTES:]
        is_first, self._guid_tail = tail != self._guid_tail, tail
        part = self._read_part(message)
        # A first one that cannot be read is counted, and leaves a gap; what follows it is merged into the state of
        # before.
        self._known = part if is_first or self._known is None else self._known.merged(part)
        return self._known

    def _read_all(self, messages: list[bytes]) -> list[InstrumentUpdate]:
        # One by one: a second try would merge twice.
        return [record for message in messages if (record := self._read(message)) is not None]
