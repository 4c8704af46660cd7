"""The body of a ``MARKET_STEPS`` entry: a run of steps on an even grid of time, in some ten bytes.

The market makes a hundred steps a second. Written one by one they would be most of the journal; a run says where
it begins, how many steps it has and how far apart they are. The time of the first step is the entry's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tapewire.journal.record import DamagedRecordError, Entry, EntryKind

__all__ = ["STEPS_MAX", "StepRun"]

#: Steps of one run: a day of them. A replay takes a run for what it says, so it must not say just anything.
STEPS_MAX = 8_640_000
_VARINT_BYTES_MAX = 9


class StepRun(NamedTuple):
    """Steps ``first_step`` … ``first_step + length - 1``, each ``interval_ns`` after the one before."""

    first_step: int
    length: int
    #: Event time of the first step, UTC ns.
    first_at_ns: int
    interval_ns: int

    @classmethod
    def of(cls, step: int, at_ns: int) -> StepRun:
        """Return the run of one step."""
        return cls(step, 1, at_ns, 0)

    def extended(self, step: int, at_ns: int) -> StepRun | None:
        """Return the run with one more step; None when that step is not the next one on the grid."""
        interval_ns = self.interval_ns if self.length > 1 else at_ns - self.first_at_ns
        is_next = (
            self.length < STEPS_MAX
            and step == self.first_step + self.length
            and interval_ns >= 0
            and at_ns == self.first_at_ns + self.length * interval_ns
        )
        return StepRun(self.first_step, self.length + 1, self.first_at_ns, interval_ns) if is_next else None

    def steps(self) -> Iterator[tuple[int, int]]:
        """Yield the number and the time (UTC ns) of each step."""
        for number in range(self.length):
            yield self.first_step + number, self.first_at_ns + number * self.interval_ns

    def encode(self) -> bytes:
        """Write the body; ``first_at_ns`` belongs to the entry."""
        assert 1 <= self.length <= STEPS_MAX, "a run has steps"
        return b"".join(map(_varint, (self.first_step, self.length, self.interval_ns)))

    @classmethod
    def decode(cls, entry: Entry) -> StepRun:
        """Read the run of a ``MARKET_STEPS`` entry.

        Raises:
            DamagedRecordError: The body is none.
        """
        assert entry.kind is EntryKind.MARKET_STEPS, "other kinds have other bodies"
        first_step, at = _read_varint(entry.body, 0)
        length, at = _read_varint(entry.body, at)
        interval_ns, at = _read_varint(entry.body, at)
        if at != len(entry.body) or not 1 <= length <= STEPS_MAX:
            raise DamagedRecordError("the body is no run of steps")
        return cls(first_step, length, entry.at_ns, interval_ns)


def _varint(number: int) -> bytes:
    """Write a number of up to 63 bits, seven bits a byte, the lowest first."""
    assert 0 <= number < 1 << 7 * _VARINT_BYTES_MAX, "numbers of steps and nanoseconds fit"
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for place in range(_VARINT_BYTES_MAX):
        if at + place >= len(data):
            break
        byte = data[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise DamagedRecordError("the body is no run of steps")
