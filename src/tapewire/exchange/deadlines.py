"""Moments at which something becomes due, each under a number."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

__all__ = ["Deadlines"]

#: Forgotten moments stay in the heap until they outnumber the others and this.
_STALE_MIN = 64


class Deadlines:
    """At most one moment a number, UTC ns; the earliest is at hand, of two equal ones the lower number."""

    __slots__ = ("_heap", "_moments")

    def __init__(self) -> None:
        self._moments: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._moments)

    def set(self, number: int, at_ns: int) -> None:
        """Let a number become due at a moment, instead of any other one."""
        self._moments[number] = at_ns
        heappush(self._heap, (at_ns, number))
        if len(self._heap) > 2 * len(self._moments) + _STALE_MIN:
            self._heap = [(moment, key) for key, moment in self._moments.items()]
            heapify(self._heap)

    def drop(self, number: int) -> None:
        """Forget a number, known or not."""
        self._moments.pop(number, None)

    def first_ns(self) -> int | None:
        """Return the earliest moment; None without any."""
        heap = self._heap
        while heap:
            at_ns, number = heap[0]
            if self._moments.get(number) == at_ns:
                return at_ns
            heappop(heap)
        return None

    def pop_until(self, now_ns: int) -> list[int]:
        """Take out all numbers that are due at ``now_ns``, earliest first."""
        due = []
        while (at_ns := self.first_ns()) is not None and at_ns <= now_ns:
            _, number = heappop(self._heap)
            del self._moments[number]
            due.append(number)
        return due
