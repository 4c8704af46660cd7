"""Virtual time: an event loop that never waits, the clock that goes with it, and the way to run on both.

On a ``VirtualTimeLoop`` an hour of backoff costs no time: when nothing is ready, ``time()`` jumps to the next
timer. Sessions, feeds and restore run on it unchanged, because their timers belong to the running loop.
A run is a function of its inputs: no sockets, no threads, and tasks hash by their number, so that even the
sets of tasks inside asyncio are walked in the same order every time.

``SimulationError``
    ├── ``DeadlockError``      nothing will ever happen again
    ├── ``RunLimitError``      the run outlived its bound of virtual time or of turns
    ├── ``LeakedTasksError``   tasks were left running without an owner
    ├── ``UnhandledError``     a callback or a forgotten task raised
    └── ``RealWorldError``     a socket, a process or a signal was asked for, or another thread came to the loop
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import Context
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar, TypeVarTuple

__all__ = [
    "START",
    "START_NS",
    "TURNS_AT_ONE_INSTANT_MAX",
    "TURNS_MAX",
    "DeadlockError",
    "LeakedTasksError",
    "RealWorldError",
    "RunLimitError",
    "SimulationError",
    "UnhandledError",
    "VirtualClock",
    "VirtualTimeLoop",
    "run_virtual",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def _ns(moment: datetime) -> int:
    """Return the ns since 1970, exactly."""
    if moment.tzinfo is None:
        raise ValueError("the start of a run is an aware datetime")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


#: Wall time at which a run begins unless told otherwise: a Monday, 10:00 in Moscow, the main session is open.
START = datetime(2026, 1, 12, 7, 0, tzinfo=UTC)
START_NS = _ns(START)
#: Turns of the loop in one run. A turn costs some microseconds, so this is a minute or so of real time.
TURNS_MAX = 10_000_000
#: Turns without any progress of time; more than this many is a spin, not work.
TURNS_AT_ONE_INSTANT_MAX = 100_000
#: What the tasks of a failed run may spend on their ``finally`` blocks.
_CLEANUP_S = 60.0
_CLEANUP_TURNS = 100_000
_ASYNCIO_FOLDER = str(Path(asyncio.__file__).parent)

assert _CLEANUP_TURNS <= TURNS_AT_ONE_INSTANT_MAX < TURNS_MAX


class SimulationError(Exception):
    """A simulated run is at fault. Never raised towards the code under test in order to be handled there."""


class DeadlockError(SimulationError):
    """Nothing is ready and no timer is armed, yet the run is not over. ``tasks``: who waits, and where."""

    def __init__(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        self.tasks = tuple(_describe(task) for task in tasks)
        super().__init__(_sentence("nothing is ready, no timer is armed, and these tasks wait:", self.tasks))


class RunLimitError(SimulationError):
    """The run outlived its bound. ``tasks`` says what was still running, and where."""

    def __init__(self, bound: str, tasks: Iterable[asyncio.Task[Any]]) -> None:
        self.tasks = tuple(_describe(task) for task in tasks)
        super().__init__(_sentence(f"the run went beyond {bound}; running:", self.tasks))


class LeakedTasksError(SimulationError):
    """The main coroutine ended and left tasks behind: nobody awaited them."""

    def __init__(self, tasks: Iterable[str]) -> None:
        self.tasks = tuple(tasks)
        super().__init__(_sentence("left running without an owner:", self.tasks))


class UnhandledError(SimulationError):
    """Something raised where nobody could catch it: a callback, or a task that nobody awaited."""


class RealWorldError(SimulationError):
    """The code under test reached for the world outside the simulation."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} does not exist in virtual time; use the ports of tapewire.simulation")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop on virtual time.

    ``time()`` starts at 0.0 and moves only when nothing is ready: straight to the next timer. Work itself
    takes no time. ``run_in_executor`` runs its job inline, in the next turn and in no virtual time, whatever
    executor is named: code that moves blocking calls off the loop stays usable and deterministic, but a job
    that waits for another thread would wait for ever.

    ``is_virtual`` tells it from others.

    Args:
        start_ns: Wall time at ``time() == 0.0``, UTC, ns since 1970; ``VirtualClock`` counts from it.
        limit_s: Virtual seconds after which a turn raises ``RunLimitError``.
        turns_max: Turns of the loop after which it raises ``RunLimitError``.
    """

    is_virtual = True

    def __init__(self, *, start_ns: int = START_NS, limit_s: float = 3_600.0, turns_max: int = TURNS_MAX) -> None:
        self._seconds = 0.0
        self._turns = 0
        self._turns_at_instant = 0
        self._limit_s = limit_s
        self._turns_max = turns_max
        self._task_count = 0
        self._owner_thread = threading.get_ident()
        self._unhandled: UnhandledError | None = None
        self._winding_down = False
        self.start_ns = start_ns
        super().__init__(_JumpSelector(self._turn))
        self.set_task_factory(self._numbered_task)
        self.set_exception_handler(self._note_unhandled)

    def time(self) -> float:
        """Return the virtual seconds since the run began."""
        return self._seconds

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that are not done, oldest first."""
        return sorted(asyncio.all_tasks(self), key=hash)

    def wind_down(self, seconds: float, turns: int) -> None:
        """Allow so much beyond now, for what must end; what callbacks raise no longer ends the run."""
        self._limit_s = self._seconds + seconds
        self._turns_max = self._turns + turns
        self._turns_at_instant = 0
        self._winding_down = True

    def raise_unhandled(self) -> None:
        """Raise what callbacks and forgotten tasks have raised since the last call, if they did.

        Raises:
            UnhandledError: With the first such exception as its cause.
        """
        if self._unhandled is not None:
            unhandled, self._unhandled = self._unhandled, None
            raise unhandled

    def run_in_executor(self, _executor: object, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run ``func`` inline in the next turn; the executor is not used."""
        future: asyncio.Future[T] = self.create_future()

        def job() -> None:
            if future.cancelled():  # as a pool drops a job that it has not begun
                return
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - the awaiting side gets it, as from a pool
                future.set_exception(error)

        self.call_soon(job)
        return future

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Like ``call_soon``; another thread is refused, since its timing could not be repeated."""
        if threading.get_ident() != self._owner_thread:
            raise RealWorldError("another thread")
        return self.call_soon(callback, *args, context=context)

    def _turn(self, timeout: float | None) -> None:
        """Let time pass before the next callbacks run; ``timeout`` is None when none will ever come."""
        if not self._winding_down:
            self.raise_unhandled()
        if timeout is None:
            raise DeadlockError(self.pending_tasks())
        self._turns += 1
        self._turns_at_instant += 1
        if timeout > 0:
            self._turns_at_instant = 0
            self._seconds += timeout
        if self._seconds > self._limit_s:
            raise RunLimitError(f"{self._limit_s:g} virtual seconds", self.pending_tasks())
        if self._turns > self._turns_max:
            raise RunLimitError(f"{self._turns_max} turns of the loop", self.pending_tasks())
        if self._turns_at_instant > TURNS_AT_ONE_INSTANT_MAX:
            bound = f"{TURNS_AT_ONE_INSTANT_MAX} turns at second {self._seconds:g}"
            raise RunLimitError(bound, self.pending_tasks())

    def _numbered_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        self._task_count += 1
        # asyncio's own default name counts over all loops of the process: it would differ from run to run.
        kwargs["name"] = kwargs.get("name") or f"task-{self._task_count}"
        return _NumberedTask(coro, loop=loop, number=self._task_count, **kwargs)

    def create_task(self, coro: Any, *, name: Any = None, **options: Any) -> asyncio.Task[Any]:
        """Make a task with a number. Some Pythons give a task that has no name the name ``None``."""
        return super().create_task(coro, name=name or f"task-{self._task_count + 1}", **options)

    def _note_unhandled(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        if self._unhandled is None:
            error = context.get("exception")
            self._unhandled = UnhandledError(f"{context['message']}: {error!r}")
            self._unhandled.__cause__ = error

    # The base class wakes a sleeping select through a pair of sockets. Ours never sleeps.
    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise RealWorldError(f"loop.{name}")

    return refuse


for _name in (
    "add_reader",
    "add_signal_handler",
    "add_writer",
    "connect_accepted_socket",
    "connect_read_pipe",
    "connect_write_pipe",
    "create_connection",
    "create_datagram_endpoint",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "getaddrinfo",
    "getnameinfo",
    "sock_accept",
    "sock_connect",
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_recvfrom_into",
    "sock_sendall",
    "sock_sendfile",
    "sock_sendto",
    "subprocess_exec",
    "subprocess_shell",
):
    setattr(VirtualTimeLoop, _name, _refusal(_name))


class VirtualClock:
    """A ``ports.Clock`` on virtual time: the loop's ``start`` plus ``loop.time()``, plus what was jumped.

    Args:
        loop: The loop to follow; by default the running one.

    Raises:
        TypeError: The running loop is not a ``VirtualTimeLoop``.
    """

    def __init__(self, loop: VirtualTimeLoop | None = None) -> None:
        follows = loop if loop is not None else asyncio.get_running_loop()
        if not isinstance(follows, VirtualTimeLoop):
            raise TypeError(f"a VirtualClock follows a VirtualTimeLoop, not {follows!r}")
        self._loop = follows
        self._jumped_ns = 0

    def wall_ns(self) -> int:
        """Return the virtual time since the Unix epoch, UTC, in nanoseconds."""
        return self._loop.start_ns + round(self._loop.time() * 1e9) + self._jumped_ns

    def stopwatch_s(self) -> float:
        """Return the loop's time in seconds: here no code takes any."""
        return self._loop.time()

    def processor_s(self) -> float:
        """Return the loop's time in seconds, as ``stopwatch_s`` does."""
        return self._loop.time()

    def jump(self, seconds: float) -> None:
        """Set the time of day forward, or back if negative, as a clock correction does. Timers stay."""
        self._jumped_ns += round(seconds * 1e9)


def run_virtual(
    main: Coroutine[Any, Any, T] | Callable[[], Coroutine[Any, Any, T]],
    *,
    start: datetime = START,
    limit_s: float = 3_600.0,
    turns_max: int = TURNS_MAX,
) -> T:
    """Run ``main`` to its end on a fresh virtual loop and return its result.

    Whatever happens, every task is cancelled and awaited and the loop is closed before this returns.

    Args:
        main: A coroutine, or a function without arguments that makes one.
        start: Wall time of the beginning, an aware datetime.
        limit_s: Bound of virtual time, seconds.
        turns_max: Bound of turns of the loop, against bugs that spin.

    Raises:
        DeadlockError: ``main`` waits for something that will never happen.
        RunLimitError: A bound was reached.
        LeakedTasksError: ``main`` ended but tasks that it started have not.
        UnhandledError: A callback or a forgotten task raised; the run ends in the turn after.
    """
    loop = VirtualTimeLoop(start_ns=_ns(start), limit_s=limit_s, turns_max=turns_max)
    try:
        coroutine = main() if callable(main) else main
        failure: BaseException | None = None
        try:
            result: T = loop.run_until_complete(loop.create_task(coroutine, name="main"))
            loop.raise_unhandled()
        except BaseException as error:  # noqa: BLE001 - raised again below, after the tasks had their say
            failure = error
        # Tasks of a run that broke down are not leaked: their owners had no chance to await them.
        leaked = [_describe(task) for task in loop.pending_tasks()]
        try:
            _wind_down(loop)
        except SimulationError as error:
            if failure is None:
                raise
            failure.add_note(f"and the tasks left did not end well: {error}")
        if failure is not None:
            raise failure
        if leaked:
            raise LeakedTasksError(leaked)
        return result
    finally:
        loop.close()


def _wind_down(loop: VirtualTimeLoop) -> None:
    """Cancel what is left and wait for it, within bounds of its own."""
    loop.wind_down(_CLEANUP_S, _CLEANUP_TURNS)
    tasks = loop.pending_tasks()
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))
        # Retrieved, so that it is not reported once more when the task is collected.
        errors = [task.exception() for task in tasks if not task.cancelled()]
        for error in errors:
            if error is not None:
                raise UnhandledError(f"a cancelled task raised {error!r}") from error
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.raise_unhandled()


class _NumberedTask(asyncio.Task[T]):
    """A task that hashes by its number: asyncio keeps tasks in sets, whose order would else be by address."""

    def __init__(self, coro: Coroutine[Any, Any, T], *, number: int, **kwargs: Any) -> None:
        self._number = number
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self._number


class _JumpSelector(selectors.BaseSelector):
    """Watches nothing and never waits: where select would sleep, it reports for how long."""

    def __init__(self, turn: Callable[[float | None], None]) -> None:
        self._turn = turn

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._turn(timeout)
        return []

    def register(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise RealWorldError("a socket")

    def unregister(self, *_args: object) -> NoReturn:
        raise RealWorldError("a socket")

    def get_map(self) -> dict[Any, selectors.SelectorKey]:
        return {}


def _describe(task: asyncio.Task[Any]) -> str:
    """Return the task's name, the innermost line of ours at which it waits, and what it waits in."""
    where = waits_in = ""
    coroutine: Any = task.get_coro()
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        code = frame.f_code
        waits_in = code.co_qualname
        if not where or not code.co_filename.startswith(_ASYNCIO_FOLDER):
            where = f"{code.co_filename}:{frame.f_lineno}"
        coroutine = coroutine.cr_await
    return f"{task.get_name()} in {waits_in}, {where}"


def _sentence(headline: str, lines: Iterable[str]) -> str:
    return "\n  ".join([headline, *lines])
