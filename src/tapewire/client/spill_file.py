"""Messages that memory has no room for, in a file without a name: first in, first out, in blocks.

A block is written when it is full and read when its turn comes, each in one call; its place is used
again afterwards. The file has no name from the start (or goes with its last handle where the system knows no
such files): whatever ends the process, nothing is left of it.
"""

from __future__ import annotations

import tempfile
from array import array
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from tapewire.protocol.limits import MESSAGE_BYTES_MAX

__all__ = ["BLOCK_BYTES", "OBJECTS_MAX", "SpillFile", "SpillFullError"]

#: A block is written as soon as it is so large. To write one takes some 100 µs of the reader's time.
BLOCK_BYTES = 256 * 1024
#: Records that were fetched, and marks of gaps, stay in memory: so many at most.
OBJECTS_MAX = 200_000

#: Where blocks may begin; what a block does not use of its place takes no room on a disk that knows holes.
_PLACE_BYTES = BLOCK_BYTES + 2 * MESSAGE_BYTES_MAX


class SpillFullError(Exception):
    """One more message cannot be kept; its text says why."""


class _Block(NamedTuple):
    """Messages in the file: which place, and how long they are together with the lengths in front of them."""

    place: int
    messages: int
    size: int
    message_bytes: int


class SpillFile:
    """A queue of messages and other items. What it cannot take raises ``SpillFullError``; nothing else is lost."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._file: Any = None
        #: Blocks and items, the oldest first; behind them the messages of the block that is being filled.
        self._chain: deque[Any] = deque()
        self._filling: list[bytes] = []
        self._filling_bytes = 0
        self._free: list[int] = []
        self._places = 0
        self._objects = 0
        self._count = 0
        #: Bytes of the messages that are kept.
        self.bytes = 0

    def __len__(self) -> int:
        return self._count

    def put(self, message: bytes) -> None:
        """Keep one message behind all others."""
        size = len(message)
        if self.bytes + size > self._bytes_max:
            raise SpillFullError(f"{self._bytes_max} bytes are spilled")
        if self._filling_bytes + size > BLOCK_BYTES and self._filling:
            self._write()
        self._filling.append(message)
        self._filling_bytes += size
        self.bytes += size
        self._count += 1

    def put_object(self, item: object) -> None:
        """Keep an item that is no message behind all others."""
        if self._objects >= OBJECTS_MAX:
            raise SpillFullError(f"{OBJECTS_MAX} records that were fetched wait")
        if self._filling:
            self._write()
        self._chain.append(item)
        self._objects += 1
        self._count += 1

    def take(self) -> list[Any]:
        """Remove and return the oldest items, a block of them at most; none when it is empty.

        Raises:
            OSError: They cannot be read any more. Nothing was removed.
        """
        if not self._chain:
            taken: list[Any] = self._filling
            self.bytes -= self._filling_bytes
            self._filling, self._filling_bytes = [], 0
        elif isinstance(block := self._chain[0], _Block):
            taken = self._read(block)
            self._chain.popleft()
            self._free.append(block.place)
            self.bytes -= block.message_bytes
        else:
            taken = [self._chain.popleft()]
            self._objects -= 1
        self._count -= len(taken)
        if not self._count:
            self.close()  # the consumer has caught up: the room is given back
        return taken

    def close(self) -> None:
        """Drop everything; the file is gone."""
        self._chain.clear()
        self._filling.clear()
        self._free.clear()
        self._filling_bytes = self._objects = self._count = self.bytes = self._places = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self) -> None:
        lengths = array("I", map(len, self._filling)).tobytes()
        content = b"".join((lengths, *self._filling))
        place = self._free[-1] if self._free else self._places
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115  (until ``close``)
            self._file.seek(place * _PLACE_BYTES)
            written = self._file.write(content)
        except OSError as error:
            raise SpillFullError(f"{self._folder}: {error.strerror or error}") from error
        if written != len(content):
            raise SpillFullError(f"{self._folder}: no space left")
        if self._free:
            self._free.pop()
        else:
            self._places += 1
        self._chain.append(_Block(place, len(self._filling), len(content), self._filling_bytes))
        self._filling, self._filling_bytes = [], 0

    def _read(self, block: _Block) -> list[bytes]:
        self._file.seek(block.place * _PLACE_BYTES)
        content = self._file.read(block.size)
        if len(content) != block.size:
            raise OSError("the file has become shorter")
        lengths = array("I")
        start = block.messages * lengths.itemsize
        lengths.frombytes(content[:start])
        messages = []
        for length in lengths:
            messages.append(content[start : start + length])
            start += length
        return messages
