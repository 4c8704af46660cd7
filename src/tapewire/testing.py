"""Fixtures for tests of trading programs: a whole broker in the process, on virtual time.

Name the plugin in your ``conftest.py`` and write tests as coroutines::

    pytest_plugins = ["tapewire.testing"]

    @pytest.mark.virtual(seed=7)
    async def test_my_program(broker, system): ...

A marked test runs on a loop whose time jumps: ``asyncio.sleep`` does not wait. The fixtures are

=============  =========================================================================================
``system``     a running ``SimulatedSystem``: market, exchange, gateway; ``network`` and ``http`` break
``broker``     a ``Broker`` that is connected to it
=============  =========================================================================================

The mark takes the arguments of ``SimulatedSystem`` (``seed``, ``symbols``, ``faults`` …) and of ``run_virtual``
(``start``, ``limit_s``). A test that leaves tasks behind fails, so does one that waits for what never comes, and
one in which a callback of a broker has raised, unless the mark says ``callbacks_may_raise=True``. Fixtures that
are ``async`` run on the loop of their test. Needs ``tapewire[testing]``. Nothing else of tapewire imports this.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

try:
    import pytest

    from tapewire.simulation import SimulatedSystem, SimulationError, UnhandledError, run_virtual
except ModuleNotFoundError as error:
    if (error.name or "").startswith("tapewire"):
        raise
    raise ModuleNotFoundError(
        f"tapewire.testing needs {error.name}: pip install 'tapewire[testing]'", name=error.name
    ) from None

import tapewire
from tapewire.client.errors import TapewireError

__all__ = ["broker", "system"]

#: Events a second of all instruments together, unless the mark says otherwise: about as many as the two busiest
#: shares have. What a virtual hour costs depends on it most of all.
EVENTS_PER_SECOND = 20

_OF_THE_RUN = ("start", "limit_s", "turns_max")
_OF_THE_TEST = ("callbacks_may_raise",)
_OF_THE_SYSTEM = tuple(inspect.signature(SimulatedSystem).parameters)

#: What a person who tests a program does not look into: frames of these folders are left out of its failures.
_INSIDE = tuple(str(Path(module.__file__ or "").parent) for module in (tapewire, asyncio))
#: Errors that say by themselves what happened. Of any other all frames are shown: it may be a fault of tapewire.
_PLAIN = (TapewireError, SimulationError, TimeoutError, asyncio.CancelledError)


class _InVirtualTime:
    """Stands for what there is only while the loop runs."""

    def __init__(self, name: str) -> None:
        self.fixture_name = name

    def __getattr__(self, _name: str) -> Any:
        raise AttributeError(f"the fixture {self.fixture_name!r} is for coroutines marked `@pytest.mark.virtual`")


class _Later(_InVirtualTime):
    """Stands for what an ``async`` fixture will give."""

    def __init__(self, name: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        super().__init__(name)
        self.function = function
        self.arguments = arguments


@pytest.fixture
def system() -> Any:
    """A simulated trading system that runs while the test does."""
    return _InVirtualTime("system")


@pytest.fixture
def broker() -> Any:
    """A broker that is connected to the simulated system."""
    return _InVirtualTime("broker")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "virtual(**settings): run this coroutine on virtual time")


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> object | None:
    """Put off an ``async`` fixture of a marked test until its loop runs."""
    function = fixturedef.func
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if not is_async or request.node.get_closest_marker("virtual") is None:
        return None
    name = fixturedef.argname
    if fixturedef.scope != "function":
        pytest.fail(f"the async fixture {name!r} lives as long as its test: scope='function'", pytrace=False)
    if inspect.ismethod(function):
        # It is bound to an object of the time of collection.
        function = function.__func__.__get__(request.instance)
    arguments = {wanted: request.getfixturevalue(wanted) for wanted in fixturedef.argnames}
    value = _Later(name, function, arguments)
    fixturedef.cached_result = (value, fixturedef.cache_key(request), None)  # type: ignore[arg-type]
    return value


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run a marked coroutine against a system of its own."""
    mark = pyfuncitem.get_closest_marker("virtual")
    if mark is None:
        return None
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        pytest.fail("`@pytest.mark.virtual` is for coroutines: async def", pytrace=False)
    if mark.args:
        pytest.fail("`@pytest.mark.virtual` takes settings by name", pytrace=False)
    known = (*_OF_THE_SYSTEM, *_OF_THE_RUN, *_OF_THE_TEST)
    unknown = [name for name in mark.kwargs if name not in known]
    if unknown:
        pytest.fail(f"`@pytest.mark.virtual` has no {', '.join(unknown)}: {', '.join(known)}", pytrace=False)
    run = {name: value for name, value in mark.kwargs.items() if name in _OF_THE_RUN}
    failure: BaseException | None = None
    try:
        run_virtual(lambda: _run(pyfuncitem, mark.kwargs), **run)
    except _PLAIN as error:
        failure = error
    if failure is None:
        return True
    # Here, not above: what is raised in an ``except`` shows what it was handling as well.
    if not pyfuncitem.config.getoption("fulltrace"):
        _leave_out_the_inside(failure)
        if failure.__traceback__ is None and failure.__cause__ is None:
            notes = getattr(failure, "__notes__", ())
            pytest.fail("\n".join((f"{type(failure).__name__}: {failure}", *notes)), pytrace=False)
    __tracebackhide__ = True
    raise failure


async def _run(item: pytest.Function, settings: Mapping[str, Any]) -> None:
    __tracebackhide__ = True
    running = _system({name: value for name, value in settings.items() if name in _OF_THE_SYSTEM})
    # pytest gives more than the function takes: fixtures that others of its fixtures need, and those for all.
    asked = [value for value in item.funcargs.values() if isinstance(value, _InVirtualTime)]
    try:
        async with running, AsyncExitStack() as stack:
            ready: dict[_InVirtualTime, Any] = {}
            for value in asked:
                if value.fixture_name == "system" and not isinstance(value, _Later):
                    ready[value] = running
                elif value.fixture_name == "broker" and not isinstance(value, _Later):
                    ready[value] = await stack.enter_async_context(running.connect())
            for value in asked:
                await _made(value, ready, stack)
            taken = inspect.signature(item.obj).parameters
            arguments = {name: value for name, value in item.funcargs.items() if name in taken}
            await item.obj(**{name: await _made(value, ready, stack) for name, value in arguments.items()})
    except BaseException as error:
        for stream, raised in running.callback_failures.items():
            error.add_note(f"and before, a callback of {stream} has raised {raised!r}")
        raise
    if running.callback_failures and not settings.get("callbacks_may_raise", False):
        stream, raised = next(iter(running.callback_failures.items()))
        raise UnhandledError(
            f"a callback of {stream} has raised {raised!r} (`callbacks_may_raise=True` if the test is about that)"
        ) from raised


def _system(settings: Mapping[str, Any]) -> SimulatedSystem:
    try:
        return SimulatedSystem(**{"events_per_second": EVENTS_PER_SECOND, **settings})
    except (TypeError, ValueError) as error:
        said = str(error)
    pytest.fail(f"`@pytest.mark.virtual`: {said}", pytrace=False)


async def _made(value: Any, ready: dict[_InVirtualTime, Any], stack: AsyncExitStack) -> Any:
    """Return what a stand-in stands for; of a fixture, what it gives. Its end is left to the stack."""
    if not isinstance(value, _InVirtualTime):
        return value
    if value not in ready:
        assert isinstance(value, _Later)
        made = value.function(**{name: await _made(each, ready, stack) for name, each in value.arguments.items()})
        if inspect.isasyncgen(made):
            ready[value] = await anext(made)
            stack.push_async_callback(_finish, made, value.fixture_name)
        else:
            ready[value] = await made
    return ready[value]


async def _finish(fixture: AsyncGenerator[Any, Any], name: str) -> None:
    """Run what is behind the ``yield`` of a fixture, whatever the test did."""
    async for _ in fixture:
        await fixture.aclose()
        pytest.fail(f"the async fixture {name!r} yields more than once", pytrace=False)


def _leave_out_the_inside(error: BaseException) -> None:
    """Show an error, and those that it came from, at the lines of the program and not at those behind them."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, _PLAIN):
            one.__traceback__ = _of_the_program(one.__traceback__)


def _of_the_program(traceback: TracebackType | None) -> TracebackType | None:
    frames = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_INSIDE):
            frames.append(traceback)
        traceback = traceback.tb_next
    below = None
    for each in reversed(frames):
        below = TracebackType(below, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return below
