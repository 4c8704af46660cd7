"""Names of the streams of a broker: those that would be the same are numbered. Pure."""

from __future__ import annotations

__all__ = ["StreamNames"]


class StreamNames:
    """``trades:SBER``, and while it is in use ``trades:SBER#2``, ``trades:SBER#3`` … for others of that name.

    A number is not given again before all streams of the name are gone: whoever reads events later could not tell
    whose they were.
    """

    def __init__(self) -> None:
        #: Of each name how many streams have it now, and the highest number that was given.
        self._uses: dict[str, tuple[int, int]] = {}

    def take(self, name: str) -> str:
        """Return the name of one more stream."""
        count, highest = self._uses.get(name, (0, 0))
        self._uses[name] = count + 1, highest + 1
        return f"{name}#{highest + 1}" if highest else name

    def give_back(self, name: str) -> None:
        """Note that a stream is gone that was taken in under a name, without its number."""
        count, highest = self._uses[name]
        if count > 1:
            self._uses[name] = count - 1, highest
        else:
            del self._uses[name]
