"""When sessions write: few in the same turn, many together and never 2 ms late, the urgent at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tapewire.gateway.flusher import COALESCING_S, FEW_SESSIONS, Flusher
from tapewire.simulation import run_virtual


class Session:
    """Writes down when it was flushed."""

    def __init__(self, flusher: Flusher | None = None) -> None:
        self.flushed: list[float] = []
        self._flusher = flusher

    def flush(self) -> None:
        self.flushed.append(asyncio.get_running_loop().time())


def test_few_sessions_write_in_the_turn_in_which_they_became_dirty() -> None:
    async def main() -> None:
        flusher = Flusher(asyncio.get_running_loop())
        sessions = [Session() for _ in range(FEW_SESSIONS)]
        for _ in range(5):
            for session in sessions:
                flusher.mark(session)
                flusher.mark(session)
            await asyncio.sleep(0)
            await asyncio.sleep(0.0001)
        assert all(len(session.flushed) == 5 for session in sessions)
        assert sessions[0].flushed == pytest.approx([0, 0.0001, 0.0002, 0.0003, 0.0004])

    run_virtual(main)


def test_many_sessions_write_together_and_never_more_than_two_milliseconds_late() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        flusher = Flusher(loop)
        sessions = [Session() for _ in range(100)]
        marked: dict[Session, float] = {}
        late: list[float] = []
        for _ in range(200):
            for session in sessions:
                if session not in marked or (session.flushed and session.flushed[-1] >= marked[session]):
                    marked[session] = loop.time()
                flusher.mark(session)
            await asyncio.sleep(0.0001)
            late += [session.flushed[-1] - marked[session] for session in sessions if session.flushed]
        await asyncio.sleep(0.01)
        # 20 ms of marks, every 0.1 ms: each session was written once in 2 ms, not 200 times.
        assert all(10 <= len(session.flushed) <= 12 for session in sessions)
        assert max(late) <= COALESCING_S + 1e-9
        assert all(session.flushed[-1] >= marked[session] for session in sessions)

    run_virtual(main)


def test_many_sessions_after_silence_write_at_once() -> None:
    async def main() -> None:
        flusher = Flusher(asyncio.get_running_loop())
        sessions = [Session() for _ in range(50)]
        await asyncio.sleep(1)
        for session in sessions:
            flusher.mark(session)
        await asyncio.sleep(1)
        assert all(session.flushed == [1] for session in sessions)

    run_virtual(main)


def test_an_urgent_session_never_waits_for_the_others() -> None:
    async def main() -> None:
        flusher = Flusher(asyncio.get_running_loop())
        sessions = [Session() for _ in range(50)]
        urgent = Session()
        for session in sessions:
            flusher.mark(session)
        await asyncio.sleep(0.0005)
        for session in sessions:
            flusher.mark(session)
        flusher.mark(urgent)
        flusher.mark_urgent(urgent)
        await asyncio.sleep(0.0001)
        assert urgent.flushed == [0.0005]
        assert all(session.flushed == [0] for session in sessions)
        await asyncio.sleep(0.01)
        assert all(session.flushed == pytest.approx([0, 0.002]) for session in sessions)
        assert urgent.flushed == [0.0005]

    run_virtual(main)


def test_a_forgotten_session_is_not_written() -> None:
    async def main() -> None:
        flusher = Flusher(asyncio.get_running_loop())
        gone, gone_urgent, stays = Session(), Session(), Session()
        flusher.mark(gone)
        flusher.mark_urgent(gone_urgent)
        flusher.mark(stays)
        flusher.forget(gone)
        flusher.forget(gone_urgent)
        flusher.forget(Session())
        await asyncio.sleep(0.01)
        assert (gone.flushed, gone_urgent.flushed, stays.flushed) == ([], [], [0])

    run_virtual(main)


def test_a_session_that_raises_is_reported_and_harms_nobody_else() -> None:
    class Broken(Session):
        def flush(self) -> None:
            raise ValueError("broken session")

    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        flusher = Flusher(asyncio.get_running_loop())
        others = [Session() for _ in range(20)]
        flusher.mark_urgent(Broken())
        flusher.mark(Broken())
        for session in others:
            flusher.mark(session)
        flusher.mark_urgent(others[0])
        await asyncio.sleep(0.01)
        assert all(len(session.flushed) == 1 for session in others)
        assert [str(context["exception"]) for context in reported] == ["broken session"] * 2

    run_virtual(main)


def test_after_close_nothing_is_written() -> None:
    async def main() -> None:
        flusher = Flusher(asyncio.get_running_loop())
        sessions = [Session() for _ in range(50)]
        for _ in range(2):
            for session in sessions:
                flusher.mark(session)
            await asyncio.sleep(0.0001)
        flusher.mark_urgent(sessions[0])
        flusher.close()
        await asyncio.sleep(1)
        assert all(session.flushed == [0] for session in sessions)

    run_virtual(main)
